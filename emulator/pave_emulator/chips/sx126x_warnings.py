"""SX1262: what a chip does without complaint and a datasheet warns of: errata (chapter 15) and missing steps."""

from __future__ import annotations

from pave_emulator.chips import sx126x_tables as t
from pave_emulator.chips.sx126x_config import Config

IQ_STANDARD_BIT = 0x04
NOT_500_KHZ_BIT = 0x04
WIDE_HZ = 500_000


def tx_warnings(config: Config, calibrated: bool, rf_switch_dio2: bool) -> list[str]:
    """Of a transmission that begins with this configuration."""
    warnings = _common(config, calibrated)
    if rf_switch_dio2 and not config.dio2_switch:
        warnings.append(f"SetTx without SetDIO2AsRfSwitchCtrl radiates {t.NO_RF_SWITCH_DB:.0f} dB less here (13.3.5)")
    if config.modulation and config.modulation[1] == WIDE_HZ and config.registers[t.TX_MODULATION] & NOT_500_KHZ_BIT:
        warnings.append("bit 2 of 0x0889 must be 0 to send with 500 kHz (15.1)")
    state = t.tx_state(config.pa_max_dbm or 0, config.power_dbm())
    limit_ma = config.registers[t.OCP] * t.OCP_MA_PER_LSB
    if t.STATES_UA.get(state, 0.0) > limit_ma * 1000:
        warnings.append(f"{state} draws more than the current limit, {limit_ma:g} mA (5.3)")
    return warnings


def rx_warnings(config: Config, calibrated: bool) -> list[str]:
    """Of a receiver that starts with this configuration."""
    warnings = _common(config, calibrated)
    low, high = config.image_hz
    if config.frequency_hz is not None and not low <= config.frequency_hz <= high:
        warnings.append(f"image rejection is calibrated for {low} to {high} Hz, not {config.frequency_hz} Hz (9.2.1)")
    return warnings


def _common(config: Config, calibrated: bool) -> list[str]:
    warnings = []
    if not calibrated:
        warnings.append("not calibrated since the TCXO is on: Calibrate after SetDIO3AsTcxoCtrl (13.3.6)")
    standard = bool(config.registers[t.IQ_POLARITY] & IQ_STANDARD_BIT)
    if config.packet and config.packet[4] == standard:
        warnings.append("bit 2 of 0x0736 must be 0 with inverted IQ and 1 without, or long packets are lost (15.4)")
    return warnings
