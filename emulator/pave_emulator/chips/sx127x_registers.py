"""SX1276: what its registers configure, and which values they take (DS_SX1276-7-8-9 rev 7, 6.4; errata note rev 1)."""

from __future__ import annotations

from pave_emulator.air.radio import Modulation
from pave_emulator.chips import sx127x_tables as t
from pave_emulator.chips.chip import ChipFault


class Registers:
    """The registers that hold a value; what a read has to compute is the modem's."""

    def __init__(self) -> None:
        self.values = t.COMMON_DEFAULTS | t.LORA_DEFAULTS

    def __getitem__(self, register: int) -> int:
        return self.values[register]

    def __setitem__(self, register: int, value: int) -> None:
        self.values[register] = value

    def write(self, register: int, value: int) -> None:
        """Raise ChipFault for a value the datasheet does not have; changed reserved bits are taken, and fault."""
        check(register not in t.READ_ONLY, f"write to read-only register {register:#04x} (6.4)")
        check(register in self.values, f"register {register:#04x} is reserved or not modelled (table 41)")
        if register == t.MODEM_CONFIG_1:
            check(value >> 4 < len(t.BANDWIDTH_HZ), f"RegModemConfig1 {value:#04x}: bandwidth {value >> 4} (6.4)")
            check(1 <= value >> 1 & 7 <= 4, f"RegModemConfig1 {value:#04x}: coding rate {value >> 1 & 7} (6.4)")
        elif register == t.MODEM_CONFIG_2:
            known = "7 to 12 are modelled, SF6 has another packet format (4.1.1.2)"
            check(7 <= value >> 4 <= 12, f"RegModemConfig2 {value:#04x}: spreading factor {value >> 4}, {known}")
            check(not value & 0x08, f"RegModemConfig2 {value:#04x}: TxContinuousMode is not modelled (6.4)")
        elif register == t.HOP_PERIOD:
            check(value == 0, f"RegHopPeriod {value}: frequency hopping is not modelled (4.1.1.8)")
        elif register == t.PA_DAC:
            known = (t.PA_DAC_DEFAULT, t.PA_DAC_20_DBM)
            check(value & 7 in known, f"RegPaDac {value:#04x}: 4 and 7 are known (5.4.3)")
        elif register == t.DIO_MAPPING_1:
            check(all(value >> at & 3 < 3 for at in (0, 2, 4, 6)), f"RegDioMapping1 {value:#04x} (table 18)")
        self.values[register] = value
        mask, reset = t.RESERVED_BITS.get(register, (0, 0))
        check(value & mask == reset, f"{value:#04x} changes reserved bits of register {register:#04x} (6.4)")

    @property
    def frequency_hz(self) -> int:
        """Carrier."""
        steps = self[t.FRF_MSB] << 16 | self[t.FRF_MID] << 8 | self[t.FRF_LSB]
        return round(steps * t.XTAL_HZ / t.FREQUENCY_STEPS)

    @property
    def bandwidth_hz(self) -> int:
        """Of the LoRa modem."""
        return t.BANDWIDTH_HZ[self[t.MODEM_CONFIG_1] >> 4]

    @property
    def spreading_factor(self) -> int:
        """7 to 12."""
        return self[t.MODEM_CONFIG_2] >> 4

    @property
    def symbol_timeout(self) -> int:
        """Symbols that RXSINGLE waits for a preamble."""
        return (self[t.MODEM_CONFIG_2] & 3) << 8 | self[t.SYMB_TIMEOUT_LSB]

    def modulation(self, sending: bool) -> Modulation:
        """Parameters of the modem; the two directions have an InvertIQ bit each, of opposite sense (6.4, 0x33)."""
        implicit = bool(self[t.MODEM_CONFIG_1] & 1)
        inverted = not self[t.INVERT_IQ] & 0x01 if sending else bool(self[t.INVERT_IQ] & 0x40)
        return Modulation(
            frequency_hz=self.frequency_hz,
            spreading_factor=self.spreading_factor,
            bandwidth_hz=self.bandwidth_hz,
            coding_rate=(self[t.MODEM_CONFIG_1] >> 1 & 7) + 4,
            preamble_symbols=self[t.PREAMBLE_MSB] << 8 | self[t.PREAMBLE_LSB],
            explicit_header=not implicit,
            crc=bool(self[t.MODEM_CONFIG_2] & 0x04),
            inverted_iq=inverted,
            sync_word=self[t.SYNC_WORD],
            low_data_rate=bool(self[t.MODEM_CONFIG_3] & 0x08),
            payload_bytes=self[t.PAYLOAD_LENGTH] if implicit else 0,
        )

    def power_dbm(self) -> float:
        """Of the PA that RegPaConfig selects (5.4.2 and 5.4.3)."""
        config = self[t.PA_CONFIG]
        output = config & 0x0F
        if not config & 0x80:
            return 10.8 + 0.6 * (config >> 4 & 7) - (15 - output)
        return (5.0 if self[t.PA_DAC] & 7 == t.PA_DAC_20_DBM else 2.0) + output

    def tx_state(self) -> str:
        """Name of the power state while sending."""
        return f"tx-{'boost' if self[t.PA_CONFIG] & 0x80 else 'rfo'}-{round(self.power_dbm())}dbm"

    def ocp_ma(self) -> float | None:
        """Limit of the PA's current (5.4.4); None: off."""
        trim = self[t.OCP] & 0x1F
        if not self[t.OCP] & 0x20:
            return None
        return min(45.0 + 5 * trim if trim <= 15 else -30.0 + 10 * trim, 240.0)

    def warnings(self, modulation: Modulation, sending: bool) -> list[str]:
        """What the chip does without complaint and the datasheet or its errata warn of."""
        warnings = []
        if (self[t.INVERT_IQ_2] == 0x19) != modulation.inverted_iq:
            warnings.append(f"RegInvertIQ2 {self[t.INVERT_IQ_2]:#04x}: 0x19 with inverted IQ, 0x1d without (6.4)")
        limit_ma = self.ocp_ma()
        if sending and limit_ma is not None and t.STATES_UA[self.tx_state()] > limit_ma * 1000 + t.STATES_UA["fs"]:
            warnings.append(f"{self.tx_state()} draws more than the current limit, {limit_ma:g} mA (5.4.4)")
        for low, high, first, second in t.HIGH_BW_BANDS:
            wide = modulation.bandwidth_hz == 500_000 and low <= modulation.frequency_hz <= high
            if not sending and wide and (self[t.HIGH_BW_1], self[t.HIGH_BW_2]) != (first, second):
                warnings.append(f"500 kHz needs 0x36 = {first:#04x} and 0x3a = {second:#04x} (errata 2.1)")
        return warnings


def check(valid: bool, what: str) -> None:
    """Raise ChipFault unless `valid`."""
    if not valid:
        raise ChipFault(f"SX1276: {what}")
