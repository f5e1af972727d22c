"""What a restored backup has otherwise than was known later: each device by name, with the command that mends it."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from control_support import Laboratory
from gateway_support import BAY, KIOSK, TAXI, reading, row

from pave_gateway.core import limits
from pave_gateway.core.registry_differences import Retirement
from pave_gateway.records_folder import note, noted
from pave_gateway.runtime import Runtime
from pave_gateway.store import backup
from pave_gateway.store.journal import Journal
from pave_gateway.store.reader import JournalReader

NEW = "24a160fffe000103"
NEWER = "24a160fffe000104"


@pytest.fixture
async def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    """A site whose devices the site file does not name: the registry alone says what stands where."""
    monkeypatch.setattr(limits, "UPKEEP_S", 0.05)
    made = Laboratory(tmp_path)
    async with made.gateway():
        pass
    text = made.site.read_text()
    for device in (BAY, TAXI, KIOSK):
        text = text.replace(f'device = "{device}"\n', "")
    made.site.write_text(text)
    made.provision(BAY)
    return made


async def store(runtime: Runtime, seq: int) -> None:
    stored: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    core = runtime.gateway.core
    core.ingest.offer([reading(seq=seq)], core.now(), stored.set_result)
    await stored


async def copied(lab: Laboratory, *acts: tuple[str, ...]) -> Path:
    """Take a backup, then do `acts`; return it."""
    copy = lab.folder / "copy.sqlite"
    async with lab.gateway():
        await lab.run("backup", str(copy))
        for act in acts:
            await lab.run("devices", *act)
        await asyncio.sleep(0.1)  # notes are written within a second, here a twentieth
    return copy


def steps(told: dict[str, Any]) -> list[str]:
    return [one["next_step"].removeprefix("pave-gateway devices ") for one in told["backup"]["differences"]]


def restore(lab: Laboratory, copy: Path) -> dict[str, Any]:
    result = lab.cli("restore", str(copy), "--force", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def findings(lab: Laboratory) -> list[str]:
    return [one["what"] for one in (await lab.answer("status"))["findings"]]


async def test_a_retired_device_that_a_restore_revives_is_named_by_it_and_by_each_start_until_it_is_retired(
    lab: Laboratory, caplog
) -> None:
    copy = await copied(lab, ("retire", BAY))
    result = lab.cli("restore", str(copy), "--force")
    assert result.exit_code == 0
    assert "The backup is as of 20" in result.stdout
    assert "with 3 devices in use" in result.stdout
    assert f"- device {BAY} was retired on 20" in result.stdout
    assert f"  -> pave-gateway devices retire {BAY}\n" in result.stdout
    for _ in range(2):
        caplog.clear()
        async with lab.gateway():
            assert any(f"device {BAY} was retired on" in what for what in await findings(lab))
            assert any(f"device {BAY} was retired on" in line for line in caplog.messages)
    async with lab.gateway():
        await lab.run("devices", "retire", BAY)
        assert not any("was retired" in what for what in await findings(lab))


async def test_every_difference_is_told_in_an_order_in_which_it_can_be_put_right(lab: Laboratory) -> None:
    copy = await copied(
        lab, ("retire", BAY), ("move", TAXI, "lab-l-01"), ("add", NEW), ("assign", "lab-t-01", NEW), ("release", KIOSK),
    )  # fmt: skip
    told = restore(lab, copy)
    assert told["backup"]["all_is_known"] is True
    assert steps(told) == [
        f"retire {BAY}",
        f"release {KIOSK}",
        f"move {TAXI} lab-l-01",
        f"add {NEW}, then pave-gateway devices assign lab-t-01 {NEW}",
    ]
    async with lab.gateway():  # they do what they say
        for step in steps(told):
            for command in step.split(", then pave-gateway devices "):
                await lab.run("devices", *command.split())
        places = {one["device"]: (one["state"], one["place"]) for one in await lab.answer("devices", "list")}
    assert places == {
        BAY: ("retired", ""),
        TAXI: ("active", "lab-l-01"),
        KIOSK: ("provisioned", ""),
        NEW: ("active", "lab-t-01"),
    }


async def test_a_device_flashed_anew_since_is_named_with_the_record_that_brings_it_back(lab: Laboratory) -> None:
    copy = lab.folder / "copy.sqlite"
    async with lab.gateway():
        await lab.run("backup", str(copy))
        await lab.run("records", "import", str(lab.file("anew.pave", lab.record(BAY, epoch=200))))
    (difference,) = restore(lab, copy)["backup"]["differences"]
    assert "the keys of before it was flashed anew" in difference["what"]
    assert f"{BAY}-200.pave" in difference["next_step"]
    async with lab.gateway() as runtime:
        assert runtime.gateway.core.registry.device(BAY).epoch == 200


async def test_where_nothing_was_otherwise_it_says_so(lab: Laboratory) -> None:
    copy = await copied(lab)
    result = lab.cli("restore", str(copy), "--force")
    assert "No device was retired, moved, added or flashed anew since." in result.stdout


@pytest.mark.parametrize("gone", ["gone", "another's", "damaged"])
async def test_without_the_journal_that_went_on_the_notes_tell_and_what_is_not_known_is_said(
    lab: Laboratory, gone: str
) -> None:
    copy = await copied(lab, ("retire", BAY), ("release", TAXI))
    for path in lab.folder.glob("journal.sqlite*"):
        if not path.name.endswith(".keys"):
            path.unlink()
    if gone == "another's":
        async with lab.gateway():
            pass
    elif gone == "damaged":
        (lab.folder / "journal.sqlite").write_bytes(b"SQLite format 3\0" + b"\xa5" * 9000)
    told = restore(lab, copy)
    assert (told["backup"]["all_is_known"], steps(told)) == (False, [f"retire {BAY}"])
    text = lab.cli("restore", str(copy), "--force").stdout
    assert "What was decided since is not known here" in text
    assert "The backup is as of 20" in text


async def test_a_note_that_could_not_be_written_in_time_is_written_by_the_restore(lab: Laboratory) -> None:
    copy = await copied(lab, ("retire", BAY))
    shutil.rmtree(lab.folder / "records")
    assert steps(restore(lab, copy)) == [f"retire {BAY}"]
    assert list(noted(lab.folder / "records", "lab")) == [BAY]
    async with lab.gateway():
        assert any("was retired" in what for what in await findings(lab))


async def test_a_device_in_use_is_in_no_note_and_one_that_came_back_is_told_of_no_more(lab: Laboratory) -> None:
    async with lab.gateway() as runtime:
        await lab.run("devices", "retire", BAY)
        await lab.run("records", "import", str(lab.file("anew.pave", lab.record(BAY, epoch=200))))
        assert runtime.gateway.core.registry.state(BAY) == "provisioned"
        assert runtime.gateway.records.revived() == []
    async with lab.gateway():
        assert not any("was retired" in what for what in await findings(lab))


async def test_from_the_records_alone_a_retired_device_is_left_out_and_that_is_said(lab: Laboratory, caplog) -> None:
    await copied(lab, ("retire", BAY))
    lab.provision(NEW)
    for path in lab.folder.glob("journal.sqlite*"):
        if not path.name.endswith(".keys"):
            path.unlink()
    async with lab.gateway() as runtime:
        assert runtime.gateway.core.registry.state(BAY) is None
        assert runtime.gateway.core.registry.state(NEW) == "provisioned"
        assert any(f"1 records of retired devices are left alone, {lab.folder}" in line for line in caplog.messages)
        lab.provision(BAY, epoch=200)
        async with asyncio.timeout(10):
            while runtime.gateway.core.registry.state(BAY) is None:
                await asyncio.sleep(0.05)


def test_what_is_no_note_stops_nothing_and_is_told(tmp_path: Path, caplog) -> None:
    folder = tmp_path / "records"
    note(folder, "lab", [Retirement(BAY, 100, 1_795_000_000_000), Retirement(TAXI, -1, 10**18)])
    note(folder, "paris", [Retirement(KIOSK, 1, 1)])
    os.mkfifo(folder / "pipe.retired")
    (folder / f"{NEW}.retired").write_text("{")
    (folder / f"{NEWER}.retired").write_text((folder / f"{BAY}.retired").read_text())
    (folder / "large.retired").write_text(" " * 10_000 + (folder / f"{BAY}.retired").read_text())
    found = noted(folder, "lab")
    assert set(found) == {BAY, TAXI}
    assert found[BAY] == Retirement(BAY, 100, 1_795_000_000_000)
    assert len(caplog.messages) == 5
    assert noted(tmp_path / "none", "lab") == {}


async def test_what_is_stored_is_counted_and_not_the_positions_that_a_restore_skips(lab: Laboratory) -> None:
    copy = lab.folder / "copy.sqlite"
    async with lab.gateway() as runtime:
        for seq in range(1, 4):
            await store(runtime, seq)
        await lab.run("backup", str(copy))
        assert (await lab.answer("status"))["statistics"]["stored"] == 3
    for seq in (4, 5):
        restore(lab, copy)
        async with lab.gateway() as runtime:
            assert (await lab.answer("status"))["statistics"]["stored"] == 3
            await store(runtime, seq)
            assert (await lab.answer("status"))["statistics"]["stored"] == 4
            assert runtime.gateway.core.reader.last_position() > 2**32


@pytest.mark.parametrize(("cursor", "backlog"), [(0, 21), (10, 11), (20, 1)])
def test_a_sinks_backlog_is_counted_in_readings_across_a_restore(tmp_path: Path, cursor: int, backlog: int) -> None:
    path = tmp_path / "j.sqlite"
    journal = Journal(path)
    for seq in range(1, 21):
        journal.write([[row(seq=seq)]])
    backup.backup(path, tmp_path / "b.sqlite")
    journal.close()
    backup.restore(tmp_path / "b.sqlite", path, force=True)
    journal, reader = Journal(path), JournalReader(path)
    assert (reader.stored(), reader.behind(cursor)) == (20, backlog - 1)
    journal.write([[row(seq=21)]])
    assert (reader.stored(), reader.behind(cursor), reader.behind(reader.last_position())) == (21, backlog, 0)
    journal.close()
