"""What is wrong with a site file: one line per fault, with the line of the file, the value, and what to write instead.

pydantic says which type it expected; whoever edits the file reads what to write. How a text is spelled is the
`description` of its field.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pave_gateway.toml_lines import line_of

Location = tuple[str | int, ...]  # ("bay", 2, "lat"): entries of an array of tables count from 0

_SHOWN_CHARACTERS = 60

# By the type of pydantic's error; the names in braces are of its context.
_WANTED = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "finite_number": "write a number",
    "greater_than": "write more than {gt}",
    "greater_than_equal": "write {ge} or more",
    "int_from_float": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller number",
    "int_type": "write a whole number",
    "less_than_equal": "write {le} or less",
    "literal_error": "write {expected}",
    "path_type": "write a path in quotes",
    "string_too_long": "write {max_length} characters at most",
    "string_too_short": "write {min_length} or more characters",
    "string_type": "write a text in quotes",
    "too_long": "give {max_length} at most",
    "too_short": "give {min_length} or more",
    "tuple_type": "write a list, in brackets",
}
_UNQUOTED = {
    "bool_type": "true|false",
    "float_type": r"[+-]?[0-9]+(\.[0-9]+)?",
    "int_type": "[+-]?[0-9]+",
}


@dataclass(frozen=True, slots=True)
class SiteFile:
    """Where what a site file says comes from.

    Attributes:
        path: Of the file.
        text: Its content.
        overridden: (where a value was put, the "KEY=VALUE" it came by).
    """

    path: Path
    text: str
    overridden: Mapping[Location, str]

    def where(self, location: Location) -> str:
        """Return "site.toml:12", or the `--set` that a value came by."""
        for at, override in self.overridden.items():
            both = min(len(at), len(location))
            if at[:both] == location[:both]:
                return f"--set {override}"
        line = line_of(self.text, location)
        return f"{self.path}:{line}" if line else str(self.path)


def refusals(file: SiteFile, model: type[BaseModel], error: ValidationError) -> list[str]:
    """Return a line for each thing that `model` refused in `file`."""
    found: list[str] = []
    details = error.errors(include_url=False)
    meant = {_meant(model, detail["loc"]) for detail in details if detail["type"] == "extra_forbidden"}
    for detail in details:
        location: Location = detail["loc"]
        if detail["type"] == "missing" and location in meant:
            continue  # it is there, misspelt, and told so
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in location)
        found.append(f"{file.where(location)}: {key}: {_explain(model, location, detail)}")
    return found


def nearest(word: str, words: Iterable[str]) -> str:
    """Return "; did you mean ...?", or the list of what is possible."""
    known = list(words)
    close = _close(word, known)
    return f"; did you mean {close!r}?" if close else f"; known: {', '.join(known) or 'none'}"


def table_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside `Model`, `Model | None` or `tuple[Model, ...]`, None where there is none."""
    inside = (annotation, *get_args(annotation))
    return next((each for each in inside if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _close(word: str, words: Iterable[str]) -> str:
    """Return the word that is most like `word`, "" if none is like it."""
    return next(iter(difflib.get_close_matches(word, list(words), n=1)), "")


def _explain(model: type[BaseModel], location: Location, detail: Any) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        table = _table_at(model, location[:-1])
        return f"is not a key here{nearest(str(location[-1]), table.model_fields if table else ())}"
    wanted = _wanted(model, location, detail)
    return wanted if isinstance(value, dict) else f"{_shown(value)} will not do: {wanted}"


def _meant(model: type[BaseModel], location: Location) -> Location:
    """Return where the key would be that is misspelt at `location`; () where none is like it."""
    table = _table_at(model, location[:-1])
    close = _close(str(location[-1]), table.model_fields if table else ())
    return (*location[:-1], close) if close else ()


def _wanted(model: type[BaseModel], location: Location, detail: Any) -> str:
    kind = detail["type"]
    if kind in ("model_type", "tuple_type") and _table_at(model, location) is not None:
        return f"write it as a table, {_header(model, location)} and its keys in lines below"
    if kind == "string_pattern_mismatch":
        table = _table_at(model, location[:-1])
        return f"write {table.model_fields[str(location[-1])].description}" if table else detail["msg"]
    message = str(detail["msg"]).removeprefix("Value error, ")
    known: str = _WANTED.get(kind, message[:1].lower() + message[1:])
    wanted = known.format(**detail["ctx"]) if kind in _WANTED and "ctx" in detail else known
    return f"{wanted}, without quotes" if _is_quoted(kind, detail["input"]) else wanted


def _is_quoted(kind: str, value: object) -> bool:
    """Say whether `value` would do if it stood without quotes."""
    reads = _UNQUOTED.get(kind)
    return isinstance(value, str) and reads is not None and re.fullmatch(reads, value) is not None


def _table_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """Return the model of the table at `location`, or of each entry if it is an array; None where it is no table."""
    found: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str):
            found = table_of(found.model_fields[part].annotation) if found else None
    return found


def _header(model: type[BaseModel], location: Location) -> str:
    """Return the header of the table at `location`: "[site]", "[[bay]]"."""
    names = tuple(part for part in location if isinstance(part, str))
    above = _table_at(model, names[:-1])
    is_array = above is not None and get_origin(above.model_fields[names[-1]].annotation) is tuple
    name = ".".join(names)
    return f"[[{name}]]" if is_array else f"[{name}]"


def _shown(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)  # as TOML has it
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
