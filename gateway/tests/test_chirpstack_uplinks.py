"""From another network server's frames to the journal: once, in order, and settled only when they are on disk."""

import itertools
from typing import Any

import pytest
from lorawan_support import START_MS, Site, event_of, hello_of

from pave_gateway.core import limits
from pave_gateway.core.external_frames import ExternalRow
from pave_gateway.core.lorawan.mac import DeviceStatus
from pave_gateway.core.rows import ReadingRow
from pave_gateway.ingress.mqtt_downlinks import Downlinks, Order
from pave_gateway.ingress.mqtt_events import ExternalFrame, ExternalJoin, Heard
from pave_gateway.ingress.mqtt_links import ExternalLinks
from pave_gateway.ingress.mqtt_uplinks import ExternalUplinks
from pave_gateway.store import external_tables, lorawan_tables
from pave_wire import shadow


class Passing:
    """The application behind another's network server, in virtual time, over SQLite in memory."""

    def __init__(self, devices: int = 1, delay_ms: int = 0) -> None:
        self.site = Site(devices, delay_ms=delay_ms)
        self.world, self.store = self.site.world, self.site.store
        self.store.db.execute(external_tables.SCHEMA)
        self.store.writers.update(external_tables.WRITERS)
        self.device = self.site.devices[0].eui
        self.settled: list[Any] = []
        self.missed: list[tuple[str, int]] = []
        self.orders: list[Order] = []
        self.start()

    def start(self) -> None:
        """Start a gateway over what is on disk."""
        self.site.start()
        names = itertools.count()
        later = self.world.after
        self.links = ExternalLinks(self.store, later)
        self.downlinks = Downlinks(lambda order: self.orders.append(order) is None, lambda: f"m{next(names)}", False)
        known = {device.eui for device in self.site.devices}
        self.uplinks = ExternalUplinks(
            self.site.application,
            self.downlinks,
            self.links,
            known.__contains__,
            self.site,
            lambda: self.world.now_ms,
            later,
            lambda device, since_ms: self.missed.append((device, since_ms)),
        )
        self.uplinks.restore(external_tables.read_external(self.store.db))

    def frame(
        self, fcnt: int, port: int | None = None, data: bytes = b"", session: str = "00189440", **more: Any
    ) -> Any:
        return ExternalFrame(more.pop("device", self.device), session, fcnt, port, data, **more)

    def hello(self, fcnt: int = 0, **more: Any) -> Any:
        return self.frame(fcnt, 3, hello_of(), **more)

    def event(self, fcnt: int, seq: int, oldest: bool = True, **more: Any) -> Any:
        return self.frame(fcnt, 1, event_of(more.get("device", self.device), seq, oldest=oldest), **more)

    def take(self, event: Any) -> None:
        self.uplinks.take(event, lambda: self.settled.append(event))

    def run(self, for_ms: int) -> None:
        end_ms = self.world.now_ms + for_ms
        while (due_ms := self.world.next_ms()) is not None and due_ms <= end_ms:
            self.world.pop()
        self.world.now_ms = end_ms

    @property
    def stored(self) -> list[int]:
        return sorted(seq for _, _, seq in self.store.readings)


def test_frames_are_settled_when_they_are_on_disk_with_the_state_that_admitted_them() -> None:
    passing = Passing(delay_ms=30)
    frames = [passing.hello(0), passing.event(1, 0), passing.event(2, 1)]
    for frame in frames:
        passing.take(frame)
    assert passing.settled == []
    passing.run(30)
    assert passing.settled == frames[:1]  # one of a device at a time
    passing.run(60)
    assert passing.settled == frames and passing.stored == [0, 1]
    group = passing.store.groups[-1]
    assert {type(row) for row in group} >= {ReadingRow, ExternalRow}
    assert [order.message.port for order in passing.orders] == [9, 6]  # welcome; of the acknowledgements the newest
    passing.downlinks.sent(passing.device, "m1", passing.site.now())
    assert passing.orders[-1].message.data == bytes((1, 0, 1))


def test_a_frame_that_comes_twice_is_taken_once_and_settled_twice() -> None:
    passing = Passing()
    for _ in range(3):
        for frame in (passing.hello(0), passing.event(1, 0)):
            passing.take(frame)
    assert len(passing.settled) == 6 and passing.stored == [0]
    assert passing.uplinks.counters.known == 4 and passing.uplinks.counters.frames == 2


def test_an_old_hello_that_comes_again_does_not_set_numbers_back() -> None:
    passing = Passing()
    hello = passing.hello(0)
    for frame in (hello, *(passing.event(1 + seq, seq) for seq in range(5)), hello):
        passing.take(frame)
    assert passing.site.application.progress(passing.device).newest == ((1, 4),)
    passing.start()  # what tells it apart is on disk
    passing.take(hello)
    assert passing.site.application.progress(passing.device).newest == ((1, 4),)
    assert passing.uplinks.counters.known == 1


def test_what_the_disk_does_not_take_is_tried_again_and_what_follows_waits() -> None:
    passing = Passing(devices=2)
    other = passing.site.devices[1].eui
    passing.store.failing = True
    frames = [passing.hello(0), passing.event(1, 0), passing.hello(0, device=other)]
    for frame in frames:
        passing.take(frame)
    passing.run(20_000)
    assert passing.settled == [] and passing.orders == []
    assert 20 < passing.uplinks.counters.retried < 40
    passing.store.failing = False
    passing.run(limits.EXTERNAL_RETRY_MAX_MS)
    assert len(passing.settled) == 3 and passing.stored == [0]


def test_a_commit_that_was_reported_as_failed_and_was_not_is_no_obstacle() -> None:
    passing = Passing()
    passing.take(passing.hello(0))
    write = passing.store.write

    def lying(rows: Any) -> Any:
        write(rows)
        passing.store.write = write
        passing.store.failing = True
        try:
            return write(rows)
        finally:
            passing.store.failing = False

    passing.store.write = lying  # type: ignore[method-assign]
    passing.take(passing.event(1, 0))
    assert passing.stored == [0] and len(passing.settled) == 1
    passing.run(1_000)
    assert passing.stored == [0] and len(passing.settled) == 2 and passing.uplinks.counters.retried == 1


def test_a_late_reading_is_stored_and_a_late_hello_is_not_heard() -> None:
    passing = Passing()
    for frame in (passing.hello(0), passing.event(1, 0, received_ms=77), passing.event(4, 2, oldest=False)):
        passing.take(frame)
    assert passing.missed == [(passing.device, 77)] and passing.uplinks.heard_ms == 77
    assert passing.uplinks.state(passing.device).gaps == (2, 3)
    passing.take(passing.event(3, 1))
    passing.take(passing.hello(2))
    assert passing.stored == [0, 1, 2] and passing.site.application.progress(passing.device).newest == ((1, 2),)
    counters = passing.uplinks.counters
    assert (counters.late, counters.late_lost, counters.missed, len(passing.settled)) == (1, 1, 2, 5)
    passing.take(passing.event(5, 3))
    passing.start()
    assert passing.uplinks.state(passing.device).gaps == ()


def test_a_device_that_joins_again_is_not_read_before_its_hello() -> None:
    passing = Passing()
    for event in (
        ExternalJoin(passing.device, "00189440", "one"), passing.hello(0), passing.event(1, 0),
        ExternalJoin(passing.device, "00189441", "two"), passing.event(0, 1, session="00189441"),
    ):  # fmt: skip
        passing.take(event)
    assert passing.stored == [0] and passing.site.application.counters.before_hello == 1
    passing.take(passing.hello(1, session="00189441"))
    passing.take(passing.event(2, 1, session="00189441"))
    assert passing.stored == [0, 1] and passing.uplinks.counters.joins == 2


def test_a_join_that_comes_behind_the_first_frame_of_its_session_forgets_no_hello() -> None:
    passing = Passing()
    for event in (
        passing.hello(0, session="00189441"), ExternalJoin(passing.device, "00189441", "two"),
        passing.event(1, 0, session="00189441"),
    ):  # fmt: skip
        passing.take(event)
    assert passing.stored == [0] and len(passing.settled) == 3


def test_a_join_that_comes_again_begins_nothing() -> None:
    passing = Passing()
    join = ExternalJoin(passing.device, "00189440", "one")
    for event in (join, passing.hello(0), passing.event(1, 0), join, passing.event(2, 1)):
        passing.take(event)
    assert passing.stored == [0, 1] and passing.uplinks.counters.known == 1


def test_devices_of_another_site_are_counted_and_settled() -> None:
    passing = Passing()
    passing.take(passing.event(0, 0, device="0101010101010101"))
    passing.take(ExternalJoin("0101010101010101", "a", "b"))
    passing.uplinks.told("0101010101010101", DeviceStatus(200, 5))
    assert passing.uplinks.counters.foreign == 2 and len(passing.settled) == 2 and not passing.uplinks.heard_ms


def test_a_reading_that_a_broker_has_kept_is_dated_by_when_the_server_had_it() -> None:
    passing = Passing()
    passing.take(passing.hello(0))
    now_ms = START_MS + passing.world.now_ms
    for fcnt, told_ms in enumerate((now_ms - 3_600_000, now_ms + 60_000, now_ms - 90 * 86_400_000, None)):
        passing.take(passing.event(1 + fcnt, fcnt, received_ms=told_ms))
    rows = [row for group in passing.store.groups for row in group if isinstance(row, ReadingRow)]
    assert [row.received_ms for row in rows] == [now_ms - 3_600_000, now_ms, now_ms, now_ms]
    passing.site.synchronized = False
    passing.take(passing.event(5, 4, received_ms=now_ms - 3_600_000))
    assert passing.store.groups[-1][0].received_ms == now_ms  # two clocks that cannot be compared


def test_a_device_that_was_just_heard_is_asked_and_one_heard_an_hour_ago_is_not() -> None:
    passing = Passing()
    passing.take(passing.hello(0))
    _, change = passing.site.commands.create(passing.device, shadow.PRESENCE, "identify", 10, passing.site.now())
    assert change.apply() is None
    passing.orders.clear()
    now_ms = START_MS + passing.world.now_ms
    passing.take(passing.event(1, 0, received_ms=now_ms - 3_600_000))
    assert [order.message.port for order in passing.orders] == [6]
    passing.take(passing.event(2, 1, received_ms=now_ms - 300))
    assert len(passing.orders) == 2 and passing.orders[1].message.port not in (6, 9)
    passing.take(passing.event(3, 2, received_ms=now_ms))
    assert len(passing.orders) == 2  # one request at a time


def test_the_link_is_kept_for_people_as_the_servers_gateways_heard_it() -> None:
    passing = Passing()
    heard = (Heard("a", -80, 3.0), Heard("b", -70, 9.5))
    for fcnt, frame in enumerate((passing.hello, lambda fcnt, **more: passing.event(fcnt, 0, **more))):
        passing.take(frame(2 * fcnt, heard=heard, data_rate=3, frequency_hz=868_100_000))
    passing.uplinks.told(passing.device, DeviceStatus(200, 5))
    link = passing.links.of(passing.device)
    assert (link.gateway_id, link.gateways, link.snr_db, link.frames, link.missed) == ("b", 2, 9.5, 2, 1)
    assert (link.battery, link.downlink_snr_db) == (200, 5)
    passing.run(limits.LORAWAN_LINK_FLUSH_MS)
    (stored,) = lorawan_tables.read_lorawan(passing.store.db).devices
    assert '"battery":200' in stored.link


def test_a_long_queue_of_one_device_does_not_go_down_the_stack() -> None:
    passing = Passing(delay_ms=10)
    passing.take(passing.hello(0))
    for fcnt in range(1, 3_000):
        passing.take(passing.event(1, 0) if fcnt % 2 else passing.event(2, 1))
    passing.run(1_000)
    assert len(passing.settled) == 3_000 and passing.stored == [0, 1]


@pytest.mark.parametrize("busy", [True, False])
def test_a_frame_without_a_payload_counts_too(busy: bool) -> None:
    passing = Passing()
    passing.store.busy = busy
    passing.take(passing.frame(0))
    passing.store.busy = False
    passing.run(5_000)
    assert passing.uplinks.state(passing.device).highest == 0 and len(passing.settled) == 1
