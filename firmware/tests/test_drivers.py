import struct

from checks import raised

from drivers.lis2mdl import LIS2MDL


class Registers:
    """An I2C bus with one register file at 0x1E, auto-increment when the sub-address's MSb is set."""

    def __init__(self, **fields):
        self.at = {0x4F: 0x40}
        self.writes = []

    def readfrom_mem(self, address, register, count):
        assert address == 0x1E and (count == 1 or register & 0x80)
        return bytes(self.at.get((register & 0x7F) + n, 0) for n in range(count))

    def writeto_mem(self, address, register, data):
        assert address == 0x1E and (len(data) == 1 or register & 0x80)
        self.writes.append((register & 0x7F, bytes(data)))
        for n, byte in enumerate(data):
            self.at[(register & 0x7F) + n] = byte


def put(bus, register, *values):
    for n, byte in enumerate(struct.pack("<%dh" % len(values), *values)):
        bus.at[register + n] = byte


def test_another_chip_at_the_address_is_named():
    bus = Registers()
    bus.at[0x4F] = 0x33
    assert "0x33" in str(raised(OSError, LIS2MDL(bus).start))


def test_the_field_is_the_output_with_the_offsets_added_back():
    bus = Registers()
    put(bus, 0x68, -10, 20, 300)
    put(bus, 0x45, 140, 4, -286)
    assert LIS2MDL(bus).read_field() == (130, 24, 14)


def test_arming_writes_offsets_and_threshold_while_the_interrupt_is_off():
    bus = Registers()
    LIS2MDL(bus).arm((140, 4, -286), 27)
    assert bus.writes == [
        (0x63, b"\xe6"),
        (0x45, struct.pack("<3h", 140, 4, -286)),
        (0x65, b"\x1b\x00"),
        (0x63, b"\xe7"),
    ]


def test_start_measures_continuously_and_lets_the_interrupt_see_corrected_data():
    bus = Registers()
    LIS2MDL(bus).start()
    assert (bus.at[0x60], bus.at[0x61], bus.at[0x62]) == (0x90, 0x0B, 0x50)


def test_a_chip_that_lost_its_registers_is_noticed():
    bus = Registers()
    magnetometer = LIS2MDL(bus)
    assert not magnetometer.is_started()
    magnetometer.start()
    assert magnetometer.is_started()
    bus.at[0x60] = 0x03
    assert not magnetometer.is_started()
