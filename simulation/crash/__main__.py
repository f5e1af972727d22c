"""Run the crash campaign.

    python -m simulation.crash [--quick] [--seed N]

Last line: one JSON object. Exit status 0 only if every promise was kept, and every negative control was caught.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from pathlib import Path

from simulation.crash import campaign


def main() -> int:
    """Run it; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the short form, some seconds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)  # damage and restarts are what this is about
    print(f"seed {arguments.seed}", flush=True)
    size = campaign.SHORT if arguments.quick else campaign.LONG
    with campaign.folder_in_memory() as folder:
        found = campaign.run(Path(folder), size, arguments.seed, lambda line: print(line, flush=True))
    print(json.dumps(found))
    return 0 if not found["broken"] and not found["blind"] else 1


if __name__ == "__main__":
    sys.exit(main())
