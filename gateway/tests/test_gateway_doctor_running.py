"""Doctor and a gateway that runs or is being started: what of it the site file says otherwise, what it waits for."""

import asyncio
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest
from control_support import Laboratory
from faulty_disk import FaultyDisk, full
from gateway_support import BAY, TAXI, free_port

from pave_gateway import doctor
from pave_gateway.assembly import core as assembly
from pave_gateway.cli_client import Client, waiting_start
from pave_gateway.core.keys_record import PURPOSE
from pave_gateway.findings import Finding, Severity
from pave_gateway.runtime import Runtime
from pave_gateway.store.journal import Journal
from pave_gateway.store.key_file import load_key_file


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


def edit(lab: Laboratory, old: str, new: str) -> None:
    text = lab.site.read_text()
    assert old in text
    lab.site.write_text(text.replace(old, new, 1))


async def found(lab: Laboratory, severity: Severity) -> list[Finding]:
    """Return what doctor says beside a gateway that runs on this loop."""
    examined = await asyncio.to_thread(asyncio.run, doctor.examine(lab.config, Client(lab.socket)))
    return [one for one in examined if one.severity is severity]


async def test_addresses_that_were_changed_since_the_start_are_found(lab: Laboratory) -> None:
    async with lab.gateway():
        assert not any("the site file" in one.what for one in await found(lab, Severity.WARNING))
        edit(lab, 'coap = "127.0.0.1:0"', 'coap = "127.0.0.1:15683"')
        edit(lab, "[clock]", '[semtech_udp]\ngateways = "any"\n[clock]')
        told = [one for one in await found(lab, Severity.WARNING) if "the site file" in one.what]
    assert [one.what for one in told] == [
        "listen.coap: the gateway that runs has 127.0.0.1:0, the site file 127.0.0.1:15683",
        "semtech_udp.listen: the gateway that runs has none, the site file 127.0.0.1:1700",
    ]
    assert all("start it again" in one.next_step for one in told)


async def test_a_start_that_waits_for_room_is_told_by_doctor_and_by_commands(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, port = FaultyDisk(), free_port()
    monkeypatch.setattr(assembly, "Journal", partial(Journal, vfs=disk.name))
    edit(lab, 'http = "127.0.0.1:0"', f'http = "127.0.0.1:{port}"')
    disk.fault = full
    start = asyncio.create_task(Runtime(lab.config).start())
    try:
        while await asyncio.to_thread(waiting_start, ("127.0.0.1", port)) is None:
            await asyncio.sleep(0.02)
            assert not start.done()
        (told,) = await found(lab, Severity.ERROR)
        assert told.what.startswith("the gateway is being started, and waits: journal ")
        assert "the disk is full" in told.what
        status, said = await lab.refused("status")
        assert (status, said.startswith("the gateway is being started, and waits: journal ")) == (3, True)
    finally:
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
    assert not any("waits" in one.what for one in await found(lab, Severity.ERROR))


async def test_a_gateway_that_serves_http_is_not_taken_for_a_start_that_waits(lab: Laboratory) -> None:
    port = free_port()
    edit(lab, 'http = "127.0.0.1:0"', f'http = "127.0.0.1:{port}"')
    async with lab.gateway():
        assert await asyncio.to_thread(waiting_start, ("127.0.0.1", port)) is None


def share_oscore_id(lab: Laboratory, owner: str, other: str) -> None:
    """Give a device the OSCORE ID of another, in the journal: no import would."""
    keyring = load_key_file(lab.folder / "journal.sqlite.keys").keyring()
    db: Any = apsw.Connection(str(lab.config.journal.path))
    rows: dict[str, bytes] = dict(db.execute("SELECT device, sealed FROM registry_key"))
    signed = {device: keyring.open(device, PURPOSE, sealed) for device, sealed in rows.items()}
    changed = json.loads(signed[other][64:])
    changed["oscore"]["device_id"] = json.loads(signed[owner][64:])["oscore"]["device_id"]
    sealed = keyring.seal(other, PURPOSE, bytes(64) + json.dumps(changed).encode())
    db.execute("UPDATE registry_key SET sealed = ?1 WHERE device = ?2", (sealed, other))
    db.close()


async def test_two_devices_with_one_oscore_id_are_found_and_the_second_is_not_admitted(lab: Laboratory) -> None:
    async with lab.gateway():
        pass
    for device in (BAY, TAXI):
        lab.provision(device)
    async with lab.gateway() as runtime:
        assert len(runtime.gateway.core.contexts) == 2
    share_oscore_id(lab, BAY, TAXI)
    (told,) = await found(lab, Severity.ERROR)
    assert f"of device {TAXI} is that of device {BAY}, too: {TAXI} is not admitted" in told.what
    assert told.next_step == "flash one of them with another"
    shutil.rmtree(lab.folder / "records")  # else the record that is kept there mends it
    async with lab.gateway() as runtime:
        assert [keys.device for keys in runtime.gateway.core.registrar.keys.all_oscore()] == [BAY]
