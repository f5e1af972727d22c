"""SX1262: what commands configure, and what a sleep keeps of it (DS.SX1261-2.W.APP rev 2.1, chapters 12 and 13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pave_emulator.air.radio import Modulation
from pave_emulator.chips import sx126x_tables as t
from pave_emulator.chips.chip import ChipFault


class Refused(ChipFault):
    """A command that cannot be executed at this time: status 5 of table 13-76, and nothing happens."""


class Reported(ChipFault):
    """Carried out, and worth knowing: the datasheet warns of what was done (an erratum, a missing step)."""


def check(valid: bool, what: str) -> None:
    """Raise ChipFault that a parameter is not one of the datasheet's."""
    if not valid:
        raise ChipFault(f"SX1262: {what}")


@dataclass
class Config:
    """Everything a warm sleep retains. None: never set since the last cold start."""

    registers: dict[int, int] = field(default_factory=lambda: dict(t.DEFAULTS))
    packet_type: int = 0  # GFSK after a reset
    frequency_hz: int | None = None
    modulation: tuple[int, int, int, bool] | None = None  # spreading factor, Hz, coding rate, low data rate
    packet: tuple[int, bool, int, bool, bool] | None = None  # preamble, implicit, bytes, CRC, inverted IQ
    pa_max_dbm: int | None = None
    power: int | None = None
    tx_base: int = 0
    rx_base: int = 0
    irq_mask: int = 0
    dio_masks: tuple[int, int, int] = (0, 0, 0)
    fallback: int = t.STDBY_RC
    dcdc: bool = False
    dio2_switch: bool = False
    tcxo_s: float | None = None
    stop_on_preamble: bool = False
    cad_symbols: int = 1
    cad_to_rx: bool = False
    cad_timeout: int = 0
    image_hz: tuple[int, int] = t.DEFAULT_IMAGE_HZ

    # Commands

    def set_packet_type(self, parameters: bytes) -> None:
        """13.4.2; only LoRa is modelled."""
        check(parameters[0] == 1, f"packet type {parameters[0]} is not modelled, only LoRa (1) is (13.4.2)")
        self.packet_type = 1

    def set_rf_frequency(self, parameters: bytes) -> None:
        """13.4.1."""
        hertz = round(int.from_bytes(parameters, "big") * t.XTAL_HZ / t.FREQUENCY_STEPS)
        low, high = t.FREQUENCY_RANGE_HZ
        check(low <= hertz <= high, f"frequency {hertz} Hz is outside of 150 to 960 MHz (table 3-3)")
        self.frequency_hz = hertz

    def set_modulation_params(self, parameters: bytes) -> None:
        """13.4.5, LoRa."""
        self._require_lora("SetModulationParams")
        spreading, bandwidth, coding, low_data_rate = parameters[:4]
        check(5 <= spreading <= 12, f"spreading factor {spreading:#04x} (table 13-47)")
        check(bandwidth in t.BANDWIDTH_HZ, f"bandwidth {bandwidth:#04x} (table 13-48)")
        check(1 <= coding <= 4, f"coding rate {coding:#04x} (table 13-49)")
        check(low_data_rate <= 1, f"LowDataRateOptimize {low_data_rate:#04x} (table 13-50)")
        self.modulation = (spreading, t.BANDWIDTH_HZ[bandwidth], coding + 4, bool(low_data_rate))

    def set_packet_params(self, parameters: bytes) -> None:
        """13.4.6, LoRa."""
        self._require_lora("SetPacketParams")
        preamble = int.from_bytes(parameters[:2], "big")
        header, size, crc, inverted = parameters[2:6]
        check(preamble > 0, "a preamble of 0 symbols (table 13-67)")
        check(header <= 1, f"header type {header:#04x} (table 13-68)")
        check(crc <= 1, f"CRC type {crc:#04x} (table 13-70)")
        check(inverted <= 1, f"InvertIQ {inverted:#04x} (table 13-71)")
        self.packet = (preamble, bool(header), size, bool(crc), bool(inverted))

    def set_pa_config(self, parameters: bytes) -> None:
        """13.1.14."""
        duty_cycle, hp_max, device, lut = parameters
        check(device == 0, f"deviceSel {device:#04x}: this is an SX1262, 0 (table 13-20)")
        check(lut == 1, f"paLut {lut:#04x} is reserved, always 1 (table 13-20)")
        check(duty_cycle <= t.MAX_PA_DUTY_CYCLE, f"paDutyCycle {duty_cycle:#04x} above 4 damages the PA (13.1.14.1)")
        check(hp_max <= t.MAX_HP_MAX, f"hpMax {hp_max:#04x} above 7 ages the PA (13.1.14.1)")
        known = t.PA_CONFIGS.get((duty_cycle, hp_max))
        if known is None:
            raise ChipFault(f"SX1262: paDutyCycle {duty_cycle}, hpMax {hp_max} is not in table 13-21, not modelled")
        self.pa_max_dbm = known[0]
        self.registers[t.OCP] = t.OCP_OF_SX1262

    def set_tx_params(self, parameters: bytes) -> None:
        """13.4.4."""
        power = int.from_bytes(parameters[:1], "big", signed=True)
        check(t.MIN_POWER_DBM <= power <= t.MAX_POWER_DBM, f"power {power} is outside of -9 to +22 (13.4.4)")
        check(parameters[1] <= 7, f"ramp time {parameters[1]:#04x} (table 13-41)")
        self.power = power

    def set_buffer_base_address(self, parameters: bytes) -> None:
        """13.4.8."""
        self.tx_base, self.rx_base = parameters

    def set_dio_irq_params(self, parameters: bytes) -> None:
        """13.3.1."""
        self.irq_mask, *dios = (int.from_bytes(parameters[at : at + 2], "big") for at in range(0, 8, 2))
        self.dio_masks = (dios[0], dios[1], dios[2])

    def set_fallback(self, parameters: bytes) -> None:
        """13.1.15."""
        modes = {0x20: t.STDBY_RC, 0x30: t.STDBY_XOSC, 0x40: t.FS}
        check(parameters[0] in modes, f"fallback mode {parameters[0]:#04x} (table 13-23)")
        self.fallback = modes[parameters[0]]

    def set_regulator_mode(self, parameters: bytes) -> None:
        """13.1.11."""
        check(parameters[0] <= 1, f"regulator mode {parameters[0]:#04x} (table 13-16)")
        self.dcdc = bool(parameters[0])

    def set_dio2_switch(self, parameters: bytes) -> None:
        """13.3.5."""
        check(parameters[0] <= 1, f"DIO2 as RF switch {parameters[0]:#04x} (table 13-33)")
        self.dio2_switch = bool(parameters[0])

    def set_dio3_tcxo(self, parameters: bytes) -> None:
        """13.3.6; voltage in table 13-35."""
        check(parameters[0] <= 7, f"TCXO voltage {parameters[0]:#04x} (table 13-35)")
        self.tcxo_s = int.from_bytes(parameters[1:], "big") * t.TICK_S

    def set_stop_on_preamble(self, parameters: bytes) -> None:
        """13.1.6."""
        check(parameters[0] <= 1, f"StopTimerOnPreamble {parameters[0]:#04x} (table 13-11)")
        self.stop_on_preamble = bool(parameters[0])

    def set_symbol_timeout(self, parameters: bytes) -> None:
        """13.4.9; above 31 pairs the register takes mantissa and exponent (Semtech's driver, 0x0706)."""
        mantissa, exponent = (parameters[0] + 1) >> 1, 0
        while mantissa > 31:
            mantissa, exponent = (mantissa + 3) >> 2, exponent + 1
        self.registers[t.SYNCH_TIMEOUT] = mantissa << 3 | exponent

    def set_cad_params(self, parameters: bytes) -> None:
        """13.4.7."""
        check(parameters[0] <= 4, f"cadSymbolNum {parameters[0]:#04x} (table 13-73)")
        check(parameters[3] <= 1, f"cadExitMode {parameters[3]:#04x} (table 13-75)")
        self.cad_symbols, self.cad_to_rx = 1 << parameters[0], bool(parameters[3])
        self.cad_timeout = int.from_bytes(parameters[4:], "big")

    # What follows from it

    def symbol_timeout(self) -> int:
        """Symbols within which a packet must have been detected; 0: no limit."""
        register = self.registers[t.SYNCH_TIMEOUT]
        return (register >> 3) << (2 * (register & 7) + 1)

    def to_send(self, size: int) -> Modulation:
        """Parameters of a packet of `size` bytes. Raise Refused when a step of 14.2 is missing."""
        self._require_lora("SetTx")
        if self.pa_max_dbm is None or self.power is None:
            raise Refused("SX1262: SetTx without SetPaConfig and SetTxParams (14.2)")
        return self.to_receive(size)

    def to_receive(self, size: int = 0) -> Modulation:
        """Parameters of a receiver. Raise Refused when a step of 14.3 is missing."""
        self._require_lora("SetRx")
        if self.frequency_hz is None or self.modulation is None or self.packet is None:
            raise Refused("SX1262: SetRfFrequency, SetModulationParams and SetPacketParams come first (14.2, 14.3)")
        spreading, bandwidth_hz, coding, low_data_rate = self.modulation
        preamble, implicit, expected, crc, inverted = self.packet
        return Modulation(
            frequency_hz=self.frequency_hz,
            spreading_factor=spreading,
            bandwidth_hz=bandwidth_hz,
            coding_rate=coding,
            preamble_symbols=preamble,
            explicit_header=not implicit,
            crc=crc,
            inverted_iq=inverted,
            sync_word=self._sync_word(),
            low_data_rate=low_data_rate,
            payload_bytes=(size or expected) if implicit else 0,
        )

    def power_dbm(self) -> int:
        """What the PA puts out: at +22 the maximum of its configuration (table 13-21)."""
        return (self.pa_max_dbm or 0) + (self.power or 0) - t.MAX_POWER_DBM

    def forget_in_warm_sleep(self) -> None:
        """Registers that are not retained, unless the retention list names them (9.6)."""
        listed = self.registers[t.RETENTION_LIST]
        pairs = (t.RETENTION_LIST + 1 + 2 * at for at in range(min(listed, t.MAX_RETAINED)))
        retained = {self.registers[at] << 8 | self.registers[at + 1] for at in pairs}
        for register in t.LOST_IN_WARM_SLEEP:
            if register not in retained:
                self.registers[register] = t.DEFAULTS[register]

    def _sync_word(self) -> int:
        """One byte as the SX127x has it (0x3444 is 0x34); both bytes when the low halves are not the usual 4."""
        high, low = self.registers[t.SYNC_WORD_MSB], self.registers[t.SYNC_WORD_LSB]
        return high & 0xF0 | low >> 4 if high & 0x0F == low & 0x0F == 4 else high << 8 | low

    def _require_lora(self, command: str) -> None:
        if self.packet_type != 1:
            raise Refused(f"SX1262: {command} before SetPacketType LoRa; GFSK is not modelled (13.4.2)")


CONFIGURE: dict[int, Callable[[Config, bytes], None]] = {
    0x08: Config.set_dio_irq_params,
    0x86: Config.set_rf_frequency,
    0x88: Config.set_cad_params,
    0x8A: Config.set_packet_type,
    0x8B: Config.set_modulation_params,
    0x8C: Config.set_packet_params,
    0x8E: Config.set_tx_params,
    0x8F: Config.set_buffer_base_address,
    0x93: Config.set_fallback,
    0x95: Config.set_pa_config,
    0x96: Config.set_regulator_mode,
    0x9D: Config.set_dio2_switch,
    0x9F: Config.set_stop_on_preamble,
    0xA0: Config.set_symbol_timeout,
}
"""The commands that only configure, by opcode."""
