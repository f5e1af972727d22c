"""ILI9341, controller of a 240 x 320 TFT (Ilitek datasheet v1.11), on 4-wire SPI with a D/C line (interface II).

Theory of operation. A byte with D/C low is a command, what follows with D/C high are its parameters or pixels; NSS may
rise between any two bytes (7.1.12). After a command that reads, the chip drives SDO and looks at neither SDI nor D/C
until NSS rises (7.1.10). Parameters act as they arrive; a command broken off keeps those it got (7.1.11). What the
datasheet forbids but a chip survives (an unknown command, a missing parameter, no pause after SLPOUT) is done or passed
over as on a board, and faults after the whole exchange. Commands within 5 ms of a reset are lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pave_emulator.chips import ili9341_commands as command
from pave_emulator.chips import ili9341_gram as gram
from pave_emulator.chips import ili9341_panel as panel
from pave_emulator.chips import ili9341_status as status
from pave_emulator.chips.chip import ChipFault, Environment, SpiChip
from pave_emulator.chips.ili9341_registers import Registers
from pave_emulator.chips.png import Picture

COMMAND_PAUSE_S = 0.005  # after a reset, SLPIN and SLPOUT (8.2.2, 8.2.11, 8.2.12)
SLEEP_PAUSE_S = 0.12  # from SLPOUT to SLPIN; from SLPIN, or a reset while awake, to SLPOUT
RESET_PULSE_S = 10e-6  # of RESX; shorter ones are ignored (reset timing, chapter 15)


class Ili9341(SpiChip):
    """The controller and its glass."""

    OPTIONS: ClassVar[dict[str, type]] = {"turned_deg": int}
    INPUTS: ClassVar[tuple[str, ...]] = ("dc", "reset")
    # The datasheet has no supply currents. Measured at 3.3 V without backlight on a 2.4 inch module:
    # electronics.stackexchange.com, question 403908.
    STATES_UA: ClassVar[dict[str, float]] = {"off": 0.0, "sleep": 28.0, "idle": 4500.0, "on": 9000.0}

    def __init__(self, environment: Environment, turned_deg: int = 0) -> None:
        """`turned_deg`: how far the module is mounted turned clockwise, 0, 90, 180 or 270."""
        super().__init__(environment)
        if turned_deg % 90:
            raise ValueError(f"ILI9341: turned_deg is {turned_deg}, not a multiple of 90")
        self._quarters = turned_deg // 90
        self._dc = 0
        self._reset_low_since_s: float | None = None  # a line that nobody drives is pulled up
        self.power_on(0.0)

    # Supply, reset, sleep

    def power_on(self, now_s: float) -> None:
        """Supply applied: as after a hardware reset. Memory is undefined, zeros here."""
        self.gram = gram.Gram()
        self.registers = Registers()
        self.modes = status.Modes()
        self._reset(now_s)

    def power_off(self, now_s: float) -> None:
        """Supply taken away."""
        self.modes = status.Modes()
        self.state = "off"

    def set_input(self, name: str, level: int, now_s: float) -> None:
        """D/C, and RESX: a low pulse of at least 10 us resets."""
        if name == "dc":
            self._dc = level
        elif name == "reset" and not level:
            if self._reset_low_since_s is None:
                self._reset_low_since_s = now_s
        elif name == "reset":
            low_since_s, self._reset_low_since_s = self._reset_low_since_s, None
            if low_since_s is not None and now_s - low_since_s >= RESET_PULSE_S and self.state != "off":
                self.registers.hardware_reset()
                self._reset(now_s)

    def _reset(self, now_s: float) -> None:
        awake = not self.modes.asleep
        self.modes = status.Modes()
        self._deaf_until_s = now_s + COMMAND_PAUSE_S
        self._command_from_s = self._sleep_in_from_s = now_s
        self._sleep_out_from_s = now_s + SLEEP_PAUSE_S if awake else now_s
        self._diagnoses = 0
        self._command: int | None = None
        self._received = 0
        self._pixel_rest = b""
        self._reply: status.Reply | None = None
        self._in_read = False
        self._faults: list[str] = []
        self.gram.begin(self.registers.window())
        self._set_state()

    def _sleep(self, code: int, now_s: float) -> None:
        sleep = code == command.SLPIN
        early_s = (self._sleep_in_from_s if sleep else self._sleep_out_from_s) - now_s
        if early_s > 0:
            self._faults.append(f"{command.name(code)} {early_s * 1e3:.0f} ms too early, 120 ms must pass")
        self._command_from_s = now_s + COMMAND_PAUSE_S
        if sleep == self.modes.asleep:
            return
        self.modes.asleep = sleep
        if sleep:
            self._sleep_out_from_s = now_s + SLEEP_PAUSE_S
        else:
            self._sleep_in_from_s = now_s + SLEEP_PAUSE_S
            self._diagnoses += 1

    def _set_state(self) -> None:
        self.state = "sleep" if self.modes.asleep else "idle" if self.modes.idle else "on"

    # Bus

    def selected(self, now_s: float) -> None:
        """A transaction begins."""
        self._in_read = False

    def deselected(self, now_s: float) -> None:
        """A transaction ends, and with it the read phase."""
        self._in_read = False

    def exchange(self, data: bytes, now_s: float) -> bytes:
        """Commands while D/C is low, parameters and pixels while it is high, an answer after a read command."""
        if self.state == "off":
            return bytes(len(data))
        if self._reset_low_since_s is not None:
            raise ChipFault(f"ILI9341: {len(data)} bytes while RESX is low are lost")
        self._faults.clear()
        answer = bytearray()
        while len(answer) < len(data):
            rest = data[len(answer) :]
            if self._reply is not None and (self._in_read or self._dc):
                answer += self._reply.take(len(rest))
            elif self._dc:
                self._take_data(rest)
                answer += bytes(len(rest))
            else:
                self._begin(rest[0], now_s)
                answer.append(0)
        if self._faults:
            raise ChipFault("ILI9341: " + "; ".join(self._faults))
        return bytes(answer)

    def _begin(self, code: int, now_s: float) -> None:
        """A command byte."""
        self._end_parameters()
        self._command = self._reply = None
        if now_s < self._deaf_until_s:
            self._faults.append(f"command {code:02X}h within 5 ms of a reset is lost (8.2.2)")
        elif code in command.NOT_MODELLED:
            self._faults.append(f"command {code:02X}h is not modelled: {command.NOT_MODELLED[code]}")
        elif code not in command.PARAMETERS:
            self._faults.append(f"command {code:02X}h is in no command list (8.1)")
        else:
            if now_s < self._command_from_s:
                self._faults.append(f"{command.name(code)} within 5 ms of SLPIN or SLPOUT (8.2.11, 8.2.12)")
            self._command, self._received, self._pixel_rest = code, 0, b""
            if not command.PARAMETERS[code][0]:
                self._act(code, now_s)

    def _take_data(self, data: bytes) -> None:
        """Parameters or pixels of the present command; those of a command that was lost are lost with it."""
        code = self._command
        if code is None:
            return
        if code in (command.RAMWR, command.WRITE_CONTINUE):
            self._write_pixels(data)
            return
        wanted = command.PARAMETERS[code][0]
        taken = data[: max(0, wanted - self._received)]
        self._received += len(data)
        if taken:
            self.registers.store(code, self._received - len(data), taken)
            if self._received >= wanted:
                self._accept(code)
        if self._received > wanted:
            self._faults.append(f"{self._received} parameters after {command.name(code)}, it has {wanted}")

    def _end_parameters(self) -> None:
        """A new command ends the present one, which may lack parameters."""
        code = self._command
        if code is not None and (wanted := command.PARAMETERS[code][0]) > self._received:
            self._faults.append(f"{self._received} parameters after {command.name(code)}, it has {wanted}")
            if self._received:
                self._accept(code)

    def _accept(self, code: int) -> None:
        """The parameters of a command are there."""
        if code == command.VSCRSADD:
            self.modes.partial, self.modes.scrolling = False, True
        if problem := self.registers.problem(code):
            self._faults.append(f"{self.registers.text(code)} after {command.name(code)}: {problem}")

    def _act(self, code: int, now_s: float) -> None:
        """A command without parameters."""
        if code == command.SWRESET:
            self.registers.software_reset()
            self._reset(now_s)
            return
        if code in (command.SLPIN, command.SLPOUT):
            self._sleep(code, now_s)
        elif code in (command.PTLON, command.NORON):
            self.modes.partial, self.modes.scrolling = code == command.PTLON, False
        elif code in (command.DINVOFF, command.DINVON):
            self.modes.inverted = code == command.DINVON
        elif code in (command.DISPOFF, command.DISPON):
            self.modes.display_on = code == command.DISPON
        elif code in (command.IDMOFF, command.IDMON):
            self.modes.idle = code == command.IDMON
        elif code in (command.RAMWR, command.RAMRD):
            self.gram.begin(self.registers.window())
        if code in (command.RAMRD, command.READ_CONTINUE):
            self._reply = status.Reply(b"\0", self._read_pixels)  # a dummy byte, then 18 bits in any format
        else:
            self._reply = status.answer(code, self.registers, self.modes, self._self_diagnostic())
        self._in_read = self._reply is not None
        self._set_state()

    def _self_diagnostic(self) -> int:
        """RDDSDR (8.2.10): bits 7 and 6 are inverted at each SLPOUT that went well."""
        return 0xC0 * (self._diagnoses % 2)

    # Pixels

    def _write_pixels(self, data: bytes) -> None:
        data = self._pixel_rest + data
        size = self.registers.pixel_bytes()
        whole = len(data) - len(data) % size
        self._pixel_rest = data[whole:]
        if not whole:
            return
        pixels = data[:whole]
        planes = gram.from_16_bits(pixels, self.registers.epf()) if size == 2 else gram.from_18_bits(pixels)
        self.gram.write(self.registers.window(), planes, self.registers.wraps())

    def _read_pixels(self, count: int) -> bytes:
        return self.gram.read(self.registers.window(), count, self.registers.wraps())

    def picture(self) -> Picture:
        """What is on the glass as the module is mounted, seen with light behind it."""
        modes = self.modes
        if modes.asleep or not modes.display_on or self._reset_low_since_s is not None:
            return panel.undriven().turned(self._quarters)
        drive = self.registers.drive(modes.scrolling, modes.partial, modes.idle, modes.inverted)
        return panel.seen(self.gram.planes, drive).turned(self._quarters)

    def to_png(self, path: Path) -> None:
        """Write the picture as a PNG."""
        self.picture().to_png(path)
