"""What a site can carry, against the figures of the design and against a server that sends until the law stops it."""

from lorawan_support import Site, airtime_us

from pave_gateway.core.lorawan.capacity import Traffic, capacities, join_capacities, join_table, table
from pave_gateway.core.lorawan.settings import LorawanSettings


def test_the_figures_of_the_design() -> None:
    """docs/WIRE.md, airtime: acknowledgements in an hour, at 1 % and in RX2 at 10 %."""
    rows = {row.spreading_factor: row for row in capacities(LorawanSettings(), Traffic())}
    assert [rows[sf].rx1_acks_per_hour for sf in range(7, 13)] == [776, 436, 218, 124, 54, 31]
    for data_rate, sf, per_hour in ((5, 7, 7_769), (3, 9, 2_183), (0, 12, 311)):
        row = capacities(LorawanSettings(rx2_data_rate=data_rate), Traffic())[0]
        assert row.rx2_acks_per_hour == per_hour, sf
    assert (rows[9].rx1_ack_ms, rows[9].event_ms) == (164.864, 185.344)


def test_devices_follow_from_what_is_acknowledged() -> None:
    busy, calm = Traffic(10, 4), Traffic(1, 4)
    for few, many in zip(
        capacities(LorawanSettings(), busy), capacities(LorawanSettings(heartbeats_per_ack=8), calm), strict=True
    ):
        assert few.devices_by_acks == few.acks_per_hour // 11
        assert many.devices_by_acks == int(many.acks_per_hour / 1.5)
        assert few.devices_by_air < many.devices_by_air
    two = capacities(LorawanSettings(), busy, concentrators=2)
    assert two[0].acks_per_hour == 2 * capacities(LorawanSettings(), busy)[0].acks_per_hour
    assert two[0].devices_by_air > capacities(LorawanSettings(), busy)[0].devices_by_air


def test_the_smaller_share_of_the_channels_ends_first() -> None:
    """Five channels of eight lie in 865 to 868 MHz: that hour ends when 3/5 as much was sent in the other."""
    (row,) = [row for row in capacities(LorawanSettings(), Traffic()) if row.spreading_factor == 9]
    assert row.rx1_acks_all == int(36_000_000 / 164_864 * 8 / 5)
    three = [row for row in capacities(LorawanSettings(channels_hz=(0,) * 5), Traffic()) if row.spreading_factor == 9]
    assert three[0].rx1_acks_all == three[0].rx1_acks_per_hour == 218


def test_a_server_that_is_asked_for_more_sends_as_many_as_computed() -> None:
    """The table against what runs: SF12 in RX1 on the three default channels, SF12 in RX2, an hour."""
    settings = LorawanSettings(rx2_data_rate=0, channels_hz=(0,) * 5)
    site = Site(settings=settings)
    device = site.joined()
    site.run(3_720_000)  # what the join took no longer counts
    site.sent.clear()
    for number in range(450):
        site.keep_alive()
        frequency_hz = 868_100_000 + 200_000 * (number % 3)
        site.hear(device.uplink(confirmed=True), data_rate=0, frequency_hz=frequency_hz)
        site.run(8_000)
    (row,) = [row for row in capacities(settings, Traffic()) if row.spreading_factor == 12]
    rx1 = [airtime_us(downlink) for downlink in site.sent if downlink.frequency_hz < 869_000_000]
    rx2 = [airtime_us(downlink) for downlink in site.sent if downlink.frequency_hz > 869_000_000]
    assert sum(rx1) // 1_155_072 <= row.rx1_acks_per_hour == 31 and 0.9 * 36e6 < sum(rx1) <= 36e6
    assert 0.9 * 360e6 < sum(rx2) <= 360e6


def test_the_table_is_text_for_a_terminal() -> None:
    text = table(capacities(LorawanSettings(), Traffic()))
    lines = text.splitlines()
    assert len(lines) == 7 and len({len(line) for line in lines}) == 1 and max(map(len, lines)) <= 100
    assert lines[3].split()[:4] == ["SF9", "185.3", "164.9", "218"]


def test_what_a_storm_of_joins_costs() -> None:
    """33 bytes at SF12 are 1.81 s without CRC; half of 36 and of 360 s are there for joins."""
    rows = {row.spreading_factor: row for row in join_capacities(LorawanSettings())}
    slow = rows[12]
    assert (slow.rx1_per_hour, slow.rx2_per_hour) == (int(18_000 / slow.rx1_ms), int(180_000 / slow.rx2_ms))
    assert slow.storm_s(50) == (slow.rx1_per_hour * slow.rx1_ms + (50 - slow.rx1_per_hour) * slow.rx2_ms) / 1000
    assert 90 < slow.storm_s(50) < 100 and 45 < slow.storm_s(50, concentrators=2) < 50
    assert rows[7].storm_s(50) < 5
    per_hour = slow.rx1_per_hour + slow.rx2_per_hour
    assert 2 * 3600 < slow.storm_s(2 * per_hour + 5) < 2 * 3600 + 15
    lines = join_table(list(rows.values()), 50).splitlines()
    assert len(lines) == 7 and len({len(line) for line in lines}) == 1
