from app import limits, log_ring
from app.log_ring import LogRing
from pave_wire import limits as wire_limits
from pave_wire import model
from pave_wire.reading import Reading, class_of

FAR_MS = 0x1234_5678_9ABC


def test_lines_come_back_in_their_order_with_time_and_level():
    ring = LogRing(200)
    ring.add(1, "joined", FAR_MS)
    ring.add(3, "gateway not reached", FAR_MS + 5)
    assert ring.lines(9) == [(FAR_MS, 1, "joined"), (FAR_MS + 5, 3, "gateway not reached")]
    assert ring.lines(1) == [(FAR_MS + 5, 3, "gateway not reached")]


def test_the_newest_lines_fit_whatever_came_before_and_the_oldest_go():
    ring = LogRing(100)
    for count in range(500):
        ring.add(count % 4, "line %d " % count + "x" * (count % 30), count)
        found = ring.lines(99)
        assert [at_ms for at_ms, _, _ in found] == list(range(count + 1 - len(found), count + 1)) and found
        for at_ms, level, text in found:
            assert (level, text) == (at_ms % 4, "line %d " % at_ms + "x" * (at_ms % 30))
        assert sum([8 + len(text) for _, _, text in found]) <= 100
        assert ring.dropped == count + 1 - len(found)


def test_a_line_is_cut_and_cannot_pretend_to_be_two():
    ring = LogRing(1000)
    ring.add(2, "a\nb\x00é" + "x" * 200, 0)
    ring.add(2, "", 0)
    lines = ring.lines(9)
    assert lines[0][2].startswith("a.b..") and len(lines[0][2]) == limits.LOG_LINE_CHARS
    assert lines[1][2] == "-"


def test_readings_of_a_log_are_taken_by_the_gateway_as_diagnostics():
    lines = [(1000 * count, 2, "50%% of (%d) lost: é~" % count + "y" * 60) for count in range(30)]
    found = log_ring.readings(lines, 61_000)
    assert [len(values) for values in found] == [12, 12, 6]
    for values in found:
        pack = model.pack_readings("24a160fffe000101", [Reading("24a160fffe000101", 1, 0, 0, values)])
        assert len(pack) < wire_limits.PACK_BYTES and class_of(values) == "diagnostics"
        assert model.unpack_readings(pack)[0].values == values
    assert found[0]["log-1"].startswith("61 w 50  of  0  lost:")
