"""Pins as a Value Change Dump, read by a parser of other hands (pyvcd)."""

import io
from collections.abc import Iterable
from pathlib import Path

import cli_bench
import flash_images
import pytest
from vcd.reader import TokenKind, VCDParseError, tokenize

from pave_emulator import board as boards
from pave_emulator import trace as traces
from pave_emulator.trace import Record
from pave_emulator.vcd import VcdWriter

BOARD = boards.load(flash_images.PRESENCE_BOARD)
Edges = dict[str, list[tuple[int, str]]]


def parsed(path: Path) -> tuple[str, Edges]:
    """The time scale, and the changes of each wire `device.pin` as (us, value)."""
    scale, scope, t_us = "", [], 0
    names: dict[str, str] = {}
    edges: Edges = {}
    for token in tokenize(io.BytesIO(path.read_bytes())):
        if token.kind is TokenKind.TIMESCALE:
            scale = str(token.timescale)
        elif token.kind is TokenKind.SCOPE:
            scope.append(token.scope.ident)
        elif token.kind is TokenKind.UPSCOPE:
            scope.pop()
        elif token.kind is TokenKind.VAR:
            assert token.var.id_code not in names
            names[token.var.id_code] = ".".join([*scope, token.var.reference])
        elif token.kind is TokenKind.CHANGE_TIME:
            assert token.time_change > t_us or t_us == 0
            t_us = token.time_change
        elif token.kind is TokenKind.CHANGE_SCALAR:
            edges.setdefault(names[token.scalar_change.id_code], []).append((t_us, token.scalar_change.value))
    return scale, edges


def written(path: Path, records: Iterable[Record], *devices: str) -> Edges:
    writer = VcdWriter(path, dict.fromkeys(devices, BOARD))
    for record in records:
        writer(record)
    writer.close()
    scale, edges = parsed(path)
    assert scale == "1 us"
    return edges


def pin(t_us: int, device: str, number: int, level: int) -> Record:
    return Record(t_us, device, traces.PIN, {"pin": number, "level": level})


def test_pins_have_the_names_of_the_board_and_their_edges_the_times_of_the_trace(tmp_path):
    led, other = BOARD.pins["led"], 45
    assert other not in BOARD.pins.values()
    records = [pin(10, "a", led, 1), pin(10, "b", led, 1), pin(25, "a", led, 0), pin(25, "a", other, 1)]
    edges = written(tmp_path / "a.vcd", records, "a", "b")
    assert edges == {
        "a.led": [(0, "x"), (10, "1"), (25, "0")],
        "b.led": [(0, "x"), (10, "1")],
        "a.gpio45": [(0, "x"), (25, "1")],
    }


def test_sleep_and_power_are_a_wire_too_and_other_records_are_none(tmp_path):
    records = [
        Record(0, "a", traces.BOOT, {"cause": "power-on", "wake": 0}),
        Record(5, "a", traces.CONSOLE, {"line": "hello"}),
        Record(9, "a", traces.SLEEP, {"ms": 3}),
        Record(12, "a", traces.POWER, {"on": 0}),
    ]
    assert written(tmp_path / "a.vcd", records, "a") == {"a.awake": [(0, "x"), (0, "1"), (9, "0"), (12, "x")]}


def test_more_wires_than_there_are_characters_keep_apart(tmp_path):
    names = [f"d{number}" for number in range(94 * 94 + 200)]
    led = BOARD.pins["led"]
    edges = written(tmp_path / "a.vcd", [pin(n + 1, name, led, n & 1) for n, name in enumerate(names)], *names)
    assert len(edges) == len(names)
    assert all(edges[f"{name}.led"][1] == (n + 1, str(n & 1)) for n, name in enumerate(names))


def test_the_parser_refuses_what_is_not_vcd(tmp_path):
    path = tmp_path / "a.vcd"
    path.write_text("$timescale 1 us $end\n$var wire 1 ! led\n$enddefinitions $end\n")
    with pytest.raises(VCDParseError):
        parsed(path)


def test_a_run_writes_what_the_firmware_did_with_its_pins(tmp_path):
    scenario = cli_bench.write_site(tmp_path)
    out = tmp_path / "pins.vcd"
    cli_bench.tool(
        "run", scenario, "--clock", "virtual", "--for", 4, "--quiet", "--vcd", out, "--work-dir", tmp_path / "work"
    )
    _scale, edges = parsed(out)
    led = edges["s1.led"]
    on = led.index(next(edge for edge in led if edge[1] == "1"))
    assert led[on + 1][1] == "0"
    assert 20_000 <= led[on + 1][0] - led[on][0] < 21_000  # sleep_ms(20), in virtual time
    assert [value for _t_us, value in edges["s1.awake"]][:4] == ["x", "1", "0", "1"]
