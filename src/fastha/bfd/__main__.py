"""`python -m fastha.bfd --channel FD` (under the parent) or `-f FILE` (by hand: only the BFD sessions run)."""

from __future__ import annotations

import sys

from fastha.bfd.child import BfdChild
from fastha.child.program import main

if __name__ == "__main__":
    sys.exit(main("bfd", "BFD sessions", __doc__, BfdChild))
