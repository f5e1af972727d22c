"""What the tables of the site file are made of: strict types, texts and paths of which each key says what it takes.

TOML has types of its own, so a number in quotes or a `true` for a port is a slip of whoever wrote it, and refused. A
whole number does where a float is wanted: 48 is 48.0.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pave_gateway.log import printable

TEXT_CHARACTERS = 120


class Table(BaseModel):
    """A table of the site file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _text(text: str) -> str:
    bad = next((character for character in text if printable(character) != character), None)
    if bad is not None:
        raise ValueError(f"write it without U+{ord(bad):04X}, a character that cannot be printed")
    if not text.strip():
        raise ValueError("write more than spaces")
    return text


def _path(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("write a path without U+0000")
    return path


def _file(path: Path) -> Path:
    if not path.name:
        raise ValueError('name a file, such as "var/journal.sqlite"')
    return _path(path)


_ID = "small letters, digits and -, 64 at most"  # it becomes part of topics, URLs and file names

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description=_ID)]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS), AfterValidator(_text)]
Port = Annotated[int, Field(ge=1, le=65535)]
Folder = Annotated[Path, Field(strict=False), AfterValidator(_path)]  # TOML has texts for paths
File = Annotated[Path, Field(strict=False), AfterValidator(_file)]
