"""The joined gateway, as it runs: devices with keys, records that come late, acts, restarts, a clock that is set."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from control_support import Laboratory
from gateway_support import BAY, KIOSK, TAXI, reading, running, until
from oscore_device import OscoreDevice

from pave_gateway.assembly.gateway import Gateway
from pave_gateway.assembly.machine import Machine, this_machine
from pave_gateway.core import nearest
from pave_gateway.core.change import submit
from pave_gateway.core.committer import CommitFailed
from pave_gateway.core.registry_change import By, NotRecorded, Recorded
from pave_gateway.core.silence import Hearing
from pave_gateway.ingress import coap_site
from pave_gateway.runtime import Addresses
from pave_gateway.store.threaded import ThreadedCommitter
from pave_tools.provisioning import OscoreKeys, technician_key
from pave_wire import coap, command, hello, model, shadow

NEW = "24a160fffe000103"
ANNE = By("anne", 1_795_000_000_000)


@pytest.fixture
async def lab(tmp_path: Path) -> Laboratory:
    made = Laboratory(tmp_path, insecure=False)
    async with running(made.config):  # a first start makes key file and public file
        pass
    return made


def at(addresses: Addresses) -> tuple[str, int]:
    host, _, port = addresses.coap.rpartition(":")
    return host, int(port)


async def refused(lab: Laboratory) -> str:
    """Run the command that must not start; return what it says."""
    command_line = [sys.executable, "-m", "pave_gateway", "run", "--site", str(lab.site)]
    process = await asyncio.create_subprocess_exec(*command_line, stderr=asyncio.subprocess.PIPE)
    _, told = await process.communicate()
    assert process.returncode == 2
    assert b"Traceback" not in told
    return told.decode()


async def act(gateway: Gateway, name: str, *arguments: object) -> None:
    """Do an act of the registry; wait until it is in effect."""
    done: asyncio.Future[Recorded | NotRecorded] = asyncio.get_running_loop().create_future()
    getattr(gateway.core.registrar, name)(*arguments, ANNE, done.set_result)
    assert isinstance(await done, Recorded)


async def test_a_provisioned_device_is_admitted_after_one_challenge_and_none_after_a_restart(lab: Laboratory) -> None:
    keys = lab.provision(BAY)
    sequence = 0
    for life, challenges in ((1, 1), (2, 0), (3, 0)):
        async with running(lab.config) as (runtime, addresses):
            device = await OscoreDevice(BAY, keys, sequence).open(at(addresses))
            assert await device.report(life) == "2.04"
            assert (device.challenges, device.named) == (challenges, 0)
            assert runtime.gateway.core.bays.get("lab-l-01").seq == life
            sequence = device.context.sequence
            device.close()
    assert lab.stored() == [f"{BAY}:1:{life}" for life in (1, 2, 3)]


async def test_a_stranger_and_a_device_without_a_record_meet_silence(lab: Laboratory) -> None:
    stranger = OscoreKeys(bytes(16), bytes(8), bytes(6), bytes(7))
    async with running(lab.config) as (runtime, addresses):
        device = await OscoreDevice(BAY, stranger).open(at(addresses))
        with pytest.raises(TimeoutError):
            await device.report(1)
        device.close()
        assert runtime.links.coap.counters.dropped["unknown_kid"] == 1
    assert lab.stored() == []


async def test_a_record_that_comes_while_the_gateway_runs_lets_its_device_in(lab: Laboratory) -> None:
    async with running(lab.config) as (runtime, addresses):
        keys = lab.provision(BAY)
        await until(lambda: len(runtime.gateway.core.contexts) == 1)
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        device.close()


async def test_a_record_that_was_half_copied_when_it_was_read_is_taken_once_it_is_whole(lab: Laboratory) -> None:
    keys = lab.provision(BAY)
    (record,) = (lab.folder / "records").glob("*.pave")
    whole = record.read_bytes()
    record.write_bytes(whole[:100])
    async with running(lab.config) as (runtime, addresses):
        assert len(runtime.gateway.core.contexts) == 0
        record.write_bytes(whole)  # the folder does not change with it
        await until(lambda: len(runtime.gateway.core.contexts) == 1)
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        device.close()


async def test_what_is_no_record_in_the_folder_stops_nothing(lab: Laboratory, caplog) -> None:
    lab.provision(BAY)
    os.mkfifo(lab.folder / "records" / "a-pipe.pave")
    (lab.folder / "records" / "dangling.pave").symlink_to(lab.folder / "nowhere")
    (lab.folder / "records" / "folder.pave").mkdir()
    async with running(lab.config) as (runtime, _):
        assert len(runtime.gateway.core.contexts) == 1
        lab.provision(TAXI)
        await until(lambda: len(runtime.gateway.core.contexts) == 2)
    for name in ("a-pipe", "dangling", "folder"):
        assert f"{name}.pave: refused" in caplog.text


async def test_a_place_that_leaves_the_site_file_is_told_of(lab: Laboratory, caplog) -> None:
    lab.site.write_text(lab.site.read_text().replace('id = "lab-l-01"', 'id = "lab-l-99"'))
    async with running(lab.config) as (runtime, _):
        assert runtime.gateway.core.registry.device_at("lab-l-99") == BAY
    assert f"lab-l-01 is no longer in the site file: device {BAY} is released from it" in caplog.text


async def test_a_record_nobody_trusted_signed_is_refused_and_the_others_are_taken(lab: Laboratory, caplog) -> None:
    lab.provision(BAY)
    lab.technician = technician_key(lab.folder / "somebody.key")
    lab.provision(TAXI)
    async with running(lab.config) as (runtime, _):
        assert len(runtime.gateway.core.contexts) == 1
    assert "whom the site file does not name" in caplog.text


async def test_a_device_flashed_anew_comes_back_under_its_new_keys_and_the_old_ones_are_dead(lab: Laboratory) -> None:
    old = lab.provision(BAY)
    async with running(lab.config) as (runtime, addresses):
        first = await OscoreDevice(BAY, old).open(at(addresses))
        assert await first.report(1) == "2.04"
        new = lab.provision(BAY, epoch=200)
        await until(lambda: runtime.gateway.core.registry.device(BAY).epoch == 200)
        second = await OscoreDevice(BAY, new).open(at(addresses))
        assert await second.report(1, epoch=200) == "2.04"
        assert second.challenges == 1
        with pytest.raises(TimeoutError):
            await first.report(2)
        first.close()
        second.close()


async def test_between_the_decision_and_the_disk_nothing_is_admitted_under_old_keys(lab: Laboratory) -> None:
    keys = lab.provision(BAY)

    class Holding(ThreadedCommitter):
        """A disk that can be stopped."""

        held: list[tuple[Any, Any]] | None = None

        def submit(self, rows: Any, done: Any, urgent: bool = False) -> None:
            if self.held is None:
                super().submit(rows, done, urgent)
            else:
                self.held.append((rows, done))

    async with running(lab.config, committer_factory=lambda journal, *_: Holding(journal)) as (runtime, addresses):
        core = runtime.gateway.core
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        core.committer.held = []
        told: list[Any] = []
        core.registrar.retire(BAY, ANNE, told.append)
        with pytest.raises(TimeoutError):
            await device.report(2)
        ((_, done),), core.committer.held = core.committer.held, None
        done(CommitFailed("the disk is full"))
        assert isinstance(told[0], NotRecorded)
        assert await device.report(3) == "2.04"  # it is let in again, proven fresh once more
        assert device.challenges == 2
        device.close()
    assert lab.stored() == [f"{BAY}:1:1", f"{BAY}:1:3"]


async def test_a_replaced_device_leaves_its_history_with_the_bay_and_changes_nothing_any_more(lab: Laboratory) -> None:
    old, new = lab.provision(BAY), lab.provision(NEW)
    for again in (False, True):  # the second time from the journal alone
        async with running(lab.config) as (runtime, addresses):
            gateway = runtime.gateway
            bay = gateway.core.bays.get("lab-l-01")
            if not again:
                before = await OscoreDevice(BAY, old).open(at(addresses))
                assert await before.report(1) == "2.04"
                assert bay.occupied is True
                await act(gateway, "replace", "lab-l-01", NEW)
                assert bay.occupied is None
                after = await OscoreDevice(NEW, new).open(at(addresses))
                assert await after.report(2) == "2.04"
                assert bay.occupied is False
                assert await before.report(3) == "2.04"  # what it still had counts for the past
                before.close()
                after.close()
            assert (bay.device, bay.occupied) == (NEW, False)


async def test_a_retired_device_is_refused_at_once_and_after_a_restart(lab: Laboratory) -> None:
    keys = lab.provision(BAY)
    async with running(lab.config) as (runtime, addresses):
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        await act(runtime.gateway, "retire", BAY)
        with pytest.raises(TimeoutError):
            await device.report(2)
        assert BAY not in runtime.gateway.core.registry.admitted
    lab.site.write_text(lab.site.read_text().replace(f'device = "{BAY}"\n', ""))
    async with running(lab.config) as (runtime, _):
        assert len(runtime.gateway.core.contexts) == 0
    device.close()


async def test_a_command_reaches_a_device_that_was_heard_and_its_result_is_on_disk(lab: Laboratory) -> None:
    keys = lab.provision(BAY)
    async with running(lab.config) as (runtime, addresses):
        core = runtime.gateway.core
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        device.answer = lambda path, payload: command.pack_result(
            command.Result(command.unpack_command(payload).id, command.DONE)
        )
        numbers: list[int] = []
        for argument in (10, 20):
            number, change = core.commands.create(BAY, shadow.PRESENCE, "identify", argument, core.now())
            numbers.append(number)
            submit(core.committer, change, lambda outcome: None)
        await asyncio.sleep(0.1)
        assert device.asked == []  # nobody knows where it is
        assert await device.report(1) == "2.04"
        await until(lambda: core.commands.waiting(BAY) == [])
        assert [(path, command.unpack_command(payload).id) for path, payload in device.asked] == [
            ("x", n) for n in numbers
        ]
        states = core.reader.connection.execute("SELECT DISTINCT state FROM command").fetchall()
        assert states == [("done",)]
        device.close()


async def test_hello_shadow_and_availability_are_served_to_devices(lab: Laboratory) -> None:
    keys = lab.provision(KIOSK, kind="kiosk")
    async with running(lab.config) as (runtime, addresses):
        core = runtime.gateway.core
        device = await OscoreDevice(KIOSK, keys).open(at(addresses))
        said = hello.pack_hello(hello.Hello(1, 0, "pave-kiosk-v1", "1.0", 1))
        welcome = await device.request(coap.POST, "h", said, 60)
        assert coap.code_text(welcome.code) == "2.04"
        assert runtime.gateway.silence.state_of(KIOSK) is Hearing.OK
        daily = shadow.pack(shadow.Document(0, {1: 86_400}))
        assert coap.code_text((await device.request(coap.PUT, "s", daily, 60)).code) == "2.04"
        assert runtime.gateway.silence.interval_s(KIOSK) == 86_400
        submit(core.committer, core.shadows.edit(KIOSK, shadow.KIOSK, {"message_fr": "Bonjour"}), lambda outcome: None)
        await until(lambda: core.shadows.version(KIOSK) == 1)
        desired = await device.request(coap.GET, "s")
        assert shadow.unpack(desired.payload).values[16] == "Bonjour"
        free = await device.request(coap.GET, "a")
        assert model.unpack_availability(free.payload) == ({"delivery": (0, 1), "taxi": (0, 1)}, {})
        device.close()


async def test_each_kiosk_hears_where_the_nearest_free_bay_is_from_there_if_it_asks(lab: Laboratory) -> None:
    keys, sensors = lab.provision(KIOSK, kind="kiosk"), lab.provision(BAY)
    async with running(lab.config) as (runtime, addresses):
        device = await OscoreDevice(KIOSK, keys).open(at(addresses))
        sensor = await OscoreDevice(BAY, sensors).open(at(addresses))
        await sensor.request(coap.POST, "r", model.pack_readings(BAY, [reading(occupied=False)]), 112)
        counts = {"delivery": (1, 1), "taxi": (0, 1)}
        asked = await device.request(coap.GET, "a", query=model.QUERY_NEAREST)
        place = runtime.gateway.core.registry.place_of(KIOSK)
        assert place is not None
        bay = next(each.place for each in runtime.gateway.core.bays if each.place.device == BAY)
        found = round(nearest.distance_m(place, bay)), round(nearest.bearing_deg(place, bay))
        assert model.unpack_availability(asked.payload) == (counts, {"delivery": found})
        older = await device.request(coap.GET, "a")
        assert model.unpack_availability(older.payload) == (counts, {})
        device.close()
        sensor.close()


async def test_a_gateway_without_a_journal_names_itself_to_devices_of_the_one_before(lab: Laboratory) -> None:
    keys = lab.provision(BAY)
    async with running(lab.config) as (_, addresses):
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        device.close()
    for path in lab.folder.glob("journal.sqlite*"):
        if not path.name.endswith(".keys"):
            path.unlink()
    async with running(lab.config) as (_, addresses):
        again = await OscoreDevice(BAY, keys, device.context.sequence).open(at(addresses))
        assert await again.report(2) == "2.04"
        assert (again.challenges, again.named) == (1, 1)
        assert await again.report(3) == "2.04"
        again.close()


async def test_a_lost_key_file_refuses_the_start_and_says_what_to_do(lab: Laboratory) -> None:
    lab.provision(BAY)
    async with running(lab.config):
        pass
    (lab.folder / "journal.sqlite.keys").rename(lab.folder / "elsewhere")
    result = await refused(lab)
    assert "missing, and the journal holds the keys of 1 devices" in result
    assert "put its copy back" in result


async def test_a_site_file_that_contradicts_the_registry_refuses_the_start(lab: Laboratory) -> None:
    lab.site.write_text(lab.site.read_text().replace(BAY, NEW))
    result = await refused(lab)
    assert f"lab-l-01: the site file names device {NEW}, but the registry has {BAY} there" in result


class Clocks:
    """A machine that boots in 1970 and is set later."""

    def __init__(self) -> None:
        self.wall_ms = 0
        self.synchronized = False

    def machine(self) -> Machine:
        real = this_machine(False)
        begun_ms = real.monotonic_ms()
        return replace(
            real,
            boot="another",
            wall_ms=lambda: self.wall_ms + real.monotonic_ms() - begun_ms,
            is_synchronized=lambda: self.synchronized,
        )


async def test_a_machine_that_boots_in_1970_loses_nothing_and_dates_it_once_its_clock_is_set(lab: Laboratory) -> None:
    keys = lab.provision(BAY)
    clocks = Clocks()
    async with running(lab.config, machine=clocks.machine()) as (runtime, addresses):
        core = runtime.gateway.core
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        assert not core.now().synchronized
        bay = core.bays.get("lab-l-01")
        assert bay.since_ms < 60_000
        clocks.wall_ms, clocks.synchronized = 1_795_000_000_000, True
        await until(lambda: core.now().synchronized)
        assert abs(bay.since_ms - 1_795_000_000_000) < 60_000
        assert await device.report(2) == "2.04"
        rows = [stored.row for stored in core.reader.after(0, 9)]
        assert [row.synchronized for row in rows] == [False, True]
        assert (await findings(addresses)) == []
        device.close()


async def test_an_upkeep_that_fails_is_logged_and_looks_again(lab: Laboratory, monkeypatch, caplog) -> None:
    monkeypatch.setattr("pave_gateway.core.limits.UPKEEP_S", 0.05)
    clocks = Clocks()
    async with running(lab.config, machine=clocks.machine()) as (runtime, _):
        with monkeypatch.context() as patched:
            patched.setattr(runtime.gateway.silence, "next_timeout", lambda: 1 / 0)
            await until(lambda: "the upkeep failed" in caplog.text)
        clocks.wall_ms, clocks.synchronized = 1_795_000_000_000, True
        await until(lambda: runtime.gateway.core.now().synchronized)


async def findings(addresses: Addresses) -> list[str]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.get(f"http://{addresses.http}/healthz")).json()
    return [finding["what"] for finding in answer["findings"]]


async def test_the_health_says_that_the_clock_is_not_set(lab: Laboratory) -> None:
    async with running(lab.config, machine=Clocks().machine()) as (_, addresses):
        assert any("clock is not synchronized" in line for line in await findings(addresses))


async def test_the_bays_start_from_what_was_written_down_and_the_log_behind_it(lab: Laboratory, monkeypatch) -> None:
    monkeypatch.setattr("pave_gateway.core.limits.BAYS_SNAPSHOT_READINGS", 2)
    keys = lab.provision(BAY)
    async with running(lab.config) as (runtime, addresses):
        core = runtime.gateway.core
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        for seq in (1, 2, 3):
            assert await device.report(seq) == "2.04"
        mark = "SELECT position FROM bays_mark"
        await until(lambda: core.reader.connection.execute(mark).get == 3)
        assert await device.report(4) == "2.04"
        device.close()
        expected = core.bays.get("lab-l-01").dump()
    async with running(lab.config) as (runtime, _):
        assert runtime.gateway.core.bays.get("lab-l-01").dump() == expected
        assert runtime.gateway.core.bays.position == 4


async def test_links_that_cannot_come_up_leave_nothing_running(lab: Laboratory, monkeypatch) -> None:
    async def fail(*_: object) -> None:
        raise OSError("no such address")

    with monkeypatch.context() as patched:
        patched.setattr(coap_site, "start", fail)
        with pytest.raises(OSError, match="no such address"):
            async with running(lab.config):
                pass
    async with running(lab.config):  # journal and ports are free again
        pass


async def test_lorawan_is_served_by_the_same_gateway_and_its_capacity_is_shown(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, '[semtech_udp]\nlisten = "127.0.0.1:0"\ngateways = "any"\n', insecure=False)
    async with running(lab.config) as (_, addresses):
        assert addresses.semtech_udp is not None
        async with httpx.AsyncClient(trust_env=False) as client:
            told = (await client.get(f"http://{addresses.http}/stats")).json()["lorawan"]
        assert told["capacity"][2]["spreading_factor"] == 9
        assert told["capacity"][2]["acks_per_hour"] > 200
        json.dumps(told)
