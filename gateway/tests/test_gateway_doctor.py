"""Doctor and the start do not contradict each other: whatever makes `run` refuse, doctor finds, with the next step."""

import asyncio
import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from control_support import Laboratory
from faulty_disk import without_mmap
from gateway_support import BAY, TAXI, running

from pave_gateway import cli_app, doctor, doctor_start
from pave_gateway.cli_client import Client
from pave_gateway.config_lora_ingress import SecretError
from pave_gateway.core.keys_sealed import KeyringError
from pave_gateway.core.registry_site import SiteConflictError
from pave_gateway.findings import Finding, Severity
from pave_gateway.ports import PortError
from pave_gateway.store import files
from pave_gateway.store.journal import JournalError
from pave_gateway.store.key_file import KeyFileError
from pave_tools.provisioning import public_hex, technician_key

NEW = "24a160fffe000103"
NOBODY = 65_534


class Site(Laboratory):
    """A site that gets broken; what has to stay open meanwhile is in `open_`."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        super().__init__(folder, extra)
        self.open_ = ExitStack()

    @property
    def journal(self) -> Path:
        return self.folder / "journal.sqlite"

    @property
    def keys(self) -> Path:
        return self.folder / "journal.sqlite.keys"

    def edit(self, old: str, new: str) -> None:
        text = self.site.read_text()
        assert old in text
        self.site.write_text(text.replace(old, new, 1))

    def add(self, sections: str) -> None:
        self.edit("[[bay]]", f"{sections}\n[[bay]]")

    async def used(self) -> "Site":
        """Let its gateway have run, with the keys of a device."""
        async with self.gateway(), self.client() as client:
            files = [{"name": BAY, "content": self.record(BAY).decode()}]
            assert (await client.post("/records", json={"records": files})).status_code == 200
        return self

    def times(self) -> dict[str, int]:
        """Return when each file was changed last, but for those that SQLite makes for who reads."""
        paths = [path for path in self.folder.iterdir() if not path.name.endswith(("-shm", "-wal"))]
        return {path.name: path.lstat().st_mtime_ns for path in paths}

    async def refusal(self) -> Exception:
        """Return what a start raises."""
        with pytest.raises((*cli_app.REFUSALS, OSError)) as caught:
            async with running(self.config):
                pass
        return caught.value

    async def found(self, severity: Severity = Severity.ERROR) -> list[Finding]:
        examined = await doctor.examine(self.config, Client(self.socket))
        return [one for one in examined if one.severity is severity]


@pytest.fixture(scope="module")
def once_used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to be copied: to make it anew for each test would take most of their time."""
    return asyncio.run(Site(tmp_path_factory.mktemp("once")).used()).folder


@pytest.fixture
def used(once_used: Path, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    for path in once_used.iterdir():
        if path.is_file() and path != once_used / "site.toml":
            shutil.copy(path, tmp_path)
    shutil.copytree(once_used / "records", tmp_path / "records")
    site.edit(public_hex(site.technician), public_hex(technician_key(once_used / "technician.key")))
    with site.open_:
        yield site


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with site.open_:
        yield site


# How a start is refused, of a site whose gateway has run


async def contradicted(site: Site) -> None:
    site.edit(f'device = "{BAY}"', f'device = "{NEW}"')


async def standing_elsewhere(site: Site) -> None:
    site.edit(f'device = "{BAY}"', 'device = "placeholder"')
    site.edit(f'device = "{TAXI}"', f'device = "{BAY}"')
    site.edit('device = "placeholder"', f'device = "{TAXI}"')


async def keys_of_another(site: Site, id_: str = "lab") -> None:
    folder = site.folder / "other"
    folder.mkdir()
    other = Laboratory(folder)
    other.site.write_text(other.site.read_text().replace('id = "lab"', f'id = "{id_}"'))
    async with other.gateway():
        pass
    shutil.copy(folder / "journal.sqlite.keys", site.keys)


async def keys_of_another_site(site: Site) -> None:
    await keys_of_another(site, "elsewhere")


async def no_keys(site: Site) -> None:
    site.keys.unlink()


async def keys_for_all(site: Site) -> None:
    site.keys.chmod(0o640)


async def keys_are_a_folder(site: Site) -> None:
    site.keys.unlink()
    site.keys.mkdir()


async def keys_are_damaged(site: Site) -> None:
    site.keys.write_bytes(site.keys.read_bytes()[:-40])


async def journal_is_a_folder(site: Site) -> None:
    (site.folder / "journal.sqlite.spare").unlink()
    site.journal.unlink()
    site.journal.mkdir()


async def lock_is_a_folder(site: Site) -> None:
    (site.folder / "journal.sqlite.lock").unlink()
    (site.folder / "journal.sqlite.lock").mkdir()


async def newer_journal(site: Site) -> None:
    db = apsw.Connection(str(site.journal))
    db.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    db.close()


async def journal_in_use(site: Site) -> None:
    site.open_.callback(files.lock(site.journal).close)


async def socket_is_a_file(site: Site) -> None:
    site.socket.write_text("mine")


async def socket_is_a_folder(site: Site) -> None:
    site.socket.mkdir()


async def socket_is_a_link(site: Site) -> None:
    site.socket.symlink_to(site.folder / "nowhere")


async def port_is_taken(site: Site) -> None:
    taken = site.open_.enter_context(socket.create_server(("127.0.0.1", 0)))
    site.edit('http = "127.0.0.1:0"', f'http = "127.0.0.1:{taken.getsockname()[1]}"')


async def address_of_another_machine(site: Site) -> None:
    site.edit('coap = "127.0.0.1:0"', 'coap = "192.0.2.1:0"')


async def no_password(site: Site) -> None:
    nowhere = site.folder / "nowhere"
    site.add(f'[chirpstack]\nhost = "127.0.0.1"\nport = 9\nclient_id = "lab"\npassword_file = "{nowhere}"')


async def no_certificates(site: Site) -> None:
    key = site.file("key", b"NNSXS.KEY")
    key.chmod(0o600)
    nowhere = site.folder / "nowhere"
    site.add(f'[things_stack]\nhost = "127.0.0.1"\napplication = "app1"\nkey_file = "{key}"\nca_file = "{nowhere}"')


async def no_shared_memory(site: Site) -> None:
    site.open_.enter_context(without_mmap())


# The same, of one that has not


async def no_journal(site: Site) -> None:
    site.journal.write_bytes(b"nonsense" * 1000)


async def folder_is_a_file(site: Site) -> None:
    site.edit(str(site.journal), str(site.file("file", b"") / "journal.sqlite"))


async def no_shared_memory_yet(site: Site) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    site.open_.enter_context(pytest.MonkeyPatch.context()).setattr(doctor_start.mmap, "mmap", refuse)
    await no_shared_memory(site)


async def keys_lead_nowhere(site: Site) -> None:
    site.keys.symlink_to(site.folder / "nowhere")


@dataclass(frozen=True)
class Case:
    """One way.

    Attributes:
        break_: Does it.
        raised: What a start raises then.
        found: What doctor says; "" is what the start says.
    """

    break_: Callable[[Site], Awaitable[None]]
    raised: type[Exception]
    found: str = ""


USED = (
    Case(contradicted, SiteConflictError),
    Case(standing_elsewhere, SiteConflictError),
    Case(keys_of_another, KeyringError),
    Case(keys_of_another_site, KeyFileError),
    Case(no_keys, KeyFileError),
    Case(keys_for_all, KeyFileError),
    Case(keys_are_a_folder, KeyFileError),
    Case(keys_are_damaged, KeyFileError),
    Case(journal_is_a_folder, JournalError, "journal.sqlite is a folder, and has to be a file"),
    Case(lock_is_a_folder, JournalError, "journal.sqlite.lock is a folder, and has to be a file"),
    Case(newer_journal, JournalError),
    Case(journal_in_use, JournalError, "a gateway has the journal open"),
    Case(socket_is_a_file, PortError),
    Case(socket_is_a_folder, PortError),
    Case(socket_is_a_link, PortError),
    Case(port_is_taken, PortError),
    Case(address_of_another_machine, PortError),
    Case(no_password, SecretError),
    Case(no_certificates, OSError, "ca_file"),
    Case(no_shared_memory, JournalError),
)
FRESH = (
    Case(no_journal, JournalError),
    Case(folder_is_a_file, JournalError, "is a file, and has to be a folder"),
    Case(keys_lead_nowhere, KeyFileError, "it is a link to nothing"),
    Case(no_shared_memory_yet, JournalError, "its file system has no shared memory for SQLite; put the journal on"),
)


async def check(site: Site, case: Case) -> None:
    assert await site.found() == [] or case in FRESH
    await case.break_(site)
    before = site.times()
    found = await site.found()
    assert site.times() == before, "doctor changes nothing"
    refused = await site.refusal()
    assert isinstance(refused, case.raised)
    assert all(one.next_step for one in found)
    said = [f"{one.what}; {one.next_step}" for one in found]
    for line in [case.found] if case.found else str(refused).splitlines():
        assert any(line in one for one in said), (line, said)


@pytest.mark.parametrize("case", USED, ids=lambda case: case.break_.__name__)
async def test_doctor_finds_what_makes_a_start_of_a_used_site_refuse(used: Site, case: Case) -> None:
    await check(used, case)


@pytest.mark.parametrize("case", FRESH, ids=lambda case: case.break_.__name__)
async def test_doctor_finds_what_makes_a_first_start_refuse(fresh: Site, case: Case) -> None:
    await check(fresh, case)


def test_every_kind_of_refusal_is_among_them() -> None:
    kinds = {case.raised for case in (*USED, *FRESH)}
    missing = [one for one in cli_app.REFUSALS if one not in kinds]
    assert missing == [cli_app.StartError], "which is an OSError by then"
    assert OSError in kinds


async def test_another_gateway_with_a_journal_in_the_same_folder_is_found(used: Site) -> None:
    async with used.gateway():
        used.edit("journal.sqlite", "other.sqlite")
        refused = await used.refusal()
        errors = await asyncio.to_thread(asyncio.run, used.found())
        assert str(refused) in [f"{one.what}; {one.next_step}" for one in errors]


async def test_a_gateway_that_was_started_with_another_sites_file_is_found(used: Site) -> None:
    async with used.gateway():
        used.edit('id = "lab"', 'id = "elsewhere"')
        errors = await asyncio.to_thread(asyncio.run, used.found())
        assert any("has this journal is of site 'lab', the site file says 'elsewhere'" in one.what for one in errors)


# What a start does not refuse, and says in its log alone


async def test_a_start_that_goes_on_without_something_is_no_secret_of_its_log(used: Site) -> None:
    (used.folder / "gateway.json").unlink()
    (used.folder / "gateway.json").mkdir()
    shutil.rmtree(used.folder / "records")
    (used.folder / "records").write_text("")
    db = apsw.Connection(str(used.journal))
    sealed = bytearray(db.execute("SELECT sealed FROM registry_key").get)
    sealed[-1] ^= 1
    db.execute("UPDATE registry_key SET sealed = ?1", (bytes(sealed),))
    db.close()
    async with used.gateway():
        pass
    errors = [one.what for one in await used.found()]
    assert sum("gateway.json: it is a folder" in what for what in errors) == 1
    assert sum("records: it is a file" in what for what in errors) == 1
    assert sum(f"keys of {BAY} were changed" in what for what in errors) == 1
    assert len(errors) == 3


async def test_devices_of_places_that_are_gone_are_told_before_they_are_released(used: Site) -> None:
    used.edit('id = "lab-l-01"', 'id = "lab-l-02"')
    used.edit(f'device = "{BAY}"\n', "")
    warnings = [one.what for one in await used.found(Severity.WARNING)]
    assert f"lab-l-01 is not in the site file any more, and has device {BAY}" in warnings


async def test_a_journal_that_was_there_and_is_gone_is_not_called_a_first_start(used: Site) -> None:
    used.journal.unlink()
    assert [one.what for one in await used.found()] == [f"journal {used.journal}: it was there, and is gone"]
    used.journal.write_bytes(b"")
    assert [one.what for one in await used.found()] == [f"journal {used.journal}: it was a journal, and is empty"]
    used.journal.write_bytes(b"nonsense" * 1000)
    (found,) = await used.found()
    assert "it is not a journal" in found.what and "salvages" in found.next_step
    async with used.gateway():
        pass


async def test_a_key_file_that_nothing_needs_yet_is_missed_without_stopping_anybody(fresh: Site) -> None:
    async with fresh.gateway():
        pass
    fresh.keys.unlink()
    assert await fresh.found() == []
    assert any("missing; a new one is made" in one.what for one in await fresh.found(Severity.WARNING))
    assert not fresh.keys.exists()


def test_only_the_first_of_many_findings_of_one_kind_are_told() -> None:
    many = [Finding(Severity.WARNING, str(number), "step") for number in range(50)]
    told = doctor_start._few(many)
    assert [one.what for one in told] == ["0", "1", "2", "3", "4", "and 45 more like the last"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def give(folder: Path, user: int) -> None:
    for path in (folder, *folder.iterdir()):
        os.chown(path, user, user)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_root_looks_with_the_rights_of_the_journals_owner(open_folder: Path) -> None:
    site = await Site(open_folder).used()
    give(open_folder, NOBODY)
    assert await site.found() == []
    os.chown(site.keys, 0, 0)
    assert [one.what for one in await site.found()] == [f"key file {site.keys}: Permission denied"]
    os.chown(site.keys, NOBODY, NOBODY)
    os.chmod(open_folder, 0o555)  # noqa: PTH101
    (found,) = await site.found()
    assert f"user {NOBODY} may not write in {open_folder}" in found.what
    assert os.geteuid() == 0
