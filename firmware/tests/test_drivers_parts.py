from checks import raised
from driver_bus import Level

from drivers.backlight import Backlight
from drivers.battery import SAMPLES, Battery
from drivers.debounced_input import DebouncedInput
from drivers.fan import COUNT_MAX_MS, Fan
from drivers.led import Led
from drivers.line_heartbeat import LineHeartbeat
from drivers.relay import Relay


class Pwm:
    def __init__(self):
        self.duties = []

    def duty_u16(self, duty):
        self.duties.append(duty)


class Counter:
    def __init__(self):
        self.count = 0
        self.running = False

    def start(self):
        self.running = True

    def value(self, value):
        assert value == 0 and self.running
        count, self.count = self.count, 0
        return count


# Fan


def test_two_pulses_are_a_revolution():
    counter = Counter()
    fan = Fan(Pwm(), counter)
    assert fan.rpm(1_000) is None  # it begins to count
    counter.count = 40
    assert fan.rpm(2_000) == 1_200
    assert fan.rpm(3_000) == 0  # stuck


def test_a_count_that_may_have_overflowed_is_not_taken_for_a_speed():
    counter = Counter()
    fan = Fan(Pwm(), counter)
    fan.rpm(0)
    counter.count = 73
    assert fan.rpm(COUNT_MAX_MS + 1) is None
    assert fan.rpm(COUNT_MAX_MS + 1) is None  # no time has passed
    counter.count = 73
    assert fan.rpm(COUNT_MAX_MS + 1_001) == 2_190


def test_the_duty_goes_from_nothing_to_always():
    pwm = Pwm()
    fan = Fan(pwm, Counter())
    for percent in (0, 50, 100):
        fan.set_percent(percent)
    assert pwm.duties == [0, 32767, 65535]
    assert "101" in str(raised(ValueError, fan.set_percent, 101))


# Backlight


def test_half_as_bright_is_a_quarter_of_the_duty():
    pwm = Pwm()
    light = Backlight(pwm)
    for percent in (0, 1, 50, 100):
        light.set_percent(percent)
    assert pwm.duties == [0, 6, 16383, 65535]
    assert "-1" in str(raised(ValueError, light.set_percent, -1))


# Relay


def test_a_load_on_the_normally_closed_contact_has_power_while_the_coil_has_none():
    coil = Level(0)
    relay = Relay(coil, normally_closed=True)
    assert relay.is_closed()
    relay.open()
    assert coil.value() == 1 and not relay.is_closed()
    relay.close()
    assert coil.value() == 0 and relay.is_closed()


def test_a_load_on_the_normally_open_contact_has_power_while_the_coil_has():
    coil = Level(0)
    relay = Relay(coil)
    assert not relay.is_closed()
    relay.close()
    assert coil.value() == 1 and relay.is_closed()
    relay.open()
    assert coil.value() == 0 and not relay.is_closed()


# LED


def lit(led, pin, times_ms):
    shown = []
    for now_ms in times_ms:
        wait_ms = led.update(now_ms)
        shown.append((pin.value(), wait_ms))
    return shown


def test_a_pattern_is_repeated_and_says_when_it_changes():
    pin = Level()
    led = Led(pin)
    led.show((100, 200), 1_000)
    assert lit(led, pin, (1_000, 1_099, 1_100, 1_299, 1_300, 9_450)) == [
        (1, 100), (1, 1), (0, 200), (0, 1), (1, 100), (1, 50),
    ]  # fmt: skip


def test_a_pattern_may_end_by_itself_and_dark_is_the_end():
    pin = Level()
    led = Led(pin, lit=0)
    led.show((100, 200), 0, times=2)
    assert lit(led, pin, (0, 399, 599, 600, 5_000)) == [(0, 100), (0, 1), (1, 1), (1, None), (1, None)]
    led.show((), 6_000)
    assert lit(led, pin, (6_000,)) == [(1, None)]


def test_a_pattern_without_time_in_it_is_refused():
    led = Led(Level())
    assert "0 ms" in str(raised(ValueError, led.show, (100, 0), 0))


# Inputs


def test_a_bounce_is_no_press_and_a_press_is_told_once():
    pin = Level(1)
    button = DebouncedInput(pin, active=0, settle_ms=30)
    told = []
    for now_ms, level in ((0, 1), (10, 0), (20, 1), (30, 0), (40, 0), (60, 0), (70, 0), (500, 0), (510, 1), (560, 1)):
        pin.value(level)
        if button.update(now_ms):
            told.append((now_ms, button.is_active, button.held_ms(now_ms)))
    assert told == [(60, True, 30), (560, False, 50)]


def test_it_says_when_to_look_again():
    pin = Level(0)
    lid = DebouncedInput(pin, settle_ms=50)
    lid.update(0)
    assert lid.wait_ms(0) is None and lid.held_ms(0) is None
    pin.value(1)
    lid.update(100)
    assert lid.wait_ms(110) == 40
    assert lid.wait_ms(1_000) == 0
    assert lid.update(150) and lid.is_active
    assert lid.wait_ms(150) is None and lid.held_ms(3_100) == 3_000


# Battery


class Converter:
    def __init__(self, switch):
        self._switch = switch
        self._noise_uv = [-3_000, 3_000] * (SAMPLES // 2)

    def read_uv(self):
        return 1_800_000 + self._noise_uv.pop() if self._switch.value() else 12_000


def test_a_cell_is_measured_while_its_divider_is_connected_and_only_then():
    switch = Level()
    battery = Battery(Converter(switch), switch)
    assert battery.read_mv() == 24
    battery.connect()
    assert battery.read_mv() == 3_600
    battery.disconnect()
    assert switch.levels == [0, 1, 0]


# Heartbeat


class Serial:
    def __init__(self):
        self.came = b""

    def readinto(self, buffer):
        if not self.came:
            return None
        taken = self.came[: len(buffer)]
        self.came = self.came[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def heard(*chunks):
    """How many beats are in what comes in chunks."""
    uart = Serial()
    heartbeat = LineHeartbeat(uart, 0)
    for chunk in chunks:
        uart.came += chunk
        while uart.came:
            heartbeat.update(1)
    return heartbeat.beats


def test_silence_begins_anew_with_each_beat():
    uart = Serial()
    heartbeat = LineHeartbeat(uart, 1_000)
    assert not heartbeat.update(2_000) and heartbeat.silent_ms(6_000) == 5_000
    uart.came = b"alive\n"
    assert heartbeat.update(7_000) and heartbeat.silent_ms(7_500) == 500
    assert not heartbeat.update(8_000) and heartbeat.silent_ms(8_000) == 1_000


def test_a_beat_may_come_in_pieces_and_several_at_once():
    assert heard(b"ali", b"ve", b"\r\n") == 1
    assert heard(b"alive\nalive\r\nalive\n") == 3


def test_other_lines_are_no_beats():
    for line in (b"\n", b"aliv\n", b"alive?\n", b" alive\n", b"aalive\n", b"Kernel panic: alive\n", b"alivealive\n"):
        assert heard(line) == 0, line
        assert heard(line + b"alive\n") == 1, line


def test_a_line_without_end_is_passed_over():
    assert heard(b"x" * 5_000, b"alive\n", b"alive\n") == 1
