"""The operator's guide and the site file: every table and key there is described, with its default, and no other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pave_gateway.config import Config
from pave_gateway.config_faults import table_of

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "operator.md"
_HEADING = re.compile(r"^### `(\[+[\w.]+\]+)`$")
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$")


def keys_in(guide: str) -> dict[str, dict[str, str]]:
    """Return {"[table]": {key: default}} of the tables under "Site file"; each key is said to be for something."""
    found: dict[str, dict[str, str]] = {}
    table: dict[str, str] = {}
    for line in guide.partition("\n## Site file\n")[2].partition("\n## ")[0].splitlines():
        if heading := _HEADING.match(line):
            assert heading[1] not in found, f"{heading[1]} stands there twice"
            table = found[heading[1]] = {}
        elif line.startswith("|") and line not in ("| key | default | what |", "|---|---|---|"):
            row = _ROW.match(line)
            assert row is not None, f"no row of a key: {line}"
            assert row[1] not in table, f"{row[1]} stands there twice"
            table[row[1]] = row[2]
    return found


def tables_of(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, dict[str, FieldInfo]]]:
    """Yield ("[table]", its keys) of `model` and the tables in it."""
    for name, field in model.model_fields.items():
        inside = table_of(field.annotation)
        if inside is not None:
            path = f"{above}{name}"
            keys = {key: one for key, one in inside.model_fields.items() if table_of(one.annotation) is None}
            yield (f"[[{path}]]" if get_origin(field.annotation) is tuple else f"[{path}]"), keys
            yield from tables_of(inside, f"{path}.")


def default_of(field: FieldInfo, described: str) -> str:
    """Return how the guide is to give the default of `field`; one that depends on others is `described` there."""
    if field.is_required():
        return "required"
    if field.default is None:
        assert described != "required"
        return described
    return f"`{toml(field.default)}`"


def toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(toml(one) for one in value)}]"
    return json.dumps(value)


def expected(guide: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {
        header: {key: default_of(field, guide.get(header, {}).get(key, "")) for key, field in keys.items()}
        for header, keys in tables_of(Config)
    }


def test_the_guide_describes_every_key_of_the_site_file_with_its_default_and_no_other() -> None:
    described = keys_in(GUIDE.read_text(encoding="utf-8"))
    assert described == expected(described)
    assert sum(len(keys) for keys in described.values()) > 70


def test_a_key_too_many_one_too_few_and_a_wrong_default_are_seen() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for old, new in (
        ("| `at_cap` |", "| `at_cup` |"),
        ("| `rx_delay_s` | `1` |", "| `rx_delay_s` | `2` |"),
        ("### `[silence]`", "### `[silent]`"),
        ("| `host` | required |", "| `host` | none |"),
    ):
        assert old in guide
        described = keys_in(guide.replace(old, new, 1))
        assert described != expected(described), new
