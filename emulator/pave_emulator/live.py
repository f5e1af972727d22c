"""What a person sees of a run while it goes on: one table, redrawn a few times a second of the wall's clock."""

from __future__ import annotations

import time

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pave_emulator.clock import Timer
from pave_emulator.report.collect import Collector
from pave_emulator.session import Session
from pave_emulator.trace import Record

REDRAW_S = 0.25
FRAME_LINES = 6  # title, head and borders
COLOURS = {"running": "green", "sleeping": "blue", "off": "red", "held": "red"}


class LiveView:
    """Subscribe it to the trace, after the collector. `show` begins, `close` leaves the last picture standing."""

    def __init__(self, session: Session, seen: Collector, console: Console | None = None) -> None:
        self._session = session
        self._seen = seen
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False)
        self._began_s = time.monotonic()
        self._drawn_s = 0.0
        self._timer: Timer | None = None

    def show(self) -> None:
        """Begin; the run has."""
        self._began_s = time.monotonic()
        self._live.start()
        self._tick()

    def __call__(self, record: Record) -> None:
        """Something has happened: redraw if the last picture is old. The trace does not notice."""
        if self._live.is_started and time.monotonic() - self._drawn_s >= REDRAW_S:
            self._draw()

    def close(self) -> None:
        """The run is over."""
        if self._timer:
            self._timer.cancel()
        if self._live.is_started:
            self._draw()
            self._live.stop()
            if not self._console.is_terminal:  # there, Live ends the line itself
                self._console.line()

    def table(self) -> Table:
        """The picture of this moment."""
        now_s, elapsed_s = self._session.clock.now_s(), time.monotonic() - self._began_s
        speed = f"{now_s / elapsed_s:.0f}x" if self._session.clock.lockstep and elapsed_s > 0 else "wall clock"
        title = f"{self._session.scenario.name}, {span(now_s)}, {speed}, {self._seen.records} records"
        table = Table(title=title, expand=True, title_justify="left")
        for name in ("device", "state"):
            table.add_column(name, no_wrap=True)
        for name in ("up", "wakes", "radio up/down", "flash", "mAh/day"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("last line", ratio=1, no_wrap=True, overflow="ellipsis")
        names = list(self._session.boards)
        room = max(1, self._console.height - FRAME_LINES)
        shown = names if len(names) <= room else names[: room - 1]
        for name in shown:
            table.add_row(*self._row(name, now_s))
        if len(shown) < len(names):
            table.add_row(f"and {len(names) - len(shown)} more")
        return table

    def _row(self, name: str, now_s: float) -> list[str | Text]:
        device, log = self._session.fleet.device(name), self._seen.devices[name]
        up = span(now_s - log.since_s) if device.state == "running" else ""
        line = log.lines[-1][1] if log.lines else ""
        radio = f"{len(log.sends)}/{len(log.receives)}"
        state = Text(device.state, style=COLOURS.get(device.state, ""))
        flash = str(sum(log.flash.values()))
        return [name, state, up, str(len(log.wakes)), radio, flash, self._mah_per_day(name), Text(line)]

    def _mah_per_day(self, name: str) -> str:
        meter = self._session.fleet.device(name).meter
        seen = meter.snapshot() if meter else None
        return f"{seen.total_c / 3.6 / seen.seconds * 86400:.2f}" if seen and seen.seconds else ""

    def _tick(self) -> None:
        """At wall clock, redraw even when nothing happens. In virtual time a timer would only cost."""
        self._draw()
        if not self._session.clock.lockstep:
            self._timer = self._session.clock.call_after(REDRAW_S, self._tick)

    def _draw(self) -> None:
        self._drawn_s = time.monotonic()
        self._live.update(self.table(), refresh=True)


def span(seconds: float) -> str:
    """A length of time as a person reads it: 1d 02:03:04, 02:03:04 or 3.4 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    days, clock = divmod(whole, 86400)
    text = f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}"
    return f"{days}d {text}" if days else text
