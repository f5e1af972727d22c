"""Files made by a program: written, or with `--check` compared with what is there."""

import argparse
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pave_tools.errors import ToolError

Texts = Mapping[Path, str]
"""What each file should hold."""


def stale(texts: Texts) -> list[str]:
    """Return a unified diff, one string a line, from what is there to what should be; empty when equal."""
    diff: list[str] = []
    for path, text in texts.items():
        found = path.read_text(encoding="utf-8") if path.is_file() else ""
        diff += difflib.unified_diff(found.splitlines(), text.splitlines(), str(path), "generated", lineterm="")
    return diff


def write(texts: Texts) -> list[Path]:
    """Write the files; return their paths."""
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(texts)


def main(module: str, description: str, make: Callable[[], Texts], arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `python -m MODULE`; return its exit status, 1 for what is stale or cannot be made."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    only_check = parser.parse_args(arguments).check
    try:
        texts = make()
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    if not only_check:
        for path in write(texts):
            print(f"wrote {path}")
        return 0
    diff = stale(texts)
    if diff:
        print("\n".join([*diff, f"stale: run `python -m {module}`"]), file=sys.stderr)
    return 1 if diff else 0
