"""A rotation of the sealing key on the joined gateway: devices go on meanwhile, and a kill loses no secret."""

import asyncio
import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gateway_support import KIOSK, TAXI
from oscore_device import OscoreDevice
from rotation_support import KEYS, opened, sealing, used
from test_gateway_assembly_lora import ADDRESS, join, provisioned, says, with_mast
from test_semtech_udp_server import Mast

from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway.assembly import rotation as assembly_rotation
from pave_gateway.assembly.gateway import Gateway
from pave_gateway.core import limits
from pave_gateway.core.change import submit
from pave_gateway.core.committer import CommitFailed
from pave_gateway.core.keys_rotation import Rotation
from pave_gateway.core.keys_rows import ResealedRow
from pave_gateway.core.keys_sealed import UnknownKeyError
from pave_gateway.store import registry_tables
from pave_gateway.store.inline import InlineCommitter
from pave_tools.provisioning import OscoreKeys
from pave_wire import shadow

PASSPHRASE = "correct horse"


class Turnstile:
    """A committer in front of which each batch of a rotation waits until it is let through."""

    def __init__(self, inner: InlineCommitter, holds: bool) -> None:
        self._inner = inner
        self._holds = holds
        self.failing = False
        self.waiting: list[tuple[Any, ...]] = []
        self.trouble, self.close = inner.trouble, inner.close

    def submit(self, rows: Any, done: Any, urgent: bool = False) -> None:
        batch = (rows, done, urgent)
        if not isinstance(rows[0], ResealedRow):
            self._inner.submit(*batch)
        elif self.failing:
            done(CommitFailed("the disk is full"))
        elif self._holds:
            self.waiting.append(batch)
        else:
            self._inner.submit(*batch)

    def let_through(self) -> int:
        """Commit what waits; return how many rows it was."""
        ((rows, done, urgent),) = self.waiting
        self.waiting.clear()
        self._inner.submit(rows, done, urgent)
        return len(rows)


@dataclass
class Site:
    """A gateway that runs, and its devices."""

    gateway: Gateway
    committer: Any
    mast: Mast
    lora: Any
    ip: OscoreDevice
    seqs: dict[str, int] = field(default_factory=dict)

    async def report(self) -> None:
        """Let both devices report; both are acknowledged, without a join or a challenge more."""
        self.seqs = {name: self.seqs.get(name, -1) + 1 for name in ("ip", "lora")}
        assert await says(self.gateway, self.mast, self.lora, self.seqs["lora"])
        assert await self.ip.report(self.seqs["ip"]) == "2.04"

    async def rest(self) -> None:
        """Return when no rotation runs; what it waits for is let through."""
        while self.gateway.rotation.is_running:
            if self.committer.waiting:
                self.committer.let_through()
            await asyncio.sleep(0.05)


class Street:
    """The site's folder, its devices with their keys, and gateways one after the other."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.lab, self.lora = provisioned(folder)
        self.keys: OscoreKeys = self.lab.provision(TAXI)
        self.lab.provision(KIOSK, kind="kiosk")
        self.sequence = 0

    def life(self, script: Callable[[Site], Any], holds: bool = False) -> Any:
        """Run a gateway in virtual time for one `script(site)`."""
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(self._life(script, holds))

    async def _life(self, script: Callable[[Site], Any], holds: bool) -> Any:
        async with with_mast(self.lab, lambda journal, *_: Turnstile(InlineCommitter(journal), holds)) as parts:
            gateway, _, mast = parts
            device = await OscoreDevice(TAXI, self.keys, self.sequence).open(ADDRESS)
            await asyncio.sleep(0.2)
            try:
                return await script(Site(gateway, gateway.core.committer, mast, self.lora, device))
            finally:
                self.sequence = device.context.sequence
                device.close()

    def killed(self, folder: Path) -> "Street":
        """Return the same street with the disk as a kill would leave it now."""
        shutil.copytree(self.lab.folder, folder, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
        other: Street = copy.copy(self)
        other.lab = copy.copy(self.lab)
        other.lab.folder, other.lab.site = folder, folder / "site.toml"
        other.lab.site.write_text(self.lab.site.read_text().replace(str(self.lab.folder), str(folder)))
        other.lora = copy.deepcopy(self.lora)
        return other


@pytest.fixture
def street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Street:
    """A device behind LoRaWAN with a session, one on IP with a window, a kiosk with Wi-Fi credentials on offer."""
    monkeypatch.setattr(limits, "RESEALED_AT_ONCE", 1)
    made = Street(tmp_path / "site")

    async def first(site: Site) -> None:
        assert await join(site.mast, site.lora)
        await site.report()
        wifi = {"wifi": {"ssid": "Bercy", "key": PASSPHRASE}}
        submit(site.committer, site.gateway.core.shadows.edit(KIOSK, shadow.KIOSK, wifi), lambda outcome: None)

    made.life(first)
    return made


def passphrase_of(site: Site) -> bool:
    return PASSPHRASE.encode() in site.gateway.core.shadows.payload(KIOSK, secure=True)


def test_devices_report_between_all_batches_and_a_kill_after_any_of_them_loses_no_secret(
    street: Street, tmp_path: Path
) -> None:
    folder = street.lab.folder
    secrets, (old,) = opened(folder), sealing(folder)
    kills: list[tuple[Street, int]] = []

    async def rotated(site: Site) -> None:
        site.seqs = {"ip": 0, "lora": 0}
        await site.gateway.rotation.begin("anne")
        while site.gateway.rotation.is_running:
            if site.committer.waiting:
                await site.report()
                assert passphrase_of(site)
                street.sequence = site.ip.context.sequence
                kills.append((street.killed(tmp_path / f"kill-{len(kills)}"), site.seqs["ip"]))
                assert site.committer.let_through() == 1
            await asyncio.sleep(0.01)
        await site.report()
        assert passphrase_of(site)

    street.life(rotated, holds=True)
    (new,) = sealing(folder)
    assert used(folder) == [new] != [old] and opened(folder) == secrets
    assert len(kills) == len(secrets) == 5  # three devices, a passphrase, a session

    for other, seq in kills:
        assert opened(other.lab.folder) == secrets and sealing(other.lab.folder) == [old, new]

        async def goes_on(site: Site, seq: int = seq) -> None:
            site.seqs = {"ip": seq, "lora": seq}
            await site.report()
            assert passphrase_of(site)
            await site.rest()
            assert not site.gateway.rotation.findings()
            await site.report()

        other.life(goes_on)
        assert opened(other.lab.folder) == secrets
        assert used(other.lab.folder) == sealing(other.lab.folder) == [new]


def test_after_a_rotation_was_cut_off_the_command_goes_on_with_it_and_makes_no_further_key(
    street: Street, tmp_path: Path
) -> None:
    async def begins(site: Site) -> list[str]:
        await site.gateway.rotation.begin("anne")
        await asyncio.sleep(1)
        assert site.committer.waiting and site.gateway.rotation.is_running
        await site.gateway.rotation.begin("bob")
        return sealing(street.lab.folder)

    async def ends(site: Site) -> None:
        await site.gateway.rotation.begin("anne")
        await site.rest()
        acts = site.gateway.core.reader.read(registry_tables.acts, 0, 100)
        told = [(act.actor, act.act) for act in acts if "sealing" in act.act]
        assert told[0] == ("anne", "new sealing key") and told[-1][1] == "sealing key dropped"

    both = street.life(begins, holds=True)
    street.life(ends, holds=True)
    assert sealing(street.lab.folder) == used(street.lab.folder) == both[1:]


def test_a_disk_that_takes_nothing_holds_a_rotation_up_and_loses_nothing(street: Street) -> None:
    folder = street.lab.folder
    secrets = opened(folder)

    async def script(site: Site) -> None:
        site.committer.failing = True
        await site.gateway.rotation.begin("anne")
        await asyncio.sleep(5)
        (finding,) = site.gateway.rotation.findings()
        assert "the disk is full" in finding.what
        assert len(sealing(folder)) == 2
        site.committer.failing = False
        await site.rest()
        assert site.gateway.rotation.findings() == []

    street.life(script)
    assert opened(folder) == secrets and used(folder) == sealing(folder)


def test_a_device_that_joins_and_settings_that_change_during_a_rotation_are_sealed_with_the_new_key(
    street: Street,
) -> None:
    folder = street.lab.folder

    async def script(site: Site) -> None:
        site.seqs = {"ip": 0, "lora": 0}
        await site.gateway.rotation.begin("anne")
        await asyncio.sleep(1)
        assert await join(site.mast, site.lora)
        core = site.gateway.core
        wifi = {"wifi": {"ssid": "Bercy", "key": "another horse"}}
        submit(core.committer, core.shadows.edit(KIOSK, shadow.KIOSK, wifi), lambda outcome: None)
        await site.rest()
        await site.report()

    street.life(script, holds=True)
    assert used(folder) == sealing(folder) and len(sealing(folder)) == 1
    assert b"another horse" in opened(folder).values()


def test_a_start_without_a_rotation_writes_no_act_and_leaves_the_key_file_alone(street: Street) -> None:
    before = (street.lab.folder / KEYS).read_bytes()

    async def script(site: Site) -> list[str]:
        await asyncio.sleep(1)
        assert not site.gateway.rotation.is_running and not site.gateway.rotation.findings()
        return [act.act for act in site.gateway.core.reader.read(registry_tables.acts, 0, 100)]

    assert street.life(script) == street.life(script)
    assert (street.lab.folder / KEYS).read_bytes() == before


def test_a_gateway_that_drops_the_old_key_before_all_is_sealed_anew_is_seen(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless(Rotation):
        @property
        def is_over(self) -> bool:
            return True

    monkeypatch.setattr(assembly_rotation, "Rotation", Careless)

    async def script(site: Site) -> None:
        await site.gateway.rotation.begin("anne")
        await site.rest()

    street.life(script)
    with pytest.raises(UnknownKeyError):
        opened(street.lab.folder)
