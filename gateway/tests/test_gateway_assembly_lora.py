"""LoRaWAN on the joined gateway: from a provisioning record to an acknowledged reading; ChirpStack beside it."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from chirpstack_site import DEVICES, ChirpStackSide
from gateway_support import running, until
from lora_ingress_support import Mosquitto
from lorawan_support import JOIN_EUI, Device, event_of, hello_of
from test_gateway_assembly import Laboratory
from test_semtech_udp_server import Mast

from pave_emulator.air.txpk import Shape
from pave_emulator.clock import VirtualClock
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway.assembly.gateway import listen, open_gateway
from pave_gateway.assembly.machine import Machine
from pave_gateway.config import load
from pave_gateway.store.inline import InlineCommitter
from pave_tools.provisioning import Flashed, LoraKeys, make_record, read_reader, write_record

WALL_MS = 1_795_000_000_000
LISTEN = '[semtech_udp]\nlisten = "127.0.0.1:1700"\ngateways = ["00000000000000a1"]\n'


def lora_site(folder: Path, device: Device, sections: str) -> Laboratory:
    """Return a site whose first bay has `device`, by the site file."""
    lab = Laboratory(folder, sections)
    lab.path.write_text(lab.path.read_text().replace("24a160fffe000101", device.eui))
    return lab


async def life(lab: Laboratory, device: Device, script: Any) -> Any:
    """Run the gateway in virtual time, with a mast, for one `script(gateway, links, mast)`."""
    loop = asyncio.get_running_loop()
    source = random.Random(5)
    machine = Machine(
        lambda: int(loop.time() * 1000), lambda: WALL_MS + int(loop.time() * 1000), lambda: True, "virtual",
        source.randbytes, source,
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(
            load(lab.path), machine, lambda journal, config, trusted: InlineCommitter(journal), stack
        )
        links = await listen(gateway, "127.0.0.1", 5683, stack)
        assert links.lora is not None and links.lora.address is not None
        mast = Mast(VirtualClock(loop), links.lora.address, Shape.SX1302)
        await mast.link.open()
        await asyncio.sleep(0.2)
        try:
            return await script(gateway, links, mast)
        finally:
            mast.link.close()


def virtually(lab: Laboratory, device: Device, script: Any) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(life(lab, device, script))


def test_a_device_of_a_record_joins_reports_and_goes_on_after_a_restart_without_joining_again(tmp_path: Path) -> None:
    device = Device(0x100)
    lab = lora_site(tmp_path, device, LISTEN)

    async def nothing(*_: Any) -> None: ...

    virtually(lab, device, nothing)  # a first start makes key file and public file
    reader = read_reader(tmp_path / "gateway.json")
    flashed = Flashed(device.eui, "presence", "pave-presence-v1", "1.0", 100)
    keys = LoraKeys(JOIN_EUI, device.app_key)
    write_record(tmp_path / "records", flashed, make_record(flashed, None, keys, lab.technician, [reader]))

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
    lab = Laboratory(tmp_path, sections)
    lab.path.write_text(lab.path.read_text().replace("24a160fffe000101", DEVICES[0]))
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
