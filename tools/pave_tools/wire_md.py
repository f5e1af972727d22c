"""The examples and tables of docs/WIRE.md, generated from `pave_wire` itself.

    python -m pave_tools.wire_md            # write
    python -m pave_tools.wire_md --check    # exit status 1 and the differing lines when the page is stale

A block of the page is generated between `<!-- generated: NAME -->` and `<!-- end -->`; the rest is written by hand.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pave_tools import (
    generated,
    wire_examples,
    wire_examples_bundle,
    wire_examples_kiosk,
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
    **wire_examples_kiosk.BLOCKS,
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
    return generated.stale(_pages(path))


def _pages(path: Path = PAGE) -> dict[Path, str]:
    return {path: render(path.read_text(encoding="utf-8"))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    return generated.main("pave_tools.wire_md", "Generate docs/WIRE.md's blocks.", _pages, arguments)


if __name__ == "__main__":
    sys.exit(main())
