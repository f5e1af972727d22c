"""Targets for settings, commands, results and named gateways: sound code passes on their seeds, planted bugs do not."""

from typing import Any

import pytest

from fuzz import sealed, settings
from pave_wire import cbor, command, oscore, shadow
from pave_wire.errors import WireError


def breaks(run: Any, seeds: list[bytes]) -> bool:
    """Say whether a target fails on one of its seeds by anything but a named error."""
    for seed in seeds:
        try:
            run(seed)
        except WireError:
            continue
        except (AssertionError, AttributeError, LookupError, TypeError):
            return True
    return False


SHADOW = (settings.shadow_survives, settings.shadow_seeds)
COMMAND = (settings.command_survives, settings.command_seeds)
RESULT = (settings.result_survives, settings.result_seeds)
NAMED = (sealed.named_is_not_believed, sealed.named_seeds)


def unchecked(data: bytes) -> shadow.Document:
    """A document whose values may be anything: a list, for one."""
    fields: Any = cbor.loads(data)
    return shadow.Document(fields[0], list(fields[1]), fields.get(2, False), tuple(fields.get(3, ())))


def drops_zero(told: command.Command) -> bytes:
    return cbor.dumps({0: told.id, 1: told.code} | ({2: told.argument} if told.argument else {}))


def drops_newest(told: command.Result) -> bytes:
    return cbor.dumps({0: told.id, 1: told.status} | ({2: told.detail} if told.detail else {}))


def lets_anything(data: bytes) -> command.Result:
    return command.Result(1, 2, "<script>\n", 0)


PLANTED = [
    (SHADOW, shadow, "unpack", unchecked),
    (SHADOW, shadow, "pack", lambda document: cbor.dumps({0: document.version, 1: document.values})),
    (SHADOW, shadow, "check", lambda number, kind, value: value["0"]),
    (COMMAND, command, "pack_command", drops_zero),
    (COMMAND, command, "check", lambda code, kind, argument: command.COMMANDS[code]),
    (RESULT, command, "pack_result", drops_newest),
    (RESULT, command, "unpack_result", lets_anything),
    (NAMED, oscore, "open_response", lambda exchange, message: message),
]


@pytest.mark.parametrize(("target", "module", "name", "wrong"), PLANTED)
def test_a_planted_bug_is_seen(
    target: Any, module: Any, name: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, seeds = target
    inputs = seeds()
    assert inputs and not breaks(run, inputs)
    monkeypatch.setattr(module, name, wrong)
    assert breaks(run, inputs)
