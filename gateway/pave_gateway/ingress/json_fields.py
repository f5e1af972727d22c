"""Reading JSON that others wrote: bounded, never an exception but `JsonError`, lenient where writers differ."""

import base64
import binascii
import json
import re
from datetime import datetime
from math import isfinite
from typing import Any, cast

Fields = dict[str, Any]

_EUI64 = re.compile(r"[0-9a-fA-F]{16}")
_FILLING = b"\0 \t\r\n"


class JsonError(ValueError):
    """Not what belongs here; `str` says what."""


def load(body: bytes) -> Fields:
    """Return the JSON object in `body`; a NUL behind it, and texts that are not UTF-8, do no harm."""
    text = body.rstrip(_FILLING).decode("utf-8", "replace")
    try:
        root: Any = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise JsonError(f"not JSON: {str(error)[:80]}") from error
    if not isinstance(root, dict):
        raise JsonError("not a JSON object")
    return cast("Fields", root)


def number(value: Any) -> float | None:
    """Return a finite number, or None; a JSON number may be too large for a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if isfinite(found) else None


def integer(value: Any, most: int) -> int | None:
    """Return an integer from 0 to `most`, or None; protobuf's JSON may write it as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(most)):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def child(fields: Fields, name: str) -> Fields:
    """Return the object under `name`, an empty one where there is none."""
    value: Any = fields.get(name)
    return cast("Fields", value) if isinstance(value, dict) else {}


def children(fields: Fields, name: str, most: int) -> list[Fields]:
    """Return the objects of the array under `name`, at most `most`."""
    value: Any = fields.get(name)
    listed = cast("list[Any]", value)[:most] if isinstance(value, list) else []
    return [cast("Fields", item) for item in listed if isinstance(item, dict)]


def text(fields: Fields, name: str, most: int = 256) -> str:
    """Return the text under `name`, cut; "" where there is none."""
    value: Any = fields.get(name)
    return value[:most] if isinstance(value, str) else ""


def base64_bytes(value: Any, most: int) -> bytes:
    """Decode base64 without its padding, with too much of it, or in the URL-safe alphabet.

    Raises:
        JsonError: neither text nor base64, or more than `most` bytes.
    """
    if not isinstance(value, str) or len(value) > 2 * most + 16:
        raise JsonError("no base64, or too much")
    bare = "".join(value.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise JsonError(f"no base64: {error}") from error
    if len(data) > most:
        raise JsonError(f"{len(data)} bytes; at most {most}")
    return data


def eui64(value: Any) -> str:
    """Return an EUI-64 as 16 lower-case digits; raises JsonError."""
    if not isinstance(value, str) or not _EUI64.fullmatch(value):
        raise JsonError("no EUI-64")
    return value.lower()


def instant_ms(value: Any) -> int | None:
    """Return milliseconds since 1970 of RFC 3339 with an offset, None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return int(moment.timestamp() * 1000) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
