"""A site of made-up devices for measurements and attacks: the production gateway, its keys written without records.

    prepare   once: a journal that knows `count` devices at as many bays, each with keys and a fresh replay window
    serving   the gateway on it, as `runtime` builds it, without page and sinks

A fresh window spares the devices the Echo that records from elsewhere would cost them.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from pave_gateway.assembly.core import CommitterFactory, Core, open_core
from pave_gateway.assembly.gateway import Gateway, Links, listen, open_gateway
from pave_gateway.assembly.machine import this_machine
from pave_gateway.config import BayConfig, Config, SiteConfig
from pave_gateway.config_journal import JournalConfig
from pave_gateway.config_state import ClockConfig
from pave_gateway.core.change import Change, submit
from pave_gateway.core.committer import Committed, Outcome
from pave_gateway.core.keys import GATEWAY_ID_BYTES, DeviceKeys, OscoreSecret, Secrets
from pave_gateway.core.keys_record import PURPOSE, SIGNATURE_BYTES
from pave_gateway.core.registry_change import By, NotRecorded, Recorded
from pave_gateway.core.rows import ReplayRow
from pave_gateway.runtime import threaded
from pave_wire.oscore_context import FRESH_WINDOW

ID = "made"
_KINDS = ("delivery", "taxi", "disabled")
_MAKER = By("made site", 1_795_000_000_000)
_SOMEBODY = "0" * 64  # a technician's key; nothing here is signed
_AT_ONCE = 256  # devices in one transaction


KeysOf = Callable[[int], DeviceKeys]  # `sender_id` is the gateway's, GATEWAY_ID_BYTES long


def config_of(journal: Path, keys_of: KeysOf, count: int) -> Config:
    """Return the site file that such a site would have."""
    bays = tuple(
        BayConfig(
            id=f"b{number}", kind=_KINDS[number % 3], street="Rue de Bercy", lat=48.84, lon=2.38,
            device=keys_of(number).device,
        )
        for number in range(count)
    )  # fmt: skip
    return Config(
        site=SiteConfig(id=ID, name="Made up"),
        clock=ClockConfig(trusted=True),
        journal=JournalConfig(path=journal),
        bay=bays,
    )


async def prepare(config: Config, keys_of: KeysOf, count: int) -> None:
    """Write the journal, if it is not there yet."""
    if config.journal.path.exists():
        return
    gateway_id = keys_of(0).sender_id
    assert len(gateway_id) == GATEWAY_ID_BYTES
    machine = replace(
        this_machine(True), random_bytes=lambda size: gateway_id if size == GATEWAY_ID_BYTES else os.urandom(size)
    )
    async with AsyncExitStack() as stack:
        core = await open_core(config, machine, threaded, stack)
        for first in range(0, count, _AT_ONCE):
            await _give_keys(core, [keys_of(number) for number in range(first, min(count, first + _AT_ONCE))])


@asynccontextmanager
async def serving(
    config: Config, port: int, committer_factory: CommitterFactory = threaded
) -> AsyncIterator[tuple[Gateway, Links]]:
    """Serve devices on loopback."""
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(config, this_machine(True), committer_factory, stack)
        yield gateway, await listen(gateway, "127.0.0.1", port, stack)


async def _give_keys(core: Core, devices: Iterable[DeviceKeys]) -> None:
    done: asyncio.Future[Recorded | NotRecorded] = asyncio.get_running_loop().create_future()
    change = core.registrar.change(_MAKER)
    windows: list[ReplayRow] = []
    for keys in devices:
        change.act("provision", keys.device)
        secrets = Secrets(OscoreSecret(keys.master_secret, keys.master_salt, keys.recipient_id), None)
        change.put_keys(keys.device, secrets, core.registrar.keyring.seal(keys.device, PURPOSE, _content(keys)))
        windows.append(ReplayRow(keys.device, *FRESH_WINDOW))
    core.registrar.submit(change, done.set_result)
    assert isinstance(await done, Recorded)
    stored: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    submit(core.committer, Change(tuple(windows), lambda: None), stored.set_result)
    assert isinstance(await stored, Committed)


def _content(keys: DeviceKeys) -> bytes:
    """Return what a record of the device would hold."""
    oscore = {
        "secret": keys.master_secret.hex(),
        "salt": keys.master_salt.hex(),
        "device_id": keys.recipient_id.hex(),
    }
    content = {
        "version": 1, "site": "made", "device": keys.device, "kind": "presence", "board": "pave-presence-v1",
        "firmware": "made", "epoch": 1, "signer": _SOMEBODY, "note": "", "oscore": oscore, "lora": None,
    }  # fmt: skip
    return bytes(SIGNATURE_BYTES) + json.dumps(content).encode()
