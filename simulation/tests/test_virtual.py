"""A site in virtual time: one seed is one trace and one journal, in whichever process; what was answered is stored."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pave_gateway import config, provisioning
from pave_gateway.store.journal import JournalReader
from pave_gateway.store.key_file import load_key_file
from pave_tools.provisioning import OscoreKeys, public_hex, read_reader, technician_key
from simulation import site_keys
from simulation.tap import Tap
from simulation.virtual import JOURNAL_FILE, ROOT, SITE, TRACE_FILE

FOR_S, SEED = 200, 7
COMMAND = [sys.executable, "-m", "simulation.virtual", "examples/bercy/scenarios/rush.yaml", "--for", str(FOR_S)]
FEW = ["--sensors", "2", "--kiosks", "1"]
PLACES = {place.device: place.id for place in config.load(SITE).places()}


HASHES = ("trace", "journal", "commits")


class Played:
    """One run in a process of its own."""

    def __init__(self, folder: Path, seed: int, hash_seed: int) -> None:
        self.folder = folder
        command = [*COMMAND, *FEW, "--seed", str(seed), "--keep", str(folder)]
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What it said at its end."""
        said, complaint = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, complaint
        return json.loads(said.splitlines()[-1])

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def hashes(self) -> tuple[str, ...]:
        return tuple(self.summary[name] for name in HASHES)

    def heard(self) -> Tap:
        """What was on the air, opened with the keys of the provisioning records."""
        tap = Tap()
        for name, keys in self._keys().items():
            tap.know(name, keys)
        for line in (self.folder / TRACE_FILE).read_text().splitlines():
            _t_us, device, kind, fields = json.loads(line)
            if kind == "datagram" and not (fields["way"] == "down" and fields.get("lost")):
                (tap.from_device if fields["way"] == "up" else tap.to_device)(device, bytes.fromhex(fields["data"]))
        return tap

    def _keys(self) -> dict[str, OscoreKeys]:
        """The keys of each device, by its name on the air, as a gateway gets them."""
        gateway_id = read_reader(self.folder / site_keys.PUBLIC_FILE).gateway_id
        technician = public_hex(technician_key(self.folder / site_keys.TECHNICIAN_FILE))
        files = provisioning.read_files([self.folder / site_keys.RECORDS])
        opened = provisioning.open_records(files, load_key_file(self.folder / f"{JOURNAL_FILE}.keys"), {technician: ""})
        assert opened.refused == []
        found: dict[str, OscoreKeys] = {}
        for _, record in opened.records:
            secrets = record.secrets.oscore
            assert secrets is not None
            own = OscoreKeys(secrets.master_secret, secrets.master_salt, secrets.device_id, gateway_id)
            found[PLACES[record.device]] = own
        return found

    def stored(self) -> list[str]:
        """Identities of the readings in the journal."""
        with closing(JournalReader(self.folder / JOURNAL_FILE)) as journal:
            return [f"{s.row.device}:{s.row.epoch}:{s.row.seq}" for batch in journal.all() for s in batch]


@dataclass(frozen=True)
class Runs:
    """All at once."""

    one: Played
    again: list[Played]
    other: Played


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    one, again, another, other = (
        Played(tmp_path_factory.mktemp("run"), seed, hash_seed)
        for seed, hash_seed in ((SEED, 0), (SEED, 1), (SEED, 2), (SEED + 1, 0))
    )
    yield Runs(one, [again, another], other)
    for run in (one, again, another, other):
        run.end()


def test_three_processes_with_one_seed_give_one_trace_and_one_journal(runs: Runs) -> None:
    assert {run.hashes for run in runs.again} == {runs.one.hashes}
    assert runs.one.summary["records"] > 1000 and runs.one.summary["crashes"] == 0


def test_another_seed_gives_another_trace_and_another_journal(runs: Runs) -> None:
    one, other = runs.one, runs.other
    assert all(its != others for its, others in zip(one.hashes, other.hashes, strict=True))
    assert other.summary["changes"] != one.summary["changes"] or other.stored() != one.stored()


def test_all_that_devices_say_is_sealed_and_every_answered_reading_is_in_the_journal_once(runs: Runs) -> None:
    assert runs.one.summary["stored"] > 0
    heard, stored = runs.one.heard(), runs.one.stored()
    assert heard.unreadable["up"] == 0 and len(heard.challenges) == 3, "each device met its gateway once"
    assert len(heard.acknowledged) > 10 and heard.acknowledged <= set(stored), "answered and not stored"
    assert len(stored) == len(set(stored))
