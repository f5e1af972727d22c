"""SX1276 against its datasheet, without a VM: modes, FIFO, interrupts and their pins, levels, what it refuses."""

import pytest
from radio_bench import Antenna, Clock, Host

from pave_emulator.air.radio import Modulation
from pave_emulator.chips import sx127x_tables as t
from pave_emulator.chips.chip import ChipFault, Environment
from pave_emulator.chips.sx127x import Sx1276
from pave_emulator.chips.sx127x_calibration import IMAGE_CAL

FREQUENCY = round(868_100_000 * (1 << 19) / 32_000_000).to_bytes(3, "big")
SYMBOL_S = 128 / 125_000
LORA = 0x80


class Bench:
    """One chip in LoRa standby at 868.1 MHz, SF7, 125 kHz, CRC, public sync word, +14 dBm on RFO."""

    def __init__(self, start: bool = True) -> None:
        self.clock = Clock()
        self.antenna = Antenna(self.clock)
        self.chip = Sx1276(Environment(radio=self.antenna))
        self.host = Host(self.chip, self.clock)
        self.clock.sleep(0.010)
        if start:
            self.mode(t.SLEEP)
            self.mode(LORA | t.SLEEP)
            self.mode(LORA | t.STDBY)
            self.write(t.FRF_MSB, *FREQUENCY)
            self.write(t.PA_CONFIG, 0x7E)
            self.write(t.MODEM_CONFIG_2, 0x74)
            self.write(t.SYNC_WORD, 0x34)
            self.clock.sleep(0.001)

    def write(self, register: int, *values: int) -> None:
        before = len(self.host.faults)
        self.host.transfer(register | 0x80, *values)
        if self.host.faults[before:]:
            raise ChipFault("; ".join(self.host.faults[before:]))

    def read(self, register: int, size: int = 1) -> bytes:
        before = len(self.host.faults)
        answer = self.host.transfer(register, *bytes(size))[1:]
        if self.host.faults[before:]:
            raise ChipFault("; ".join(self.host.faults[before:]))
        return answer

    def mode(self, value: int) -> None:
        self.write(t.OP_MODE, value)

    def flags(self) -> int:
        return self.read(t.IRQ_FLAGS)[0]

    def receive(self, payload: bytes) -> None:
        assert self.antenna.tuned is not None
        Antenna(self.clock, [self.antenna]).transmit(self.antenna.tuned, payload, 14.0, self.clock.now_s)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_registers_have_the_defaults_of_table_41(bench):
    fresh = Bench(start=False)
    assert fresh.read(t.OP_MODE) == b"\x09"
    assert fresh.read(t.VERSION) == b"\x12"
    assert fresh.read(t.FRF_MSB, 7) == bytes([0x6C, 0x80, 0x00, 0x4F, 0x09, 0x2B, 0x20])
    assert bench.read(t.MODEM_CONFIG_1) == b"\x72"
    assert bench.read(t.PREAMBLE_MSB, 4) == bytes([0, 8, 1, 0xFF])


def test_lora_is_entered_through_sleep_only():
    bench = Bench(start=False)
    with pytest.raises(ChipFault, match="changes in sleep only"):
        bench.mode(LORA | t.STDBY)
    assert bench.read(t.OP_MODE)[0] & LORA == 0
    with pytest.raises(ChipFault, match="FSK/OOK page"):
        bench.read(t.MODEM_CONFIG_1)
    bench.mode(t.SLEEP)
    bench.mode(LORA | t.SLEEP)
    assert bench.read(t.OP_MODE)[0] == LORA | t.SLEEP


def test_a_packet_goes_from_the_fifo_to_the_air(bench):
    """4.1.6, transmission."""
    bench.write(t.FIFO_ADDR_PTR, 0x80)
    bench.write(t.FIFO, *b"ten bytes!")
    assert bench.read(t.FIFO_ADDR_PTR) == b"\x8a"
    bench.write(t.PAYLOAD_LENGTH, 10)
    bench.write(t.DIO_MAPPING_1, 0x40)
    bench.mode(LORA | t.TX)
    bench.clock.sleep(0.001)
    assert bench.chip.state == "tx-rfo-14dbm"
    bench.clock.sleep(0.0402)
    assert (bench.flags(), bench.chip.pin_level("dio0")) == (0, 0)
    bench.clock.sleep(0.0001)
    assert (bench.flags(), bench.chip.pin_level("dio0")) == (t.TX_DONE, 1)
    assert bench.read(t.OP_MODE)[0] & 7 == t.STDBY
    packet = bench.antenna.sent[0]
    assert (packet.payload, packet.power_dbm) == (b"ten bytes!", pytest.approx(14.0))
    assert packet.modulation == Modulation(868_099_976, 7, 125_000, sync_word=0x34)  # a step is 61 Hz
    bench.write(t.IRQ_FLAGS, 0xFF)
    assert (bench.flags(), bench.chip.pin_level("dio0")) == (0, 0)


def test_a_packet_comes_from_the_air_to_the_fifo(bench):
    """4.1.6, single reception."""
    bench.antenna.rssi, bench.antenna.snr = -90.0, 8.0
    bench.mode(LORA | t.RX_SINGLE)
    bench.clock.sleep(0.001)
    bench.receive(b"downlink")
    bench.clock.sleep(0.05)
    assert bench.flags() == t.RX_DONE | t.VALID_HEADER
    assert bench.chip.pin_level("dio0") == 1
    assert bench.read(t.OP_MODE)[0] & 7 == t.STDBY
    start, size = bench.read(t.FIFO_RX_CURRENT)[0], bench.read(t.RX_NB_BYTES)[0]
    bench.write(t.FIFO_ADDR_PTR, start)
    assert bench.read(t.FIFO, size) == b"downlink"
    assert bench.read(t.PKT_SNR)[0] / 4 == 8.0
    assert -157 + 16 / 15 * bench.read(t.PKT_RSSI)[0] == pytest.approx(-90, abs=0.6)
    assert bench.read(t.PACKET_CNT_MSB, 2) == bytes([0, 1])


def test_a_weak_packet_is_coded_as_5_5_5_has_it(bench):
    bench.antenna.rssi, bench.antenna.snr = -112.0, -6.0
    bench.mode(LORA | t.RX_CONTINUOUS)
    bench.clock.sleep(0.001)
    bench.receive(b"far away")
    bench.clock.sleep(0.05)
    snr_db = (bench.read(t.PKT_SNR)[0] - 256) / 4
    assert snr_db == -6.0
    assert -157 + bench.read(t.PKT_RSSI)[0] + snr_db == pytest.approx(-118.0)


def test_continuous_reception_goes_on_behind_the_last_packet(bench):
    bench.mode(LORA | t.RX_CONTINUOUS)
    for payload, start in ((b"first", 0), (b"second", 5)):
        bench.clock.sleep(0.001)
        bench.receive(payload)
        bench.clock.sleep(0.05)
        assert (bench.read(t.FIFO_RX_CURRENT)[0], bench.read(t.RX_NB_BYTES)[0]) == (start, len(payload))
    assert bench.read(t.OP_MODE)[0] & 7 == t.RX_CONTINUOUS
    bench.mode(LORA | t.STDBY)
    bench.mode(LORA | t.RX_CONTINUOUS)
    bench.clock.sleep(0.001)
    bench.receive(b"afresh")
    bench.clock.sleep(0.05)
    assert bench.read(t.FIFO_RX_CURRENT) == b"\0"
    bench.mode(LORA | t.SLEEP)
    assert bench.read(t.PACKET_CNT_MSB, 2) == bytes(2)


def test_a_spoiled_packet_has_both_flags_and_moves_dio3(bench):
    bench.antenna.spoil = True
    bench.write(t.DIO_MAPPING_1, 0x02)
    bench.mode(LORA | t.RX_CONTINUOUS)
    bench.clock.sleep(0.001)
    bench.receive(b"collision")
    bench.clock.sleep(0.05)
    assert bench.flags() == t.RX_DONE | t.PAYLOAD_CRC_ERROR | t.VALID_HEADER
    assert bench.chip.pin_level("dio3") == 1
    assert bench.read(t.PACKET_CNT_MSB, 2) == bytes(2)


def test_a_single_reception_times_out_after_its_symbols(bench):
    bench.write(t.SYMB_TIMEOUT_LSB, 20)
    bench.mode(LORA | t.RX_SINGLE)
    bench.clock.sleep(60e-6 + 19.9 * SYMBOL_S)
    assert bench.chip.pin_level("dio1") == 0
    bench.clock.sleep(0.2 * SYMBOL_S)
    assert (bench.flags(), bench.chip.pin_level("dio1")) == (t.RX_TIMEOUT, 1)
    assert bench.read(t.OP_MODE)[0] & 7 == t.STDBY


def test_a_packet_longer_than_allowed_is_not_received(bench):
    bench.write(t.MAX_PAYLOAD_LENGTH, 7)
    bench.mode(LORA | t.RX_CONTINUOUS)
    for payload, done in ((b"8 bytes!", 0), (b"7 bytes", t.RX_DONE)):
        bench.clock.sleep(0.001)
        bench.receive(payload)
        bench.clock.sleep(0.05)
        assert bench.flags() & t.RX_DONE == done


def test_a_masked_interrupt_does_not_show(bench):
    bench.write(t.IRQ_FLAGS_MASK, t.TX_DONE)
    bench.mode(LORA | t.TX)
    bench.clock.sleep(0.1)
    assert bench.flags() == 0


@pytest.mark.parametrize(("floor", "found"), [(-117.0, False), (-95.0, True)])
def test_cad_tells_whether_somebody_sends(bench, floor, found):
    bench.antenna.floor = floor
    bench.write(t.DIO_MAPPING_1, 0xA0)
    bench.mode(LORA | t.CAD)
    bench.clock.sleep(0.0019)
    expected = t.CAD_DONE | (t.CAD_DETECTED if found else 0)
    assert bench.flags() == expected
    assert [bench.chip.pin_level(pin) for pin in ("dio0", "dio1", "dio4")] == [1, int(found), int(found)]


def test_oscillator_and_synthesizer_take_their_time(bench):
    bench.mode(LORA | t.SLEEP)
    assert bench.chip.state == "sleep"
    bench.mode(LORA | t.RX_CONTINUOUS)
    assert (bench.chip.pin_level("dio5"), bench.antenna.tuned) == (0, None)
    bench.clock.sleep(305e-6)
    assert bench.antenna.tuned is None
    bench.clock.sleep(10e-6)
    assert (bench.chip.pin_level("dio5"), bench.antenna.tuned is not None) == (1, True)
    assert bench.chip.state == "rx-noboost"
    bench.write(t.LNA, 0x23)
    assert bench.chip.state == "rx"


@pytest.mark.parametrize(
    ("pa_config", "pa_dac", "dbm", "milliamperes"),
    [(0x8F, 0x84, 17, 87), (0x8F, 0x87, 20, 120), (0x7E, 0x84, 14, 30.5), (0x7D, 0x84, 13, 29), (0x77, 0x84, 7, 20)],
)
def test_power_and_current_are_those_of_table_6_and_of_5_4(bench, pa_config, pa_dac, dbm, milliamperes):
    bench.write(t.OCP, 0x3B)
    bench.write(t.PA_CONFIG, pa_config)
    bench.write(t.PA_DAC, pa_dac)
    bench.mode(LORA | t.TX)
    bench.clock.sleep(0.001)
    assert bench.antenna.sent[0].power_dbm == pytest.approx(dbm)
    assert Sx1276.STATES_UA[bench.chip.state] == pytest.approx(milliamperes * 1000)


def test_inverted_iq_has_a_bit_for_each_direction(bench):
    bench.write(t.INVERT_IQ, 0x67)
    bench.write(t.INVERT_IQ_2, 0x19)
    bench.mode(LORA | t.RX_CONTINUOUS)
    bench.clock.sleep(0.001)
    assert bench.antenna.tuned is not None
    assert bench.antenna.tuned.inverted_iq
    with pytest.raises(ChipFault, match="RegInvertIQ2"):
        bench.mode(LORA | t.TX)
    bench.clock.sleep(0.001)
    assert not bench.antenna.sent[0].modulation.inverted_iq


def test_500_khz_reception_needs_the_registers_of_the_errata(bench):
    bench.write(t.MODEM_CONFIG_1, 0x92)
    with pytest.raises(ChipFault, match=r"errata 2\.1"):
        bench.mode(LORA | t.RX_CONTINUOUS)
    bench.mode(LORA | t.STDBY)
    bench.write(t.HIGH_BW_1, 0x02)
    bench.write(t.HIGH_BW_2, 0x64)
    bench.mode(LORA | t.RX_CONTINUOUS)


def test_rssi_is_measured_while_receiving(bench):
    bench.antenna.floor = -107.0
    with pytest.raises(ChipFault, match="receiver is off"):
        bench.read(t.RSSI)
    bench.mode(LORA | t.RX_CONTINUOUS)
    bench.clock.sleep(0.001)
    assert bench.read(t.RSSI)[0] - 157 == -107
    assert len({bench.read(t.RSSI_WIDEBAND) for _ in range(16)}) > 8


def test_nreset_forgets_everything_and_takes_5_ms(bench):
    bench.mode(LORA | t.TX)
    bench.clock.sleep(0.001)
    bench.host.set_pin("reset", 0)
    bench.clock.sleep(150e-6)
    assert (bench.chip.state, bench.antenna.aborted) == ("reset", 1)
    bench.host.set_pin("reset", 1)
    with pytest.raises(ChipFault, match="before the chip is ready"):
        bench.read(t.VERSION)
    bench.clock.sleep(0.005)
    assert bench.read(t.OP_MODE) == b"\x09"


def test_the_receiver_is_calibrated_in_fsk_standby_as_semtechs_driver_does():
    bench = Bench(start=False)
    assert bench.read(IMAGE_CAL) == b"\x82"
    bench.write(t.FRF_MSB, *FREQUENCY)
    bench.write(IMAGE_CAL, 0x42)
    assert bench.read(IMAGE_CAL) == b"\x22"
    assert bench.chip.state == "fs"
    polls = 0
    while bench.read(IMAGE_CAL)[0] & 0x20:
        bench.clock.sleep(0.001)
        polls += 1
    assert 9 <= polls <= 11
    assert (bench.read(IMAGE_CAL), bench.chip.state) == (b"\x02", "stdby")
    bench.mode(t.SLEEP)
    with pytest.raises(ChipFault, match="cannot be read in sleep"):
        bench.read(IMAGE_CAL)
    bench.write(IMAGE_CAL, 0x02)
    with pytest.raises(ChipFault, match="in standby only"):
        bench.write(IMAGE_CAL, 0x42)
    bench.mode(LORA | t.SLEEP)
    bench.mode(LORA | t.STDBY)
    assert bench.read(IMAGE_CAL) == b"\x1d"  # the same address is RegInvertIQ2 on the LoRa page


def test_a_mode_that_is_asked_for_while_the_receiver_is_calibrated_faults():
    bench = Bench(start=False)
    bench.write(IMAGE_CAL, 0x42)
    with pytest.raises(ChipFault, match="while the image calibration runs"):
        bench.mode(t.SLEEP)


@pytest.mark.parametrize(("config", "warmer_c", "changed"), [
    (0x02, 9.0, 0), (0x02, 11.0, 8), (0x06, 11.0, 0), (0x06, 21.0, 8), (0x00, 6.0, 8), (0x03, 30.0, 0), (0x82, 30.0, 0),
])  # fmt: skip
def test_it_tells_when_the_temperature_has_moved_since_the_calibration(config, warmer_c, changed):
    bench = Bench(start=False)
    bench.chip._calibration._temperature_c = lambda now_s: 15.0 + (warmer_c if now_s > 1 else 0.0)
    bench.write(IMAGE_CAL, config | 0x40)
    bench.clock.sleep(1.5)
    assert bench.read(IMAGE_CAL)[0] == config  # in standby it does not measure
    for mode in (t.SLEEP, LORA | t.SLEEP, LORA | t.RX_CONTINUOUS, LORA | t.SLEEP, t.SLEEP, t.STDBY):
        bench.mode(mode)
        bench.clock.sleep(0.001)
    assert bench.read(IMAGE_CAL)[0] == config | changed
    if changed:
        bench.write(IMAGE_CAL, config | 0x40)
        bench.clock.sleep(0.011)
        assert bench.read(IMAGE_CAL)[0] == config


def test_the_fifo_is_closed_in_sleep(bench):
    bench.mode(LORA | t.SLEEP)
    with pytest.raises(ChipFault, match="FIFO cannot be accessed in sleep"):
        bench.read(t.FIFO)


@pytest.mark.parametrize(
    ("register", "value", "says"),
    [
        (t.MODEM_CONFIG_1, 0xA2, "bandwidth 10"),
        (t.MODEM_CONFIG_1, 0x70, "coding rate 0"),
        (t.MODEM_CONFIG_2, 0x50, "spreading factor 5"),
        (t.MODEM_CONFIG_2, 0x78, "TxContinuousMode"),
        (t.HOP_PERIOD, 1, "hopping"),
        (t.PA_DAC, 0x85, "RegPaDac"),
        (t.PA_DAC, 0x04, "reserved bits"),
        (t.DIO_MAPPING_1, 0xC0, "table 18"),
        (t.RX_NB_BYTES, 1, "read-only"),
        (0x0B + 0x60, 1, "0x6b is reserved"),
        (t.OP_MODE, 0xC1, "AccessSharedReg"),
    ],
)
def test_what_the_datasheet_does_not_have_faults(bench, register, value, says):
    with pytest.raises(ChipFault, match=says) as fault:
        bench.write(register, value)
    assert "SX1276" in str(fault.value)
