"""A run as one HTML page that needs no other file and no script, in both colour schemes."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from pave_emulator.power import report as power_report
from pave_emulator.power.figures import STYLE as POWER_STYLE
from pave_emulator.power.figures import bars
from pave_emulator.report import timeline
from pave_emulator.report.collect import Collector, Radio
from pave_emulator.runner import Result

MAX_BATTERIES = 12  # whose energy is drawn one by one

STYLE = """<style>
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1b1b; --faint: #737373; --grid: #dddddd; --well: #eef1f4;
  --awake: #2b6cb0; --off: #b0b0b0; --tx: #c05621; --rx: #2f855a; --truth: #6b46c1; --good: #276749; --bad: #c53030; }
@media (prefers-color-scheme: dark) { :root { --paper: #1b1b1b; --ink: #e8e8e8; --faint: #9a9a9a; --grid: #3a3a3a;
  --well: #2a2d31; --awake: #63b3ed; --off: #666666; --tx: #ed8936; --rx: #68d391; --truth: #b794f4; --good: #68d391;
  --bad: #fc8181; } }
body { background: var(--paper); color: var(--ink); font: 14px/1.45 system-ui, sans-serif; margin: 0 auto;
  max-width: 1120px; padding: 1em; }
h1 { font-size: 1.5em; margin: .2em 0; } h2 { font-size: 1.15em; margin: 1.6em 0 .5em; }
table { border-collapse: collapse; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: .2em .9em .2em 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); } .faint { color: var(--faint); }
pre { background: var(--well); padding: .6em; overflow-x: auto; white-space: pre-wrap; }
code { overflow-wrap: anywhere; } summary { cursor: pointer; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; }
svg text.faint { fill: var(--faint); } svg .grid { stroke: var(--grid); } svg .asleep { fill: var(--well); }
svg .awake { fill: var(--awake); } svg .off { fill: var(--off); } svg .truth { fill: var(--truth); }
svg .reported { fill: var(--rx); } svg path { stroke-width: 1.5; fill: none; } svg .wake { stroke: var(--ink); }
svg .tx { stroke: var(--tx); } svg .rx { stroke: var(--rx); }
.key { display: inline-block; width: .9em; height: .9em; margin: 0 .35em 0 1em; vertical-align: -.1em; }
</style>"""
LEGEND = "".join(
    f'<span class="key" style="background:var(--{colour})"></span>{html.escape(text)}'
    for colour, text in (
        ("awake", "awake"), ("well", "asleep"), ("off", "without power"), ("ink", "wake"), ("tx", "sent"),
        ("rx", "received, reported"), ("truth", "bay occupied"),
    )
)  # fmt: skip


def as_html(result: Result, seen: Collector, bay_of: dict[str, str]) -> str:
    """The page. `bay_of` is device to bay."""
    title = f"{result.scenario}, seed {result.seed}"
    sections = [
        _head(result, title),
        _section("Properties", _properties(result)),
        _section("Timeline", f"<p>{LEGEND}</p>{timeline.draw(seen, bay_of)}"),
        _section("Devices", _devices(result, seen)),
        _section("Wakes by cause", _wakes(seen)),
        _section("Energy", _energy(result)),
        _section("Radio", _radio(seen)),
        _section("Faults and steps", _events(seen)),
        _section("Consoles", _consoles(seen)),
    ]
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
    )
    return f'<!doctype html><html lang="en"><head>{head}{STYLE}</head><body>{"".join(sections)}</body></html>\n'


def _head(result: Result, title: str) -> str:
    verdict = '<span class="good">passed</span>' if result.passed else '<span class="bad">failed</span>'
    speed = f", {result.seconds / result.wall_s:.0f} times as fast as the wall's clock" if result.virtual else ""
    clock = "virtual time" if result.virtual else "wall clock"
    trace = f"<p>Trace: {result.records} records, SHA-256 <code>{result.digest}</code></p>" if result.digest else ""
    lost = f'<p class="bad">{html.escape(result.lost)}</p>' if result.lost else ""
    return f"<h1>{html.escape(title)}: {verdict}</h1><p>{result.seconds:.1f} s of {clock}{speed}.</p>{trace}{lost}"


def _properties(result: Result) -> str:
    rows = [
        [
            _Cell("held" if v.passed else "failed", "good" if v.passed else "bad"),
            v.name, v.checked, v.open, v.reason,
        ]
        for v in result.verdicts
    ]  # fmt: skip
    return _table(("", "property", "checked", "open", "first failure"), rows)


def _devices(result: Result, seen: Collector) -> str:
    rows = []
    for name, log in seen.devices.items():
        counts = result.stats.get(name, {})
        awake_s = sum(until_s - from_s for from_s, until_s in log.awake)
        share = awake_s / result.seconds if result.seconds else 0.0
        kept = ("boots", "wakes", "flash_erases", "flash_programs", "crashes", "watchdog_resets")
        rows.append([name, f"{share:.2%}", *(counts.get(key, 0) for key in kept)])
    head = ("device", "awake", "boots", "wakes", "flash erases", "programs", "crashes", "watchdog resets")
    return _table(head, rows)


def _wakes(seen: Collector) -> str:
    found = {name: [cause for _, cause in log.wakes] for name, log in seen.devices.items()}
    causes = sorted({cause for of_device in found.values() for cause in of_device})
    return _table(("device", *causes), [[name, *(all_.count(c) for c in causes)] for name, all_ in found.items()])


def _energy(result: Result) -> str:
    rows, sums, details = [], {}, []
    for name, energy in result.energy.items():
        found = energy.projection
        rows.append([
            name, f"{energy.mean_a * 1e3:.3f}", f"{found.mah_per_day:.3f}" if found else "mains",
            f"{found.years:.1f}" if found else "",
        ])  # fmt: skip
        if found:
            for cause, mah in found.by(2).items():
                sums[cause] = sums.get(cause, 0.0) + mah
            if len(details) < MAX_BATTERIES:
                drawn = power_report.as_html(found, energy.buckets, energy.bucket_s)
                details.append(f"<details><summary>{html.escape(name)}</summary>{drawn}</details>")
    table = _table(("device", "mean mA at the rails", "mAh a day of the cell", "years"), rows)
    total = (
        f'<div class="power">{POWER_STYLE}<p>mAh a day by cause, all batteries</p>{bars(sums)}</div>' if sums else ""
    )
    return table + total + "".join(details)


def _radio(seen: Collector) -> str:
    datagrams = [
        [name, *(log.datagrams[key] for key in ("up", "bytes up", "down", "bytes down", "lost", "duplicated"))]
        for name, log in seen.devices.items()
        if log.datagrams
    ]
    lora = [_lora(name, radio) for name, radio in _radios(seen) if radio.sent or radio.received or radio.lost]
    head = ("Wi-Fi, Ethernet", "up", "bytes", "down", "bytes", "lost", "duplicated")
    tables = _table(head, datagrams) if datagrams else ""
    if lora:
        tables += "<br>" + _table(("LoRa", "sent", "s on air", "by SF", "received", "lost"), lora)
    return tables


def _radios(seen: Collector) -> Iterable[tuple[str, Radio]]:
    yield from ((name, log.lora) for name, log in seen.devices.items())
    yield from seen.radios.items()


def _lora(name: str, radio: Radio) -> list[object]:
    by_sf = ", ".join(f"SF{sf}: {count}" for sf, count in sorted(radio.by_sf.items()))
    lost = ", ".join(f"{reason}: {count}" for reason, count in sorted(radio.lost.items()))
    return [name, radio.sent, f"{radio.airtime_s:.2f}", by_sf, radio.received, lost]


def _events(seen: Collector) -> str:
    table = _table(("s", "device", "what"), [[f"{at_s:.3f}", device, text] for at_s, device, text in seen.events])
    return table + (f"<p>{seen.events_left_out} more were left out.</p>" if seen.events_left_out else "")


def _consoles(seen: Collector) -> str:
    parts = []
    for name, log in seen.devices.items():
        for what, lines in (("what the emulator said", log.notices), ("the last lines", list(log.lines))):
            if lines:
                text = html.escape("\n".join(f"{at_s:12.3f}  {line}" for at_s, line in lines))
                parts.append(f"<details><summary>{html.escape(name)}: {what}</summary><pre>{text}</pre></details>")
    return "".join(parts)


class _Cell(str):
    """A cell with a class."""

    kind: str

    def __new__(cls, text: str, kind: str) -> _Cell:
        cell = super().__new__(cls, text)
        cell.kind = kind
        return cell


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return '<p class="faint">none</p>'
    numbers = [all(_is_number(row[column]) for row in rows) for column in range(len(head))]
    cells = ["".join(_cell("td", value, number) for value, number in zip(row, numbers, strict=True)) for row in rows]
    top = "".join(_cell("th", text, number) for text, number in zip(head, numbers, strict=True))
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(tag: str, value: object, number: bool) -> str:
    kind = value.kind if isinstance(value, _Cell) else "n" if number else ""
    return f"<{tag}{f' class={kind}' if kind else ''}>{html.escape(str(value))}</{tag}>"


def _is_number(value: object) -> bool:
    return str(value).rstrip("%").replace(".", "", 1).isdigit()


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>" if body else ""
