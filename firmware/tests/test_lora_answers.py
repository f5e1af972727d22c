from checks import raised
from fake_board import Nvs
from lora_network import Bench, said

from app import limits, lora_talk
from pave_wire import event_encode, lorawan, model, region


def test_a_block_of_counters_costs_one_write():
    bench = Bench().running()
    before = Nvs.commits
    for _ in range(2 * limits.LORA_FCNT_RESERVE):
        bench.add()
        bench.send(bench.acknowledge(100, bench.outbox.state()[1] - 1))
        bench.wake()
        bench.now_ms += 600_000
    assert Nvs.commits - before <= 3
    assert bench.up == 2 * limits.LORA_FCNT_RESERVE


def test_counters_of_rtc_memory_that_went_back_are_not_used():
    bench = Bench().running()
    old = bench.kept
    for _ in range(limits.LORA_FCNT_RESERVE + 5):
        bench.add()
        bench.send(bench.acknowledge(100, bench.outbox.state()[1] - 1))
        bench.now_ms += 600_000
    newest = bench.up
    bench.wake(old)
    bench.add()
    frame, _ = bench.send()
    assert frame.fcnt > newest


def test_a_pending_downlink_is_fetched_soon():
    bench = Bench().running()
    bench.add()
    bench.send(bench.acknowledge(100, 0, flags=lorawan.PENDING))
    before_ms = bench.now_ms
    frame, _ = bench.send(within_s=10)
    assert frame is not None and frame.port is None and bench.now_ms - before_ms < 10_000
    assert bench.session.due_ms(bench.now_ms) is None


def test_a_confirmed_downlink_is_acknowledged():
    bench = Bench().running()
    bench.add()
    bench.send(bench.acknowledge(100, 0, confirmed=True))
    bench.wake()
    for ack in (True, False):
        bench.add()
        frame, _ = bench.send(bench.acknowledge(100, bench.outbox.state()[1] - 1))
        assert bool(frame.flags & lorawan.ACK) is ack


def test_refusals_do_what_the_contract_says():
    for code, left, port in ((0x80, 0, None), (0x8D, 0, None), (0x83, 1, 1), (0xA3, 1, 1), (0x8F, 1, 14)):
        bench = Bench().running()
        bench.add()
        fport = next(port for port, of in event_encode.REFUSALS if of == code)
        _, events = bench.send(bench.refuse(fport, 100, 0))
        assert events == [(lora_talk.REFUSED, code, 0)]
        assert len(bench.outbox) == left
        frame, _ = bench.send()
        assert (None if frame is None else frame.port) == port


def test_an_identity_that_is_taken_begins_a_new_epoch():
    bench = Bench().running()
    bench.add()
    bench.send(bench.refuse(16, 100, 0))
    frame, _ = bench.send()
    assert said(frame).epoch_low == 101 and len(bench.outbox) == 1


def test_what_does_not_fit_an_event_goes_as_senml_at_a_rate_that_holds_it():
    bench = Bench().running()
    bench.outbox.add({"fault": "magnetometer"}, bench.now_ms)
    frame, _ = bench.send(bench.acknowledge(100, 0))
    assert frame.port == 14 and model.unpack_readings(frame.payload)[0].values == {"fault": "magnetometer"}
    bench.session._mac.data_rate = 0
    bench.outbox.add({"fault": "magnetometer"}, bench.now_ms)
    bench.send()
    assert bench.sent[-1].data_rate == 3


def test_a_frame_is_repeated_as_often_as_the_network_wants_until_it_is_answered():
    bench = Bench().running()
    bench.session._mac.nb_trans = 3
    bench.add()
    uplink = bench.session.next_uplink(bench.now_ms)
    again = [bench.session.again(bench.now_ms + 2000 * n) for n in range(1, 4)]
    assert [other and other.phy for other in again] == [uplink.phy, uplink.phy, None]
    bench.add()
    bench.now_ms += 30_000
    bench.session.finish(0, bench.now_ms)
    bench.session.next_uplink(bench.now_ms)
    assert bench.session.accepts(bench.acknowledge(100, 1)(None))
    assert bench.session.again(bench.now_ms) is None


def test_the_law_holds_up_what_is_due():
    bench = Bench().running()
    bench.session._mac.data_rate = 0
    first_ms = bench.now_ms
    for _ in range(80):
        bench.add("heartbeat")
        bench.send(bench.acknowledge(100, bench.outbox.state()[1] - 1))
        bench.session._mac.data_rate = 0
    assert bench.now_ms - first_ms > region.HOUR_MS // 2


def test_strangers_are_not_accepted():
    bench = Bench().running()
    bench.add()
    bench.session.next_uplink(bench.now_ms)
    good = bench.acknowledge(100, 0)(None)
    assert not bench.session.accepts(good[:-1] + bytes((good[-1] ^ 1,)))
    assert not bench.session.accepts(b"")
    assert not bench.session.accepts(bytes(12))
    assert bench.session.accepts(good)
    assert not bench.session.accepts(bench.sent[-1].phy)


def test_rtc_memory_has_room_for_it():
    from pave_wire import cbor

    bench = Bench().running()
    for n in range(40):
        bench.add()
        bench.send(bench.acknowledge(100, n))
        bench.now_ms += 100_000
    assert len(cbor.dumps(bench.kept)) < 260


def test_what_could_not_be_stored_is_not_sent():
    bench = Bench()
    whole = Nvs.set_i32

    def fails(nvs, key, value):
        raise OSError("flash")

    Nvs.set_i32 = fails
    try:
        bench.now_ms = bench.session.due_ms(bench.now_ms)
        raised(OSError, bench.session.next_uplink, bench.now_ms)
    finally:
        Nvs.set_i32 = whole
