"""SX1262, LoRa transceiver (Semtech DS.SX1261-2.W.APP rev 2.1), behind its SPI commands, BUSY, DIO1 to DIO3 and NRESET.

Theory of operation. A transaction is an opcode, parameters, and bytes read back; a command that writes is executed when
NSS rises, and BUSY stays high until it is done. A command sent while BUSY is high is ignored and faults, as does one
that the chip would not accept (command status of table 13-76). What chips do in silence but the datasheet warns of
(errata, missing steps) is done, and faults as well. Not modelled, and faulting: GFSK, test modes, wake-up by the RTC,
registers that table 12-1 does not list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import ClassVar

from pave_emulator.chips import sx126x_tables as t
from pave_emulator.chips.chip import ChipFault, Environment, SpiChip
from pave_emulator.chips.lora_antenna import Antenna
from pave_emulator.chips.sx126x_config import CONFIGURE, Refused, Reported, check
from pave_emulator.chips.sx126x_modem import Modem
from pave_emulator.chips.sx126x_modes import BUFFER_BYTES

RESERVED_STATUS_BIT = 0x80  # set in the status during any other command than GetStatus, on real chips
DIOS = ("dio1", "dio2", "dio3")


class Sx1262(SpiChip):
    """The chip on its board.

    Options: `tcxo`, that a TCXO supplied by DIO3 is the clock, not a crystal; `tcxo_mv`, its voltage, which the
    emulator takes as it comes; `rf_switch_dio2`, that DIO2 drives the antenna switch.
    """

    OPTIONS: ClassVar[dict[str, type]] = {"tcxo": bool, "tcxo_mv": int, "rf_switch_dio2": bool}
    PINS: ClassVar[tuple[str, ...]] = ("busy", *DIOS)
    INPUTS: ClassVar[tuple[str, ...]] = ("reset",)
    STATES_UA: ClassVar[dict[str, float]] = t.STATES_UA

    def __init__(
        self, environment: Environment, tcxo: bool = False, rf_switch_dio2: bool = False, tcxo_mv: int = 0
    ) -> None:
        super().__init__(environment)
        self._antenna = Antenna(environment.radio)
        self.modem = Modem(self._antenna, tcxo or tcxo_mv > 0, rf_switch_dio2, self._told)
        self._powered = self._ignored = False
        self._in_reset = False
        self._now_s = 0.0
        self._sent = bytearray()
        self._answer = b""
        self._act = self._actions()

    # Supply and pins

    def power_on(self, now_s: float) -> None:
        """Power-on reset: a cold start with its calibration."""
        self._powered = True
        self.modem.cold_start(now_s)
        self._update()

    def power_off(self, now_s: float) -> None:
        """Whatever was being sent breaks off."""
        self.modem.cold_start(now_s)
        self._powered = False
        self._update()

    def set_input(self, name: str, level: int, now_s: float) -> None:
        """NRESET, active low; 100 us for it to count (8.1)."""
        self.advance(now_s)
        if not level:
            if not self._in_reset:
                self.modem.deadlines.set("reset", now_s + t.RESET_S, self._reset)
            return
        too_short = "reset" in self.modem.deadlines
        self.modem.deadlines.cancel("reset")
        if self._in_reset:
            self._in_reset = False
            self.modem.cold_start(now_s)
        self._update()
        check(not too_short, "NRESET was low for less than 100 us, no reset (8.1)")

    def _reset(self, at_s: float) -> None:
        self._in_reset = True
        self.modem.cold_start(at_s)

    def pin_level(self, name: str) -> int | None:
        """BUSY is pulled up and the DIOs down in sleep (8.4); without supply nothing is driven."""
        if not self._powered:
            return None
        if name == "busy":
            return int(self._in_reset or self.modem.busy(self._now_s))
        if self.modem.mode == t.SLEEP or self._in_reset:
            return 0
        dio = DIOS.index(name)
        if dio == 1 and self.modem.config.dio2_switch:
            return int(self.modem.mode == t.TX)
        if dio == 2 and self.modem.config.tcxo_s is not None:
            return int(self.modem.mode != t.STDBY_RC)
        return int(bool(self.modem.irq & self.modem.config.dio_masks[dio]))

    # Time

    def advance(self, now_s: float) -> None:
        """Transitions, ends of packets and timeouts up to `now_s`."""
        if self._powered:
            self.modem.deadlines.run(now_s)
        self._now_s = now_s
        self._update()

    def next_event_s(self) -> float | None:
        """The next transition or timeout; the fall of BUSY is one."""
        if not self._powered:
            return None
        waits = not self._in_reset and self._now_s < self.modem.busy_until_s
        busy_until_s = self.modem.busy_until_s if waits else None
        return min((at for at in (busy_until_s, self.modem.deadlines.next_s()) if at is not None), default=None)

    # SPI

    def selected(self, now_s: float) -> None:
        """NSS falls: wakes a chip that sleeps."""
        self.advance(now_s)
        self._sent = bytearray()
        self._answer = b""
        woken = self._powered and self.modem.mode == t.SLEEP
        if woken:
            self.modem.wake(now_s)
        self._ignored = woken or not self._powered or self._in_reset or self.modem.busy(now_s)
        self._update()

    def exchange(self, data: bytes, now_s: float) -> bytes:
        """Status comes back with every byte, then what was asked for."""
        self.advance(now_s)
        returned = bytearray()
        for byte in data:
            self._sent.append(byte)
            returned.append(0 if self._ignored else self._return(now_s))
        first = len(self._sent) == len(data) > 0
        if self._ignored and self._powered and first and data[0] != t.GET_STATUS:
            raise ChipFault(f"SX1262: command {data[0]:#04x} while BUSY or asleep is ignored (8.3.1)")
        return bytes(returned)

    def deselected(self, now_s: float) -> None:
        """NSS rises: what was written is executed."""
        self.advance(now_s)
        sent, self._sent = bytes(self._sent), bytearray()
        if not self._ignored and sent and sent[0] not in t.READS:
            self._execute(sent[0], sent[1:], now_s)

    def _return(self, now_s: float) -> int:
        status = self.modem.mode << 4 | self.modem.status << 1
        opcode = self._sent[0]
        if opcode == t.GET_STATUS:
            return status
        if opcode not in t.READS:
            return status | RESERVED_STATUS_BIT
        at = len(self._sent) - 2 - t.READS[opcode][1]  # 0: the status byte before the data
        if at <= 0:
            return status | RESERVED_STATUS_BIT
        if opcode == 0x1D:
            address = int.from_bytes(self._sent[1:3], "big") + at - 1
            return self._read_register(address, now_s)
        if opcode == 0x1E:
            return self.modem.buffer[(self._sent[1] + at - 1) % BUFFER_BYTES]
        if at == 1:
            self._answer = self._read(opcode, now_s)
        return self._answer[at - 1] if at <= len(self._answer) else 0

    def _execute(self, opcode: int, parameters: bytes, now_s: float) -> None:
        modem = self.modem
        modem.status = t.STATUS_ACCEPTED
        modem.busy_until_s = now_s + t.COMMAND_S
        try:
            self._check_length(opcode, parameters)
            if opcode in CONFIGURE:
                CONFIGURE[opcode](modem.config, parameters)
            else:
                self._act[opcode](parameters, now_s)
        except Reported:
            raise
        except Refused:
            modem.status = t.STATUS_REFUSED
            raise
        except ChipFault:
            modem.status = t.STATUS_INVALID
            raise
        finally:
            self._update()

    def _check_length(self, opcode: int, parameters: bytes) -> None:
        check(opcode not in t.TEST_MODES, f"{t.TEST_MODES.get(opcode)} is not modelled (13.1.9, 13.1.10)")
        check(opcode in t.WRITES, f"opcode {opcode:#04x} is unknown (chapter 11)")
        name, least, most = t.WRITES[opcode]
        check(least <= len(parameters) <= most, f"{name} with {len(parameters)} parameter bytes, not {least} (11)")

    # Commands

    def _actions(self) -> dict[int, Callable[[bytes, float], None]]:
        modem = self.modem
        return {
            0x00: lambda p, _now_s: modem.reset_stats(),
            0x02: lambda p, _now_s: modem.clear_irqs(int.from_bytes(p, "big")),
            0x07: lambda p, _now_s: modem.clear_errors(),
            0x0D: lambda p, _now_s: self._write_registers(p),
            0x0E: lambda p, _now_s: self._write_buffer(p),
            0x80: lambda p, now_s: modem.standby(p[0], now_s),
            0x82: lambda p, now_s: modem.rx(int.from_bytes(p, "big"), now_s),
            0x83: lambda p, now_s: modem.tx(int.from_bytes(p, "big"), now_s),
            0x84: lambda p, now_s: modem.sleep(p[0]),
            0x89: lambda p, now_s: modem.calibrate(p[0], now_s),
            0x94: lambda p, now_s: modem.rx_duty_cycle(_ticks_s(p[:3]), _ticks_s(p[3:]), now_s),
            0x97: lambda p, _now_s: modem.use_tcxo(p),
            0x98: lambda p, now_s: modem.calibrate_image(p[0], p[1], now_s),
            0xC1: lambda p, now_s: modem.frequency_synthesis(now_s),
            0xC5: lambda p, now_s: modem.cad(now_s),
        }

    def _read(self, opcode: int, now_s: float) -> bytes:
        modem = self.modem
        if opcode == 0x10:
            return b"".join((count & 0xFFFF).to_bytes(2, "big") for count in modem.stats)
        if opcode == 0x11:
            return bytes([modem.config.packet_type])
        if opcode == 0x12:
            return modem.irq.to_bytes(2, "big")
        if opcode == 0x13:
            return bytes(modem.received)
        if opcode == 0x14:
            return modem.packet_status()
        if opcode == 0x15:
            return modem.rssi_now(now_s)
        return modem.errors.to_bytes(2, "big")

    def _write_buffer(self, parameters: bytes) -> None:
        for at, value in enumerate(parameters[1:]):
            self.modem.buffer[(parameters[0] + at) % BUFFER_BYTES] = value

    def _write_registers(self, parameters: bytes) -> None:
        first = int.from_bytes(parameters[:2], "big")
        for at, value in enumerate(parameters[2:]):
            self._check_register(first + at)
            self._write_register(first + at, value)

    def _write_register(self, address: int, value: int) -> None:
        check(address in t.DEFAULTS, f"register {address:#06x} cannot be written (table 12-1)")
        if address == t.RX_GAIN:
            gains = (t.RX_GAIN_SAVING, t.RX_GAIN_BOOSTED)
            check(value in gains, f"RX gain {value:#04x}, 0x94 and 0x96 are known (9.6)")
        if address == t.RETENTION_LIST:
            check(value <= t.MAX_RETAINED, f"{value} registers on the retention list, 4 fit (9.6)")
        if address in (t.XTA_TRIM, t.XTB_TRIM) and self.modem.mode != t.STDBY_XOSC:
            raise Refused(f"SX1262: register {address:#06x} can only be written in STDBY_XOSC (4.1.3)")
        if address == t.RTC_CONTROL and value == 0:
            self.modem.stop_rtc()
        self.modem.config.registers[address] = value

    def _read_register(self, address: int, now_s: float) -> int:
        if t.RANDOM_NUMBER <= address < t.RANDOM_NUMBER + 4:
            check(self.modem.mode == t.RX, "the random number changes in RX only (table 12-1)")
            measured = self.modem.rssi_now(now_s)[0]
            return hashlib.blake2b(f"{now_s:.6f}:{measured}:{address}".encode(), digest_size=1).digest()[0]
        self._check_register(address)
        check(address in t.DEFAULTS, f"register {address:#06x} is not listed (table 12-1)")
        return self.modem.config.registers[address]

    def _check_register(self, address: int) -> None:
        check(address not in t.GFSK_REGISTERS, f"register {address:#06x} is of GFSK, not modelled (table 12-1)")

    # Parts of the above

    def _told(self) -> None:
        """The air has told the modem something."""
        self._update()
        self.changed()

    def _update(self) -> None:
        if not self._powered:
            self.state = "off"
        else:
            self.state = "reset" if self._in_reset else self.modem.state()


def _ticks_s(parameters: bytes) -> float:
    return int.from_bytes(parameters, "big") * t.TICK_S
