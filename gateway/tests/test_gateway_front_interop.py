"""The whole gateway, from site file and provisioning records, and aiocoap's OSCORE as a device of its site."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from front_support import Peer, device
from gateway_support import BAY, config_in, running

from pave_gateway.config import Config
from pave_gateway.core.change import submit
from pave_gateway.core.committer import Committed
from pave_gateway.runtime import Runtime
from pave_tools.provisioning import Flashed, OscoreKeys
from pave_wire import hello, model, shadow
from simulation import site_keys

NOW_MS = 1_795_000_000_000


def provisioned(folder: Path) -> tuple[Config, OscoreKeys]:
    """Return a site one of whose devices has a record beside the journal, and the keys of that device."""
    config = config_in(folder)
    key_file = config.registry.key_path(config.journal.path)
    provisioner = site_keys.provisioner(config.site.id, key_file, b"unknown", folder, NOW_MS, os.urandom)
    provisioner.provision(Flashed(BAY, "presence", "pave-presence-v1", "1.0", 1))
    return site_keys.believing(config, provisioner), provisioner.made[BAY]


def context_of(folder: Path, keys: OscoreKeys, gateway_id: bytes) -> str:
    """Write aiocoap's OSCORE settings; return the folder."""
    folder.mkdir()
    settings = {
        "secret_hex": keys.secret.hex(),
        "salt_hex": keys.salt.hex(),
        "sender-id_hex": keys.device_id.hex(),
        "recipient-id_hex": gateway_id.hex(),
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return str(folder)


async def report(peer: Peer, seq: int) -> str:
    payload = model.pack_readings(BAY, [model.Reading(BAY, 1, seq, 0, {"occupied": True, "reason": "field"})])
    return (await peer.ask("r", method="POST", payload=payload.hex(), format=112))["code"]


async def edit(runtime: Runtime, **changes: Any) -> None:
    core = runtime.gateway.core
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    submit(core.committer, core.shadows.edit(BAY, shadow.PRESENCE, changes), done.set_result)
    assert isinstance(await done, Committed)


def document(said: dict[str, Any]) -> shadow.Document:
    return shadow.unpack(bytes.fromhex(said["payload"]))


async def test_aiocoap_lives_as_a_device_of_a_site_and_needs_echo_once(tmp_path):
    config, keys = provisioned(tmp_path)
    async with running(config) as (runtime, addresses):
        context = context_of(tmp_path / "device", keys, runtime.gateway.core.registrar.keys.gateway_id)
        counters = runtime.links.coap.counters
        async with device(context, f"coap://{addresses.coap}") as peer:
            assert [await report(peer, seq) for seq in (1, 2, 2)] == ["2.04"] * 3
            assert (counters.echo, counters.accepted, counters.repeated) == (1, 3, 1)
            said = hello.pack_hello(hello.Hello(1, 3, "pave-presence-v1", "1.0", 1)).hex()
            welcome = await peer.ask("h", method="POST", payload=said, format=60)
            assert welcome["code"] == "2.04" and hello.unpack_welcome(bytes.fromhex(welcome["payload"]))
            watching = peer.send("s", observe=True)
            assert document(await peer.hear(watching)).version == 0
            await edit(runtime, heartbeat_s=1800)
            assert document(await peer.hear(watching)).values == {1: 1800}
            reported = shadow.pack(shadow.Document(1, {1: 1800})).hex()
            assert (await peer.ask("s", method="PUT", payload=reported, format=60))["code"] == "2.04"
            assert runtime.gateway.core.shadows.setting(BAY, "heartbeat_s") == 1800
            assert (await peer.ask("x", method="POST", payload="ff", format=60))["code"] == "4.00"
    async with running(config) as (runtime, addresses):
        async with device(context, f"coap://{addresses.coap}") as peer:
            assert await report(peer, 3) == "2.04"
        assert runtime.links.coap.counters.echo == 0, "its window was on disk"
        assert runtime.gateway.core.shadows.setting(BAY, "heartbeat_s") == 1800
