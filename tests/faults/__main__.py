"""`python -m tests.faults`: a soak. Under this name it is not imported by the workers of its pools of processes."""

import sys

from tests.faults.soak import main

sys.exit(main(sys.argv[1:]))
