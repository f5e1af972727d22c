"""`pave-emulator run`: devices on a scenario, until the end or Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pave_emulator import pcap, trace_file
from pave_emulator import trace as traces
from pave_emulator.air.access_point import AccessPoint
from pave_emulator.cli import options
from pave_emulator.cli.mistakes import FAILED, mistakes
from pave_emulator.cli.outputs import check_all, check_folder
from pave_emulator.field_recorder import FieldRecorder
from pave_emulator.live import LiveView
from pave_emulator.report.collect import Collector
from pave_emulator.report.document import as_dict
from pave_emulator.report.page import as_html
from pave_emulator.runner import Plan, Result, Runner, Sink
from pave_emulator.session import Session, Setting
from pave_emulator.trace import Record
from pave_emulator.vcd import VcdWriter
from pave_emulator.writing import writing

REPORTS = (".json", ".html")
ENDLESS = "no --for: this run in virtual time goes on until Ctrl-C, and has no hash then"


@dataclass(frozen=True)
class Outputs:
    """Where what a run shows goes; None for nowhere."""

    report: Path | None = None
    vcd: Path | None = None
    pcap: Path | None = None
    trace: Path | None = None
    live: bool = False
    quiet: bool = False

    def check(self, scenario: Path, work_dir: Path, fields: Path | None) -> None:
        """Raise ValueError, with the next step, for what could not be written when the run is over."""
        if self.report and self.report.suffix not in REPORTS:
            raise ValueError(f"--report {self.report}: the name ends in {' or '.join(REPORTS)}")
        files = {"--report": self.report, "--vcd": self.vcd, "--pcap": self.pcap, "--trace": self.trace}
        check_all(files, scenario)
        check_folder(work_dir, "--work-dir")
        if fields:
            check_folder(fields, "--fields")


def run(
    scenario: options.ScenarioFile,
    device: options.Devices = None,
    clock: options.Clock = options.ClockName.wall,
    seed: options.Seed = None,
    seconds: options.Seconds = None,
    report: Annotated[Path | None, typer.Option(help="what came of it, .json or .html")] = None,
    vcd: Annotated[Path | None, typer.Option(help="pins over time, for GTKWave")] = None,
    pcap: Annotated[Path | None, typer.Option(help="LoRa packets on the air, for Wireshark (LoRaTap)")] = None,
    trace: Annotated[Path | None, typer.Option(help="every record, NDJSON")] = None,
    fields: options.Fields = None,
    live: Annotated[bool, typer.Option("--live", help="a table instead of the consoles")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="do not print the consoles")] = False,
    serial: Annotated[int | None, typer.Option(help="TCP port of the first device's serial port; 0: any")] = None,
    forward: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="LoRaWAN server that gets what the concentrator hears")
    ] = None,
    ssid: options.Ssid = options.DEFAULT_SSID,
    key: options.Key = options.DEFAULT_KEY,
    work_dir: options.WorkDir = options.DEFAULT_WORK_DIR,
    in_place: options.InPlace = False,
) -> None:
    """Run devices; print their consoles and what happens to the bays, and at the end what came of it.

    It ends after --for, or with Ctrl-C; in virtual time without --for it may never end.
    Status 0: done; 1: a property failed; 2: bad input.
    """
    outputs = Outputs(report, vcd, pcap, trace, live, quiet)
    virtual = clock is options.ClockName.virtual
    with mistakes():
        if virtual and serial is not None:
            raise ValueError("--serial: a run in virtual time has no serial ports, it does not wait for who types")
        if virtual and forward is not None:
            raise ValueError("--forward: a run in virtual time reaches no server")
        outputs.check(scenario, work_dir, fields)
        loaded, roster = options.read(scenario, device, seed, work_dir, in_place)
        recorder = FieldRecorder(fields) if fields else None
        setting = Setting(work_dir, AccessPoint(ssid, key), serial or 0, recorder, options.endpoint(forward))
        if virtual and seconds is None:
            typer.echo(ENDLESS, err=True)
        plan = Plan(virtual, seconds, work_dir, setting, open_ports=serial is not None)
        views = Views(outputs)
        result = Runner(loaded, roster, plan, views.make, views.started).run()
        if recorder:
            recorder.close()
        views.report(result)
    print_result(result)
    if not result.passed:
        raise typer.Exit(FAILED)


class Views:
    """Everything that looks at one run."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._seen: Collector | None = None
        self._live: LiveView | None = None
        self._bay_of: dict[str, str] = {}

    def make(self, session: Session) -> Sequence[Sink]:
        """The subscribers of its trace."""
        wanted = self._outputs
        sinks: list[Sink] = []
        if wanted.report or wanted.live:
            self._seen = Collector(session.boards, (bay.id for bay in session.roster.bays))
            self._bay_of = {spec.name: spec.place for spec in session.roster.specs if spec.place}
            sinks.append(self._seen)
        if wanted.vcd:
            sinks.append(VcdWriter(wanted.vcd, session.boards))
        if wanted.pcap:
            sinks.append(AirFile(wanted.pcap, session.epoch_unix_s))
        if wanted.trace:
            sinks.append(TraceFile(wanted.trace))
        if wanted.live and self._seen:
            self._live = LiveView(session, self._seen)
            sinks.append(self._live)
        elif not wanted.quiet:
            sinks.append(Printer())
        return sinks

    def started(self, session: Session) -> None:
        """The run has begun."""
        if self._live:
            self._live.show()
        elif self._outputs.quiet:
            return
        for name, url in session.urls.items():
            typer.echo(f"{name:>16} @ {url}")

    def report(self, result: Result) -> None:
        """Write the report that was asked for."""
        path, seen = self._outputs.report, self._seen
        if path is None or seen is None:
            return
        seen.finish(result.seconds)
        json_text = path.suffix == ".json"
        text = json.dumps(as_dict(result, seen), indent=1) + "\n" if json_text else as_html(result, seen, self._bay_of)
        with writing(path):
            path.write_text(text)


class AirFile:
    """A PCAP file of the LoRa air."""

    def __init__(self, path: Path, epoch_unix_s: float) -> None:
        self._path = path
        self._file = path.open("wb")
        self._capture = pcap.AirCapture(pcap.PcapWriter(self._file, pcap.LINKTYPE_LORATAP, epoch_unix_s))

    def __call__(self, record: Record) -> None:
        """A record of any kind."""
        with writing(self._path):
            self._capture(record)

    def close(self) -> None:
        """Close the file."""
        with writing(self._path):
            self._file.close()


class TraceFile:
    """The trace as NDJSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w")
        self._write = trace_file.writer(self._file)

    def __call__(self, record: Record) -> None:
        """A record of any kind."""
        with writing(self._path):
            self._write(record)

    def close(self) -> None:
        """Close the file."""
        with writing(self._path):
            self._file.close()


class Printer:
    """Consoles and the truth about bays, as lines."""

    def __call__(self, record: Record) -> None:
        """A record of any kind."""
        fields = record.fields
        if record.kind == traces.CONSOLE:
            typer.echo(f"{record.device:>16} | {fields['line']}")
        elif record.kind == traces.TRUTH and fields["what"] in ("arrives", "leaves"):
            what = "occupied" if fields["what"] == "arrives" else "free"
            typer.echo(f"{fields['bay']:>16} * {what} (change {fields['n']}, {record.t_us / 1e6:.1f} s)")
        elif record.kind == traces.TRUTH and fields["what"] == "step":
            typer.echo(f"{fields['name']:>16} ! {fields['action']} ({record.t_us / 1e6:.1f} s)")

    def close(self) -> None:
        """Nothing is open."""


def print_result(result: Result) -> None:
    """Counts, properties and the trace's hash."""
    for name, counts in result.stats.items():
        typer.echo(f"{name:>16} | " + "  ".join(f"{what} {count}" for what, count in counts.items()))
    for verdict in result.verdicts:
        how = (
            f"held ({verdict.checked} checked, {verdict.open} open)" if verdict.passed else f"FAILED: {verdict.reason}"
        )
        typer.echo(f"property {verdict.name!r} {how}")
    speed = f" in {result.wall_s:.1f} s, {result.seconds / result.wall_s:.0f} times real time" if result.virtual else ""
    typer.echo(f"{result.seconds:.1f} s{speed}, {result.records} records")
    if result.digest:
        typer.echo(f"trace sha256 {result.digest}")
    if result.lost:
        typer.echo(result.lost, err=True)
