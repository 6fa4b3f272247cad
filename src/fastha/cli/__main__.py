"""`python -m fastha.cli` is `fastha`."""

import sys

from fastha.cli.main import main

sys.exit(main())
