"""`pave-gateway status`: what is wrong, what the gateway has done, what it can carry."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from pave_gateway.cli_common import AsJson, Site, ask, console, show_json, show_table
from pave_gateway.log import printable

_COLOURS = {"error": "red", "warning": "yellow", "fine": "green"}


def status(site: Site, as_json: AsJson = False) -> None:
    """Show how the running gateway stands: findings, counters, room on its disk, capacity."""
    found = ask(site, lambda client: client.get("status"))
    if as_json:
        show_json(found)
        return
    print(f"site {found['site']}, gateway {found['gateway_id']}")
    show_findings(found["findings"])
    show_table(("", ""), _lines(found))
    if found["capacity"]:
        print(f"LoRaWAN, devices that all use one spreading factor:\n{found['capacity']}")


def show_findings(findings: list[dict[str, Any]]) -> None:
    """Print findings, a line each, with the next step below."""
    out = console()
    if not findings:
        out.print("nothing is wrong", style="green")
    for one in findings:
        out.print(f"{one['severity']:8}", style=_COLOURS[one["severity"]], end="")
        out.print(Text(printable(one["what"])), soft_wrap=True)
        if one["next_step"]:
            out.print(Text(f"{'':8}-> {one['next_step']}"), soft_wrap=True)


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    journal, statistics = found["journal"], found["statistics"]
    used = f"{journal['used_bytes'] / 1e6:.1f} of {journal['cap_bytes'] / 1e6:.0f} MB"
    hours = "" if journal["hours_left"] is None else f", {journal['hours_left']:.0f} hours of backlog left"
    yield "journal", f"{journal['kept']} readings kept of {journal['stored']}, {used}{hours}"
    counted = statistics["since_start"]
    yield "since start", ", ".join(f"{counted[name]} {name}" for name in ("acknowledged", "stored", "repeated"))
    refused = ", ".join(f"{count} {why}" for why, count in counted["refused"].items() if count)
    yield "refused", refused or "none"
    yield "devices", ", ".join(f"{count} {state}" for state, count in statistics["devices"].items())
    free = (f"{kind} {count['free']} of {count['total']}" for kind, count in statistics["availability"].items())
    yield "free", ", ".join(free)
    yield "clock", "synchronized" if statistics["clock"]["synchronized"] else "not synchronized"
    for name, sink in statistics["sinks"].items():
        letters = f", {sink['dead_letters']} dead letters" if sink["dead_letters"] else ""
        held = ", held back until the clock is synchronized" if sink["held"] else ""
        yield f"sink {name}", f"{sink['backlog']} behind{letters}{held}{', failing' if sink['failing'] else ''}"
