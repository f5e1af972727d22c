"""The drivers against the transactions that the datasheets prescribe; the chips themselves are elsewhere."""

import upy  # noqa: F401  before the drivers
from checks import raised

from drivers import sx126x, sx127x


class Line:
    """A pin; `level` may be a list of what it says one after the other."""

    def __init__(self, level=1):
        self.level = level
        self.told = []

    def __call__(self, *level):
        if level:
            self.told.append(level[0])
            return None
        if isinstance(self.level, list):
            return self.level.pop(0) if len(self.level) > 1 else self.level[0]
        return self.level


class Sx126xChip:
    """SPI with an SX1262 behind it that has registers, a buffer, and answers set by the test."""

    def __init__(self):
        self.commands = []
        self.registers = {0x0736: 0x0D, 0x0889: 0x01, 0x08D8: 0xC8}
        self.answers = {0x12: b"\0\0", 0x13: b"\0\0", 0x14: b"\0\0\0", 0x17: b"\0\0"}
        self.buffer = b""

    def write(self, data):
        data = bytes(data)
        self.commands.append(data)
        if data[0] == 0x0D:
            for n, value in enumerate(data[3:]):
                self.registers[(data[1] << 8 | data[2]) + n] = value

    def write_readinto(self, data, into):
        data = bytes(data)
        if data[0] == 0x1D:
            at = data[1] << 8 | data[2]
            into[4:] = bytes([self.registers.get(at + n, 0) for n in range(len(data) - 4)])
        elif data[0] == 0x1E:
            into[3:] = self.buffer[data[1] : data[1] + len(data) - 3]
        else:
            into[2:] = self.answers[data[0]]

    def sent(self, opcode):
        return [command for command in self.commands if command[0] == opcode]


class Sx127xChip:
    """SPI with an SX1276 behind it."""

    def __init__(self):
        self.registers = {0x42: 0x12, 0x33: 0x27}
        self.writes = []
        self.fifo = b""

    def write_readinto(self, data, into):
        register, values = data[0] & 0x7F, bytes(data[1:])
        if data[0] & 0x80:
            for n, value in enumerate(values):
                at = register + n if register else 0
                self.writes.append((at, value))
                if at != 0x12:
                    self.registers[at] = value
            if register == 0x3B:
                self.registers[0x3B] &= 0xDF
        elif register == 0:
            into[1:] = self.fifo[: len(values)]
        else:
            into[1:] = bytes([self.registers.get(register + n, 0) for n in range(len(values))])

    def last(self, register):
        return [value for at, value in self.writes if at == register][-1]


def sx1262(**options):
    chip = Sx126xChip()
    radio = sx126x.SX1262(chip, Line(), Line([1, 0]), Line(), **options)
    radio.start()
    return chip, radio


def sx1276(**options):
    chip = Sx127xChip()
    radio = sx127x.SX1276(chip, Line(), Line(), **options)
    radio.start()
    return chip, radio


def test_sx1262_starts_tcxo_before_it_calibrates():
    chip, _ = sx1262(tcxo_mv=1800)
    opcodes = [command[0] for command in chip.commands]
    assert chip.sent(0x97) == [b"\x97\x02\x00\x01\x41"]  # 321 steps of 15.625 us are 5 ms
    assert opcodes.index(0x97) < opcodes.index(0x89)
    assert chip.sent(0x8A) == [b"\x8a\x01"] and chip.sent(0x9D) == [b"\x9d\x01"]
    assert chip.registers[0x08D8] & 0x1E == 0x1E


def test_sx1262_that_is_not_there_or_not_well_is_said():
    chip = Sx126xChip()
    chip.write = lambda data: None
    radio = sx126x.SX1262(chip, Line(), Line(0), Line())
    assert "no SX1262 answers" in str(raised(sx126x.RadioError, radio.start))
    chip = Sx126xChip()
    chip.answers[0x17] = b"\0\x20"
    radio = sx126x.SX1262(chip, Line(), Line(0), Line())
    assert "XOSC_START" in str(raised(sx126x.RadioError, radio.start))
    radio = sx126x.SX1262(Sx126xChip(), Line(), Line(1), Line())
    assert "BUSY" in str(raised(sx126x.RadioError, radio.start))
    raised(ValueError, sx126x.SX1262, chip, Line(), Line(), Line(), 1750)


def test_sx1262_channel_modulation_and_power():
    chip, radio = sx1262()
    radio.configure(868_100_000, sf=12, power_dbm=16)
    assert chip.sent(0x86) == [b"\x86" + ((868_100_000 << 25) // 32_000_000).to_bytes(4, "big")]
    assert chip.sent(0x8B) == [b"\x8b\x0c\x04\x01\x01"]
    assert chip.sent(0x98) == [b"\x98\xd7\xdb"]
    assert chip.sent(0x95) == [b"\x95\x02\x03\x00\x01"] and chip.sent(0x8E) == [b"\x8e\x15\x04"]
    assert chip.registers[0x08E7] == 0x38
    assert (chip.registers[0x0740], chip.registers[0x0741]) == (0x34, 0x44)
    assert chip.registers[0x0889] & 4
    radio.configure(868_300_000, sf=7, bandwidth_hz=500_000, power_dbm=22, sync_word=0x12)
    assert len(chip.sent(0x98)) == 1
    assert chip.sent(0x8B)[-1] == b"\x8b\x07\x06\x01\x00" and not chip.registers[0x0889] & 4
    assert chip.sent(0x95)[-1] == b"\x95\x04\x07\x00\x01" and chip.sent(0x8E)[-1] == b"\x8e\x16\x04"
    assert (chip.registers[0x0740], chip.registers[0x0741]) == (0x14, 0x24)
    radio.configure(868_300_000, sf=7, power_dbm=-17)
    assert chip.sent(0x8E)[-1] == b"\x8e\xf7\x04"
    for sf, bandwidth_hz, power_dbm in ((4, 125_000, 14), (7, 100_000, 14), (7, 125_000, 23)):
        raised(ValueError, radio.configure, 868_100_000, sf, bandwidth_hz, power_dbm)
    raised(ValueError, radio.configure, 600_000_000, 7)


def test_sx1262_sends_and_says_when_it_is_out():
    chip, radio = sx1262()
    radio.configure(868_100_000, sf=9)
    radio.start_send(b"hello")
    assert chip.commands[-1] == b"\x83\0\0\0" and chip.sent(0x0E) == [b"\x0e\x00hello"]
    assert chip.sent(0x8C) == [b"\x8c\x00\x08\x00\x05\x01\x00"] and chip.registers[0x0736] & 4
    assert radio.poll() == sx126x.BUSY
    chip.answers[0x12] = b"\0\1"
    assert radio.poll() == sx126x.SENT
    raised(ValueError, radio.start_send, b"")
    raised(ValueError, radio.start_send, bytes(256))


def test_sx1262_receives_with_iq_inverted():
    chip, radio = sx1262()
    radio.configure(868_100_000, sf=9)
    radio.prepare_receive(17, inverted_iq=True)
    radio.start_receive()
    assert chip.commands[-1] == b"\x82\0\0\0" and chip.sent(0xA0) == [b"\xa0\x12"]
    assert chip.sent(0x8C)[-1] == b"\x8c\x00\x08\x00\xff\x00\x01" and not chip.registers[0x0736] & 4
    chip.answers.update({0x12: b"\0\2", 0x13: b"\4\2", 0x14: bytes((170, 0xEC, 0))})
    chip.buffer = b"..data"
    assert radio.poll() == sx126x.RECEIVED and radio.read() == b"data"
    assert (radio.rssi_dbm, radio.snr_db) == (-85, -5)
    for irq, said in ((b"\0\x42", sx126x.DAMAGED), (b"\2\0", sx126x.TIMED_OUT)):
        chip.answers[0x12] = irq
        assert radio.poll() == said
    radio.prepare_receive(63)
    assert chip.sent(0xA0)[-1] == b"\xa0\x40"
    raised(ValueError, radio.prepare_receive, 249)


def test_sx1262_forgets_in_cold_sleep_and_not_in_warm():
    chip, radio = sx1262()
    radio.sleep(warm=True)
    assert chip.commands[-1] == b"\x84\x04"
    radio.standby()
    radio.sleep()
    assert chip.commands[-1] == b"\x84\x00"
    assert "start()" in str(raised(sx126x.RadioError, radio.configure, 868_100_000, 7))
    radio.start()
    radio.configure(868_100_000, 7)


def test_sx1276_channel_modulation_and_power():
    chip, radio = sx1276()
    radio.configure(868_100_000, sf=12, power_dbm=16)
    steps = (868_100_000 << 19) // 32_000_000
    assert bytes([chip.last(at) for at in (6, 7, 8)]) == steps.to_bytes(3, "big")
    assert (chip.last(0x1D), chip.last(0x1E), chip.last(0x26)) == (0x72, 0xC4, 0x0C)
    assert (chip.last(0x09), chip.last(0x4D), chip.last(0x39)) == (0x8E, 0x84, 0x34)
    assert (chip.last(0x31), chip.last(0x2F), chip.last(0x30)) == (0x43, 0x40, 0x00)
    assert chip.last(0x01) == 0x81
    radio.configure(868_100_000, sf=7, bandwidth_hz=500_000, power_dbm=20)
    assert (chip.last(0x09), chip.last(0x4D), chip.last(0x31), chip.last(0x36), chip.last(0x3A)) == (
        0x8F, 0x87, 0xC3, 0x02, 0x64,
    )  # fmt: skip
    raised(ValueError, radio.configure, 433_000_000, 7)
    raised(ValueError, radio.configure, 868_100_000, 7, 125_000, 1)


def test_sx1276_calibrates_its_image_in_fsk_mode_and_becomes_lora_asleep():
    chip, radio = sx1276()
    radio.configure(868_100_000, sf=7)
    modes = [value for at, value in chip.writes if at == 1]
    assert modes == [0x00, 0x80, 0x00, 0x01, 0x00, 0x80, 0x81]
    radio.configure(868_300_000, sf=7)
    assert [value for at, value in chip.writes if at == 1] == modes + [0x81]


def test_sx1276_sends_and_receives():
    chip, radio = sx1276()
    radio.configure(868_100_000, sf=9)
    radio.start_send(b"hello")
    assert [value for at, value in chip.writes if at == 0] == list(b"hello")
    assert (chip.last(0x22), chip.last(0x33), chip.last(0x3B), chip.last(0x01)) == (5, 0x27, 0x1D, 0x83)
    chip.registers[0x12] = 0x08
    assert radio.poll() == sx127x.SENT
    radio.prepare_receive(300, inverted_iq=True)
    radio.start_receive()
    assert (chip.last(0x1E), chip.last(0x1F), chip.last(0x01)) == (0x91, 0x2C, 0x86)
    assert (chip.last(0x33), chip.last(0x3B)) == (0x67, 0x19)
    chip.registers.update({0x12: 0x50, 0x13: 4, 0x10: 0, 0x19: 0xEC, 0x1A: 60})
    chip.fifo = b"data"
    assert radio.poll() == sx127x.RECEIVED and radio.read() == b"data"
    assert (radio.rssi_dbm, radio.snr_db) == (-102, -5)
    for irq, said in ((0x60, sx127x.DAMAGED), (0x80, sx127x.TIMED_OUT), (0, sx127x.BUSY)):
        chip.registers[0x12] = irq
        assert radio.poll() == said
    raised(ValueError, radio.prepare_receive, 3)


def test_sx1276_that_is_not_there_is_said():
    chip = Sx127xChip()
    chip.registers[0x42] = 0
    radio = sx127x.SX1276(chip, Line(), Line())
    assert "0x00" in str(raised(sx127x.RadioError, radio.start))


def test_sx1276_on_the_other_pin_has_less_power():
    chip, radio = sx1276(pa_boost=False)
    radio.configure(868_100_000, sf=9, power_dbm=14)
    assert chip.last(0x09) == 0x6F
    radio.configure(868_100_000, sf=9, power_dbm=-4)
    assert chip.last(0x09) == 0x00
    raised(ValueError, radio.configure, 868_100_000, 9, 125_000, 15)
