"""SX1262: the tables of its datasheet (Semtech DS.SX1261-2.W.APP rev 2.1): registers, times, currents, opcodes."""

from __future__ import annotations

# Chip modes as in the status byte (table 13-76), and command status
STDBY_RC, STDBY_XOSC, FS, RX, TX = 2, 3, 4, 5, 6
SLEEP = 0  # has no code: a chip asleep does not answer
MODE_NAMES = {SLEEP: "SLEEP", STDBY_RC: "STDBY_RC", STDBY_XOSC: "STDBY_XOSC", FS: "FS", RX: "RX", TX: "TX"}
STATUS_ACCEPTED = 1  # "RFU" in the table; what chips answer after a command that went well
STATUS_DATA, STATUS_INVALID, STATUS_REFUSED, STATUS_TX_DONE = 2, 4, 5, 6

# Interrupts (table 13-29)
TX_DONE, RX_DONE, PREAMBLE_DETECTED, HEADER_VALID = 0x001, 0x002, 0x004, 0x010
HEADER_ERR, CRC_ERR, CAD_DONE, CAD_DETECTED, TIMEOUT = 0x020, 0x040, 0x080, 0x100, 0x200

# Device errors (13.6.1)
XOSC_START_ERR = 0x20

# BUSY, s (8.3.1). What a command takes that changes no mode is not listed: an estimate.
COMMAND_S = 20e-6
COLD_START_S, WARM_START_S = 3500e-6, 340e-6
CALIBRATION_S = 3.5e-3  # of all blocks (9.2.1); that of some is not listed
SWITCH_S = {
    (STDBY_RC, STDBY_XOSC): 31e-6,
    (STDBY_RC, FS): 50e-6,
    (STDBY_RC, RX): 83e-6,
    (STDBY_RC, TX): 126e-6,
    (STDBY_XOSC, FS): 40e-6,
    (STDBY_XOSC, RX): 62e-6,
    (STDBY_XOSC, TX): 105e-6,
    (FS, RX): 41e-6,
    (FS, TX): 76e-6,
    (RX, FS): 15e-6,
    (RX, TX): 92e-6,
}
TICK_S = 15.625e-6  # of timeouts: 64 kHz
RX_CONTINUOUS = 0xFFFFFF
RESET_S = 100e-6  # NRESET low for it to count (8.1)

# Frequency: RfFreq * 32 MHz / 2^25 (13.4.1)
XTAL_HZ, FREQUENCY_STEPS = 32_000_000, 1 << 25
FREQUENCY_RANGE_HZ = (150_000_000, 960_000_000)
IMAGE_STEP_HZ = 4_000_000
DEFAULT_IMAGE_HZ = (902_000_000, 928_000_000)  # what a full calibration assumes (9.2.1)

# Modulation (tables 13-47 to 13-50)
BANDWIDTH_HZ = {
    0x00: 7_810,
    0x08: 10_420,
    0x01: 15_630,
    0x09: 20_830,
    0x02: 31_250,
    0x0A: 41_670,
    0x03: 62_500,
    0x04: 125_000,
    0x05: 250_000,
    0x06: 500_000,
}

# Registers (table 12-1)
RETENTION_LIST, SYNCH_TIMEOUT, IQ_POLARITY, SYNC_WORD_MSB, SYNC_WORD_LSB = 0x029F, 0x0706, 0x0736, 0x0740, 0x0741
RANDOM_NUMBER, TX_MODULATION, RX_GAIN, TX_CLAMP, OCP = 0x0819, 0x0889, 0x08AC, 0x08D8, 0x08E7
RTC_CONTROL, XTA_TRIM, XTB_TRIM, DIO3_VOLTAGE, EVENT_MASK = 0x0902, 0x0911, 0x0912, 0x0920, 0x0944
GFSK_REGISTERS = {*range(0x06B8, 0x06C8), 0x06CD, 0x06CE}
DEFAULTS = {
    **dict.fromkeys(range(RETENTION_LIST, RETENTION_LIST + 9), 0),
    0x0580: 0x00,
    0x0583: 0x00,
    0x0584: 0x00,
    0x0585: 0x00,
    SYNCH_TIMEOUT: 0x00,
    IQ_POLARITY: 0x0D,
    SYNC_WORD_MSB: 0x14,
    SYNC_WORD_LSB: 0x24,
    TX_MODULATION: 0x01,
    RX_GAIN: 0x94,
    TX_CLAMP: 0xC8,
    OCP: 0x18,
    RTC_CONTROL: 0x00,
    XTA_TRIM: 0x05,
    XTB_TRIM: 0x05,
    DIO3_VOLTAGE: 0x01,
    EVENT_MASK: 0x00,
}
LOST_IN_WARM_SLEEP = (RX_GAIN, TX_MODULATION)  # unless on the retention list (9.6; Semtech's driver adds both)
MAX_RETAINED = 4
RX_GAIN_SAVING, RX_GAIN_BOOSTED = 0x94, 0x96
OCP_MA_PER_LSB = 2.5
OCP_OF_SX1262 = 0x38  # 140 mA, set by SetPaConfig (5.3)

# Power amplifier: (paDutyCycle, hpMax) -> dBm at SetTxParams +22 (table 13-21), mA (3.5, 868/915 MHz, optimal)
PA_CONFIGS = {(4, 7): (22, 118.0), (3, 5): (20, 84.0), (2, 3): (17, 58.0), (2, 2): (14, 45.0)}
PA_22_MA = ((14, 90.0), (17, 95.0), (20, 102.0), (22, 118.0))  # (4, 7) below its maximum (table 3-7)
MAX_PA_DUTY_CYCLE, MAX_HP_MAX = 4, 7
MIN_POWER_DBM, MAX_POWER_DBM = -9, 22
NO_RF_SWITCH_DB = 30.0  # through an RF switch that stands on receive: typical isolation of such switches


def pa_current_ma(power_dbm: int) -> float:
    """Supply current with the +22 dBm configuration at a lower power; below +14 dBm an upper bound (not listed)."""
    lower = PA_22_MA[0]
    for upper in PA_22_MA:
        if power_dbm <= upper[0]:
            if upper[0] == lower[0]:
                break
            return lower[1] + (upper[1] - lower[1]) * (power_dbm - lower[0]) / (upper[0] - lower[0])
        lower = upper
    return lower[1]


def tx_state(max_dbm: int, power_dbm: int) -> str:
    """Name of the power state of a transmission; `max_dbm` is that of the PA configuration."""
    return f"tx-{power_dbm}dbm" if max_dbm == power_dbm else f"tx-{power_dbm}dbm-of-{max_dbm}"


def _states_ua() -> dict[str, float]:
    states = {
        "off": 0.0,
        "reset": 600.0,  # as STDBY_RC: not listed
        "sleep-cold": 0.16,
        "sleep-warm": 0.6,
        "sleep-warm-rtc": 1.2,
        "stdby-rc": 600.0,
        "stdby-xosc": 800.0,
        "fs": 2_100.0,
        "fs-ldo": 3_550.0,
        "rx": 4_600.0,
        "rx-ldo": 8_800.0,
        "rx-boosted": 5_300.0,
        "rx-boosted-ldo": 10_100.0,
    }
    for max_dbm, milliamperes in PA_CONFIGS.values():
        for below in range(MAX_POWER_DBM - MIN_POWER_DBM + 1):
            power_dbm = max_dbm - below
            drawn = pa_current_ma(power_dbm) if max_dbm == MAX_POWER_DBM else milliamperes
            states[tx_state(max_dbm, power_dbm)] = drawn * 1000
    return states


STATES_UA = _states_ua()
"""Supply currents at 3.3 V, 25 C (tables 3-5 to 3-7): LoRa 125 kHz, DC-DC unless named LDO."""

# Opcodes (chapter 11): name and how many parameter bytes a write may have
SET_SLEEP, SET_STANDBY, SET_FS, SET_TX, SET_RX, SET_CAD = 0x84, 0x80, 0xC1, 0x83, 0x82, 0xC5
WRITES: dict[int, tuple[str, int, int]] = {
    0x00: ("ResetStats", 6, 6),
    0x02: ("ClearIrqStatus", 2, 2),
    0x07: ("ClearDeviceErrors", 2, 2),
    0x08: ("SetDioIrqParams", 8, 8),
    0x0D: ("WriteRegister", 3, 258),
    0x0E: ("WriteBuffer", 2, 257),
    SET_STANDBY: ("SetStandby", 1, 1),
    SET_RX: ("SetRx", 3, 3),
    SET_TX: ("SetTx", 3, 3),
    SET_SLEEP: ("SetSleep", 1, 1),
    0x86: ("SetRfFrequency", 4, 4),
    0x88: ("SetCadParams", 7, 7),
    0x89: ("Calibrate", 1, 1),
    0x8A: ("SetPacketType", 1, 1),
    0x8B: ("SetModulationParams", 4, 8),
    0x8C: ("SetPacketParams", 6, 9),
    0x8E: ("SetTxParams", 2, 2),
    0x8F: ("SetBufferBaseAddress", 2, 2),
    0x93: ("SetRxTxFallbackMode", 1, 1),
    0x94: ("SetRxDutyCycle", 6, 6),
    0x95: ("SetPaConfig", 4, 4),
    0x96: ("SetRegulatorMode", 1, 1),
    0x97: ("SetDIO3AsTcxoCtrl", 4, 4),
    0x98: ("CalibrateImage", 2, 2),
    0x9D: ("SetDIO2AsRfSwitchCtrl", 1, 1),
    0x9F: ("StopTimerOnPreamble", 1, 1),
    0xA0: ("SetLoRaSymbNumTimeout", 1, 1),
    SET_FS: ("SetFs", 0, 0),
    SET_CAD: ("SetCad", 0, 0),
}
GET_STATUS = 0xC0
READS: dict[int, tuple[str, int]] = {  # name, address bytes before the status byte
    0x10: ("GetStats", 0),
    0x11: ("GetPacketType", 0),
    0x12: ("GetIrqStatus", 0),
    0x13: ("GetRxBufferStatus", 0),
    0x14: ("GetPacketStatus", 0),
    0x15: ("GetRssiInst", 0),
    0x17: ("GetDeviceErrors", 0),
    0x1D: ("ReadRegister", 2),
    0x1E: ("ReadBuffer", 1),
    GET_STATUS: ("GetStatus", 0),
}
TEST_MODES = {0xD1: "SetTxContinuousWave", 0xD2: "SetTxInfinitePreamble"}
