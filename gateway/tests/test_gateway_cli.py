"""The command line, against a gateway that runs: in this process, in its own, stopped, killed, restored."""

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest
from control_support import Laboratory
from gateway_support import BAY, KIOSK, TAXI, free_port, mqtt_sink, reading, running, start_gateway, until
from oscore_device import OscoreDevice

from pave_gateway import doctor
from pave_gateway.assembly.machine import this_machine
from pave_gateway.cli_client import Client
from pave_gateway.config import load
from pave_gateway.findings import Severity
from pave_gateway.store import files
from pave_gateway.store.key_file import load_key_file
from pave_tools.provisioning import Flashed, make_record, new_oscore_keys, read_reader
from pave_wire import cbor, command

NEW = "24a160fffe000103"
LABEL = "24:A1:60:FF:FE:00:01:03"  # as it stands on the device


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


@pytest.fixture
async def known(lab: Laboratory) -> Laboratory:
    """A site whose gateway has run: it has a key file and a public file."""
    async with lab.gateway():
        return lab


async def test_devices_are_added_placed_moved_and_retired_by_commands(lab: Laboratory) -> None:
    async with lab.gateway():
        told = await lab.run("devices", "add", LABEL, "--kind", "presence", "--note", "spare")
        assert told.startswith("done, act ")
        assert told.endswith(f": {NEW} is provisioned\n")
        assert f"{NEW} is active at lab-l-01" in await lab.run("devices", "replace", "lab-l-01", NEW)
        assert f"{TAXI} is provisioned\n" in await lab.run("devices", "release", TAXI)
        assert f"{NEW} is active at lab-t-01" in await lab.run("devices", "move", NEW, "lab-t-01")
        assert f"{BAY} is active at lab-l-01" in await lab.run("devices", "assign", "lab-l-01", BAY)
        assert f"{TAXI} is retired" in await lab.run("devices", "retire", TAXI)
        listed = await lab.run("devices", "list")
        assert [line.split()[:3] for line in listed.splitlines()[1:]] == [
            [BAY, "active", "lab-l-01"], [TAXI, "retired", "presence"], [KIOSK, "active", "lab-k-1"],
            [NEW, "active", "lab-t-01"],
        ]  # fmt: skip
        assert [one["device"] for one in await lab.answer("devices", "list", "--state", "retired")] == [TAXI]
        acts = await lab.answer("devices", "log", "--device", NEW)
        assert [(act["act"], act["place"]) for act in acts] == [
            ("add", ""), ("assign", "lab-l-01"), ("release", "lab-l-01"), ("assign", "lab-t-01"),
        ]  # fmt: skip
        assert "replaced by" in await lab.run("devices", "log")
        shown = await lab.run("devices", "show", NEW)
        assert "spare" in shown
        assert [line.split()[0] for line in shown.splitlines() if "Z" in line and "lab-" in line] == [
            "lab-l-01", "lab-t-01",
        ]  # fmt: skip


async def test_what_the_gateway_refuses_is_one_line_and_status_1(lab: Laboratory) -> None:
    async with lab.gateway():
        status, told = await lab.refused("devices", "retire", NEW)
        assert (status, told) == (
            1,
            f"device {NEW} is not in the registry; list the devices, or import its provisioning record\n",
        )
        assert await lab.refused("devices", "assign", "lab-l-01", BAY) == (
            1,
            f"device {BAY} stands at lab-l-01; move it, or release it first\n",
        )
        status, told = await lab.refused("devices", "show", "12345")
        assert status == 2
        assert "no EUI-64" in told


async def test_settings_are_shown_and_set(lab: Laboratory) -> None:
    async with lab.gateway():
        told = await lab.run("shadow", "set", KIOSK, "led=on", "message_fr=Fermé 12 h", "backlight_day_percent=80")
        assert "version 1, the device has version 0" in told
        assert "Fermé 12 h" in told
        found = await lab.answer("shadow", "set", KIOSK, "led=")
        assert found["desired"] == {"backlight_day_percent": 80, "message_fr": "Fermé 12 h"}
        assert "on its way" in await lab.run("shadow", "show", KIOSK)
        status, told = await lab.refused("shadow", "set", KIOSK, "backlight_day_percent=800")
        assert (status, "800" in told) == (1, True)
        assert (await lab.refused("shadow", "set", KIOSK, "led"))[0] == 2


async def test_a_command_is_carried_out_by_its_device_and_the_result_is_told(known: Laboratory) -> None:
    reader = read_reader(known.folder / "gateway.json")
    keys = new_oscore_keys(BAY, reader)
    record = make_record(Flashed(BAY, "presence", "b", "1.0", 100), keys, None, known.technician, [reader])
    async with known.gateway() as runtime:
        await known.run("records", "import", str(known.file("one.pave", record)))
        address = runtime.links.coap.address
        device = await OscoreDevice(BAY, keys).open(address[:2])
        device.answer = lambda path, payload: command.pack_result(
            command.Result(command.unpack_command(payload).id, command.DONE)
        )
        assert await device.report(1) == "2.04"
        assert "identify: done" in await known.run("command", "send", BAY, "identify", "10", "--wait", "5")
        assert (await known.answer("command", "list", BAY))[0]["argument"] == 10
        assert "created" in await known.run("command", "send", TAXI, "reboot")
        assert "is not a command" in (await known.refused("command", "send", BAY, "dance"))[1]
        assert "oscore" in await known.run("devices", "show", BAY)
        device.close()


async def test_status_shows_findings_counters_and_capacity(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, '[semtech_udp]\nlisten = "127.0.0.1:0"\ngateways = "any"\n')
    async with lab.gateway():
        told = await lab.run("status")
        assert "warning plain CoAP is on" in told
        assert "-> take insecure out of [coap]" in told
        assert "SF12" in told
        assert (await lab.answer("status"))["statistics"]["stored"] == 0


# Records


async def test_records_are_imported_kept_and_each_verdict_is_told(known: Laboratory) -> None:
    good = known.record(NEW)
    known.file("b-again.pave", good)
    known.file("c-damaged.pave", good[:-20])
    folder = known.file("a-new.pave", good).parent
    known.file("d-older.pave", known.record(NEW, epoch=50))
    async with known.gateway() as runtime:
        result = await asyncio.to_thread(known.cli, "records", "import", str(folder), "--json")
        assert result.exit_code == 1  # one of them came to nothing
        verdicts = {Path(one["source"]).name[0]: one["result"] for one in json.loads(result.stdout)}
        assert verdicts == {"a": "known", "b": "added", "c": "refused", "d": "older"}
        assert [path.name for path in (known.folder / "records").iterdir()] == [f"{NEW}-100.pave"]
        assert len(runtime.gateway.core.contexts) == 1
        assert "known" in await known.run("records", "import", str(folder / "a-new.pave"))
        trail = await known.answer("devices", "log", "--device", NEW)
        assert [(act["act"], act["actor"] != "records folder") for act in trail] == [("provision", True)]


async def test_records_for_a_stopped_gateway_are_checked_kept_and_taken_at_its_start(known: Laboratory) -> None:
    good, bad = known.file("good.pave", known.record(NEW)), known.file("bad.pave", b"{}")
    status, told = await known.refused("records", "import", str(good), str(bad))
    assert status == 3
    assert "kept, and not imported yet" in told
    assert [path.name for path in (known.folder / "records").iterdir()] == [f"{NEW}-100.pave"]
    async with known.gateway() as runtime:
        assert runtime.gateway.core.registry.state(NEW) == "provisioned"


async def test_records_are_exported_for_another_gateway_which_imports_them(known: Laboratory, tmp_path: Path) -> None:
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = Laboratory(other_folder)
    shutil.copy(known.folder / "technician.key", other_folder)
    other.site.write_text(known.site.read_text().replace(str(known.folder), str(other_folder)))
    async with other.gateway():
        pass
    exported = tmp_path / "exported"
    async with known.gateway():
        await known.run("records", "import", str(known.file("one.pave", known.record(NEW))))
        told = await known.run("records", "export", "--for", str(other_folder / "gateway.json"), str(exported))
        assert told.startswith(f"1 records in {exported}")
        assert [act["act"] for act in await known.answer("devices", "log")][-1] == "export records"
        status, told = await known.refused("records", "export", "--for", str(known.site), str(exported))
        assert (status, "public key file" in told) == (1, True)
    async with other.gateway() as runtime:
        result = await other.answer("records", "import", str(exported))
        assert [one["result"] for one in result] == ["added"]
        assert len(runtime.gateway.core.contexts) == 1


# Backup and restore


async def test_a_backup_of_a_running_gateway_is_restored_and_says_what_follows(known: Laboratory) -> None:
    copy = known.folder / "copy.sqlite"
    async with known.gateway() as runtime:
        era = runtime.gateway.core.reader.era()
        stored = asyncio.get_running_loop().create_future()
        runtime.gateway.core.ingest.offer([reading()], runtime.gateway.core.now(), stored.set_result)
        await stored
        told = await known.run("backup", str(copy))
        assert "checked" in told
        assert "journal.sqlite.keys" in told
        status, told = await known.refused("restore", str(copy), "--force")
        assert (status, "another gateway has it open" in told) == (1, True)
    assert "say --force" in (await known.refused("restore", str(copy)))[1]
    told = await known.run("restore", str(copy), "--force")
    for consequence in ("new era", "Echo", "join again"):
        assert consequence in told
    async with known.gateway() as runtime:
        assert runtime.gateway.core.reader.era() == era + 1
        assert runtime.gateway.core.reader.last_position() >= 1
    assert "backup" in (await known.refused("restore", str(known.site), "--force"))[1]


async def test_a_backup_takes_the_place_of_nothing_that_the_gateway_needs(known: Laboratory) -> None:
    async with known.gateway():
        own = ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite.keys", "gateway.json", known.site.name]
        before = (known.folder / "journal.sqlite.keys").read_bytes()
        for name in own:
            told = (await known.refused("backup", str(known.folder / name), "--force"))[1]
            assert "belongs to the gateway itself" in told, name
        assert (known.folder / "journal.sqlite.keys").read_bytes() == before


# Upkeep


async def test_the_journals_damage_is_seen_and_the_key_rotated_by_commands(known: Laboratory) -> None:
    keys = known.folder / "journal.sqlite.keys"
    db = apsw.Connection(str(known.folder / "journal.sqlite"))
    db.execute("INSERT INTO meta VALUES ('damaged', 'the journal was damaged; 7 readings are lost')")
    db.close()
    async with known.gateway():
        assert "7 readings are lost" in await known.run("status")
        assert "seen: the journal was damaged; 7 readings are lost" in await known.run("journal", "seen")
        assert "7 readings are lost" not in await known.run("status")
        assert "nothing to do" in (await known.refused("journal", "seen"))[1]
        await known.run("records", "import", str(known.file("one.pave", known.record(BAY))))
        told = await known.run("keys", "rotate")
        assert "everything is sealed under the newest key" in told
        assert f"Copy the key file off this machine again, an older copy does not open the journal: {keys}" in told
        await known.run("shadow", "set", KIOSK, 'wifi={"ssid": "Bercy", "key": "correct horse"}')
        done = await known.answer("keys", "rotate")
        assert [part["anew"] for part in done["parts"]] == [1, 1, 0]
        assert (len(load_key_file(keys).sealing), len(load_key_file(keys).dropped)) == (1, 2)
        shown = await known.run("keys", "show")
        assert f"{keys}: sealing key {done['sealing'][0]['id']}" in shown and shown.count("no longer in the file") == 2
        acts = [act["act"] for act in await known.answer("devices", "log")]
        assert (acts.count("new sealing key"), acts.count("sealing key dropped")) == (2, 2)


async def test_a_rotation_that_leaves_a_secret_ends_with_status_1_and_says_which_and_what_to_do(
    known: Laboratory,
) -> None:
    async with known.gateway():
        await known.run("records", "import", str(known.file("one.pave", known.record(BAY))))
    with closing(apsw.Connection(str(known.folder / "journal.sqlite"))) as db:
        wifi = {0: 1, 1: "Bercy", 2: b"?" * 40, 3: True}
        db.execute("INSERT INTO shadow_desired VALUES (?, 1, ?)", (KIOSK, cbor.dumps({15: wifi})))
    async with known.gateway():
        refused = await asyncio.to_thread(known.cli, "keys", "rotate")
        assert refused.exit_code == 1
        assert f"wifi keys of {KIOSK}: not a sealed value of version 1; set the device's wifi again" in refused.stdout
        assert any("do not open" in one["what"] for one in (await known.answer("status"))["findings"])
        await known.run("shadow", "set", KIOSK, 'wifi={"ssid": "Bercy", "key": "correct horse"}')
        assert "everything is sealed" in await known.run("keys", "rotate")


async def test_a_backup_of_before_a_rotation_says_when_it_is_restored_what_it_needs(known: Laboratory) -> None:
    backup, keys = known.folder / "backup.sqlite", known.folder / "journal.sqlite.keys"
    async with known.gateway():
        await known.run("records", "import", str(known.file("one.pave", known.record(BAY))))
        assert "It opens with the key file of today alone" in await known.run("backup", str(backup))
        older = load_key_file(keys).sealing[0]
        await known.run("keys", "rotate")
    told = known.cli("restore", str(backup), "--force").stdout
    assert f"Before you start the gateway: key file {keys}: the journal is a backup of before a rotation" in told
    assert f"{older.id.hex()} (made {older.made}" in told
    refused = start_that_ends(known, MAIN)
    assert refused.returncode == 2 and "the journal is a backup of before a rotation" in refused.stderr
    content = json.loads(keys.read_text())
    content["sealing"].insert(0, {"made": older.made, "key": older.key.hex()})  # what it says, by hand
    keys.write_text(json.dumps(content))
    async with known.gateway() as runtime:
        assert runtime.gateway.core.registrar.keys.secrets(BAY) is not None
        await until(lambda: not runtime.gateway.rotation.is_running)
    assert [key.id for key in load_key_file(keys).sealing] != [older.id] and len(load_key_file(keys).sealing) == 1


# Starts that come to nothing


def start_that_ends(lab: Laboratory, program: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, "run", "--site", str(lab.site)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


MAIN = "from pave_gateway.cli import main; main()"
LATE = f"from pave_gateway import runtime; runtime.udp_port = lambda host, port, key='': port; {MAIN}"


def test_the_forwarders_port_in_use_is_one_line_with_the_next_step_and_status_2(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        lab = Laboratory(tmp_path, f'[semtech_udp]\nlisten = "127.0.0.1:{port}"\ngateways = "any"\n')
        ended = start_that_ends(lab, MAIN)
        assert not lab.config.journal.path.exists(), "nothing was started before"
        late = start_that_ends(lab, LATE)  # somebody takes it between the look and the start
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"semtech_udp.listen 127.0.0.1:{port}: the port is taken by ")
    assert ended.stderr.endswith(f"or use another with --set semtech_udp.listen=127.0.0.1:{port + 1}\n")
    assert ended.stderr.count("\n") == 1
    assert late.returncode == 2
    assert re.fullmatch(f"not started: .*{port}.*; mend that, or run pave-gateway doctor.*\n", late.stderr)


HANGS = """
import sys, time
from pave_gateway.cli import main
from pave_gateway.core import limits
from pave_gateway.store.journal import Journal
limits.COMMIT_WAIT_AT_STOP_S = 0.2

def write(self, groups):
    print("hangs", flush=True)
    time.sleep(1000)

Journal.write = write
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_start_on_a_disk_that_does_not_answer_ends_when_told_to_and_says_what_it_was_waiting_for(
    lab: Laboratory, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", HANGS, "run", "--site", str(lab.site)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "hangs\n"
            began_s = time.monotonic()
            process.send_signal(number)
            told = process.communicate(timeout=15)[1]
            lasted_s = time.monotonic() - began_s
        finally:
            process.kill()
    assert process.returncode == 1
    assert f"it was waiting for the disk with journal {lab.config.journal.path}" in told
    assert told.count("\n") == 1
    assert lasted_s < 10


SLOW = """
import sys, time
from pave_gateway.cli import main

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "MODULE":
            print("loading", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
main()
"""


@pytest.mark.parametrize("module", ["pave_gateway.cli_app", "pave_gateway.runtime"])
def test_ctrl_c_while_the_gateway_is_still_being_loaded_is_one_line_and_status_130(
    lab: Laboratory, module: str
) -> None:
    command = [sys.executable, "-c", SLOW.replace("MODULE", module), "run", "--site", str(lab.site)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "loading\n"
            process.send_signal(signal.SIGINT)
            told = process.communicate(timeout=15)[1]
        finally:
            process.kill()
    assert (process.returncode, told) == (130, "interrupted\n")


# Running or not


def test_a_gateway_that_does_not_run_is_one_line_with_the_next_step_and_status_3(lab: Laboratory) -> None:
    for arguments in (["devices", "list"], ["status"], ["shadow", "show", BAY], ["command", "list", BAY]):
        result = lab.cli(*arguments)
        assert result.exit_code == 3
        assert result.stderr == f"no gateway listens on {lab.socket}; start it: pave-gateway run --site {lab.site}\n"


async def test_a_gateway_of_its_own_process_is_asked_killed_and_its_socket_replaced(lab: Laboratory) -> None:
    process, _ = await asyncio.to_thread(start_gateway, ["--site", str(lab.site)])
    done = await asyncio.to_thread(lab.process, "devices", "retire", TAXI, "--json")
    assert (done.returncode, json.loads(done.stdout)["device"]["state"]) == (0, "retired")
    process.kill()
    process.wait()
    process.stdout.close()
    assert lab.socket.exists()
    assert (await lab.refused("devices", "list"))[0] == 3
    async with lab.gateway():
        assert (await lab.answer("devices", "show", TAXI))["state"] == "retired"
    assert not lab.socket.exists()


async def test_a_gateway_with_another_journal_than_the_site_files_is_found_by_all_commands(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = f"journal.path={lab.folder}/other/journal.sqlite"
    async with running(load(lab.site, [journal])):
        assert (await lab.refused("status"))[0] == 3
        monkeypatch.setenv("PAVE_SET", f"{journal} listen.http=127.0.0.1:1")
        assert (await lab.answer("status"))["site"] == "lab"
        assert "the gateway runs" in await lab.run("doctor")
        assert "checked" in await lab.run("backup", str(lab.folder / "copy.sqlite"))
    told = await lab.refused("check-config", "--set", "listen.http=there")
    assert (told[0], told[1][:30]) == (2, "--set listen.http=there: liste")
    monkeypatch.setenv("PAVE_SET", "journal.pth=x")
    status, told = await lab.refused("devices", "list")
    assert (status, "--set journal.pth=x: journal.pth: is not a key here; did you mean 'path'?" in told) == (2, True)


async def test_what_a_sink_holds_back_for_the_clock_is_told_with_the_reason(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, mqtt_sink(free_port()))
    machine = replace(this_machine(False), is_synchronized=lambda: False)
    async with lab.gateway(machine=machine) as runtime:
        stored = asyncio.get_running_loop().create_future()
        runtime.gateway.core.ingest.offer([reading()], runtime.gateway.core.now(), stored.set_result)
        await stored
        await until(lambda: runtime.sinks[0].held)
        told = await lab.run("status")
        assert "sink city: 1 readings are held back: the time of the next is doubtful" in told
        assert "-> let NTP reach this machine" in told
        assert "1 behind, held back until the clock is synchronized" in told
        assert "sink city: 1 readings are held back" in await lab.run("doctor")


# Doctor


def what(result, severity: str) -> list[str]:
    return [one["what"] for one in json.loads(result.stdout) if one["severity"] == severity]


async def test_doctor_of_a_healthy_site_running_or_not_finds_no_error(known: Laboratory) -> None:
    async with known.gateway():
        result = await asyncio.to_thread(known.cli, "doctor", "--json")
        assert (result.exit_code, what(result, "error")) == (0, [])
        assert any(line.startswith("the gateway runs") for line in what(result, "fine"))
        assert any("plain CoAP" in line for line in what(result, "warning"))
        assert not any("port " in line for line in what(result, "fine"))
    result = await asyncio.to_thread(known.cli, "doctor", "--json")
    assert (result.exit_code, what(result, "error")) == (0, [])
    assert "the gateway does not run" in what(result, "warning")
    assert sum("free" in line and "port " in line for line in what(result, "fine")) == 2
    assert "fine" in await known.run("doctor")


async def test_doctor_names_each_thing_that_is_wrong(known: Laboratory) -> None:
    (known.folder / "journal.sqlite.keys").chmod(0o644)
    (known.folder / "journal.sqlite").write_bytes(b"nonsense" * 1000)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        http = f'http = "127.0.0.1:{taken.getsockname()[1]}"'
        known.site.write_text(known.site.read_text().replace('http = "127.0.0.1:0"', http))
        result = await asyncio.to_thread(known.cli, "doctor", "--json")
    assert result.exit_code == 1
    errors = "\n".join(what(result, "error"))
    for expected in ("mode 0644 lets others at it", "not a journal", "the port is taken"):
        assert expected in errors
    (known.folder / "journal.sqlite.keys").unlink()
    result = await asyncio.to_thread(known.cli, "doctor", "--json")
    assert any("missing" in line for line in what(result, "error"))


async def test_doctor_probes_the_network_servers_broker(tmp_path: Path) -> None:
    port = free_port()
    lab = Laboratory(tmp_path, f'[chirpstack]\nhost = "127.0.0.1"\nport = {port}\nclient_id = "lab"\n')
    result = await asyncio.to_thread(lab.cli, "doctor", "--json")
    assert result.exit_code == 1
    assert any(f"broker 127.0.0.1:{port}" in line for line in what(result, "error"))


def test_doctor_tells_a_gateway_that_has_the_journal_and_does_not_listen(lab: Laboratory) -> None:
    lock = files.lock(lab.config.journal.path)
    running, found = doctor.ask_gateway(lab.config, Client(lab.socket))
    lock.close()
    assert running
    assert "does not listen on its control socket" in found[0].what
    assert doctor.ask_gateway(lab.config, Client(lab.socket))[0] is False


def test_doctor_warns_of_a_disk_without_room(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, severity in ((10_000_000, Severity.ERROR), (1_000_000_000, Severity.WARNING), (10**11, Severity.FINE)):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        assert [one.severity for one in doctor.disk(lab.config)] == [severity]
