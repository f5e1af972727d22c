"""Link format (RFC 6690): the resources of a server, as `/.well-known/core` tells them (content-format 40).

    </r>;rt="urn:pave:readings";ct=112,</s>;obs

A document is a list of links; a link is a target (text, without its angle brackets) and a list of attributes (name,
value), the value a text, or None for an attribute that is a name alone. Names may come twice.
"""

from pave_wire import limits
from pave_wire.errors import LinkFormatError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Iterable

    Attributes = list[tuple[str, str | None]]
    Link = tuple[str, Attributes]

CONTENT_FORMAT = 40  # application/link-format
PATH = ".well-known/core"
_NO_VALUE = ' \t\r\n"\\,;'  # what ends a value that is not quoted (RFC 6690, 2: ptoken)
_NO_NAME = _NO_VALUE + "<>="


def encode(links: "Iterable[Link]") -> bytes:
    """Return the document of `links`; raises LinkFormatError for a target or name that cannot be written."""
    written: list[str] = []
    for target, attributes in links:
        if ">" in target:
            raise LinkFormatError("target %r holds >" % target)
        text = "<" + target + ">"
        for name, value in attributes:
            if not name or any(char in _NO_NAME for char in name):
                raise LinkFormatError("attribute name %r" % name)
            text += ";" + name
            if value is not None:
                text += "=" + (value if value.isdigit() else '"' + _escaped(value) + '"')
        written.append(text)
    return ",".join(written).encode()


def parse(data: bytes) -> "list[Link]":
    """Return the links in a document (bytes, UTF-8).

    Raises:
        LinkFormatError: not the form of RFC 6690, or more than `limits` allows.
    """
    if len(data) > limits.LINK_BYTES:
        raise LinkFormatError("%d bytes; at most %d" % (len(data), limits.LINK_BYTES))
    try:
        str(data, "utf-8")
    except UnicodeError:
        raise LinkFormatError("not UTF-8")
    links: "list[Link]" = []
    at = 0
    while at < len(data):
        if links:
            at = _expect(data, at, b",")
        if len(links) == limits.LINKS:
            raise LinkFormatError("more than %d links" % limits.LINKS)
        at = _expect(data, at, b"<")
        end = data.find(b">", at)
        if end < 0:
            raise LinkFormatError("target without > at %d" % at)
        attributes: "Attributes" = []
        links.append((str(data[at:end], "utf-8"), attributes))
        at = end + 1
        while data[at : at + 1] == b";":
            if len(attributes) == limits.LINK_ATTRIBUTES:
                raise LinkFormatError("more than %d attributes" % limits.LINK_ATTRIBUTES)
            name, at = _token(data, at + 1, _NO_NAME)
            value = None
            if data[at : at + 1] == b"=":
                value, at = _value(data, at + 1)
            attributes.append((name, value))
    return links


def _expect(data: bytes, at: int, char: bytes) -> int:
    if data[at : at + 1] != char:
        raise LinkFormatError("%r at %d; %r expected" % (data[at : at + 1], at, char))
    return at + 1


def _token(data: bytes, at: int, ends: str) -> tuple[str, int]:
    """Return the name or bare value that starts at `at`, and where it ends."""
    end = at
    while end < len(data) and chr(data[end]) not in ends:
        end += 1
    if end == at:
        raise LinkFormatError("name or value missing at %d" % at)
    return str(data[at:end], "utf-8"), end


def _value(data: bytes, at: int) -> tuple[str, int]:
    """Return the value that starts at `at`, quoted or not, and where it ends."""
    if data[at : at + 1] != b'"':
        return _token(data, at, _NO_VALUE)
    value = bytearray()
    at += 1
    while data[at : at + 1] != b'"':
        at += data[at : at + 1] == b"\\"
        if at >= len(data):
            raise LinkFormatError("quoted value without its end")
        value.append(data[at])
        at += 1
    return str(value, "utf-8"), at + 1


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
