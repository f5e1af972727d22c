"""A site in virtual time: one seed is one trace, in whichever process; what was answered is stored."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pave_gateway.store.journal import JournalReader
from pave_wire import coap, model
from pave_wire.coap import Message
from simulation.virtual import JOURNAL_FILE, ROOT, TRACE_FILE

FOR_S, SEED = 3600, 7
COMMAND = [sys.executable, "-m", "simulation.virtual", "examples/bercy/scenarios/day.yaml", "--for", str(FOR_S)]
SITE = ["--sensors", "3", "--kiosks", "1"]


class Played:
    """One run in a process of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        command = [*COMMAND, *SITE, "--seed", str(seed), "--keep", str(folder)]
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert finished.returncode == 0, finished.stderr
        self.summary: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])

    def answered(self) -> set[str]:
        """Identities of the readings that devices heard a 2.04 for, from the datagrams on the air."""
        asked: dict[tuple[str, bytes], set[str]] = {}
        done: set[str] = set()
        for line in (self.folder / TRACE_FILE).read_text().splitlines():
            _t_us, device, kind, fields = json.loads(line)
            if kind != "datagram":
                continue
            message: Message = coap.decode(bytes.fromhex(fields["data"]))
            key = (device, bytes(message.token))
            if fields["way"] == "up" and message.code == coap.POST:
                asked[key] = {reading.identity for reading in model.unpack_readings(message.payload)}
            elif fields["way"] == "down" and message.code == coap.CHANGED:
                done |= asked[key]
        return done

    def stored(self) -> list[str]:
        """Identities of the readings in the journal."""
        with closing(JournalReader(self.folder / JOURNAL_FILE)) as journal:
            return [f"{s.row.device}:{s.row.epoch}:{s.row.seq}" for batch in journal.all() for s in batch]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("one"), SEED)


def test_two_processes_with_one_seed_give_one_trace(played: Played, tmp_path: Path) -> None:
    again = Played(tmp_path, SEED)
    assert again.summary["trace"] == played.summary["trace"]
    assert played.summary["records"] > 1000 and played.summary["crashes"] == 0


def test_another_seed_gives_another_trace(played: Played, tmp_path: Path) -> None:
    other = Played(tmp_path, SEED + 1)
    assert other.summary["trace"] != played.summary["trace"]
    assert other.summary["changes"] != played.summary["changes"] or other.answered() != played.answered()


def test_every_answered_reading_is_in_the_journal_once(played: Played) -> None:
    answered, stored = played.answered(), played.stored()
    assert len(answered) >= 4 and answered <= set(stored), "a reading was answered and is not stored"
    assert len(stored) == len(set(stored))
