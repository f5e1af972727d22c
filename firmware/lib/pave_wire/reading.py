"""A reading: what a device measured at one moment, under an identity that never changes.

The identity is (device, epoch, seq), written `device:epoch:seq`. The device's outbox gives it when the reading enters;
it travels with the reading on every link and outlives every re-sending, so a back-end that keeps it as a key stores
each reading once. `seq` counts readings and may leave numbers out (a full outbox gives some up). `epoch`
advances whenever the device can no longer say which seq it gave last, and seq starts again from 0. So the identities of
one device are ordered by (epoch, seq), and no pair is ever given twice.
"""

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    Value = bool | int | float | str

OCCUPIED = "occupied"  # bool: a vehicle stands on the bay; absent while BLIND
BLIND = "blind"  # True: the sensor cannot tell (snow, a film of water)
REASON = "reason"  # why the reading was made: one of REASONS
CONFIDENCE = "confidence"  # 0 to 1, of OCCUPIED
FIELD = "field"  # T, magnitude of the deviation from the baseline
LASTED = "lasted"  # s, how long the state that just ended lasted, by the device's clock
ENDED = "ended"  # the state that just ended, one of STATES; stated where it is not simply the opposite of OCCUPIED
SCREEN_FREE = "screen-free"  # free bays shown on a kiosk's screen
FAULT = "fault"  # the part that does not answer, such as "magnetometer"
RESET = "reset"  # what the device has started after, as in hello.RESET_CAUSES, or "crash"
CRASH = "crash"  # the exception that ended it last
CRASH_AT = "crash-at"  # where, innermost first: file:line of each call
CRASH_VIA = "crash-via"  # more of them
TEMPERATURE = "temperature"  # Cel, of the air in a kiosk's housing
HUMIDITY = "humidity"  # %RH, there
ILLUMINANCE = "illuminance"  # lx, on a kiosk's screen
TAMPER = "tamper"  # bool: the housing is open
MAINS = "mains"  # bool: it has mains
FAN_RPM = "fan-rpm"  # 1/min
BACKLIGHT = "backlight"  # 0 to 1, of a kiosk's screen
PC_ALIVE = "pc-alive"  # bool: the kiosk PC's heartbeat is heard
PC_CYCLES = "pc-cycles"  # how often the PC was power-cycled since the epoch began
BATTERY = "battery"  # V, of the cell
COMMISSION = "commission"  # what commissioning has found: "passed", the check that failed and why, or how the link is
MARGIN = "margin"  # dB, by how much the network could hear it weaker: the worst of a walk test
RSSI = "rssi"  # dBm, of the answer there
SNR = "snr"  # dB, of the answer there
DROPPED = "dropped"  # readings that this epoch's outbox gave up: no room, or refused

STATES = ("vacant", "occupied", "blind")
REASONS = ("boot", "field", "heartbeat", "radar", "command", "tilt")
# RFC 8428, table 6; "count" is RFC 8798's
UNITS = {
    CONFIDENCE: "/", FIELD: "T", LASTED: "s", SCREEN_FREE: "count", DROPPED: "count",
    TEMPERATURE: "Cel", HUMIDITY: "%RH", ILLUMINANCE: "lx", FAN_RPM: "1/min", BACKLIGHT: "/", PC_CYCLES: "count",
    BATTERY: "V", MARGIN: "dB", RSSI: "dBm", SNR: "dB",
}  # fmt: skip
BOOLEANS = (OCCUPIED, BLIND, TAMPER, MAINS, PC_ALIVE)


class Reading:
    """One reading.

    Attributes:
        device: EUI-64 as 16 lower-case hexadecimal digits.
        epoch: 0 to 2**32 - 1, advances when the device lost count of seq.
        seq: 0 to 2**32 - 1, the position in the epoch.
        age_s: seconds between the reading and the sending of the message that carries it.
        values: name to bool, int, float or str, in SI units (`UNITS`).
    """

    __slots__ = ("age_s", "device", "epoch", "seq", "values")

    def __init__(self, device: str, epoch: int, seq: int, age_s: float, values: "dict[str, Value]") -> None:
        self.device = device
        self.epoch = epoch
        self.seq = seq
        self.age_s = age_s
        self.values = values

    @property
    def identity(self) -> str:
        """`device:epoch:seq`, the key under which every back-end knows this reading."""
        return "%s:%d:%d" % (self.device, self.epoch, self.seq)


def class_of(values: "dict[str, Value]") -> str:
    """Return the class of a reading with these values: what is kept longest when space runs out comes first."""
    reason = values.get(REASON)
    if reason == "tilt":
        return "alarm"
    if REASON not in values and (TAMPER in values or MAINS in values):
        return "alarm"  # one of them has changed; in a sign of life they are as they were
    if OCCUPIED in values or BLIND in values:
        return "health" if reason == "heartbeat" else "presence"
    return (
        "health"
        if SCREEN_FREE in values or FAULT in values or COMMISSION in values or PC_ALIVE in values
        else "diagnostics"
    )
