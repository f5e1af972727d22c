"""Requests that change something: one group with their window, then they act, then they are answered."""

import logging

import pytest
from oscore_support import Bench, MemoryDisk, Sealer, ValueRow, post
from shadow_support import at, keyring

from pave_gateway.core import limits
from pave_gateway.core.commands import Commands
from pave_gateway.core.rows import ReplayRow, SenderRow
from pave_gateway.core.shadow import Shadows
from pave_gateway.core.shadow_resources import Reply, Resources
from pave_gateway.ingress.coap_changes import Changing, Question
from pave_gateway.ingress.coap_device_resources import add_shadow
from pave_gateway.ingress.coap_resources import Site as Resourced
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal
from pave_gateway.store.reader import JournalReader
from pave_gateway.store.shadow_tables import hello_of
from pave_wire import coap, hello, shadow
from pave_wire.coap import CON, NON, Message


class Shelf:
    """A resource at /v: PUT stores the next version of a value, POST only answers."""

    def __init__(self, committer_of):
        self.asked: list[Question] = []
        self.applied: list[str] = []
        self.version = 0
        self.changing = Changing(self.answer, lambda *rest: committer_of().submit(*rest))

    def answer(self, question):
        self.asked.append(question)
        if question.code != coap.PUT:
            return Reply(coap.CHANGED, b"\xa0", 60, b"etag")
        value = question.payload.decode()
        row = ValueRow("v", self.version + 1, value)
        return Reply(coap.CHANGED, rows=(row,), apply=lambda: self.apply(value))

    def apply(self, value):
        self.version += 1
        self.applied.append(value)


class Site:
    def __init__(self, at_once=False, **made):
        self.shelf = Shelf(lambda: self.bench.committer)
        self.bench = Bench(at_once=at_once, changing={b"v": self.shelf.changing}, **made)
        self.device = Sealer()

    def put(self, value, kind=CON, code=coap.PUT, **options):
        request = post(value.encode(), 60, path="v", kind=kind)
        request.code = code
        return self.device.seal(request)


@pytest.fixture
def site():
    return Site()


def only(datagrams):
    assert len(datagrams) == 1, datagrams
    return datagrams[0]


def kinds(rows):
    return [type(row) for row in rows]


def test_a_change_and_the_window_that_admitted_it_are_one_group_and_then_it_acts_and_is_answered(site):
    assert site.bench.put(site.put("one")) == []
    assert (len(site.bench.committer.queue), site.shelf.applied) == (1, [])
    assert site.device.code(only(site.bench.flush())) == "2.04"
    assert [kinds(group) for group in site.bench.committer.groups] == [[ReplayRow, SenderRow, ValueRow]]
    assert (site.bench.disk.values, site.shelf.applied) == ({"v": (1, "one")}, ["one"])
    assert site.bench.disk.windows == {site.device.device: (0, 1)}
    question = site.shelf.asked[0]
    assert (question.device, question.payload, question.content_format) == (site.device.device, b"one", 60)


def test_a_kill_between_arrival_and_commit_leaves_neither_change_nor_window_and_after_it_both(site):
    first, second = site.put("one"), site.put("two")
    site.bench.put(first)
    again = Site(disk=site.bench.disk, seed=2)
    assert (site.bench.disk.values, site.bench.disk.windows) == ({}, {})
    again.bench.put(first)  # as if it had never come
    assert site.device.code(only(again.bench.flush())) == "2.04"
    again.bench.put(second)
    again.bench.committer.disk.write(again.bench.committer.queue[0][0])  # on disk; killed before `done`
    last = Site(disk=site.bench.disk, seed=3)
    assert last.bench.put(second) == [] and last.bench.counters.dropped["replay"] == 1
    assert site.bench.disk.values == {"v": (2, "two")}


def test_a_retransmission_while_the_commit_is_under_way_changes_nothing_twice(site):
    request = site.put("one")
    site.bench.put(request)
    site.bench.put(request)
    assert len(site.bench.flush()) == 1
    assert site.bench.put(request)  # the same answer
    assert site.shelf.applied == ["one"] and len(site.shelf.asked) == 1


def test_a_version_that_does_not_follow_is_answered_5_03_and_its_window_is_not_lost(site):
    site.bench.disk.values["v"] = (7, "somebody else's")
    request = site.put("one")
    site.bench.put(request)
    site.bench.committer.flush(1)
    assert site.bench.sent() == []
    answer = site.device.open(only(site.bench.flush()))
    assert (coap.code_text(answer.code), answer.option(coap.MAX_AGE)) == ("5.03", bytes((limits.RETRY_AFTER_S,)))
    assert site.bench.disk.windows == {site.device.device: (0, 1)}
    assert (site.shelf.applied, site.bench.disk.values) == ([], {"v": (7, "somebody else's")})
    after = Site(disk=site.bench.disk, seed=2)
    assert after.bench.put(request) == [] and after.bench.counters.dropped["replay"] == 1


def test_when_the_disk_takes_nothing_there_is_silence_and_the_same_bytes_are_a_new_try(site):
    request = site.put("one")
    site.bench.committer.fault = "the disk is full"
    site.bench.put(request)
    site.bench.flush()
    assert site.bench.flush() == []
    assert (site.bench.counters.not_stored, site.shelf.applied) == (1, [])
    site.bench.committer.fault = ""
    site.bench.put(request)
    assert site.device.code(only(site.bench.flush())) == "2.04"
    assert site.shelf.applied == ["one"]


def test_a_full_queue_is_silence_and_the_retransmission_a_new_try(site):
    site.bench.committer.max_queued = 0
    request = site.put("one")
    assert site.bench.put(request) == [] and site.bench.counters.not_stored == 1
    site.bench.committer.max_queued = 1
    site.bench.put(request)
    assert site.device.code(only(site.bench.flush())) == "2.04"


def test_a_reply_without_rows_waits_for_its_window_alone(site):
    site.bench.put(site.put("", code=coap.POST))
    assert site.bench.sent() == []
    answer = site.device.open(only(site.bench.flush()))
    assert (coap.code_text(answer.code), answer.payload) == ("2.04", b"\xa0")
    assert [number for number, _ in answer.options] == [coap.ETAG, coap.CONTENT_FORMAT]
    assert kinds(site.bench.committer.groups[0]) == [ReplayRow, SenderRow]


def test_a_get_of_the_same_path_and_what_lies_below_it_go_to_aiocoap(site):
    below = post(b"", path="v")
    below.options = coap.ordered([*below.options, (coap.URI_PATH, b"below")])
    site.bench.put(site.put("", code=coap.GET))
    site.bench.put(site.device.seal(below))
    site.bench.flush()
    assert (len(site.bench.tokens.requests), site.shelf.asked) == (2, [])


def test_a_later_block_of_the_answer_to_a_change_is_refused_since_asking_would_change_again(site):
    request = post(b"one", 60, path="v")
    request.code = coap.PUT
    request.options = coap.ordered([*request.options, (coap.BLOCK2, b"\x10")])
    site.bench.put(site.device.seal(request))
    assert site.device.code(only(site.bench.flush())) == "4.02"
    assert site.shelf.asked == []


def test_a_slow_commit_of_a_change_is_acknowledged_and_answered_by_a_message_of_its_own(site):
    site.bench.put(site.put("one"))
    empty = coap.decode(only(site.bench.later(600)))
    assert (empty.type, empty.code) == (coap.ACK, coap.EMPTY)
    answer = site.device.open(only(site.bench.flush()))
    assert (answer.type, coap.code_text(answer.code)) == (CON, "2.04")


def test_a_change_in_a_non_is_answered_by_a_non(site):
    site.bench.put(site.put("one", kind=NON))
    answer = site.device.open(only(site.bench.flush()))
    assert (answer.type, coap.code_text(answer.code)) == (NON, "2.04")


def test_without_oscore_a_change_has_its_own_rows_alone_and_names_no_device():
    site = Site(insecure=True)
    plain = Message(CON, coap.PUT, 9, b"t", [(coap.URI_PATH, b"v")], b"one")
    site.bench.put(coap.encode(plain))
    assert coap.decode(only(site.bench.flush())).code == coap.CHANGED
    assert kinds(site.bench.committer.groups[0]) == [ValueRow]
    assert site.shelf.asked[0].device is None
    site.bench.committer.fault = "full"
    plain.mid, plain.payload = 10, b"two"
    site.bench.put(coap.encode(plain))
    assert coap.decode(only(site.bench.flush())).code == coap.SERVICE_UNAVAILABLE


def test_hello_and_reported_settings_are_in_the_journal_with_their_windows_before_anybody_hears_of_them(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal, reader = Journal(path), JournalReader(path)
    device = Sealer()
    later, heard = [], []
    committer = InlineCommitter(journal, later.append)
    shadows = Shadows([], [], keyring())
    resources = Resources(shadows, Commands([], at(0)), {device.device: shadow.PRESENCE}.get)
    site = Resourced()
    add_shadow(site, resources, lambda: at(0), committer.submit, lambda name, said: heard.append((name, said.board)))
    bench = Bench(committer=committer, changing=site.changing)
    said = hello.pack_hello(hello.Hello(3, 0, "pave-presence-v1", "1.0", 1))
    report = post(shadow.pack(shadow.Document(0, {1: 900})), 60, path="s")
    report.code = coap.PUT
    for request in (post(said, 60, path="h"), report):
        assert bench.put(device.seal(request)) == [] and len(later) == 1
        assert reader.replay_windows()[0][device.device] == bench.contexts.of_device(device.device).window
        assert heard == [] if request.path == "h" else shadows.setting(device.device, "heartbeat_s") is None
        later.pop()()
        assert device.code(only(bench.sent())) == "2.04"
    assert (
        heard
        == [(device.device, "pave-presence-v1")]
        == [(device.device, hello_of(reader.connection, device.device).board)]
    )
    assert shadows.setting(device.device, "heartbeat_s") == 900
    reader.close()
    journal.close()


class TwoSteps(Changing):
    """The negative control: the change is committed by itself, and the window whenever the disk has time."""

    def take(self, question, admission, done):
        super().take(question, (), done)


def admitted_after_kill(changing_kind):
    """Kill a gateway at each commit of ten changes; return how many requests acted again after it."""
    again = 0
    for cut in range(10):
        disk = MemoryDisk()
        site = Site(disk=disk)
        changing = changing_kind(site.shelf.answer, lambda *rest, site=site: site.bench.committer.submit(*rest))
        site.bench.front._changing = {b"v": changing}
        captured = [site.put(str(number)) for number in range(10)]
        for request in captured:
            site.bench.put(request)
            site.bench.committer.flush(1)
            if len(site.bench.committer.groups) > cut:
                break
        after = Site(disk=disk, seed=2)
        after.shelf.version = disk.values["v"][0]
        for request in captured[: cut + 1]:
            after.bench.put(request)
            again += len(after.bench.committer.queue)
            after.bench.flush()
    return again


def test_no_change_acts_again_after_a_kill_and_one_whose_window_is_stored_apart_does(caplog):
    caplog.set_level(logging.CRITICAL)
    assert admitted_after_kill(Changing) == 0
    assert admitted_after_kill(TwoSteps) > 0
