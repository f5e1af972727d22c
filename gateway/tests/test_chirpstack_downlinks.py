"""What is put into another network server's queue, and when: never an old acknowledgement in front of a new one."""

import itertools

import pytest

from pave_gateway.core import limits
from pave_gateway.core.instant import Now
from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_gateway.ingress.mqtt_downlinks import Downlinks, Order

DEVICE = "24a160fffe000100"


def ack(number: int) -> Message:
    return Message(6, bytes((1, 0, number)), Priority.ACKNOWLEDGEMENT)


def command(number: int = 0, expires_ms: int | None = None) -> Message:
    return Message(12, bytes((number,)), Priority.COMMAND, expires_ms=expires_ms)


class Queue:
    """Downlinks with their clock in the test's hands, towards a server that takes everything."""

    def __init__(self, can_replace: bool = False) -> None:
        names = itertools.count(1)
        self.orders: list[Order] = []
        self.reachable = True
        self.downlinks = Downlinks(self._take, lambda: f"m{next(names)}", can_replace)
        self.now = Now(1_000, 1_795_000_001_000, True)

    def _take(self, order: Order) -> bool:
        if self.reachable:
            self.orders.append(order)
        return self.reachable

    def put(self, message: Message) -> None:
        self.downlinks.put(DEVICE, message, self.now)

    def sent(self, name: str, lost: bool = False) -> None:
        self.downlinks.sent(DEVICE, name, self.now, lost)

    def heard(self) -> None:
        self.downlinks.heard(DEVICE, self.now)

    def wait(self, delay_ms: int) -> None:
        self.now = Now(self.now.monotonic_ms + delay_ms, self.now.ms + delay_ms, self.now.synchronized)

    @property
    def queued(self) -> list[bytes]:
        return [order.message.data for order in self.orders]


def test_of_acknowledgements_that_wait_the_newest_follows_the_one_on_its_way() -> None:
    queue = Queue()
    for number in (1, 2, 3, 3):
        queue.put(ack(number))
    assert queue.queued == [ack(1).data]
    queue.sent("m1")
    assert queue.queued == [ack(1).data, ack(3).data]
    queue.sent("m2")
    assert len(queue.orders) == 2 and queue.downlinks.counters.sent == 2


def test_the_same_acknowledgement_is_not_queued_twice() -> None:
    queue = Queue()
    for _ in range(3):
        queue.put(ack(1))
    assert len(queue.orders) == 1
    queue.put(ack(2))
    queue.put(ack(1))  # what waits at the server says it all
    queue.sent("m1")
    assert len(queue.orders) == 1


def test_anything_else_is_queued_at_once_up_to_a_bound() -> None:
    queue = Queue()
    queue.put(ack(1))
    for number in range(limits.LORAWAN_DOWNLINKS_QUEUED + 3):
        queue.put(command(number))
    assert len(queue.orders) == limits.LORAWAN_DOWNLINKS_QUEUED
    assert queue.downlinks.counters.refused == 4 and queue.downlinks.has_requests(DEVICE)
    assert not queue.downlinks.has_requests("24a160fffe000101")


def test_an_answer_has_a_date_that_the_server_is_told() -> None:
    queue = Queue()
    queue.put(ack(1))
    queue.put(command(expires_ms=queue.now.monotonic_ms + 120_000))
    assert [order.expires_ms for order in queue.orders] == [
        queue.now.ms + limits.EXTERNAL_ANSWER_MS, queue.now.ms + 120_000,
    ]  # fmt: skip
    queue.now = Now(2_000, 0, False)
    queue.put(command())
    assert queue.orders[-1].expires_ms is None  # 1970 would be long over


def test_what_has_expired_makes_room_for_what_waits_here() -> None:
    queue = Queue()
    queue.put(ack(1))
    queue.put(ack(2))
    queue.wait(limits.EXTERNAL_ANSWER_MS - 1)
    queue.heard()
    assert len(queue.orders) == 1
    queue.wait(1)
    queue.heard()
    assert queue.queued == [ack(1).data, ack(2).data] and queue.downlinks.counters.lost == 1


def test_a_word_of_the_server_that_was_lost_blocks_nothing_for_long() -> None:
    queue = Queue()
    queue.put(ack(1))
    queue.put(ack(2))
    for _ in range(2):
        assert len(queue.orders) == 1
        queue.heard()  # the device sends, and is sent what the server has
    assert queue.queued[1:] == [ack(2).data] and queue.downlinks.counters.presumed == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_word_on_a_message_that_is_not_ours_changes_nothing(lost: bool) -> None:
    queue = Queue()
    queue.put(ack(1))
    queue.sent("of another application", lost)
    queue.downlinks.sent("24a160fffe000101", "m1", queue.now, lost)
    queue.put(ack(2))
    assert len(queue.orders) == 1


def test_a_server_out_of_reach_is_asked_again_with_the_next_answer() -> None:
    queue = Queue()
    queue.reachable = False
    queue.put(ack(1))
    queue.put(command())
    queue.reachable = True
    assert queue.downlinks.counters.refused == 2 and not queue.downlinks.has_requests(DEVICE)
    queue.put(ack(1))
    assert queue.queued == [ack(1).data]


def test_where_the_queue_can_be_replaced_a_newer_acknowledgement_takes_the_place_of_the_only_one() -> None:
    queue = Queue(can_replace=True)
    queue.put(ack(1))
    queue.put(ack(2))
    assert [(order.message.data, order.replaces) for order in queue.orders] == [
        (ack(1).data, True),  # whatever an earlier run left there
        (ack(2).data, True),
    ]
    queue.put(command())
    queue.put(ack(3))
    assert [order.replaces for order in queue.orders] == [True, True, False]  # the command may not be lost with it
    queue.sent("m2")
    assert queue.queued[3:] == [ack(3).data] and not queue.orders[3].replaces


def test_after_a_join_nothing_of_before_is_waited_for() -> None:
    queue = Queue()
    queue.put(ack(1))
    queue.put(ack(2))
    queue.downlinks.forget(DEVICE)
    queue.put(ack(3))
    assert queue.queued == [ack(1).data, ack(3).data]
