"""Reports of a run: what is collected, the JSON, and the page as a browser shows it."""

import json
import shutil
import subprocess
from html.parser import HTMLParser

import cli_bench
import pytest

from pave_emulator import trace as traces
from pave_emulator.report import timeline
from pave_emulator.report.collect import Collector
from pave_emulator.trace import Record

VOID = {"meta"}


class Page(HTMLParser):
    """A page's elements; every one that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """JSON and HTML of one run of 20 s with a power cut, a property that fails and a hostile name."""
    folder = tmp_path_factory.mktemp("report")
    more = (
        "steps:\n  - {name: '<dark>', at_s: 10, do: {power_cut: {device: s2, s: 4}}}\n"
        "properties:\n  - {name: '<never> asleep', never: {kind: sleep}}\n"
    )
    scenario = cli_bench.write_site(folder, more)
    arguments = ("--clock", "virtual", "--for", 20, "--quiet", "--work-dir", folder / "w")
    for name in ("r.json", "r.html"):
        cli_bench.tool("run", scenario, *arguments, "--report", folder / name, status=1)
    return json.loads((folder / "r.json").read_text()), folder / "r.html"


def record(t_s: float, device: str, kind: str, **fields: object) -> Record:
    return Record(round(t_s * 1e6), device, kind, fields)


def test_intervals_counts_and_events_are_those_of_the_records():
    seen = Collector(["a"], ["b"])
    for one in [
        record(0, "a", traces.BOOT, cause="power-on", wake=0),
        record(1, "a", traces.DATAGRAM, way="up", data=b"123"),
        record(1, "a", traces.DATAGRAM, way="up", data=b"1", lost=1),
        record(2, "a", traces.SLEEP, ms=1000),
        record(3, "a", traces.BOOT, cause="deep sleep", wake=4),
        record(4, "a", traces.POWER, on=0),
        record(5, "", traces.TRUTH, what="arrives", bay="b", n=1),
        record(6, "", traces.TRUTH, what="reported", bay="b", occupied=True),
        record(7, "", traces.TRUTH, what="leaves", bay="b", n=2),
        record(7, "a", traces.FAULT, what="duty cycle"),
        record(8, "a", traces.LORA, what="tx", airtime_us=61_000, sf=7),
        record(8, "gw", traces.LORA, what="lost", reason="collision", sf=7),
        record(8, "gw", traces.LORA, what="rx", sf=7),
    ]:
        seen(one)
    seen.finish(10)
    log = seen.devices["a"]
    assert log.awake == [(0, 2), (3, 4)]
    assert log.off == [(4, 10)]
    assert log.wakes == [(0, "power-on"), (3, "timer")]
    assert dict(log.datagrams) == {"up": 2, "bytes up": 4, "lost": 1, "duplicated": 0}
    assert (log.lora.sent, log.lora.airtime_s, log.lora.by_sf) == (1, 0.061, {7: 1})
    assert (seen.radios["gw"].received, seen.radios["gw"].lost) == (1, {"collision": 1})
    assert seen.bays["b"].truth == [(5, 7)]
    assert seen.bays["b"].reported == [(6, None)]
    assert seen.events == [(7, "a", "what duty cycle")]


def test_columns_of_the_timeline_hold_the_share_of_time():
    assert timeline.shares([(0, 5), (7.5, 8.75)], 10, columns=4) == [1.0, 1.0, 0.0, 0.5]
    assert timeline.shares([(9.9, 10)], 10, columns=1) == [pytest.approx(0.01)]
    assert timeline.shares([], 10, columns=2) == [0.0, 0.0]


def test_the_json_says_what_the_run_did(reports):
    found, _ = reports
    assert found["scenario"] == "Two sensors"
    assert (found["clock"], found["seconds"], found["passed"]) == ("virtual", 20, False)
    assert len(found["trace_sha256"]) == 64
    [verdict] = found["properties"]
    assert not verdict["passed"]
    assert verdict["failed_at_s"] > 0
    assert found["devices"]["s2"]["off_s"] == pytest.approx(4.0)
    for device in found["devices"].values():
        counts = device["counts"]
        assert sum(device["wakes"].values()) == counts["boots"] > 3
        assert device["datagrams"]["up"] >= counts["boots"] - 2
        assert 0 < device["awake_s"] < 20
        assert device["energy"]["mean_ma"] > 1
        assert device["energy"]["battery"]["mah_per_day"] > 1
        assert any("woken by" in line for _, line in device["console"])
    assert found["bays"]["b1"]["truth"] == [[5, 15]]
    assert [event[2] for event in found["events"]] == ["step <dark>: action power_cut, s 4.0, device s2"]


def test_the_page_is_whole_needs_nothing_else_and_escapes_what_it_was_given(reports):
    _, path = reports
    text = path.read_text()
    page = Page(text)
    assert page.addresses == []
    assert "@import" not in text
    assert "url(" not in text
    assert "<never>" not in text
    assert "&lt;never&gt; asleep" in text
    assert "&lt;dark&gt;" in text
    assert page.counts.get("script") is None
    assert page.counts["svg"] >= 4  # the timeline, and figures of the energy
    assert ">failed<" in text


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("chromium"), reason="no browser here")
def test_a_browser_draws_the_timeline_in_both_schemes(reports, tmp_path):
    _, path = reports
    pictures = []
    for scheme in ("0", "1"):  # dark, light
        out = tmp_path / f"{scheme}.png"
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1160,900",
                   f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={out}", path.as_uri()]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        pictures.append(out.read_bytes())
    assert all(len(picture) > 20_000 for picture in pictures)
    assert pictures[0] != pictures[1]
