"""`python -m simulation`: the demo. Ctrl-C during the imports is an end, not an error."""

import sys

try:
    from simulation.demo import main

    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
