"""SHT3x-DIS: commands, times, currents and checksum (Sensirion datasheet SHT3x-DIS, version 7)."""

from __future__ import annotations

from dataclasses import dataclass

POWER_UP_S = SOFT_RESET_S = 0.0015  # table 4, longest
COMMAND_GAP_S = 0.001  # 4.2: until another command can be received

REPEATABILITIES = ("low", "medium", "high")
TYPICAL_S = (0.0025, 0.0045, 0.0125)  # table 4
LONGEST_S = (0.004, 0.006, 0.015)  # from 2.4 V of supply on; half a millisecond more below

IDLE_UA, PERIODIC_IDLE_UA, MEASURING_UA = 0.2, 45.0, 600.0  # table 3, typical
HEATER_UA = 3600.0  # table 3: 3.6 to 33 mW over VDD, as of a resistor of 917 ohm (33 mW at 5.5 V); at 3.3 V


@dataclass(frozen=True)
class SingleShot:
    """One measurement: durations in s, and whether a read is held until it ends."""

    typical_s: float
    longest_s: float
    stretching: bool


@dataclass(frozen=True)
class Periodic:
    """Measurements at a rate, and the power state they make."""

    period_s: float
    longest_s: float
    state: str


_SINGLE_SHOT_LSB = {0x24: (0x16, 0x0B, 0x00), 0x2C: (0x10, 0x0D, 0x06)}  # table 9; low, medium, high
_PERIODIC_LSB = {  # table 10
    0x20: (0.5, (0x2F, 0x24, 0x32)),
    0x21: (1.0, (0x2D, 0x26, 0x30)),
    0x22: (2.0, (0x2B, 0x20, 0x36)),
    0x23: (4.0, (0x29, 0x22, 0x34)),
    0x27: (10.0, (0x2A, 0x21, 0x37)),
}

SINGLE_SHOTS = {
    msb << 8 | lsb: SingleShot(TYPICAL_S[i], LONGEST_S[i], msb == 0x2C)
    for msb, lsbs in _SINGLE_SHOT_LSB.items()
    for i, lsb in enumerate(lsbs)
}
ART = 0x2B32  # table 12: accelerated response time, 4 Hz
PERIODICS = {
    msb << 8 | lsb: Periodic(1 / mps, LONGEST_S[i], f"periodic-{mps:g}mps-{REPEATABILITIES[i]}")
    for msb, (mps, lsbs) in _PERIODIC_LSB.items()
    for i, lsb in enumerate(lsbs)
} | {ART: Periodic(0.25, LONGEST_S[2], "periodic-4mps-high")}

FETCH_DATA, BREAK, SOFT_RESET = 0xE000, 0x3093, 0x30A2  # tables 11, 13, 14
HEATER_ENABLE, HEATER_DISABLE = 0x306D, 0x3066  # table 16
READ_STATUS, CLEAR_STATUS = 0xF32D, 0x3041  # tables 17, 19
ALERT_LIMIT_WRITES = (0x611D, 0x6116, 0x610B, 0x6100)  # application note Alert Mode, table 2
IN_PERIODIC_MODE = (FETCH_DATA, BREAK, READ_STATUS, CLEAR_STATUS, HEATER_ENABLE, HEATER_DISABLE)


def _periodic_ua() -> dict[str, float]:
    # What flows on average: idle between, measuring for the typical duration.
    return {
        f"periodic-{mps:g}mps-{REPEATABILITIES[i]}": PERIODIC_IDLE_UA
        + (MEASURING_UA - PERIODIC_IDLE_UA) * TYPICAL_S[i] * mps
        for mps, _ in _PERIODIC_LSB.values()
        for i in range(3)
    }


_COLD_UA = {"idle": IDLE_UA, "measuring": MEASURING_UA} | _periodic_ua()
STATES_UA = {"off": 0.0} | _COLD_UA | {f"{state}-heater": ua + HEATER_UA for state, ua in _COLD_UA.items()}


def crc8(data: bytes) -> int:
    """Checksum of a word: polynomial 0x31, initial value 0xFF, nothing reflected (table 20)."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ 0x131 if crc & 0x80 else crc << 1
    return crc
