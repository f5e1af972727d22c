"""LoRaWAN on the joined gateway: from a provisioning record to an acknowledged reading; ChirpStack beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from chirpstack_site import DEVICES, ChirpStackSide
from control_support import Laboratory
from gateway_support import running, until, virtual_machine
from lora_ingress_support import Mosquitto
from lorawan_support import JOIN_EUI, Device, event_of, hello_of
from test_semtech_udp_server import Mast

from pave_emulator.air.txpk import Shape
from pave_emulator.clock import VirtualClock
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway.assembly.core import CommitterFactory
from pave_gateway.assembly.gateway import Gateway, Links, listen, open_gateway
from pave_gateway.config import load
from pave_gateway.core.committer import CommitFailed
from pave_gateway.core.registry_change import By
from pave_gateway.core.registry_rows import KeyRow
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.lorawan_tables import read_lorawan
from pave_tools.provisioning import Flashed, LoraKeys, make_record, read_reader, write_record

WALL_MS = 1_795_000_000_000
ADDRESS = ("127.0.0.1", 5683)
LISTEN = '[semtech_udp]\nlisten = "127.0.0.1:1700"\ngateways = ["00000000000000a1"]\n'


def lora_site(folder: Path, device: Device, sections: str) -> Laboratory:
    """Return a site whose first bay has `device`, by the site file."""
    lab = Laboratory(folder, sections, insecure=False)
    lab.site.write_text(lab.site.read_text().replace("24a160fffe000101", device.eui))
    return lab


class Gate:
    """A committer in front of which changes of keys, and whatever comes behind one, can be held in order."""

    def __init__(self, inner: InlineCommitter) -> None:
        self._inner = inner
        self.holds = self.breaks = False
        self.held: list[tuple[Any, ...]] = []
        self.trouble, self.close = inner.trouble, inner.close

    def submit(self, rows: Any, done: Any, urgent: bool = False) -> None:
        if self.held or (self.holds and any(isinstance(row, KeyRow) for row in rows)):
            self.held.append((rows, done, urgent))
        elif self.breaks and any(isinstance(row, KeyRow) for row in rows):
            done(CommitFailed("disk full"))
        else:
            self._inner.submit(rows, done, urgent)

    def release(self) -> None:
        self.holds = False
        while self.held:  # what is submitted meanwhile comes behind
            self._inner.submit(*self.held[0])
            del self.held[0]


@asynccontextmanager
async def with_mast(lab: Laboratory, committer: CommitterFactory) -> AsyncIterator[tuple[Gateway, Links, Mast]]:
    """Run the gateway in virtual time, with a mast."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(load(lab.site), virtual_machine(loop, WALL_MS), committer, stack)
        links = await listen(gateway, *ADDRESS, stack)
        assert links.lora is not None and links.lora.address is not None
        mast = Mast(VirtualClock(loop), links.lora.address, Shape.SX1302)
        await mast.link.open()
        try:
            yield gateway, links, mast
        finally:
            mast.link.close()


async def life(lab: Laboratory, device: Device, script: Any) -> Any:
    """Run the gateway for one `script(gateway, links, mast)`."""
    async with with_mast(lab, lambda journal, *_: Gate(InlineCommitter(journal))) as parts:
        await asyncio.sleep(0.2)
        return await script(*parts)


def virtually(lab: Laboratory, device: Device, script: Any) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(life(lab, device, script))


def provision(lab: Laboratory, device: Device, epoch: int) -> None:
    """Leave the record of a device that was flashed with the keys it has."""
    flashed = Flashed(device.eui, "presence", "pave-presence-v1", "1.0", epoch)
    keys = LoraKeys(JOIN_EUI, device.app_key)
    reader = read_reader(lab.folder / "gateway.json")
    write_record(lab.folder / "records", flashed, make_record(flashed, None, keys, lab.technician, [reader]))


def provisioned(folder: Path) -> tuple[Laboratory, Device]:
    """Return a site that has the record of its first bay's device."""
    device = Device(0x100)
    lab = lora_site(folder, device, LISTEN)

    async def nothing(*_: Any) -> None: ...

    virtually(lab, device, nothing)  # a first start makes key file and public file
    provision(lab, device, 100)
    return lab, device


def flashed_anew(device: Device) -> Device:
    """Return a device as it is after it was erased and flashed: other keys, DevNonce from its beginning."""
    flashed = Device(int(device.eui, 16) & 0xFFF)
    flashed.app_key = bytes(range(16))
    return flashed


async def join(mast: Mast, device: Device) -> bool:
    accept = await mast.exchange(device.join_request(), 5.0)
    if accept is not None:
        device.join(accept)
        assert await mast.exchange(device.uplink(3, hello_of())) is not None
    return accept is not None


async def says(gateway: Any, mast: Mast, device: Device, seq: int) -> bool:
    """Let `device` report; return whether its bay has that and it was acknowledged, or neither."""
    answer = await mast.exchange(device.uplink(1, event_of(device.eui, seq, occupied=True)))
    bay = gateway.core.bays.get("lab-l-01")
    assert (answer is not None) == (bay is not None and bay.seq == seq)
    return answer is not None


def test_a_record_with_a_new_app_key_ends_the_session_and_lets_the_device_join_from_dev_nonce_0(tmp_path: Path) -> None:
    lab, device = provisioned(tmp_path)
    new = flashed_anew(device)

    async def first(gateway: Any, links: Any, mast: Mast) -> None:
        for _ in range(3):
            assert await join(mast, device)
        assert await says(gateway, mast, device, 0)
        provision(lab, new, 200)
        await asyncio.sleep(5)
        assert gateway.core.registrar.keys.lora(device.eui).app_key == new.app_key
        assert not await says(gateway, mast, device, 1) and not await join(mast, device)
        assert await join(mast, new) and await says(gateway, mast, new, 2)
        assert not links.lora.server.counters.joins_replayed

    async def second(gateway: Any, links: Any, mast: Mast) -> None:
        assert await says(gateway, mast, new, 3) and not await says(gateway, mast, device, 4)

    virtually(lab, device, first)
    virtually(lab, device, second)
    assert lab.stored() == [f"{device.eui}:1:{seq}" for seq in (0, 2, 3)]


def test_nothing_is_admitted_under_the_old_keys_while_the_new_ones_are_on_their_way_to_the_disk(tmp_path: Path) -> None:
    lab, device = provisioned(tmp_path)
    new = flashed_anew(device)

    async def script(gateway: Any, links: Any, mast: Mast) -> None:
        assert await join(mast, device) and await says(gateway, mast, device, 0)
        gate = gateway.core.committer
        gate.holds = True
        provision(lab, new, 200)
        await asyncio.sleep(5)
        assert gate.held and gateway.core.registrar.keys.lora(device.eui).app_key == device.app_key
        assert not await says(gateway, mast, device, 1)
        asked = asyncio.create_task(mast.exchange(device.join_request(), 5.0))
        await asyncio.sleep(2)  # its row waits behind the keys
        gate.release()
        assert await asked is None and links.lora.server.counters.joins_rekeyed == 1
        assert not read_lorawan(gateway.core.reader.connection).sessions
        assert not await says(gateway, mast, device, 1)
        assert await join(mast, new) and await says(gateway, mast, new, 2)

    virtually(lab, device, script)
    assert lab.stored() == [f"{device.eui}:1:{seq}" for seq in (0, 2)]


@pytest.mark.parametrize("killed", [False, True])
def test_when_new_keys_do_not_reach_the_disk_the_device_joins_again_under_those_it_has(
    tmp_path: Path, killed: bool
) -> None:
    lab, device = provisioned(tmp_path)

    async def first(gateway: Any, links: Any, mast: Mast) -> None:
        assert await join(mast, device) and await says(gateway, mast, device, 0)
        gate = gateway.core.committer
        gate.holds, gate.breaks = killed, not killed
        provision(lab, flashed_anew(device), 200)
        await asyncio.sleep(5)
        for record in (lab.folder / "records").iterdir():
            record.unlink()
        if not killed:
            await second(gateway, links, mast)

    async def second(gateway: Any, links: Any, mast: Mast) -> None:
        assert gateway.core.registrar.keys.lora(device.eui).app_key == device.app_key
        assert not await says(gateway, mast, device, 1)
        assert await join(mast, device) and await says(gateway, mast, device, 2)

    virtually(lab, device, first)
    if killed:
        virtually(lab, device, second)


def test_a_device_that_is_retired_while_its_join_is_held_is_offered_nothing(tmp_path: Path) -> None:
    lab, device = provisioned(tmp_path)

    async def script(gateway: Any, links: Any, mast: Mast) -> None:
        asked = asyncio.create_task(mast.exchange(device.join_request(), 5.0))
        await asyncio.sleep(0.5)
        assert links.lora.server.counters.join_requests == 1
        gateway.core.registrar.retire(device.eui, By("anne", WALL_MS), lambda outcome: None)
        assert await asked is None
        assert len(links.lora.server.sessions) == 0 and links.lora.server.counters.joins_rekeyed == 1

    virtually(lab, device, script)


def test_a_device_of_a_record_joins_reports_and_goes_on_after_a_restart_without_joining_again(tmp_path: Path) -> None:
    lab, device = provisioned(tmp_path)

    async def first(gateway: Any, links: Any, mast: Mast) -> None:
        accept = await mast.exchange(device.join_request(), 5.0)
        assert accept is not None
        device.join(accept)
        welcome = await mast.exchange(device.uplink(3, hello_of()))
        assert welcome is not None and device.hear(welcome).port == 9
        await report(gateway, mast, 0)

    async def report(gateway: Any, mast: Mast, seq: int) -> None:
        answer = await mast.exchange(device.uplink(1, event_of(device.eui, seq, occupied=True)))
        assert answer is not None and device.hear(answer).port == 6
        bay = gateway.core.bays.get("lab-l-01")
        assert (bay.occupied, bay.seq) == (True, seq)
        assert gateway.silence.heard_ms(device.eui) is not None

    async def second(gateway: Any, links: Any, mast: Mast) -> None:
        await report(gateway, mast, 1)
        assert not [finding for finding in links.lora.findings() if finding.severity.value == "error"]

    virtually(lab, device, first)
    virtually(lab, device, second)
    assert lab.stored() == [f"{device.eui}:1:0", f"{device.eui}:1:1"]


@pytest.mark.server
async def test_chirpstack_brings_the_same_readings_to_the_same_log(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    side = ChirpStackSide(broker.port)
    sections = f'[chirpstack]\nhost = "127.0.0.1"\nport = {broker.port}\nclient_id = "pave-lab"\n'
    lab = Laboratory(tmp_path, sections, insecure=False)
    lab.site.write_text(lab.site.read_text().replace("24a160fffe000101", DEVICES[0]))
    try:
        async with running(lab.config) as (runtime, _):
            lora = runtime.links.lora
            await until(lambda: not [f for f in lora.findings() if f.severity.value == "error"])
            side.hello(DEVICES[0])
            side.event(DEVICES[0])
            await until(lambda: runtime.gateway.core.bays.position == 1)
            side.broker.flush()
            await until(lambda: len(side.commands) >= 2)  # welcome and acknowledgement
    finally:
        side.stop()
        broker.stop()
    assert lab.stored() == [f"{DEVICES[0]}:1:0"]
