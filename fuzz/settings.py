"""Properties of what a gateway and a device tell each other to do: settings, commands and their results."""

from __future__ import annotations

from typing import Any

from fuzz.helpers import fields_of


def shadow_survives(data: bytes) -> None:
    """A document packs to the same document, in no more bytes, and each of its settings is taken or refused by name."""
    from pave_wire import cbor, shadow
    from pave_wire.errors import ModelError

    document = shadow.unpack(data)
    try:
        packed = shadow.pack(document)
    except ModelError as error:
        raise AssertionError("a document that was read is too long to be written") from error
    again = fields_of(shadow.unpack(packed))
    assert cbor.dumps(again) == cbor.dumps(fields_of(document))  # as bytes, for NaN is unequal to itself
    for number, value in document.values.items():
        _judged(shadow.check, number, shadow.BOTH, value)
        _judged(shadow.check_reported_wifi, value)


def shadow_seeds() -> list[bytes]:
    """What a kiosk is to have, a part for a sensor, and a report."""
    from pave_wire import shadow

    wifi = {0: 2, 1: "bus", 2: "correct horse", 3: True}
    return [
        shadow.pack(shadow.Document(27400000, {1: 600, 16: "abribus", 15: wifi})),
        shadow.pack(shadow.Document(12, {3: 9000, 7: None}, True)),
        shadow.pack(shadow.Document(12, {3: 8000, 15: {0: 1, 1: [1, 2], 2: 2, 3: 1}}, True, (3, 15))),
        shadow.pack(shadow.Document(0, {2: 1, 18: 4294967295, 19: 0})),
    ]


def command_survives(data: bytes) -> None:
    """A command packs to the same command, and is refused by name or known: then it has 13 bytes at most."""
    from pave_wire import command, shadow

    told = command.unpack_command(data)
    packed = command.pack_command(told)
    assert fields_of(command.unpack_command(packed)) == fields_of(told)
    for kind in (shadow.PRESENCE, shadow.KIOSK):
        assert not _judged(command.check, told.code, kind, told.argument) or len(packed) <= 13, len(packed)


def command_seeds() -> list[bytes]:
    """Each command, with the ends of its argument's range."""
    from pave_wire import command

    told = [(0, None), (1, None), (2, 0), (2, 1440), (3, 1), (255, 65535)]
    return [command.pack_command(command.Command(27400000 + code, code, argument)) for code, argument in told]


def result_survives(data: bytes) -> None:
    """A result packs to the same result, and its word is one that a page may show."""
    from pave_wire import command, limits

    told = command.unpack_result(data)
    assert fields_of(command.unpack_result(command.pack_result(told))) == fields_of(told)
    assert len(told.detail) <= limits.COMMAND_DETAIL_CHARS and told.detail.isascii() and told.detail.isprintable()


def result_seeds() -> list[bytes]:
    """Each status, with a word or the newest id where there is one."""
    from pave_wire import command

    said = [(0, "", 0), (1, "", 0), (2, "radar does not answer", 0), (3, "busy", 0), (4, "", 27400005)]
    return [command.pack_result(command.Result(27400000, *one)) for one in said]


def _judged(check: Any, *arguments: Any) -> bool:
    """Say whether `check` takes something; it may refuse it by name, and do nothing else."""
    from pave_wire.errors import ModelError

    try:
        check(*arguments)
    except ModelError:
        return False
    return True
