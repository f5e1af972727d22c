"""LIS2MDL: registers, bits and tables (ST DS12144 rev 6; CFG and INT registers also as in ST's lis2mdl_reg.h)."""

from __future__ import annotations

UT_PER_LSB = 0.15  # sensitivity 1.5 mgauss (table 2)
TEMPERATURE_LSB_PER_C = 8.0  # table 2
TEMPERATURE_ZERO_C = 25.0
INT16_MAX = 32767

OFFSET_X_L, WHO_AM_I = 0x45, 0x4F
CFG_A, CFG_B, CFG_C = 0x60, 0x61, 0x62
INT_CTRL, INT_SOURCE, INT_THS_L, INT_THS_H = 0x63, 0x64, 0x65, 0x66
STATUS, OUTX_L, OUTZ_H, TEMP_L, TEMP_H = 0x67, 0x68, 0x6D, 0x6E, 0x6F
WHO_AM_I_VALUE = 0x40  # 8.4

# CFG_REG_A (8.5): COMP_TEMP_EN is stored and has no effect, the environment's field is free of temperature drift.
CFG_A_COMP_TEMP_EN, CFG_A_REBOOT, CFG_A_SOFT_RST, CFG_A_LP = 0x80, 0x40, 0x20, 0x10
CFG_A_ODR_SHIFT, CFG_A_MD = 2, 0x03
CONTINUOUS, SINGLE, IDLE = 0, 1, 3  # MD; 2 is idle as well
# CFG_REG_B (8.6)
CFG_B_OFF_CANC_ONE_SHOT, CFG_B_INT_ON_DATAOFF, CFG_B_OFF_CANC = 0x10, 0x08, 0x02
# CFG_REG_C (8.7)
CFG_C_INT_ON_PIN, CFG_C_I2C_DIS, CFG_C_BDU, CFG_C_BLE = 0x40, 0x20, 0x10, 0x08
CFG_C_4WSPI, CFG_C_SELF_TEST, CFG_C_DRDY_ON_PIN = 0x04, 0x02, 0x01
# INT_CTRL_REG (8.8) and INT_SOURCE_REG (8.9)
INT_CTRL_IEA, INT_CTRL_IEL, INT_CTRL_IEN = 0x04, 0x02, 0x01
SOURCE_MROI, SOURCE_INT = 0x02, 0x01

DEFAULTS = {CFG_A: 0x03, CFG_B: 0, CFG_C: 0, INT_CTRL: 0xE0, INT_THS_L: 0, INT_THS_H: 0} | dict.fromkeys(
    range(OFFSET_X_L, OFFSET_X_L + 6), 0
)
"""Registers that can be written, and what they hold after a reset (table 22)."""

RESERVED_BITS = {CFG_B: 0xE0, CFG_C: 0x80, INT_CTRL: 0x18}
READ_ONLY = {WHO_AM_I, INT_SOURCE, *range(STATUS, TEMP_H + 1)}

ODR_HZ = (10, 20, 50, 100)  # table 25
TURN_ON_HR_S, TURN_ON_LP_S = 0.0094, 0.0064  # table 11; continuous with offset cancellation one period more
SINGLE_CANCELS_S = 0.0036  # single measurements with it: Zephyr's driver of the part has measured 13 ms in all
REBOOT_S = 0.020  # AN5069, start-up sequence
SELF_TEST_LSB = 133  # 200 mgauss; table 2 allows 15 to 500

SUPPLY_UA = {  # table 10: high resolution, low power, the same with offset cancellation; by ODR
    10: (100.0, 25.0, 120.0, 50.0),
    20: (200.0, 50.0, 235.0, 100.0),
    50: (475.0, 125.0, 575.0, 235.0),
    100: (950.0, 250.0, 1130.0, 460.0),
}
SUFFIXES = ("hr", "lp", "hr-canc", "lp-canc")

STATES_UA = (
    {"off": 0.0, "idle": 1.5}  # table 3, power-down
    | {f"{odr_hz}hz-{SUFFIXES[i]}": ua for odr_hz, row in SUPPLY_UA.items() for i, ua in enumerate(row)}
    | {  # the charge that one sample costs in continuous mode at 10 Hz, in uC, drawn within its time
        "single-hr": 10.0 / TURN_ON_HR_S,
        "single-lp": 2.5 / TURN_ON_LP_S,
        "single-hr-canc": 12.0 / (TURN_ON_HR_S + SINGLE_CANCELS_S),
        "single-lp-canc": 5.0 / (TURN_ON_LP_S + SINGLE_CANCELS_S),
    }
)
