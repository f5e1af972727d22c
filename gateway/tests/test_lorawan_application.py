"""Payloads: low bits and hellos, the acknowledgement and its policy, refusals, lost events, requests both ways."""

from typing import Any

import pytest
from lorawan_support import Site, event_of, hello_of

from pave_gateway.core import limits
from pave_gateway.core.lorawan.frames import Answer, Payload
from pave_gateway.core.lorawan.progress import Progress, of_text
from pave_wire import cbor, coap, command, event, model, schc, schc_rules, shadow
from pave_wire.event import rebuild_previous
from pave_wire.hello import unpack_welcome
from pave_wire.reading import Reading


class Link:
    """Another network server's ingress: it hands over payloads and sends what it is given."""

    def __init__(self, **settings: Any) -> None:
        self.site = Site(**settings)
        self.application = self.site.application
        self.device = self.site.devices[0].eui
        self.fcnt = -1

    def receive(self, port: int | None, data: bytes = b"", joined: bool = False, room_bytes: int = 0) -> Answer:
        answers: list[Answer] = []
        self.fcnt += 1
        payload = Payload(self.device, port, data, self.fcnt, joined, room_bytes)
        self.application.receive(payload, self.site.now(), answers.append)
        self.site.run(1_000)
        (answer,) = answers
        return answer

    def greeted(self, epoch: int = 1, seq: int = 0) -> "Link":
        assert self.receive(3, hello_of(epoch, seq)).durable
        return self

    def event(self, seq: int, **fields: Any) -> Answer:
        return self.receive(1, event_of(self.device, seq, **fields))

    def batch(self, *readings: tuple[int, dict[str, Any]], port: int = 2, epoch: int = 1, device: str = "") -> Answer:
        pack = [Reading(device or self.device, epoch, seq, 0, values) for seq, values in readings]
        return self.receive(port, model.pack_readings(device or self.device, pack))

    @property
    def stored(self) -> list[tuple[int, int]]:
        return sorted((epoch, seq) for _, epoch, seq in self.site.store.readings)

    @property
    def progress(self) -> Progress:
        return self.application.progress(self.device)


def acknowledged(answer: Answer) -> tuple[int, int] | None:
    """Return the (low 8 bits of the epoch, low 16 of the seq) that an answer acknowledges."""
    found = [message for message in answer.messages if message.port == 6]
    return (found[0].data[0], int.from_bytes(found[0].data[1:], "big")) if found else None


def refused(answer: Answer) -> list[tuple[int, bytes]]:
    return [(message.port, message.data) for message in answer.messages if message.port in (7, 15, 16, 17, 18, 19)]


def heartbeat(occupied: bool = False) -> dict[str, Any]:
    return {"occupied": occupied, "reason": "heartbeat"}


def test_an_event_is_a_reading_under_its_whole_identity_and_is_acknowledged() -> None:
    link = Link().greeted(epoch=259, seq=74_042)
    answer = link.receive(1, bytes.fromhex("017803213a0068a3"))  # the event of docs/WIRE.md
    assert answer.durable and acknowledged(answer) == (3, 0x213A)
    values = {"reason": "field", "occupied": False, "confidence": 0.96, "lasted": 5400}
    assert link.site.store.readings == {(link.device, 259, 74_042): values}


def test_nothing_is_read_before_the_hello_after_a_join() -> None:
    link = Link()
    assert link.event(0).messages == () and not link.stored
    assert link.application.counters.before_hello == 1
    link.greeted()
    link.event(0)
    assert link.stored == [(1, 0)]
    assert link.receive(None, joined=True).durable
    assert link.event(1).messages == () and link.stored == [(1, 0)]
    link.greeted(epoch=30_000_000, seq=5)  # provisioned anew
    link.event(5, epoch=30_000_000)
    assert link.stored == [(1, 0), (30_000_000, 5)]


def test_senml_before_the_hello_is_stored_and_not_acknowledged() -> None:
    link = Link()
    answer = link.batch((0, heartbeat()), port=14)
    assert answer.durable and answer.messages == () and link.stored == [(1, 0)]


def test_a_hello_is_on_disk_before_it_is_answered_with_the_time_and_the_tag_of_the_settings() -> None:
    link = Link()
    (message,) = link.receive(3, hello_of(token=0x51)).messages
    answer = schc.decompress(message.port, message.data, schc_rules.DOWN)
    assert (answer.code, answer.token) == (coap.CHANGED, b"\x51")
    time_s, etag = unpack_welcome(answer.payload)
    assert time_s == (link.site.now().ms - 1_000) // 1000 and etag == link.site.shadows.etag(link.device)
    link.site.synchronized = False
    (message,) = link.receive(3, hello_of()).messages
    assert unpack_welcome(schc.decompress(message.port, message.data, schc_rules.DOWN).payload)[0] is None
    link.site.store.failing = True
    assert link.receive(3, hello_of()) == Answer(False)


def test_a_hello_that_cannot_be_read_is_answered_4_00() -> None:
    link = Link()
    (message,) = link.receive(3, b"\x51\xa0").messages
    answer = schc.decompress(message.port, message.data, schc_rules.DOWN)
    assert (answer.code, answer.token) == (coap.BAD_REQUEST, b"\x51") and not link.progress.known


@pytest.mark.parametrize("newest", [65_534, 70_000, 131_071, 0])
def test_low_bits_are_those_of_the_number_nearest_to_the_newest(newest: int) -> None:
    link = Link().greeted(epoch=300, seq=newest + 1)
    for seq in (newest + 1, newest + 5, newest + 2):
        link.event(seq, epoch=300, oldest=False)
    assert link.stored == [(300, newest + 1), (300, newest + 2), (300, newest + 5)]


def test_readings_of_an_epoch_before_keep_their_numbers() -> None:
    """A device restarts with readings in its outbox: they come under the old epoch, whose seq is far along."""
    link = Link().greeted(epoch=7, seq=60_000)
    link.event(60_000, epoch=7)
    link.greeted(epoch=8, seq=0)
    link.event(0, epoch=8, oldest=False)
    link.event(60_001, epoch=7)
    assert link.stored == [(7, 60_000), (7, 60_001), (8, 0)]


def test_what_is_known_of_a_device_survives_a_restart() -> None:
    link = Link().greeted(epoch=300, seq=70_000)
    link.event(70_000, epoch=300)
    link.event(70_002, epoch=300, oldest=False)
    before = link.progress
    link.site.start()
    link.application = link.site.application
    assert link.progress == before and before.floor == (300, 70_000) and before.stored == ((300, 70_002),)
    assert acknowledged(link.event(70_001, epoch=300)) == (300 & 0xFF, 70_002 & 0xFFFF)


def test_the_floor_stops_at_a_gap_and_passes_it_when_the_device_says_that_nothing_older_waits() -> None:
    link = Link().greeted()
    assert acknowledged(link.event(0)) == (1, 0)
    assert acknowledged(link.event(3, oldest=False)) is None  # nothing new could be said
    assert acknowledged(link.event(4, oldest=False)) is None
    assert link.progress.floor == (1, 0) and link.progress.stored == ((1, 3), (1, 4))
    assert acknowledged(link.event(2, oldest=True)) == (1, 4)  # 1 was given up


def test_a_repetition_is_acknowledged_again_and_stored_once() -> None:
    link = Link().greeted()
    assert acknowledged(link.event(0)) == (1, 0)
    assert acknowledged(link.event(0, age_s=40)) == (1, 0)
    assert link.stored == [(1, 0)]
    assert acknowledged(link.batch((0, {"reason": "field", "occupied": True, "confidence": 0.95}), port=14)) == (1, 0)


def test_presence_is_acknowledged_at_once_and_heartbeats_every_fourth() -> None:
    link = Link().greeted()
    answers = [acknowledged(link.event(seq, occupied=False, reason="heartbeat")) for seq in range(9)]
    assert answers == [(1, 0), None, None, None, (1, 4), None, None, None, (1, 8)]  # the first: a new epoch
    assert link.application.counters.withheld == 6
    link.event(9, occupied=False, reason="heartbeat")
    assert acknowledged(link.event(10, occupied=True, lasted=60)) == (1, 10)
    assert acknowledged(link.event(11, reason="tilt")) == (1, 11)


def test_what_was_withheld_is_said_in_a_frame_that_goes_out_anyway() -> None:
    site = Site()
    device = site.joined()
    for seq in range(2):
        site.hear(device.uplink(1, event_of(device.eui, seq, occupied=False, reason="heartbeat"), confirmed=seq == 1))
        site.run(10_000)
    assert [device.hear(downlink.phy).payload for downlink in site.sent] == [b"\x01\x00\x00", b"\x01\x00\x01"]


def test_no_acknowledgement_is_given_that_the_device_would_read_as_another() -> None:
    link = Link().greeted(epoch=1, seq=0)
    link.event(0)
    link.greeted(epoch=200, seq=0)
    assert acknowledged(link.event(1, epoch=200, oldest=False)) is None  # the floor, epoch 1, is too far behind
    assert link.application.acknowledgement(link.device) is None
    assert acknowledged(link.event(2, epoch=200, oldest=True)) == (200, 2)


def test_a_device_whose_epoch_goes_back_can_be_acknowledged_again() -> None:
    link = Link().greeted(epoch=500, seq=0)
    link.event(0, epoch=500)
    link.greeted(epoch=20, seq=0)
    assert acknowledged(link.event(0, epoch=20)) == (20, 0)


def test_one_lost_event_is_rebuilt_from_the_next_and_does_not_raise_the_floor() -> None:
    link = Link().greeted()
    link.event(0, occupied=False)
    answer = link.event(2, occupied=False, lasted=600, age_s=2, oldest=False)
    assert acknowledged(answer) is None and link.progress.floor == (1, 0)
    assert link.site.store.readings[link.device, 1, 1] == {"occupied": True, "reason": "rebuilt"}
    assert link.application.counters.rebuilt == 1
    link.event(1, occupied=True)  # the real one, after all
    assert link.site.store.readings[link.device, 1, 1]["reason"] == "field" and link.progress.floor == (1, 2)


def test_what_cannot_be_rebuilt_is_not() -> None:
    link = Link().greeted()
    link.event(0, occupied=False)
    link.event(2, occupied=False, reason="heartbeat", oldest=False)  # ended no state
    link.event(5, occupied=True, lasted=60, oldest=False)  # two are missing
    assert link.stored == [(1, 0), (1, 2), (1, 5)]
    link.event(4, occupied=False, lasted=60, oldest=False)  # in the past
    assert link.stored == [(1, 0), (1, 2), (1, 4), (1, 5)]


def test_a_rebuilt_reading_never_keeps_a_real_one_out() -> None:
    link = Link().greeted()
    link.event(0, occupied=False)
    link.site.store.readings[link.device, 1, 1] = {"occupied": True, "reason": "radar"}  # it came another way
    answer = link.event(2, occupied=False, lasted=600, oldest=False)
    assert answer.durable and (1, 2) in link.stored and link.application.counters.rebuilt == 0


def test_the_same_event_is_rebuilt_by_the_wire() -> None:
    """The control: what the application enters is what docs/WIRE.md computes."""
    before = Reading("d", 1, 0, 0, {"occupied": False})
    after = Reading("d", 1, 2, 2, {"occupied": False, "lasted": 600, "reason": "field"})
    rebuilt = rebuild_previous(before, after)
    assert rebuilt is not None and (rebuilt.age_s, rebuilt.values) == (602, {"occupied": True, "reason": "rebuilt"})


def test_refusals_name_their_reading_on_the_port_of_their_code() -> None:
    link = Link().greeted()
    link.event(0)
    assert refused(link.event(0, occupied=False)) == [(16, b"\x01\x00\x00")]  # 4.09
    newer = bytearray(event_of(link.device, 1))
    newer[0] |= 0x0F  # a reason of a later version
    assert refused(link.receive(1, bytes(newer))) == [(18, b"\x01\x00\x01")]  # 4.15
    newer[0] |= 0x40  # another version altogether
    assert refused(link.receive(1, bytes(newer))) == [(18, b"\x01\x00\x01")]
    assert refused(link.batch((1, heartbeat()), device="24a160fffe000999")) == [(15, b"\x01\x00\x01")]  # 4.03
    bad = cbor.dumps([{-2: f"urn:dev:mac:{link.device}_", 0: "epoch", 2: 1}, {-3: 0, 0: "seq", 2: 7}])
    assert refused(link.receive(2, bad)) == [(7, b"\x01\x00\x07")]  # 4.00: no value
    assert link.stored == [(1, 0)] and link.progress.floor == (1, 0)


def test_a_full_queue_or_disk_is_said_by_5_03_and_nothing_of_the_frame_stays() -> None:
    link = Link().greeted()
    before = link.progress
    link.site.store.failing = True
    answer = link.event(0)
    assert (answer.durable, refused(answer)) == (False, [(19, b"\x01\x00\x00")])
    link.site.store.failing, link.site.store.busy = False, True
    assert not link.event(0).durable and link.progress == before
    link.site.store.busy = False
    assert acknowledged(link.event(0)) == (1, 0)


def test_a_device_that_is_no_bay_of_the_site_is_refused_and_its_frame_is_admitted() -> None:
    site = Site()
    device = site.joined()
    site.ingest._places = {}  # pyright: ignore[reportPrivateUsage]
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(5_000)
    assert device.hear(site.sent[-1].phy).port == 15
    (session,) = site.server.sessions
    assert session.fcnt_up == device.fcnt - 1 == site.store.db.execute("SELECT fcnt_up FROM lora_device").get


@pytest.mark.parametrize(
    ("port", "data"),
    [
        (1, b"\x01\x02\x03"), (1, bytes(12)), (2, b"\xff" * 20), (2, b"\x80"), (6, b"\x01\x00\x00"), (20, b"x"),
        (99, b"x"), (200, bytes(242)), (5, b"\x51"), (14, b""), (3, b""), (9, b""),
    ],
)  # fmt: skip
def test_what_no_rule_reads_is_counted_and_its_frame_admitted(port: int, data: bytes) -> None:
    link = Link().greeted()
    answer = link.receive(port, data)
    assert answer.durable and not link.stored and acknowledged(answer) is None


def test_frames_of_one_device_wait_for_each_other_and_those_of_another_do_not() -> None:
    site = Site(devices=2, delay_ms=0)
    first, second = [device.eui for device in site.devices]
    answers: list[tuple[str, bool]] = []
    for device in (first, second):
        site.application.receive(Payload(device, 3, hello_of(), 0), site.now(), lambda answer: None)
    site.store.delay_ms = 500
    for device, seq in ((first, 0), (first, 1), (second, 0)):
        payload = Payload(device, 1, event_of(device, seq), seq + 1)
        site.application.receive(
            payload, site.now(), lambda answer, device=device: answers.append((device, answer.durable))
        )
    site.run(600)
    assert answers == [(first, True), (second, True)]
    site.run(600)
    assert answers[2:] == [(first, True)]


def test_a_gap_that_never_closes_keeps_no_more_than_an_outbox_holds() -> None:
    link = Link().greeted()
    link.event(0)
    for seq in range(2, 200):
        link.event(seq, oldest=False)
    assert len(link.progress.stored) == limits.LORAWAN_STORED_BEYOND_FLOOR
    assert acknowledged(link.event(199, oldest=True)) == (1, 199)


def test_progress_is_the_same_after_a_round_through_text() -> None:
    progress = Progress(True, 300, ((299, 7), (300, 70_000)), (300, 5), ((300, 8),), (300, 8), 1)
    assert of_text(progress.text()) == progress and of_text("") == Progress()


def test_only_the_latest_epochs_are_remembered() -> None:
    progress = Progress().greeted(1, 0)
    for epoch in range(1, 100):
        progress = progress.greeted(epoch, 3)
    assert len(progress.newest) == limits.LORAWAN_EPOCHS and progress.newest_seq(99) == 2


def test_a_device_fetches_its_settings() -> None:
    link = Link().greeted()
    (message,) = link.receive(4, b"\x51").messages
    answer = schc.decompress(message.port, message.data, schc_rules.DOWN)
    assert (answer.code, answer.token) == (coap.CONTENT, b"\x51")
    assert shadow.unpack(answer.payload).version == 0


def test_what_is_not_offered_over_this_link_is_answered_4_04() -> None:
    link = Link().greeted()
    options = [(coap.URI_PATH, b"f"), (coap.URI_PATH, b"A" * 43), (coap.BLOCK2, b"\x02")]
    port, data = schc.compress(coap.Message(coap.NON, coap.GET, 0, b"\x09", options), schc_rules.UP)
    (message,) = link.receive(port, data).messages
    assert schc.decompress(message.port, message.data, schc_rules.DOWN).code == coap.NOT_FOUND


def commanded(site: Site, name: str = "reboot") -> int:
    """Give the first device a command; return its id."""
    command_id, change = site.commands.create(site.devices[0].eui, shadow.PRESENCE, name, None, site.now())
    site.store.submit(change.rows, lambda outcome: change.apply())
    return command_id


def test_a_command_goes_to_its_device_when_it_is_heard_and_its_result_comes_back() -> None:
    site = Site()
    device = site.joined()
    command_id = commanded(site)
    site.hear(device.uplink())
    site.run(10_000)
    frame = device.hear(site.sent[-1].phy)
    assert frame.port == 12
    request = schc.decompress(frame.port, frame.payload, schc_rules.DOWN)
    assert command.unpack_command(request.payload).id == command_id
    assert site.commands.waiting(device.eui)[0].state == "sent"
    result = command.pack_result(command.Result(command_id, command.DONE))
    options = [(coap.CONTENT_FORMAT, coap.uint(60))]
    answer = coap.Message(coap.NON, coap.CHANGED, 0, request.token, options, result)
    site.hear(device.uplink(*schc.compress(answer, schc_rules.UP)))
    site.run(10_000)
    assert site.commands.waiting(device.eui) == []


def test_an_acknowledgement_goes_before_a_command_and_says_that_one_waits() -> None:
    site = Site()
    device = site.joined()
    commanded(site)
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    site.hear(device.uplink())  # the device asks for what waits
    site.run(10_000)
    frames = [device.hear(downlink.phy) for downlink in site.sent]
    assert [(frame.port, bool(frame.flags & 0x10)) for frame in frames] == [(6, True), (12, False)]


def test_a_command_that_found_no_window_is_made_anew_later() -> None:
    site = Site()
    device = site.joined()
    commanded(site)
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(600_000)  # the device does not ask; the queued request has expired
    site.keep_alive()
    site.hear(device.uplink())
    site.run(10_000)
    assert [device.hear(downlink.phy).port for downlink in site.sent] == [6, 12]


def test_settings_go_in_parts_that_fit_the_frame() -> None:
    site = Site()
    device = site.joined()
    change = site.shadows.edit(device.eui, shadow.PRESENCE, {"heartbeat_s": 1800})
    site.store.submit(change.rows, lambda outcome: change.apply())
    site.hear(device.uplink(), data_rate=0)
    site.run(10_000)
    frame = device.hear(site.sent[-1].phy)
    assert frame.port == 13 and len(frame.payload) <= 51


def test_a_result_that_comes_too_late_does_not_keep_its_frame_out() -> None:
    site = Site()
    device = site.joined()
    command_id = commanded(site)
    site.hear(device.uplink())
    site.run(10_000)
    site.store.db.execute("UPDATE command SET state = 'expired'")
    result = command.pack_result(command.Result(command_id, command.DONE))
    answer = coap.Message(coap.NON, coap.CHANGED, 0, b"\0", [(coap.CONTENT_FORMAT, coap.uint(60))], result)
    site.hear(device.uplink(*schc.compress(answer, schc_rules.UP)))
    site.run(10_000)
    (session,) = site.server.sessions
    assert session.fcnt_up == device.fcnt - 1


def test_every_event_of_the_wire_has_a_class_the_policy_knows() -> None:
    for reason in event.decode(event_of("24a160fffe000100", 0)).values, heartbeat():
        assert model.class_of(reason) in ("presence", "health")


def test_a_join_under_another_network_server_makes_the_gateway_wait_for_the_hello() -> None:
    link = Link().greeted()
    answers: list[Answer] = []
    link.application.joined(link.device, link.site.now(), answers.append)
    assert answers == [Answer(True)] and not link.progress.known
    link.site.start()
    link.application = link.site.application
    assert not link.progress.known


def test_a_defect_in_a_resource_costs_its_answer_and_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    device = site.joined()

    def broken(*arguments: object) -> None:
        raise RuntimeError("a defect")

    for name in ("hello", "desired", "answered", "next_for"):
        monkeypatch.setattr(site.application._served._resources, name, broken)  # pyright: ignore[reportPrivateUsage]
    site.hear(device.uplink(3, hello_of(1, 0)))
    site.hear(device.uplink(4, b"\x51"))
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    assert (device.eui, 1, 0) in site.store.readings
    assert [device.hear(downlink.phy).port for downlink in site.sent] == [6]
