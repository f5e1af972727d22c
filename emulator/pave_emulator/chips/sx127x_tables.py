"""SX1276: the tables of its datasheet (Semtech DS_SX1276-7-8-9 rev 7): registers of the LoRa page, times, currents."""

from __future__ import annotations

SLEEP, STDBY, FSTX, TX, FSRX, RX_CONTINUOUS, RX_SINGLE, CAD = range(8)
MODE_NAMES = ("SLEEP", "STDBY", "FSTX", "TX", "FSRX", "RXCONTINUOUS", "RXSINGLE", "CAD")

FIFO, OP_MODE, FRF_MSB, FRF_MID, FRF_LSB, PA_CONFIG, PA_RAMP, OCP, LNA = 0x00, 0x01, *range(0x06, 0x0D)
FIFO_ADDR_PTR, FIFO_TX_BASE, FIFO_RX_BASE, FIFO_RX_CURRENT, IRQ_FLAGS_MASK, IRQ_FLAGS = range(0x0D, 0x13)
RX_NB_BYTES, HEADER_CNT_MSB, HEADER_CNT_LSB, PACKET_CNT_MSB, PACKET_CNT_LSB, MODEM_STAT = range(0x13, 0x19)
PKT_SNR, PKT_RSSI, RSSI, HOP_CHANNEL, MODEM_CONFIG_1, MODEM_CONFIG_2, SYMB_TIMEOUT_LSB = range(0x19, 0x20)
PREAMBLE_MSB, PREAMBLE_LSB, PAYLOAD_LENGTH, MAX_PAYLOAD_LENGTH, HOP_PERIOD, FIFO_RX_BYTE_ADDR = range(0x20, 0x26)
MODEM_CONFIG_3, PPM_CORRECTION, FEI_MSB, FEI_MID, FEI_LSB, RSSI_WIDEBAND = *range(0x26, 0x2B), 0x2C
IF_FREQ_2, IF_FREQ_1, DETECT_OPTIMIZE, INVERT_IQ, HIGH_BW_1, DETECTION_THRESHOLD = 0x2F, 0x30, 0x31, 0x33, 0x36, 0x37
SYNC_WORD, HIGH_BW_2, INVERT_IQ_2, DIO_MAPPING_1, DIO_MAPPING_2, VERSION = 0x39, 0x3A, 0x3B, 0x40, 0x41, 0x42
TCXO, PA_DAC = 0x4B, 0x4D
VERSION_VALUE = 0x12

COMMON_DEFAULTS = {  # on both pages (table 41)
    FRF_MSB: 0x6C,
    FRF_MID: 0x80,
    FRF_LSB: 0x00,
    PA_CONFIG: 0x4F,
    PA_RAMP: 0x09,
    OCP: 0x2B,
    LNA: 0x20,
    DIO_MAPPING_1: 0x00,
    DIO_MAPPING_2: 0x00,
    TCXO: 0x09,
    PA_DAC: 0x84,
}
LORA_DEFAULTS = {
    FIFO_ADDR_PTR: 0x00,
    FIFO_TX_BASE: 0x80,
    FIFO_RX_BASE: 0x00,
    IRQ_FLAGS_MASK: 0x00,
    MODEM_CONFIG_1: 0x72,
    MODEM_CONFIG_2: 0x70,
    SYMB_TIMEOUT_LSB: 0x64,
    PREAMBLE_MSB: 0x00,
    PREAMBLE_LSB: 0x08,
    PAYLOAD_LENGTH: 0x01,
    MAX_PAYLOAD_LENGTH: 0xFF,
    HOP_PERIOD: 0x00,
    MODEM_CONFIG_3: 0x04,
    PPM_CORRECTION: 0x00,
    IF_FREQ_2: 0x20,
    IF_FREQ_1: 0x00,
    DETECT_OPTIMIZE: 0xC3,
    INVERT_IQ: 0x27,
    HIGH_BW_1: 0x03,
    DETECTION_THRESHOLD: 0x0A,
    SYNC_WORD: 0x12,
    HIGH_BW_2: 0x20,
    INVERT_IQ_2: 0x1D,
}
READ_ONLY = {FIFO_RX_CURRENT, *range(RX_NB_BYTES, MODEM_CONFIG_1), FIFO_RX_BYTE_ADDR, FEI_MSB, FEI_MID, FEI_LSB}
READ_ONLY |= {RSSI_WIDEBAND, VERSION}
RESERVED_BITS = {  # register: reserved bits, their reset value
    DETECT_OPTIMIZE: (0x78, 0x40),
    MODEM_CONFIG_3: (0xF3, 0x00),
    PA_DAC: (0xF8, 0x80),
    TCXO: (0xEF, 0x09),
}

# RegIrqFlags
RX_TIMEOUT, RX_DONE, PAYLOAD_CRC_ERROR, VALID_HEADER, TX_DONE, CAD_DONE, FHSS_CHANGE, CAD_DETECTED = (
    0x80 >> bit for bit in range(8)
)
# RegModemStat
MODEM_CLEAR, HEADER_VALID, RX_ONGOING, SYNCHRONIZED, DETECTED = 0x10, 0x08, 0x04, 0x02, 0x01

DIO_SIGNALS: dict[str, tuple[int, int, tuple[int, ...]]] = {  # register, shift, flag of each mapping (table 18)
    "dio0": (DIO_MAPPING_1, 6, (RX_DONE, TX_DONE, CAD_DONE)),
    "dio1": (DIO_MAPPING_1, 4, (RX_TIMEOUT, FHSS_CHANGE, CAD_DETECTED)),
    "dio2": (DIO_MAPPING_1, 2, (FHSS_CHANGE, FHSS_CHANGE, FHSS_CHANGE)),
    "dio3": (DIO_MAPPING_1, 0, (CAD_DONE, VALID_HEADER, PAYLOAD_CRC_ERROR)),
    "dio4": (DIO_MAPPING_2, 6, (CAD_DETECTED,)),
    "dio5": (DIO_MAPPING_2, 4, ()),  # mapping 0: ModeReady
}

XTAL_HZ, FREQUENCY_STEPS = 32_000_000, 1 << 19
BANDWIDTH_HZ = (7_810, 10_420, 15_630, 20_830, 31_250, 41_670, 62_500, 125_000, 250_000, 500_000)
HF_PORT_HZ = 779_000_000  # band 1; there is none between 525 and 779 MHz
RSSI_OFFSET_HF_DBM, RSSI_OFFSET_LF_DBM = -157, -164  # 5.5.5

# Errata note rev 1, 2.1: RegHighBwOptimize1 and 2 for 500 kHz, by band
HIGH_BW_BANDS = ((862_000_000, 1_020_000_000, 0x02, 0x64), (410_000_000, 525_000_000, 0x02, 0x7F))

# s (table 7; 7.2)
OSCILLATOR_S, SYNTHESIZER_S = 250e-6, 60e-6
POWER_ON_S, RESET_READY_S, RESET_LOW_S = 10e-3, 5e-3, 100e-6
CAD_PROCESSING_HZ = 1_750_000  # AN1200.21: SF * 2^SF / 1.75 MHz after (2^SF + 32) / BW

# PA (5.4.2 and 5.4.3)
BOOST_MA = {20: 120.0, 17: 87.0}
RFO_MA = ((7, 20.0), (13, 29.0))  # table 6; between and above on the line through them
PA_DAC_20_DBM, PA_DAC_DEFAULT = 7, 4


def boost_ma(power_dbm: int) -> float:
    """Supply current sending on PA_BOOST; below +17 dBm an upper bound (not listed)."""
    return BOOST_MA[20] if power_dbm > 17 else BOOST_MA[17]


def rfo_ma(power_dbm: int) -> float:
    """Supply current sending on RFO; below +7 dBm an upper bound (not listed)."""
    (low_dbm, low_ma), (high_dbm, high_ma) = RFO_MA
    return max(low_ma, low_ma + (high_ma - low_ma) * (power_dbm - low_dbm) / (high_dbm - low_dbm))


STATES_UA = {
    "off": 0.0,
    "reset": 1_600.0,  # as standby: not listed
    "sleep": 0.2,
    "stdby": 1_600.0,
    "fs": 5_800.0,
    "rx": 11_500.0,  # band 1, LnaBoost on
    "rx-noboost": 10_800.0,
    **{f"tx-boost-{dbm}dbm": boost_ma(dbm) * 1000 for dbm in range(2, 21)},
    **{f"tx-rfo-{dbm}dbm": rfo_ma(dbm) * 1000 for dbm in range(-5, 16)},
}
"""Supply currents at 3.3 V, 25 C (table 6)."""
