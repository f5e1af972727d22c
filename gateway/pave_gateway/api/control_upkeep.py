"""The gateway's own upkeep over the control interface: the journal's damage was seen, the sealing key is rotated.

A rotation adds a key to the key file, then seals the keys of all devices anew with it, in one transaction. Killed in
between, or refused by the disk, it is gone on with when it is asked for again. What the shadow and the network server
keep sealed (Wi-Fi passphrases, session keys) stays under the key that sealed it: older keys stay in the file.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter, Request

from pave_gateway.api.acts import Acts
from pave_gateway.api.control_devices import actor
from pave_gateway.api.control_models import DamageSeen, KeysRotated
from pave_gateway.api.problems import Problem, problem
from pave_gateway.assembly.core import Core
from pave_gateway.core import shadow_wifi
from pave_gateway.core.keys_sealed import KeyringError
from pave_gateway.core.registry_change import Done
from pave_gateway.store import meta, registry_tables, shadow_tables
from pave_gateway.store.key_file import KeyFile, KeyFileError, begin_rotation, load_key_file
from pave_gateway.store.lorawan_tables import read_lorawan
from pave_wire import cbor, shadow


def router(core: Core, acts: Acts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["upkeep"])
    _add_seen(routes, core, acts)
    _add_rotation(routes, core, acts)
    return routes


def _add_seen(routes: APIRouter, core: Core, acts: Acts) -> None:
    @routes.post("/journal/seen", summary="Tell no longer of the journal's damage: somebody has seen it")
    async def seen(request: Request) -> DamageSeen:  # pyright: ignore[reportUnusedFunction]
        damage = meta.text(core.reader.connection, "damaged")
        if damage is None:
            raise Problem(409, "the journal has no damage that is still told", "", "there is nothing to do")

        def act(done: Done) -> None:
            change = core.registrar.change(acts.by(actor(request)))
            change.act("damage seen", detail=damage)
            change.join([meta.DamageSeenRow()])
            core.registrar.submit(change, done)

        return DamageSeen(act=await acts.do(act), damage=damage)


def _add_rotation(routes: APIRouter, core: Core, acts: Acts) -> None:
    path = core.config.registry.key_path(core.config.journal.path)
    one_at_a_time = asyncio.Lock()

    @routes.post("/keys/rotate", summary="Seal the keys of all devices under a new key, or go on where that was killed")
    async def rotate(request: Request) -> KeysRotated:  # pyright: ignore[reportUnusedFunction]
        async with one_at_a_time:
            try:
                return await _rotate(core, acts, path, actor(request))
            except (KeyFileError, KeyringError) as error:
                raise problem(409, str(error), str(path)) from error


async def _rotate(core: Core, acts: Acts, path: Path, by: str) -> KeysRotated:
    devices, others = _of_devices(core), [*_wifi(core), *_sessions(core)]
    file = await asyncio.to_thread(_begin, core, path, devices, others, core.now().ms)
    keyring = file.keyring(core.machine.random_bytes)
    anew: list[int] = []

    def act(done: Done) -> None:
        sealed = registry_tables.load(core.reader.connection).sealed  # in its turn: nothing else changes them now
        anew.append(sum(not keyring.is_newest(value) for _, value in sealed))
        core.registrar.reseal(keyring, sealed, (), acts.by(by), done)

    number = await acts.do(act)
    return KeysRotated(
        act=number,
        devices=anew[0],
        key_file=str(path),
        sealing_keys=len(file.sealing),
        older_wifi=sum(not keyring.is_newest(value) for value in _wifi(core)),
        older_sessions=sum(not keyring.is_newest(value) for value in _sessions(core)),
    )


def _begin(core: Core, path: Path, devices: Sequence[bytes], others: Sequence[bytes], now_ms: int) -> KeyFile:
    """Return the key file as it lies on the disk, with a new key unless a rotation is to be gone on with.

    Raises:
        KeyFileError, KeyringError: it is not the one that this journal is used with; nothing was written.
    """
    try:
        file = load_key_file(path)
    except FileNotFoundError:
        raise KeyFileError(f"key file {path}: missing; put its copy back before the gateway is restarted") from None
    if file.site != core.config.site.id or file.opening != core.key_file.opening:
        raise KeyFileError(f"key file {path}: not the one that the gateway was started with; put that back")
    file.keyring(core.machine.random_bytes).check([*devices, *others])
    return begin_rotation(path, file, devices, now_ms, core.machine.random_bytes)


def _of_devices(core: Core) -> list[bytes]:
    return [value for _, value in registry_tables.load(core.reader.connection).sealed]


def _wifi(core: Core) -> list[bytes]:
    """Return the sealed passphrases that the journal has."""
    desired = (cbor.loads(row.values).get(shadow.WIFI) for row in shadow_tables.desired(core.reader.connection))
    return [wifi[shadow_wifi.KEY] for wifi in desired if wifi is not None and shadow_wifi.KEY in wifi]


def _sessions(core: Core) -> list[bytes]:
    """Return the sealed keys of LoRaWAN sessions that the journal has."""
    return [session.sealed_keys for session in read_lorawan(core.reader.connection).sessions]
