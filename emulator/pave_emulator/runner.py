"""Runs a session from power-on to its end, at wall clock or in virtual time, and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pave_emulator.clock import VirtualClock, WallClock
from pave_emulator.control import ControlServer
from pave_emulator.power.projection import Projection, project
from pave_emulator.power.spec import read_power
from pave_emulator.power.voltage_log import Bucket
from pave_emulator.roster import Roster
from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.properties import Verdict
from pave_emulator.session import Session, Setting
from pave_emulator.trace import Record, Trace
from pave_emulator.virtual_loop import VirtualLoop


class Sink(Protocol):
    """Takes the records of a run. An OSError (a full disk) ends the run."""

    def __call__(self, record: Record) -> None:
        """The next record."""

    def close(self) -> None:
        """There are no more."""


MakeSinks = Callable[[Session], Sequence[Sink]]


class _Guarded:
    """A sink that is asked no more after its first OSError: that is the run's end, and no defect of a device."""

    def __init__(self, sink: Sink, failed: Callable[[OSError], None]) -> None:
        self._sink, self._failed = sink, failed
        self._broken = False

    def __call__(self, record: Record) -> None:
        if self._broken:
            return
        try:
            self._sink(record)
        except OSError as error:
            self._broken = True
            self._failed(error)

    def close(self) -> None:
        try:
            self._sink.close()
        except OSError as error:
            self._failed(error)


@dataclass(frozen=True)
class Plan:
    """How to run.

    Attributes:
        virtual: in virtual time instead of the wall's.
        seconds: how long, of the run's clock; None: until `Runner.end`.
        work_dir: where the control socket is.
        setting: what the session is given.
        open_ports: open every serial port; else they are opened on demand.
        signals: end on SIGINT and SIGTERM. Only in the main thread.
    """

    virtual: bool
    seconds: float | None
    work_dir: Path
    setting: Setting
    open_ports: bool = False
    signals: bool = True


@dataclass(frozen=True)
class Energy:
    """What one device drew. `projection` and voltages are of devices with a battery."""

    mean_a: float  # at the rails
    projection: Projection | None
    buckets: tuple[Bucket, ...]
    bucket_s: float


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        seconds: of the run's clock. wall_s: of the wall's.
        digest: the trace's hash; None at wall clock and where it was broken off.
        stats: counts, by device. energy: by device.
        lost: why the process that runs the VMs has ended; empty when it has not.
    """

    scenario: str
    seed: int
    virtual: bool
    seconds: float
    wall_s: float
    records: int
    digest: str | None
    stats: dict[str, dict[str, int]]
    verdicts: list[Verdict] = field(default_factory=list)
    energy: dict[str, Energy] = field(default_factory=dict)
    lost: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything that had to hold has held."""
        return not self.lost and all(verdict.passed for verdict in self.verdicts)


class Runner:
    """One run. `started` is called with the session once everything has power."""

    def __init__(
        self,
        scenario: Scenario,
        roster: Roster,
        plan: Plan,
        make_sinks: MakeSinks,
        started: Callable[[Session], None] = lambda session: None,
    ) -> None:
        self._scenario, self._roster, self._plan = scenario, roster, plan
        self._make_sinks, self._started = make_sinks, started
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost = ""
        self._unwritten: OSError | None = None

    def run(self) -> Result:
        """Run to the end. Raise what Session and ControlServer raise for bad input, OSError if a sink cannot write."""
        with asyncio.Runner(loop_factory=VirtualLoop if self._plan.virtual else None) as runner:
            return runner.run(self._run())

    def end(self) -> None:
        """End the run; from any thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _run(self) -> Result:
        loop = self._loop = asyncio.get_running_loop()
        clock = VirtualClock(loop) if isinstance(loop, VirtualLoop) else WallClock()
        trace = Trace(hashed=self._plan.virtual)
        session = Session(self._scenario, self._roster, clock, self._plan.setting, trace, self._vms_lost)
        async with contextlib.AsyncExitStack() as ends:  # all of them, whichever fails
            ends.push_async_callback(session.stop)
            control = ControlServer(session, self._plan.work_dir)
            ends.push_async_callback(control.stop)
            for sink in self._make_sinks(session):
                guarded = _Guarded(sink, self._cannot_write)
                trace.subscribers.append(guarded)
                ends.callback(guarded.close)
                ends.callback(trace.subscribers.remove, guarded)
            result = await self._session(session, control)
        if self._unwritten:
            raise self._unwritten
        return result

    async def _session(self, session: Session, control: ControlServer) -> Result:
        clock, trace, virtual = session.clock, session.trace, self._plan.virtual
        if self._plan.signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        began_s = time.monotonic()
        await control.start()
        for name in session.ports if self._plan.open_ports else ():
            await session.serial_url(name)
        await session.start()
        self._started(session)
        finished = await self._wait()
        digest = trace.digest() if virtual and finished else None
        energy = {name: _energy(session, name) for name in session.boards}
        return Result(
            self._scenario.name, self._scenario.seed, virtual, clock.now_s(), time.monotonic() - began_s,
            trace.records, digest, session.fleet.stats(), session.verdicts(), energy, self._lost,
        )  # fmt: skip

    async def _wait(self) -> bool:
        """Until the end. True when the time is over, False when it was broken off."""
        try:
            await asyncio.wait_for(self._stop.wait(), self._plan.seconds)
            return False
        except TimeoutError:
            return True

    def _vms_lost(self, what: str) -> None:
        self._lost = what
        self._stop.set()

    def _cannot_write(self, error: OSError) -> None:
        self._unwritten = self._unwritten or error
        self._stop.set()


def _energy(session: Session, name: str) -> Energy:
    board = session.boards[name]
    meter = session.fleet.device(name).meter
    assert meter is not None
    span = meter.snapshot()
    mean_a = span.total_c / span.seconds if span.seconds else 0.0
    projection = project(span, read_power(board.power).supply) if board.power and span.seconds else None
    return Energy(mean_a, projection, meter.voltages.buckets(), meter.voltages.bucket_s)
