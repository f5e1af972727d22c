from pave_wire.coap_timers import Timed, Timers


def test_each_object_is_due_once_at_its_latest_time():
    timers = Timers()
    early, late, never = Timed(), Timed(), Timed()
    timers.set(early, 10)
    timers.set(late, 5)
    timers.set(late, 20)
    timers.set(never, 7)
    timers.set(never, None)
    assert timers.next() == 10
    assert timers.due(9) == []
    assert timers.due(30) == [early, late]
    assert timers.next() is None and timers.due(30) == []


def test_setting_the_same_time_again_takes_no_more_room():
    timers = Timers()
    items = [Timed() for _ in range(4)]
    for _ in range(500):
        for item in items:
            timers.set(item, 1000)
            timers.set(item, None)
            timers.set(item, 1000)
    assert len(timers._heap) <= 2 * len(items) + 8
    assert len(timers.due(1000)) == len(items)
