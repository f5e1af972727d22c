from fake_board import Nvs
from lora_network import Bench, said

from app import limits, lora_talk
from app.lora_session import GREETING, JOINING
from pave_wire import hello, lorawan, mac_commands


def test_a_device_joins_then_says_hello_then_reports():
    bench = Bench()
    bench.add("boot")
    assert bench.session.phase == JOINING
    _, events = bench.send(bench.accept)
    assert events == [(lora_talk.JOINED,)] and bench.session.phase == GREETING
    assert [window[0] for window in bench.sent[0].windows] == [5000, 6000]
    frame, _ = bench.send(bench.welcome)
    told = hello.unpack_hello(frame.payload[1:])
    assert (told.epoch, told.seq, told.board) == (100, 1, "pave-presence-v1")
    frame, _ = bench.send(bench.acknowledge(100, 0))
    assert (frame.port, said(frame).seq_low, said(frame).oldest) == (1, 0, True)
    assert frame.flags & lorawan.ADR
    assert len(bench.outbox) == 0 and bench.session.due_ms(bench.now_ms) is None


def test_windows_are_where_the_join_accept_said():
    bench = Bench().running()
    bench.add()
    bench.send()
    uplink = bench.sent[-1]
    assert uplink.windows == ((1000, uplink.frequency_hz, uplink.data_rate), (2000, 869_525_000, 3))


def test_join_attempts_in_vain_use_every_dev_nonce_once_and_change_rate():
    bench = Bench()
    nonces = []
    for _ in range(8):
        bench.send()
        nonces.append(bench.dev_nonce)
        bench.wake()
    assert nonces == list(range(8)) and Nvs.kept["lora"]["dev_nonce"] == 8
    assert [uplink.data_rate for uplink in bench.sent] == [5, 4, 3, 2, 1, 0, 5, 4]
    assert len({uplink.frequency_hz for uplink in bench.sent}) > 1


def test_an_accept_of_before_is_not_taken_again():
    bench = Bench()
    bench.send(bench.accept)
    old = bench.join_nonce
    bench.session.rejoin(bench.now_ms)
    bench.kept = bench.session.state()
    bench.send()
    bench.join_nonce = old - 256
    assert not bench.session.accepts(bench.accept())
    bench.join_nonce = old
    assert bench.session.accepts(bench.accept())


def test_what_is_not_acknowledged_is_said_again_after_growing_pauses_with_link_checks():
    bench = Bench().running()
    bench.add()
    times, checks, rates = [], [], []
    for _ in range(8):
        frame, _ = bench.send()
        times.append(bench.now_ms)
        checks.append(mac_commands.decode(lorawan.UP, frame.fopts)[0] == [(mac_commands.LINK_CHECK, {})])
        rates.append(bench.sent[-1].data_rate)
    pauses = [times[n + 1] - times[n] for n in range(len(times) - 1)]
    assert pauses[-1] > 8 * pauses[0]
    assert pauses[0] < 45_000 and max(pauses) <= 2 * limits.LORA_AGAIN_MAX_S * 1000 + 3000
    assert checks == [False, False] + [True] * 6
    assert rates[:3] == [5, 5, 5] and rates[-1] < 2
    assert len(bench.outbox) == 1


def test_one_acknowledgement_clears_all_up_to_it_and_what_is_left_follows_soon():
    bench = Bench().running()
    for _ in range(3):
        bench.add()
    frame, _ = bench.send()
    assert (said(frame).seq_low, said(frame).oldest) == (2, False)
    frame, _ = bench.send(bench.acknowledge(100, 0))
    assert (said(frame).seq_low, said(frame).oldest) == (0, True)
    before_ms = bench.now_ms
    frame, _ = bench.send(bench.acknowledge(100, 2))
    assert said(frame).seq_low == 1 and bench.now_ms - before_ms < 10_000
    assert len(bench.outbox) == 0


def test_heartbeats_wait_for_one_acknowledgement_of_several():
    bench = Bench().running()
    for _ in range(limits.LORA_QUIET_READINGS):
        bench.add("heartbeat")
        frame, _ = bench.send()
        assert frame is not None
        assert bench.session.due_ms(bench.now_ms) is None
    bench.add("heartbeat")
    bench.send(bench.acknowledge(100, 4))
    assert len(bench.outbox) == 0


def test_counters_go_on_after_deep_sleep_and_skip_the_block_after_a_power_cut():
    bench = Bench().running()
    for _ in range(5):
        bench.add()
        frame, _ = bench.send(bench.acknowledge(100, bench.outbox.state()[1] - 1))
        bench.wake()
    assert frame.fcnt == 5
    commits = Nvs.commits
    bench.add()
    bench.send(bench.acknowledge(100, 5))
    assert Nvs.commits == commits, "an acknowledged event writes nothing"
    bench.wake(None)
    assert bench.session.phase == GREETING
    frame, _ = bench.send(bench.welcome)
    assert frame.port == 3 and frame.fcnt == limits.LORA_FCNT_RESERVE


def test_a_device_that_nobody_answers_joins_again_and_says_hello_first():
    bench = Bench().running()
    bench.add()
    for _ in range(limits.LORA_REJOIN_UNANSWERED):
        bench.send()
    assert bench.session.phase == JOINING
    bench.send(bench.accept)
    frame, _ = bench.send(bench.welcome)
    assert frame.port == 3 and bench.up == 0
    frame, _ = bench.send(bench.acknowledge(100, 0))
    assert frame.port == 1 and len(bench.outbox) == 0


def test_no_reading_is_sent_before_the_hello_is_answered():
    bench = Bench()
    bench.send(bench.accept)
    bench.add()
    ports = [bench.send()[0].port for _ in range(5)]
    assert ports == [3] * 5


def test_what_is_new_does_not_put_off_what_is_oldest():
    bench = Bench().running()
    bench.add()
    for _ in range(6):
        bench.send()
    sent = []
    for _ in range(6):
        bench.add("heartbeat")
        until_ms = bench.now_ms + 600_000
        while bench.session.due_ms(bench.now_ms) < until_ms:
            sent.append(said(bench.send()[0]).seq_low)
        bench.now_ms = until_ms
    assert sent.count(0) >= 2
