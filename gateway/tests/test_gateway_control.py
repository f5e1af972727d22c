"""The control interface, asked over its socket: acts that wait for the disk, refusals that say why, who may come in."""

import asyncio
import os
import pwd
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from control_support import Laboratory
from faulty_disk import FaultyDisk, full, slow
from gateway_support import BAY, KIOSK, TAXI, reading, running, until

from pave_gateway.api import control_socket
from pave_gateway.api.control import create_control
from pave_gateway.assembly import core as assembly_core
from pave_gateway.core import limits
from pave_gateway.ports import PortError
from pave_gateway.store import registry_tables
from pave_gateway.store.journal import Journal
from pave_gateway.store.key_file import load_key_file

NEW = "24a160fffe000103"
NOBODY = 65_534


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    """The disk of every journal that is opened from here on."""
    made = FaultyDisk()
    monkeypatch.setattr(assembly_core, "Journal", lambda path, policy: Journal(path, policy, vfs=made.name))
    return made


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    details = response.json()
    assert details["status"] == status
    return details


async def test_devices_are_listed_in_pages_with_how_they_are_heard(lab: Laboratory) -> None:
    async with lab.gateway() as runtime, lab.client() as client:
        stored = asyncio.get_running_loop().create_future()
        runtime.gateway.core.ingest.offer([reading()], runtime.gateway.core.now(), stored.set_result)
        await stored
        first = (await client.get("/devices", params={"limit": 2})).json()
        assert [device["device"] for device in first["devices"]] == [BAY, TAXI]
        assert [device["hearing"] for device in first["devices"]] == ["ok", "never"]
        assert first["devices"][0]["heard_ago_s"] == 0
        rest = (await client.get("/devices", params={"after": first["next"]})).json()
        assert ([device["device"] for device in rest["devices"]], rest["next"]) == ([KIOSK], None)
        one = (await client.get(f"/devices/{BAY}")).json()
        assert one["last_reading"]["values"] == {"occupied": True, "reason": "field"}
        assert [period["place"] for period in one["places"]] == ["lab-l-01"]


async def test_acts_are_on_disk_when_they_are_answered_and_still_there_after_a_restart(lab: Laboratory) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    async with lab.asked() as client:
        answer = await client.post("/devices", json={"device": NEW, "kind": "presence", "note": "spare"})
        assert answer.status_code == 201
        assert answer.json()["device"]["state"] == "provisioned"
        answer = (await client.post(f"/devices/{NEW}/replace", json={"place": "lab-l-01"})).json()
        assert (answer["device"]["state"], answer["device"]["place"]) == ("active", "lab-l-01")
        assert (await client.post(f"/devices/{TAXI}/release")).json()["device"]["place"] == ""
        moved = (await client.post(f"/devices/{NEW}/move", json={"place": "lab-t-01"})).json()
        last = (await client.post(f"/devices/{TAXI}/retire")).json()
        assert last["act"] == moved["act"] + 1
    async with lab.asked() as client:
        devices = {device["device"]: device for device in (await client.get("/devices")).json()["devices"]}
        assert {name: (one["state"], one["place"]) for name, one in devices.items()} == {
            BAY: ("provisioned", ""), TAXI: ("retired", ""), KIOSK: ("active", "lab-k-1"), NEW: ("active", "lab-t-01"),
        }  # fmt: skip
        trail = (await client.get("/acts", params={"after": last["act"] - 1})).json()["acts"]
        assert [(act["act"], act["device"], act["actor"]) for act in trail] == [("retire", TAXI, me)]


async def test_an_act_that_may_not_be_done_is_refused_with_what_the_value_and_the_next_step(lab: Laboratory) -> None:
    async with lab.asked() as client:
        before = (await client.get("/acts")).json()
        unknown = problem(await client.post(f"/devices/{NEW}/retire"), 404)
        assert unknown["detail"] == f"device {NEW} is not in the registry"
        assert (unknown["value"], unknown["next_step"]) == (NEW, "list the devices, or import its provisioning record")
        taken = problem(await client.post(f"/devices/{TAXI}/move", json={"place": "lab-l-01"}), 409)
        assert taken["detail"] == f"lab-l-01 has device {BAY}"
        assert taken["next_step"] == "release or retire that one first"
        assert problem(await client.get("/devices/XYZ"), 422)["value"] == "XYZ"
        spelling = problem(await client.post(f"/devices/{TAXI}/move", json={"plase": "lab-l-01"}), 422)
        assert "plac" in spelling["detail"]
        assert "openapi.json" in problem(await client.get("/nothing"), 404)["next_step"]
        assert problem(await client.delete("/devices"), 405)
        assert (await client.get("/acts")).json() == before  # nothing of it left a trace


async def test_two_acts_at_once_are_done_one_after_the_other(lab: Laboratory, disk: FaultyDisk) -> None:
    async with lab.asked() as client:
        disk.fault = slow(0.05)
        both = await asyncio.gather(client.post(f"/devices/{BAY}/retire"), client.post(f"/devices/{TAXI}/retire"))
        assert [answer.status_code for answer in both] == [200, 200]
        first, second = sorted(answer.json()["act"] for answer in both)
        assert second == first + 1
        again = await asyncio.gather(*(client.post(f"/devices/{KIOSK}/release") for _ in range(2)))
        assert sorted(answer.status_code for answer in again) == [200, 409]  # decided on what the first left
        disk.fault = None


async def test_an_act_on_a_full_disk_changes_nothing_and_says_so_and_works_when_there_is_room(
    lab: Laboratory, disk: FaultyDisk
) -> None:
    async with lab.asked() as client:
        disk.fault = full
        refused = problem(await client.post(f"/devices/{BAY}/retire"), 503)
        assert "the disk is full" in refused["detail"]
        assert (await client.get(f"/devices/{BAY}")).json()["state"] == "active"
        refused = problem(await client.patch(f"/devices/{BAY}/shadow", json={"led": "on"}), 503)
        assert (await client.get(f"/devices/{BAY}/shadow")).json()["version"] == 0
        problem(await client.post(f"/devices/{BAY}/commands", json={"command": "reboot"}), 503)
        disk.fault = None
        async with asyncio.timeout(10):
            while (await client.post(f"/devices/{BAY}/retire")).status_code != 200:
                await asyncio.sleep(0.2)


class HangingSync:
    """A fault of the disk: a sync does not return until it is let go."""

    def __init__(self) -> None:
        self.hangs = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, name: str, operation: str) -> None:
        if operation == "sync":
            self.hangs.set()
            self.let_go.wait(20)


async def test_an_act_on_a_disk_that_hangs_is_answered_and_its_end_is_in_the_trail(
    lab: Laboratory, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lab.asked() as client:
        monkeypatch.setattr(limits, "CONTROL_WAIT_S", 0.1)
        disk.fault = hanging = HangingSync()
        late = asyncio.create_task(client.post(f"/devices/{BAY}/retire"))
        await until(hanging.hangs.is_set)
        waits = problem(await client.post(f"/devices/{TAXI}/retire"), 503)
        assert "another change" in waits["detail"]
        assert "may still get there" in problem(await late, 504)["detail"]
        assert (await client.get(f"/devices/{BAY}")).json()["state"] == "active"
        disk.fault = None
        hanging.let_go.set()
        async with asyncio.timeout(10):
            while (await client.get("/acts", params={"limit": limits.CONTROL_PAGE_MAX})).json()["acts"][-1][
                "act"
            ] != "retire":
                await asyncio.sleep(0.02)
        assert (await client.get(f"/devices/{BAY}")).json()["state"] == "retired"


async def test_settings_change_by_version_and_who_changed_them_is_in_the_trail(lab: Laboratory) -> None:
    async with lab.asked() as client:
        path = f"/devices/{BAY}/shadow"
        before = await client.get(path)
        assert before.headers["etag"] == '"0"'
        tag = {"If-Match": before.headers["etag"]}
        changed = await client.patch(path, json={"led": "on", "heartbeat_s": 1800}, headers=tag)
        assert changed.headers["etag"] == '"1"'
        assert changed.json()["desired"] == {"heartbeat_s": 1800, "led": "on"}
        assert changed.json()["differing"] == ["heartbeat_s", "led"]
        stale = problem(await client.patch(path, json={"led": "off"}, headers=tag), 412)
        assert stale["detail"] == "version 0 was read, it is 1 now"
        assert "is not a setting" in problem(await client.patch(path, json={"colour": 1}), 422)["detail"]
        assert (await client.patch(path, json={"led": None})).json()["desired"] == {"heartbeat_s": 1800}
        trail = (await client.get("/acts")).json()["acts"]
        details = [act["detail"] for act in trail if act["act"] == "settings" and act["device"] == BAY]
        assert details == ["heartbeat_s, led", "led"]
        assert problem(await client.get(f"/devices/{NEW}/shadow"), 404)


async def test_a_passphrase_is_taken_and_never_shown(lab: Laboratory) -> None:
    async with lab.asked() as client:
        wifi = {"ssid": "Bercy", "key": "correct horse"}
        path = f"/devices/{KIOSK}/shadow"
        told = await client.patch(path, json={"wifi": wifi})
        assert told.json()["desired"]["wifi"]["ssid"] == "Bercy"
        everything = told.text + (await client.get(path)).text + (await client.get("/acts")).text
        assert "correct horse" not in everything


async def test_a_command_is_on_disk_when_it_is_answered_and_a_wrong_one_says_what_is_allowed(lab: Laboratory) -> None:
    async with lab.asked() as client:
        path = f"/devices/{BAY}/commands"
        given = await client.post(path, json={"command": "identify", "argument": 10})
        assert given.status_code == 201
        assert given.json()["state"] == "created"
        assert "identify" in problem(await client.post(path, json={"command": "dance"}), 422)["next_step"]
        assert problem(await client.post(path, json={"command": "identify", "argument": 9999}), 422)["next_step"]
        for _ in range(limits.COMMANDS_WAITING - 1):
            await client.post(path, json={"command": "reboot"})
        assert "wait for" in problem(await client.post(path, json={"command": "reboot"}), 409)["detail"]
    async with lab.asked() as client:
        kept = (await client.get(path)).json()["commands"]
        assert kept[-1]["command"] == "identify"
        await client.post(f"/devices/{TAXI}/release")
        await client.post("/devices", json={"device": NEW})
        assert problem(await client.post(f"/devices/{NEW}/commands", json={"command": "reboot"}), 409)


async def test_status_has_findings_counters_room_and_capacity(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, '[semtech_udp]\nlisten = "127.0.0.1:0"\ngateways = "any"\n')
    async with lab.asked() as client:
        status = (await client.get("/status")).json()
        assert status["site"] == "lab"
        assert any("plain CoAP" in one["what"] for one in status["findings"])
        assert status["journal"]["cap_bytes"] > 0
        assert status["statistics"]["devices"] == {"never": 3, "ok": 0, "late": 0, "silent": 0}
        assert "SF9" in status["capacity"]


async def test_every_operation_is_described_and_its_errors_too(lab: Laboratory) -> None:
    async with lab.gateway() as runtime:
        described = create_control(runtime.gateway, None).openapi()
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                assert operation["summary"], (method, path)
                assert "application/problem+json" in operation["responses"]["default"]["content"], (method, path)
                assert "422" not in operation["responses"], (method, path)


# Upkeep


@pytest.fixture
async def damaged(lab: Laboratory) -> Laboratory:
    """A site whose journal was salvaged."""
    async with lab.gateway():
        pass
    db = apsw.Connection(str(lab.config.journal.path))
    db.execute("INSERT INTO meta VALUES ('damaged', 'the journal was damaged; 7 readings are lost')")
    db.close()
    return lab


async def told_of_damage(client: Any) -> bool:
    return any("7 readings are lost" in one["what"] for one in (await client.get("/status")).json()["findings"])


async def test_damage_is_told_until_an_operator_says_that_it_was_seen_and_that_is_in_the_trail(
    damaged: Laboratory,
) -> None:
    async with damaged.asked() as client:
        assert await told_of_damage(client)
    async with damaged.asked() as client:
        assert await told_of_damage(client), "a restart alone does not end it"
        answer = (await client.post("/journal/seen")).json()
        assert answer["damage"] == "the journal was damaged; 7 readings are lost"
        last = (await client.get("/acts", params={"after": answer["act"] - 1})).json()["acts"]
        assert [(act["act"], act["detail"]) for act in last] == [("damage seen", answer["damage"])]
        async with asyncio.timeout(10):
            while await told_of_damage(client):
                await asyncio.sleep(0.02)
        assert problem(await client.post("/journal/seen"), 409)["next_step"] == "there is nothing to do"
    async with damaged.asked() as client:
        assert not await told_of_damage(client)


async def test_damage_stays_told_where_the_disk_does_not_take_that_it_was_seen(
    damaged: Laboratory, disk: FaultyDisk
) -> None:
    async with damaged.asked() as client:
        disk.fault = full
        problem(await client.post("/journal/seen"), 503)
        assert await told_of_damage(client)
        disk.fault = None


@pytest.fixture
async def keyed(lab: Laboratory) -> Laboratory:
    """A site with sealed things: the keys of two devices, a passphrase."""
    async with lab.gateway():
        pass
    files = [{"name": name, "content": lab.record(name).decode()} for name in (BAY, TAXI)]
    async with lab.asked() as client:
        results = (await client.post("/records", json={"records": files})).json()["results"]
        assert [one["result"] for one in results] == ["added", "added"]
        wifi = {"ssid": "Bercy", "key": "correct horse"}
        assert (await client.patch(f"/devices/{KIOSK}/shadow", json={"wifi": wifi})).status_code == 200
    return lab


def key_path(lab: Laboratory) -> Path:
    return lab.config.registry.key_path(lab.config.journal.path)


def under_newest(lab: Laboratory) -> list[bool]:
    """Say of each device with keys whether they are sealed under the newest key of the file."""
    db = apsw.Connection(str(lab.config.journal.path), flags=apsw.SQLITE_OPEN_READONLY)
    sealed = registry_tables.load(db).sealed
    db.close()
    keyring = load_key_file(key_path(lab)).keyring()
    return [keyring.is_newest(value) for _, value in sealed]


async def whole(client: Any) -> dict[str, Any]:
    """Return how the keys stand once no rotation runs."""
    async with asyncio.timeout(10):
        while (found := (await client.get("/keys")).json())["running"]:
            await asyncio.sleep(0.02)
    return found


def anew(found: dict[str, Any]) -> list[int]:
    return [part["anew"] for part in found["parts"]]


async def test_after_a_rotation_all_is_under_the_new_key_and_everything_opens_as_before(keyed: Laboratory) -> None:
    async with keyed.gateway() as runtime, keyed.client() as client:
        core = runtime.gateway.core
        before = core.registrar.keys.secrets(BAY)
        (old,) = (await whole(client))["sealing"]
        begun = await client.post("/keys/rotate")
        assert (begun.status_code, begun.json()["running"], len(begun.json()["sealing"])) == (202, True, 2)
        done = await whole(client)
        assert [part["name"] for part in done["parts"]] == ["device keys", "Wi-Fi passphrases", "LoRaWAN sessions"]
        assert (anew(done), len(done["sealing"]), done["faults"], done["trouble"]) == ([2, 1, 0], 1, [], "")
        assert [(key["id"], key["made"]) for key in done["dropped"]] == [(old["id"], old["made"])]
        assert under_newest(keyed) == [True, True]
        trail = (await client.get("/acts")).json()["acts"][-2:]
        assert [act["act"] for act in trail] == ["new sealing key", "sealing key dropped"]
        assert trail[1]["number"] == done["act"] and trail[1]["detail"] == f"{old['id']}; 3 secrets sealed anew"
        assert b"correct horse" in core.shadows.payload(KIOSK, secure=True)
        added = {"name": NEW, "content": keyed.record(NEW).decode()}
        assert (await client.post("/records", json={"records": [added]})).json()["results"][0]["result"] == "added"
        assert under_newest(keyed) == [True, True, True], "who comes after it is sealed under the new key"
        assert (await client.patch(f"/devices/{BAY}/shadow", json={"led": "on"})).status_code == 200
    async with keyed.gateway() as runtime, keyed.client() as client:
        core = runtime.gateway.core
        assert core.registrar.keys.secrets(BAY) == before
        assert b"correct horse" in core.shadows.payload(KIOSK, secure=True)
        await asyncio.gather(*(client.post("/keys/rotate") for _ in range(2)))
        found = await whole(client)
        assert (anew(found), len(found["sealing"]), len(found["dropped"])) == ([3, 1, 0], 1, 2), "two at once are one"
        assert under_newest(keyed) == [True, True, True]


async def test_a_rotation_waits_for_a_full_disk_and_is_gone_on_with_by_the_next_start(
    keyed: Laboratory, disk: FaultyDisk
) -> None:
    async with keyed.asked() as client:
        await whole(client)
        disk.fault = full
        assert (await client.post("/keys/rotate")).status_code == 202
        async with asyncio.timeout(10):
            while not (found := (await client.get("/keys")).json())["trouble"]:
                await asyncio.sleep(0.02)
        assert "full" in found["trouble"] and found["running"]
        assert any("rotation" in one["what"] for one in (await client.get("/status")).json()["findings"])
    disk.fault = None
    assert len(load_key_file(key_path(keyed)).sealing) == 2 and under_newest(keyed) == [False, False]
    async with keyed.asked() as client:
        found = await whole(client)
        assert (len(found["sealing"]), len(found["dropped"])) == (1, 1), "no further key was made"
    assert under_newest(keyed) == [True, True]


async def test_a_rotation_with_another_key_file_than_the_journals_is_refused_and_writes_nothing(
    keyed: Laboratory, tmp_path: Path
) -> None:
    path = key_path(keyed)
    own = path.read_bytes()
    (tmp_path / "other").mkdir()
    other = Laboratory(tmp_path / "other")
    async with other.gateway():
        pass
    async with keyed.asked() as client:
        before = (await client.get("/acts")).json()
        path.write_bytes(key_path(other).read_bytes())
        assert "put that back" in problem(await client.post("/keys/rotate"), 409)["next_step"]
        assert path.read_bytes() == key_path(other).read_bytes()
        path.unlink()
        assert "missing" in problem(await client.post("/keys/rotate"), 409)["detail"]
        assert not path.exists()
        path.write_bytes(own)
        path.chmod(0o600)
        assert (await client.get("/acts")).json() == before
        await client.post("/keys/rotate")
        assert anew(await whole(client)) == [2, 1, 0]


# The socket


async def test_the_socket_is_its_owners_alone_and_gone_after_a_stop(lab: Laboratory) -> None:
    before = os.umask(0)
    try:
        async with lab.gateway():
            status = lab.socket.lstat()
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o600
    finally:
        os.umask(before)
    assert not lab.socket.exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_cannot_open_the_socket(open_folder: Path) -> None:
    lab = Laboratory(open_folder)
    program = (
        "import os, socket, sys; os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))\n"
        "socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print('in')"
    )

    def come(user: int) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", program, str(lab.socket), str(user)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    async with lab.gateway():
        assert "PermissionError" in (await asyncio.to_thread(come, NOBODY)).stderr
        assert (await asyncio.to_thread(come, 0)).stdout == "in\n"
        lab.socket.chmod(0o666)  # the negative control: it is the mode that keeps them out
        assert (await asyncio.to_thread(come, NOBODY)).stdout == "in\n"


def test_the_trail_names_who_logged_in_where_that_is_somebody_else(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(control_socket, "_PROC", tmp_path)
    (tmp_path / "7").mkdir()
    login = tmp_path / "7" / "loginuid"
    assert control_socket._actor(7, 0) == "root"
    for content, expected in (("4294967295", "root"), ("0", "root"), (f"{NOBODY}", "nobody as root")):
        login.write_text(content)
        assert control_socket._actor(7, 0) == expected
    assert control_socket._actor(7, 4_000_000) == "nobody as user 4000000"


async def test_a_gateway_with_another_journal_does_not_take_the_socket_over(lab: Laboratory) -> None:
    async with lab.asked() as client:
        lab.site.write_text(lab.site.read_text().replace("journal.sqlite", "other.sqlite"))
        with pytest.raises(PortError, match="another gateway listens there"):
            async with running(lab.config):
                pass
        assert (await client.get("/status")).status_code == 200


async def test_a_file_that_is_no_socket_is_left_alone(lab: Laboratory) -> None:
    lab.socket.write_text("mine")
    with pytest.raises(PortError, match="it is no socket; move it away"):
        async with running(lab.config):
            pass
    assert lab.socket.read_text() == "mine"


async def test_a_folder_with_a_long_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    lab = Laboratory(folder)
    async with lab.gateway():
        assert (await lab.answer("status"))["site"] == "lab"


async def test_a_stop_does_not_wait_for_an_idle_connection(lab: Laboratory) -> None:
    with socket.socket(socket.AF_UNIX) as idle:
        async with asyncio.timeout(20), lab.gateway():
            idle.connect(str(lab.socket))
            await asyncio.sleep(0.05)
    assert not lab.socket.exists()
