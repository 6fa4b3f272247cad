"""`python -m fastha.vrrp --channel FD` (under the parent) or `-f FILE` (by hand: only the VRRP half runs)."""

from __future__ import annotations

import sys

from fastha.child.program import main
from fastha.vrrp.child import VrrpChild

if __name__ == "__main__":
    sys.exit(main("vrrp", "VRRP instances", __doc__, VrrpChild))
