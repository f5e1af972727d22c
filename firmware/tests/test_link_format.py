from checks import raised

from pave_wire import limits, link_format
from pave_wire.errors import LinkFormatError


def test_the_example_of_rfc_6690_section_5_is_parsed():
    text = (
        b'</sensors>;ct=40;title="Sensor Index",</sensors/temp>;rt="temperature-c";if="sensor",'
        b'</sensors/light>;rt="light-lux";if="sensor",<http://www.example.com/sensors/t123>;anchor="/sensors/temp"'
        b';rel="describedby",</t>;anchor="/sensors/temp";rel="alternate"'
    )
    links = link_format.parse(text)
    assert [target for target, _ in links] == [
        "/sensors", "/sensors/temp", "/sensors/light", "http://www.example.com/sensors/t123", "/t"
    ]  # fmt: skip
    assert links[0][1] == [("ct", "40"), ("title", "Sensor Index")]
    assert links[4][1] == [("anchor", "/sensors/temp"), ("rel", "alternate")]
    assert link_format.encode(links) == text


def test_attributes_without_a_value_escapes_and_names_that_come_twice_survive():
    links = [("/o", [("obs", None), ("t", 'say "hi" \\ é,;'), ("t", "")])]
    data = link_format.encode(links)
    assert data == '</o>;obs;t="say \\"hi\\" \\\\ é,;";t=""'.encode()
    assert link_format.parse(data) == links
    assert link_format.parse(b"") == [] and link_format.encode([]) == b""
    assert link_format.parse(b"</a>,</b>;x=y") == [("/a", []), ("/b", [("x", "y")])]


def test_what_is_not_link_format_is_refused():
    for data in (
        b"x", b"<", b"</a", b"</a>,", b"</a> ,</b>", b"</a></b>", b"</a>;", b"</a>;=1", b"</a>;x=", b'</a>;x="',
        b'</a>;x="\\', b'</a>;x="y"z', b"\xff", b"</a>,,</b>",
    ):  # fmt: skip
        raised(LinkFormatError, link_format.parse, data)
    raised(LinkFormatError, link_format.encode, [("/a>", [])])
    raised(LinkFormatError, link_format.encode, [("/a", [("x=", None)])])


def test_documents_are_bounded():
    raised(LinkFormatError, link_format.parse, b",".join([b"</a>"] * (limits.LINKS + 1)))
    raised(LinkFormatError, link_format.parse, b"</a>" + b";x" * (limits.LINK_ATTRIBUTES + 1))
    raised(LinkFormatError, link_format.parse, b"<" + bytes(limits.LINK_BYTES) + b">")


def test_a_bare_value_may_hold_any_character_of_a_ptoken():
    every = "!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"  # RFC 6690, 2
    for value in ("a=b", "a<b", "=", "/p?a=1", every):
        assert link_format.parse(b"</a>;x=" + value.encode() + b";y") == [("/a", [("x", value), ("y", None)])]
    for data in (b"</a>;x<=1", b"</a>;x>", b"</a>;x=a b", b'</a>;x=a"b', b"</a>;x=a\\b"):
        raised(LinkFormatError, link_format.parse, data)
