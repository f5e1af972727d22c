"""Commands: on disk before they are sent, carried out at most once, and their end known."""

import random

import pytest
from gateway_support import BAY, KIOSK
from shadow_support import START_MS, Gateway, at

from pave_gateway.core import limits
from pave_gateway.core.commands import RUN_S, TTL_S, State, TooManyError
from pave_gateway.core.committer import Committed, Outdated
from pave_gateway.core.shadow_resources import Link, Request
from pave_gateway.core.shadow_rows import CommandRow
from pave_gateway.store import shadow_tables
from pave_wire import cbor, coap, command, region
from pave_wire.command import Result
from pave_wire.errors import ModelError
from pave_wire.limits import SEQ_MAX
from pave_wire.shadow import KIOSK as A_KIOSK
from pave_wire.shadow import PRESENCE

SINCE_2026_S = (START_MS - limits.CLOCK_EARLIEST_MS) // 1000
NEVER_MS = 10**12


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def create(gateway: Gateway, name: str = "reboot", argument=None, now=None, device=BAY, kind=PRESENCE) -> int:
    command_id, change = gateway.commands.create(device, kind, name, argument, now or at(0))
    assert isinstance(gateway.commit(change), Committed)
    return command_id


def send(gateway: Gateway, now_ms: int, device=BAY, link=Link.IP) -> Request | None:
    request = gateway.resources.next_for(device, link, at(now_ms), 50)
    if request is not None:
        gateway.commit(request.change)
    return request


def say(gateway: Gateway, command_id: int, status: int, now_ms: int = 0, **more) -> int:
    payload = command.pack_result(Result(command_id, status, **more))
    reply = gateway.answer(gateway.resources.result(BAY, payload, at(now_ms)))
    assert reply is not None
    return reply.code


def newest(gateway: Gateway, device=BAY) -> CommandRow:
    return shadow_tables.commands_of(gateway.store.db, device)[0]


def time_out(gateway: Gateway, now_ms: int) -> None:
    gateway.commit(gateway.commands.handle_timeout(at(now_ms)))


def test_a_command_goes_its_way_from_created_to_done(gateway):
    command_id = create(gateway, "maintenance", 60, at(1000))
    assert (newest(gateway).state, newest(gateway).created_ms) == ("created", START_MS + 1000)
    request = send(gateway, 2000)
    assert request and (request.code, request.path) == (coap.POST, "x")
    sent = command.unpack_command(request.payload)
    assert (sent.id, command.COMMANDS[sent.code][0], sent.argument) == (command_id, "maintenance", 60)
    assert newest(gateway).state == "sent"
    assert say(gateway, command_id, command.STARTED, 3000) == coap.CHANGED
    assert newest(gateway).state == "acknowledged"
    say(gateway, command_id, command.DONE, 4000)
    assert (newest(gateway).state, newest(gateway).changed_ms) == ("done", START_MS + 4000)
    assert gateway.commands.waiting(BAY) == [] and send(gateway, NEVER_MS) is None


@pytest.mark.parametrize(
    ("device", "kind", "name", "argument", "words"),
    [
        (BAY, PRESENCE, "explode", None, ("'explode'", "known: calibrate, reboot")),
        (KIOSK, A_KIOSK, "calibrate", None, ("this kind",)),
        (BAY, PRESENCE, "reboot", 3, ("reboot takes no argument", "3")),
        (BAY, PRESENCE, "maintenance", 1441, ("minutes is 1441", "0 to 1440")),
        (BAY, PRESENCE, "identify", None, ("seconds is None", "1 to 600")),
    ],
)
def test_a_command_that_cannot_be_is_refused_with_what_can(gateway, device, kind, name, argument, words):
    with pytest.raises(ModelError) as error:
        gateway.commands.create(device, kind, name, argument, at(0))
    for word in words:
        assert word in str(error.value)


def test_a_command_is_not_sent_before_it_is_on_disk(gateway):
    _, change = gateway.commands.create(BAY, PRESENCE, "reboot", None, at(0))
    assert send(gateway, 0) is None
    gateway.store.failing = True
    gateway.commit(change)
    assert send(gateway, 0) is None and gateway.commands.waiting(BAY) == []


def test_whoever_can_send_at_once_is_told_of_a_new_command(gateway):
    told = []
    gateway.commands.subscribe(lambda device: told.append((device, send(gateway, 0) is not None)))
    create(gateway)
    assert told == [(BAY, True)]


def test_commands_wait_for_a_sleeping_device_and_go_one_by_one_in_their_order(gateway):
    first, second = create(gateway, "reboot"), create(gateway, "identify", 30)
    assert first < second
    request = send(gateway, 500_000)
    assert request and command.unpack_command(request.payload).id == first
    assert send(gateway, 10**8) is not None  # the first again: it was not answered
    say(gateway, first, command.STARTED)
    assert send(gateway, 2 * 10**8) is None  # it runs
    say(gateway, first, command.DONE)
    request = send(gateway, 2 * 10**8)
    assert request and command.unpack_command(request.payload).id == second


def test_what_is_not_answered_is_sent_again_at_growing_distances(gateway):
    create(gateway)
    sent = [second for second in range(0, 40_000, 5) if send(gateway, second * 1000)]
    assert sent[:5] == [0, 15, 45, 105, 225]
    assert sent[-1] - sent[-2] == limits.RESEND_MAX_MS // 1000


def test_no_more_than_so_many_wait_for_one_device(gateway):
    for _ in range(limits.COMMANDS_WAITING):
        create(gateway)
    with pytest.raises(TooManyError, match=f"{limits.COMMANDS_WAITING} commands wait for {BAY}"):
        gateway.commands.create(BAY, PRESENCE, "reboot", None, at(0))
    create(gateway, device=KIOSK, kind=A_KIOSK)


def test_a_command_whose_device_is_never_heard_expires_when_its_time_is_up(gateway):
    create(gateway, "identify", 30)
    end_ms = TTL_S[command.IDENTIFY] * 1000
    assert gateway.commands.next_timeout() == end_ms
    time_out(gateway, end_ms - 1)
    assert newest(gateway).state == "created"
    time_out(gateway, end_ms)
    assert (newest(gateway).state, newest(gateway).detail) == ("expired", "never sent: the device was not heard")
    assert send(gateway, end_ms) is None and gateway.commands.next_timeout() is not None
    time_out(gateway, NEVER_MS)
    assert gateway.commands.next_timeout() is None


def test_a_command_that_was_sent_and_not_answered_expires_as_such(gateway):
    create(gateway, "identify", 30)
    send(gateway, 0)
    time_out(gateway, NEVER_MS)
    assert (newest(gateway).state, newest(gateway).detail) == ("expired", "not answered")


def test_a_command_that_started_and_never_ended_has_failed(gateway):
    command_id = create(gateway, "calibrate")
    send(gateway, 0)
    say(gateway, command_id, command.STARTED, 50_000)
    end_ms = 50_000 + RUN_S[command.CALIBRATE] * 1000
    time_out(gateway, end_ms - 1)
    assert newest(gateway).state == "acknowledged"
    time_out(gateway, end_ms)
    assert newest(gateway).state == "failed" and "no word for 900 s" in newest(gateway).detail


def test_a_command_that_started_in_time_is_not_ended_by_the_time_it_had_to_wait(gateway):
    command_id = create(gateway, "identify", 30)
    send(gateway, 0)
    say(gateway, command_id, command.STARTED, 590_000)
    time_out(gateway, 600_000)
    assert newest(gateway).state == "acknowledged"
    say(gateway, command_id, command.DONE, 620_000)
    time_out(gateway, NEVER_MS)
    assert newest(gateway).state == "done"


def test_an_end_that_cannot_be_stored_is_tried_again(gateway):
    create(gateway, "identify", 30)
    end_ms = TTL_S[command.IDENTIFY] * 1000
    gateway.store.failing = True
    time_out(gateway, end_ms)
    assert gateway.commands.waiting(BAY)
    gateway.store.failing = False
    assert gateway.commands.next_timeout() == end_ms + limits.COMMAND_RESEND_MS
    time_out(gateway, end_ms + limits.COMMAND_RESEND_MS)
    assert newest(gateway).state == "expired" and gateway.commands.waiting(BAY) == []


@pytest.mark.parametrize(
    ("status", "more", "detail"),
    [
        (command.FAILED, {"detail": "field restless"}, "failed by the device: field restless"),
        (command.REFUSED, {}, "refused by the device: no reason given"),
        (
            command.STALE,
            {"newest_id": 4_000_000_000},
            "not carried out: the device knows command 4000000000; give it again",
        ),
    ],
)
def test_a_command_that_the_device_did_not_carry_out_has_failed_and_says_why(gateway, status, more, detail):
    command_id = create(gateway)
    send(gateway, 0)
    say(gateway, command_id, status, **more)
    assert (newest(gateway).state, newest(gateway).detail) == ("failed", detail)
    if status == command.STALE:
        assert create(gateway) == 4_000_000_001


def test_a_result_repeated_late_or_of_nothing_that_was_asked_is_answered_and_changes_nothing(gateway):
    command_id = create(gateway)
    groups = gateway.store.groups
    assert say(gateway, command_id + 1, command.DONE) == coap.CHANGED
    assert gateway.store.groups == groups
    say(gateway, command_id, command.DONE)
    groups = gateway.store.groups
    for status in (command.DONE, command.STARTED, command.FAILED):
        assert say(gateway, command_id, status) == coap.CHANGED
    assert gateway.store.groups == groups and newest(gateway).state == "done"


def test_a_started_that_comes_twice_is_stored_once(gateway):
    command_id = create(gateway)
    say(gateway, command_id, command.STARTED)
    groups = gateway.store.groups
    say(gateway, command_id, command.STARTED)
    assert gateway.store.groups == groups


def test_a_result_that_is_none_is_refused(gateway):
    for payload in (b"", cbor.dumps({0: 1}), cbor.dumps([1])):
        reply = gateway.resources.result(BAY, payload, at(0))
        assert (reply.code, reply.rows) == (coap.BAD_REQUEST, ())
        assert gateway.resources.answered(BAY, payload, at(0)).code == coap.BAD_REQUEST


def test_the_journal_refuses_to_change_what_is_over(gateway):
    command_id = create(gateway)
    payload = command.pack_result(Result(command_id, command.DONE))
    done = gateway.commands.result(BAY, payload, at(0))
    expired = gateway.commands.handle_timeout(at(NEVER_MS))
    gateway.commit(done)
    outcome = gateway.commit(expired)
    assert isinstance(outcome, Outdated) and "done, for good" in outcome.detail
    assert newest(gateway).state == "done"


def test_ids_grow_with_the_calendar_so_a_restored_gateway_repeats_none(gateway):
    assert create(gateway) == SINCE_2026_S
    assert create(gateway) == SINCE_2026_S + 1
    assert Gateway().commands.create(BAY, PRESENCE, "reboot", None, at(3_000))[0] == SINCE_2026_S + 3
    blind = Gateway()
    assert blind.commands.create(BAY, PRESENCE, "reboot", None, at(0, synchronized=False))[0] == 1


def test_a_device_at_the_end_of_the_numbers_is_to_be_provisioned_anew(gateway):
    command_id = create(gateway)
    say(gateway, command_id, command.STALE, newest_id=SEQ_MAX)
    with pytest.raises(ModelError, match="provision"):
        gateway.commands.create(BAY, PRESENCE, "reboot", None, at(0))


def test_commands_survive_a_restart_with_what_is_left_of_their_time(gateway):
    first = create(gateway, "identify", 30)
    send(gateway, 0)
    gateway.restart(at(400_000))
    assert [row.id for row in gateway.commands.waiting(BAY)] == [first]
    assert gateway.commands.next_timeout() == 600_000
    gateway.restart(at(400_000, synchronized=False))
    assert gateway.commands.next_timeout() == 400_000 + 600_000
    gateway.restart(at(10**9))
    time_out(gateway, 10**9)
    assert newest(gateway).state == "expired"
    gateway.restart(at(10**9))
    assert gateway.commands.waiting(BAY) == [] and create(gateway, now=at(0)) == first + 1


def test_what_runs_on_the_device_during_a_restart_has_its_time_anew(gateway):
    command_id = create(gateway, "calibrate")
    say(gateway, command_id, command.STARTED)
    gateway.restart(at(1_000))
    assert gateway.commands.next_timeout() == 1_000 + RUN_S[command.CALIBRATE] * 1000


def test_so_many_commands_of_a_device_are_kept_and_none_that_waits_is_lost(gateway):
    for _ in range(30):
        say(gateway, create(gateway), command.DONE)
    kept = shadow_tables.commands_of(gateway.store.db, BAY)
    assert len(kept) == limits.COMMANDS_KEPT and kept[0].id == SINCE_2026_S + 29
    assert {State(row.state) for row in kept} == {State.DONE}


def test_over_lorawan_a_command_goes_first_and_fits_the_smallest_frame(gateway):
    gateway.edit(BAY, heartbeat_s=1800)
    command_id = create(gateway, "maintenance", 1440)
    request = send(gateway, 0, link=Link.LORAWAN)
    assert request and (request.path, len(request.payload)) == ("x", 13)
    assert 1 + len(request.payload) <= region.max_payload_bytes(0, 15)
    answer = command.pack_result(Result(command_id, command.DONE))
    gateway.answer(gateway.resources.answered(BAY, answer, at(0)))
    assert newest(gateway).state == "done"
    request = send(gateway, 0, link=Link.LORAWAN)
    assert request and request.path == "s"


# At most once, whatever happens


class Device:
    """A device as `pave_wire.command` wants it: keeps the id before it acts."""

    def __init__(self) -> None:
        self.flash_id = 0
        self.carried_out: list[int] = []

    def receive(self, payload: bytes, dice: random.Random) -> bytes | None:
        """Return the answer; None where the power was cut before it."""
        asked = command.unpack_command(payload)
        if asked.id == self.flash_id:
            return command.pack_result(Result(asked.id, command.DONE))
        if asked.id < self.flash_id:
            return command.pack_result(Result(asked.id, command.STALE, newest_id=self.flash_id))
        if dice.random() < 0.15:
            return None
        self.flash_id = asked.id
        if dice.random() < 0.15:
            return None
        self.carried_out.append(asked.id)
        return None if dice.random() < 0.15 else command.pack_result(Result(asked.id, command.DONE))


class Forgetful(Device):
    """One that does not keep the id."""

    def receive(self, payload: bytes, dice: random.Random) -> bytes | None:
        self.flash_id = 0
        return super().receive(payload, dice)


def campaign(seed: int, device: Device) -> tuple[list[int], list[int]]:
    """Give commands through losses, restarts, restored backups and full disks; return (given, carried out)."""
    dice, gateway, given, backup = random.Random(seed), Gateway(), [], None
    for now_ms in range(0, 4_000_000, 20_000):
        event = dice.random()
        gateway.store.failing = dice.random() < 0.1
        if event < 0.1 and len(gateway.commands.waiting(BAY)) < limits.COMMANDS_WAITING:
            command_id, change = gateway.commands.create(BAY, PRESENCE, "reboot", None, at(now_ms))
            given += [command_id] if isinstance(gateway.commit(change), Committed) else []
        elif event < 0.13:
            gateway.restart(at(now_ms))
        elif event < 0.15:
            backup = gateway.store.db.serialize("main")
        elif event < 0.17 and backup is not None:
            gateway.store.db.deserialize("main", backup)
            gateway.restart(at(now_ms))
        elif (request := send(gateway, now_ms)) is not None and dice.random() < 0.8:
            answer = device.receive(request.payload, dice)
            if answer is not None and dice.random() < 0.8:
                gateway.answer(gateway.resources.result(BAY, answer, at(now_ms)))
    return given, device.carried_out


@pytest.mark.parametrize("seed", range(25))
def test_no_command_is_carried_out_twice_nor_one_that_nobody_gave(seed):
    given, carried_out = campaign(seed, Device())
    assert len(carried_out) == len(set(carried_out)) and set(carried_out) <= set(given)
    assert carried_out == sorted(carried_out)


def test_the_campaign_sees_a_device_that_forgets():
    twice = 0
    for seed in range(25):
        _, carried_out = campaign(seed, Forgetful())
        twice += len(carried_out) != len(set(carried_out))
    assert twice > 5
