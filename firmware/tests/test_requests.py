from dice import Dice

from app.requests import GET, POST, PUT, Requests
from app.settings import Settings
from pave_wire import cbor, command, shadow
from pave_wire.command import DONE, FAILED, REFUSED, STALE, STARTED, Command, Result
from pave_wire.shadow import KIOSK, PRESENCE, Document

DEVICE = "24a160fffe000101"
CONFIRM = 0x0101


class PowerCutError(Exception):
    """The power has gone."""


class Memory:
    """Durable memory, whose power goes at write number `cut_at`, before or after it is done."""

    def __init__(self):
        self.kept = (0, DONE)
        self.writes = 0
        self.cut_at = None
        self.cut_before = True
        self.fails = False

    def newest(self):
        return self.kept

    def keep(self, command_id, status):
        if self.fails:
            raise OSError(28)
        self.writes += 1
        if self.writes == self.cut_at and self.cut_before:
            raise PowerCutError()
        self.kept = (command_id, status)
        if self.writes == self.cut_at:
            raise PowerCutError()


class Device:
    """What happened on a device with `memory`."""

    def __init__(self, memory, kind=PRESENCE):
        self.settings = Settings(kind, {}, None, lambda kept: None)
        self.requests = Requests(DEVICE, kind, self.settings, memory)
        self.done = []
        for code, (_, kinds, _) in enumerate(command.COMMANDS):
            if kinds & kind:
                self.requests.acts[code] = self._act(code)

    def _act(self, code):
        def act(argument):
            self.done.append((code, argument))
            return (STARTED, "") if code == command.CALIBRATE else (DONE, "")

        return act

    def command(self, command_id, code, argument=None):
        code, payload, _ = self.requests.answer(POST, "x", command.pack_command(Command(command_id, code, argument)))
        assert code == 0x44
        result = command.unpack_result(payload)
        assert result.id == command_id
        return result.status, result.detail, result.newest_id


def test_a_command_is_carried_out_once_and_its_result_said_once_more():
    device = Device(Memory())
    assert device.command(7, command.REBOOT) == (DONE, "", 0)
    assert device.command(7, command.REBOOT) == (DONE, "", 0)
    assert device.command(6, command.REBOOT) == (STALE, "", 7)
    assert device.command(8, command.IDENTIFY, 30) == (DONE, "", 0)
    assert device.done == [(command.REBOOT, None), (command.IDENTIFY, 30)]


def test_one_that_takes_time_says_started_until_it_is_over_and_nothing_else_begins_meanwhile():
    memory = Memory()
    device = Device(memory)
    assert device.command(1, command.CALIBRATE) == (STARTED, "", 0)
    assert device.command(1, command.CALIBRATE) == (STARTED, "", 0)
    status, detail, _ = device.command(2, command.CALIBRATE)
    assert (status, detail) == (REFUSED, "busy: command 1 runs")
    assert command.unpack_result(device.requests.finished(FAILED, "field restless")).detail == "field restless"
    assert device.requests.finished(DONE) is None and memory.kept == (1, FAILED)


def test_one_that_ended_by_a_power_cut_has_failed():
    memory = Memory()
    assert Device(memory).command(1, command.CALIBRATE) == (STARTED, "", 0)
    device = Device(memory)
    assert device.command(1, command.CALIBRATE) == (FAILED, "interrupted", 0) and device.done == []


def test_what_cannot_be_undone_wants_to_be_confirmed():
    device = Device(Memory())
    for command_id, code in ((1, command.FACTORY_RESET), (3, command.ERASE)):
        assert device.command(command_id, code, 0) == (REFUSED, "confirm with 257", 0)
        assert device.done == []
    assert device.command(4, command.ERASE, CONFIRM) == (DONE, "", 0) and device.done == [(command.ERASE, CONFIRM)]


def test_what_this_kind_of_device_does_not_know_is_refused_in_words():
    device = Device(Memory(), KIOSK)
    assert device.command(1, command.CALIBRATE)[:2] == (REFUSED, "command 0 is not one of this kin")
    assert device.command(2, command.LOG, 0)[0] == REFUSED and device.command(3, 22)[0] == REFUSED
    del device.requests.acts[command.REBOOT]
    assert device.command(4, command.REBOOT)[:2] == (REFUSED, "not on this device")

    def broken(argument):
        raise OSError(5)

    device.requests.acts[command.REBOOT] = broken
    assert device.command(5, command.REBOOT)[:2] == (FAILED, "OSError")
    assert device.done == []


def test_a_command_that_cannot_be_kept_is_not_carried_out():
    memory = Memory()
    device = Device(memory)
    memory.fails = True
    code, _, form = device.requests.answer(POST, "x", command.pack_command(Command(1, command.REBOOT)))
    assert (code, form, device.done) == (0xA3, 257, [])
    memory.fails = False
    assert device.command(1, command.REBOOT) == (DONE, "", 0)


def test_settings_are_read_and_written():
    device = Device(Memory())
    code, payload, form = device.requests.answer(PUT, "s", shadow.pack(Document(3, {1: 900, 6: 0}, part=True)))
    report = shadow.unpack(payload)
    assert (code, form, report.values, report.refused) == (0x44, 60, {1: 900, 6: None}, (6,))
    code, payload, _ = device.requests.answer(GET, "s", b"")
    assert code == 0x45 and shadow.unpack(payload).values == {1: 900}
    assert device.settings.get("heartbeat_s") == 900


def test_anything_else_is_answered_with_what_is_wrong():
    requests = Device(Memory()).requests
    code, payload, form = requests.answer(GET, ".well-known/core", b"")
    assert (code, form) == (0x45, 40) and b"</x>" in payload and b"</s>" in payload
    for code, path, answer in ((GET, "r", 0x84), (GET, "x", 0x85), (POST, "s", 0x85), (4, "s", 0x85), (GET, "", 0x84)):
        assert requests.answer(code, path, b"")[0] == answer
    for path, code in (("x", POST), ("s", PUT)):
        for payload in (b"", b"\xff", cbor.dumps(7), cbor.dumps({}), bytes(1200)):
            code_, said, form = requests.answer(code, path, payload)
            assert (code_, form) == (0x80, 257) and len(cbor.loads(said)[-2]) <= 64


def lived(seed, forgetful=False):
    """Give commands to a device whose power goes at any write; return (carried out, results that were heard)."""
    dice = Dice(seed)
    memory = Memory()
    done = []
    heard = []
    device = Device(memory)
    for command_id in range(1, 20):
        for _ in range(3):
            memory.cut_at = memory.writes + 1 + dice.below(4)
            memory.cut_before = dice.below(2) == 0
            try:
                heard.append((command_id, device.command(command_id, command.IDENTIFY, command_id)[0]))
            except PowerCutError:
                done += device.done
                device = Device(memory)
                if forgetful:
                    memory.kept = (0, DONE)
    return [argument for _, argument in done + device.done], heard


def test_no_command_is_carried_out_twice_wherever_the_power_goes_and_done_means_done():
    for seed in range(1, 16):
        done, heard = lived(seed)
        assert len(done) == len(set(done)) > 3 and done == sorted(done)
        for command_id, status in heard:
            assert status != DONE or command_id in done
            assert status in (DONE, FAILED)


def test_that_campaign_sees_a_device_that_forgets():
    done, _ = lived(3, forgetful=True)
    assert len(done) > len(set(done))


def test_a_result_is_what_the_gateway_reads():
    assert command.unpack_result(command.pack_result(Result(1, REFUSED, "x" * 99))).detail == "x" * 32
