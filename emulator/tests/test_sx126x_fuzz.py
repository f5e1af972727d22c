"""Whatever a host sends to SX1262 or SX1276: they answer, fault in their own words, stay in a known state."""

import random

import pytest
from radio_bench import Antenna, Clock, Host
from test_sx126x import Bench as Sx126xBench
from test_sx127x import Bench as Sx127xBench

from pave_emulator.chips import sx126x_tables as t
from pave_emulator.chips import sx127x_tables as r
from pave_emulator.chips.chip import Environment, SpiChip
from pave_emulator.chips.sx126x import Sx1262
from pave_emulator.chips.sx127x import Sx1276

STEPS = 1500


def sx1262_command(rng: random.Random) -> bytes:
    opcode = rng.choice([*t.WRITES, *t.READS, rng.randrange(256)])
    if opcode == 0x0D:
        return bytes([opcode, *rng.choice(list(t.DEFAULTS)).to_bytes(2, "big"), rng.randrange(256)])
    _name, least, most = t.WRITES.get(opcode, ("", 2, 4))
    small = rng.random() < 0.7  # most parameters are small numbers
    return bytes([opcode, *(rng.randrange(4 if small else 256) for _ in range(rng.choice((least, min(most, 10)))))])


def sx1276_command(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return bytes([0x80 | r.OP_MODE, 0x80 | rng.randrange(8)])
    register = rng.choice([*r.COMMON_DEFAULTS, *r.LORA_DEFAULTS, *r.READ_ONLY, r.FIFO, r.IRQ_FLAGS])
    return bytes([register | rng.choice((0, 0x80)), *(rng.randrange(256) for _ in range(rng.randrange(1, 4)))])


def step(host: Host, antenna: Antenna, clock: Clock, rng: random.Random, command: bytes) -> None:
    host.transfer(*command)
    if rng.random() < 0.2:
        host.transfer(0xC0 if isinstance(host.chip, Sx1262) else r.VERSION, 0)
    if rng.random() < 0.1 and antenna.tuned:
        Antenna(clock, [antenna], spoil=rng.random() < 0.3).transmit(antenna.tuned, b"x" * 20, 14.0, clock.now_s)
    clock.sleep(rng.choice((1e-6, 1e-3, 0.05)))
    chip = host.chip
    assert chip.state in chip.STATES_UA
    assert all(chip.pin_level(pin) in (0, 1) for pin in chip.PINS)
    next_s = chip.next_event_s()
    assert next_s is None or next_s > clock.now_s


def run(chip_class: type[SpiChip], seed: int) -> tuple[list[str], int]:
    """Faults, and packets sent, of one run."""
    rng = random.Random(f"{seed}:{chip_class.__name__}")
    bench = Sx126xBench() if chip_class is Sx1262 else Sx127xBench()
    command = sx1262_command if chip_class is Sx1262 else sx1276_command
    for _ in range(STEPS):
        step(bench.host, bench.antenna, bench.clock, rng, command(rng))
    return bench.host.faults, len(bench.antenna.sent)


@pytest.mark.parametrize("chip_class", [Sx1262, Sx1276])
def test_any_command_is_answered_or_faults_by_name(chip_class):
    faults, sent = run(chip_class, 7)
    assert all(fault.startswith(f"{chip_class.__name__.upper()}: ") for fault in faults)
    assert 50 < len(faults) < STEPS
    assert sent > 0
    assert run(chip_class, 7) == (faults, sent)


def test_without_supply_nothing_happens():
    for chip in (Sx1262(Environment()), Sx1276(Environment())):
        chip.advance(1.0)
        chip.selected(1.0)
        assert chip.exchange(b"\x42\x00", 1.0) == b"\0\0"
        chip.deselected(1.0)
        assert (chip.state, chip.next_event_s(), chip.pin_level(chip.PINS[0])) == ("off", None, None)
