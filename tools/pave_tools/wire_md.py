"""The examples and tables of docs/WIRE.md, generated from `pave_wire` itself.

    python -m pave_tools.wire_md            # write
    python -m pave_tools.wire_md --check    # exit status 1 and the differing lines when the page is stale

A block of the page is generated between `<!-- generated: NAME -->` and `<!-- end -->`; the rest is written by hand.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pave_tools import (
    wire_examples,
    wire_examples_bundle,
    wire_examples_oscore,
    wire_examples_radio,
    wire_examples_shadow,
)
from pave_tools.errors import ToolError
from pave_tools.tree import REPOSITORY

PAGE = REPOSITORY / "docs" / "WIRE.md"
BLOCKS = {
    **wire_examples.BLOCKS,
    **wire_examples_oscore.BLOCKS,
    **wire_examples_radio.BLOCKS,
    **wire_examples_bundle.BLOCKS,
    **wire_examples_shadow.BLOCKS,
}
_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render(page: str) -> str:
    """Return `page` with every generated block as it should be; raises `ToolError` for names on one side only."""
    names = [match[1] for match in _BLOCK.findall(page)]
    if sorted(names) != sorted(BLOCKS):
        raise ToolError(f"{PAGE.name} has the blocks {sorted(names)}, the generator {sorted(BLOCKS)}: make them agree")
    return _BLOCK.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]()}\n\n{match[3]}", page)


def stale(path: Path = PAGE) -> list[str]:
    """Return a unified diff, one string a line, from the page to what it should be; empty when equal."""
    found = path.read_text(encoding="utf-8")
    return list(
        difflib.unified_diff(found.splitlines(), render(found).splitlines(), str(path), "generated", lineterm="")
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pave_tools.wire_md", description="Generate docs/WIRE.md's blocks.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is stale")
    try:
        if not parser.parse_args(arguments).check:
            PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
            print(f"wrote {PAGE}")
            return 0
        diff = stale()
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    if diff:
        print("\n".join([*diff, "stale: run `python -m pave_tools.wire_md`"]), file=sys.stderr)
    return 1 if diff else 0


if __name__ == "__main__":
    sys.exit(main())
