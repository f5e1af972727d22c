"""XM125: registers of the I2C distance detector (Acconeer, I2C Distance Detector User Guide, a121-v1.12.0)."""

from __future__ import annotations

from dataclasses import dataclass

# Register map (6.1)
VERSION, PROTOCOL_STATUS, MEASURE_COUNTER, DETECTOR_STATUS = 0x0000, 0x0001, 0x0002, 0x0003
DISTANCE_RESULT, PEAK0_DISTANCE, PEAK0_STRENGTH = 0x0010, 0x0011, 0x001B
START, END, MAX_STEP_LENGTH, CLOSE_RANGE, SIGNAL_QUALITY, MAX_PROFILE = 0x40, 0x41, 0x42, 0x43, 0x44, 0x45
THRESHOLD_METHOD, PEAK_SORTING, NUM_FRAMES_RECORDED, FIXED_AMPLITUDE = 0x46, 0x47, 0x48, 0x49
THRESHOLD_SENSITIVITY, REFLECTOR_SHAPE, FIXED_STRENGTH = 0x4A, 0x4B, 0x4C
MEASURE_ON_WAKEUP, COMMAND, APPLICATION_ID = 0x0080, 0x0100, 0xFFFF

PEAKS = 10
VERSION_VALUE = 1 << 16 | 12 << 8  # a121-v1.12.0
APPLICATION_DISTANCE_DETECTOR = 1

# Protocol Status (6.2.2)
PROTOCOL_STATE_ERROR, PACKET_LENGTH_ERROR, ADDRESS_ERROR, WRITE_FAILED, WRITE_TO_READ_ONLY = 1, 2, 4, 8, 16

# Detector Status (6.2.4): what each step has achieved, and what went wrong
STATUS_BOOTED = 0x0000_0007  # RSS register, config create, sensor create
STATUS_APPLIED = 0x0000_00F8  # detector create, detector/sensor/calibration buffer, config apply
STATUS_CALIBRATED = 0x0000_0300  # sensor calibrate, detector calibrate
STATUS_CONFIG_APPLY_ERROR, STATUS_DETECTOR_ERROR, STATUS_BUSY = 0x0080_0000, 0x1000_0000, 0x8000_0000
STATUS_ERRORS = 0x13FF_0000

# Distance Result (6.2.5)
RESULT_NEAR_START_EDGE, RESULT_CALIBRATION_NEEDED, RESULT_MEASURE_ERROR = 0x100, 0x200, 0x400
RESULT_TEMPERATURE_SHIFT = 16

# Enumerations
FIXED_AMPLITUDE_METHOD, RECORDED_METHOD, CFAR_METHOD, FIXED_STRENGTH_METHOD = 1, 2, 3, 4  # 6.2.32
CLOSEST, STRONGEST = 1, 2  # 6.2.33
GENERIC, PLANAR = 1, 2  # 6.2.37
APPLY_CONFIG_AND_CALIBRATE, MEASURE_DISTANCE, APPLY_CONFIGURATION, CALIBRATE, RECALIBRATE = 1, 2, 3, 4, 5  # 6.2.40
ENABLE_UART_LOGS, DISABLE_UART_LOGS, LOG_CONFIGURATION = 32, 33, 34
RESET_MODULE = 1381192737


@dataclass(frozen=True)
class Setting:
    """A register that can be written: its value after a reset, the values it can hold, its section."""

    default: int
    valid: range
    section: str


_UINT, _INT, _BOOL = range(1 << 32), range(-(1 << 31), 1 << 31), range(1 << 32)

SETTINGS = {
    START: Setting(250, _UINT, "6.2.26"),
    END: Setting(3000, _UINT, "6.2.27"),
    MAX_STEP_LENGTH: Setting(0, _UINT, "6.2.28"),
    CLOSE_RANGE: Setting(1, _BOOL, "6.2.29"),
    SIGNAL_QUALITY: Setting(15000, _INT, "6.2.30"),
    MAX_PROFILE: Setting(5, range(1, 6), "6.2.31"),
    THRESHOLD_METHOD: Setting(CFAR_METHOD, range(1, 5), "6.2.32"),
    PEAK_SORTING: Setting(STRONGEST, range(1, 3), "6.2.33"),
    NUM_FRAMES_RECORDED: Setting(100, _UINT, "6.2.34"),
    FIXED_AMPLITUDE: Setting(100000, _UINT, "6.2.35"),
    THRESHOLD_SENSITIVITY: Setting(500, range(1001), "6.2.36"),
    REFLECTOR_SHAPE: Setting(GENERIC, range(1, 3), "6.2.37"),
    FIXED_STRENGTH: Setting(0, _INT, "6.2.38"),
    MEASURE_ON_WAKEUP: Setting(0, _BOOL, "6.2.39"),
}
READABLE = (
    {VERSION, PROTOCOL_STATUS, MEASURE_COUNTER, DETECTOR_STATUS, APPLICATION_ID}
    | set(range(DISTANCE_RESULT, PEAK0_STRENGTH + PEAKS))
    | set(SETTINGS)
)

# Supply currents (Acconeer's power model of the XM125: exptool 7, a121/model/power/lookup.py), module and A121 together
STATES_UA = {
    "off": 0.0,
    "sleep": 3.1,  # module asleep 0.1, sensor off 3
    "hibernate": 15.1,  # module asleep 0.1, sensor hibernates with its calibration 15
    "ready": 5900.0,  # module awake 4800, sensor in deep sleep 1100
    "processing": 14100.0,  # module 13000, sensor in deep sleep 1100
    "measuring": 81300.0,  # module awake 4800, sensor measures with profile 5 76500
}
