from checks import raised

from app import settings
from app.settings import Settings, SettingsError
from pave_wire import cbor, limits, shadow
from pave_wire.errors import WireError
from pave_wire.shadow import KIOSK, PRESENCE, Document

CONFIG = {
    "device": "24a160fffe000101",
    "role": "presence",
    "board": "pave_presence_v1",
    "wifi": {"ssid": "net", "key": "eight chars"},
    "gateway": {"host": "10.0.0.1", "port": 5683},
}


class Flash:
    """Where settings are kept; `fails` makes it refuse."""

    def __init__(self):
        self.kept = None
        self.writes = 0
        self.fails = False

    def keep(self, kept):
        if self.fails:
            raise OSError(28)
        self.kept = kept
        self.writes += 1


def made(flash, kind=PRESENCE, flashed=None):
    return Settings(kind, flashed or {}, flash.kept, flash.keep)


def desired(version, values, part=False):
    return shadow.pack(Document(version, values, part))


def test_each_layer_wins_over_the_one_below():
    flash = Flash()
    held = made(flash, flashed={"heartbeat_s": 1800})
    assert (held.get("heartbeat_s"), held.get("hold_off_s"), held.version) == (1800, 120, 0)
    held.take(desired(4, {1: 900}))
    assert (held.get("heartbeat_s"), held.version) == (900, 4)
    held.take(desired(5, {}))
    assert (held.get("heartbeat_s"), held.version) == (1800, 5)
    assert made(Flash(), KIOSK).get("heartbeat_s") == 600


def test_every_setting_of_the_shadow_has_a_default_that_it_would_take():
    for number, name, kinds, allowed in shadow.SETTINGS:
        if allowed is not None:
            for kind in (PRESENCE, KIOSK):
                if kind & kinds:
                    shadow.check(number, kind, made(Flash(), kind).get(name))


def test_what_was_taken_holds_after_a_power_cut_and_costs_one_write():
    flash = Flash()
    made(flash).take(desired(7, {1: 900, 7: 2}))
    again = made(flash)
    assert (again.get("heartbeat_s"), again.get("radar"), again.version) == (900, 2, 7)
    again.take(desired(7, {1: 900, 7: 2}))
    assert flash.writes == 1


def test_a_bad_value_is_refused_and_reported_and_the_last_good_one_stays():
    flash = Flash()
    held = made(flash)
    held.take(desired(1, {1: 900}))
    report = shadow.unpack(held.take(desired(2, {1: 5, 6: 30, 99: 1, 16: "kiosks only"})))
    assert (held.get("heartbeat_s"), held.get("hold_off_s")) == (900, 30)
    assert (report.version, report.values, report.refused) == (2, {1: 900, 6: 30}, (1, 16, 99))
    assert shadow.unpack(made(flash).reported()).refused == (1, 16, 99)
    assert shadow.unpack(held.take(desired(3, {1: 800}))).refused == ()


def test_thresholds_without_room_between_them_are_refused_together():
    held = made(Flash(), flashed={"vacant_nt": 9000})
    assert shadow.unpack(held.take(desired(1, {3: 9000}))).refused == (3, 4)
    assert (held.get("occupied_nt"), held.get("vacant_nt")) == (12000, 9000)
    assert shadow.unpack(held.take(desired(2, {3: 9000, 4: 5000}))).refused == ()


def test_a_part_leaves_the_rest_and_is_answered_with_a_part():
    held = made(Flash())
    held.take(desired(1, {1: 900, 6: 30}))
    report = shadow.unpack(held.take(desired(2, {1: None, 7: 9}, part=True)))
    assert (held.get("heartbeat_s"), held.get("hold_off_s")) == (3600, 30)
    assert (report.part, report.values, report.refused) == (True, {1: None, 7: None}, (7,))
    report = shadow.unpack(held.take(desired(2, {6: 40}, part=True)))
    assert (report.values, report.refused) == ({6: 40}, (7,))


def test_what_cannot_be_kept_or_read_changes_nothing():
    flash = Flash()
    held = made(flash)
    held.take(desired(1, {1: 900}))
    flash.fails = True
    raised(OSError, held.take, desired(2, {1: 800}))
    assert (held.get("heartbeat_s"), held.version) == (900, 1)
    raised(WireError, held.take, b"\xff")
    raised(WireError, held.take, bytes(limits.SHADOW_BYTES + 1))
    for kept in (b"", b"\xff\xff", cbor.dumps(7), cbor.dumps([1, 2]), cbor.dumps([1, {"x": 1}, []])):
        assert Settings(PRESENCE, {}, kept, flash.keep).get("heartbeat_s") == 3600
    assert Settings(PRESENCE, {}, cbor.dumps([3, {1: 900, 98: 1, 6: 0}, []]), None).get("heartbeat_s") == 900


def test_a_change_is_told_and_a_factory_reset_forgets():
    told = []
    flash = Flash()
    held = made(flash, flashed={"led": 2})
    held.on_change = lambda: told.append(held.get("led"))
    held.take(desired(1, {2: 0}))
    held.take(desired(2, {2: 0}))
    assert told == [0]
    held.forget()
    assert (held.get("led"), held.version, made(flash, flashed={"led": 2}).get("led")) == (2, 0, 2)


class Wifi:
    """What tries networks."""

    def __init__(self):
        self.tried = []

    def desired(self, value):
        self.tried.append(value[0])

    def reported(self):
        return {0: 0, 1: [0, 2]}


def test_wifi_goes_to_who_tries_it_and_is_reported_by_it():
    wifi = Wifi()
    held = Settings(KIOSK, {}, None, Flash().keep, wifi)
    document = {15: {0: 2, 1: "net", 2: "eight chars", 3: True}}
    report = shadow.unpack(held.take(desired(1, document)))
    assert wifi.tried == [2] and report.values == {15: {0: 0, 1: [0, 2]}} and report.refused == ()
    assert shadow.unpack(made(Flash()).take(desired(1, document))).refused == (15,)


def test_a_device_is_what_its_config_says():
    assert settings.checked(CONFIG) == (PRESENCE, {}, [])
    config = dict(CONFIG)
    config.update({"role": "kiosk", "led": "on", "languages": "fr", "heartbeat_s": 300, "production": True})
    assert settings.checked(config) == (KIOSK, {"led": 2, "languages": 0, "heartbeat_s": 300}, [])
    without = {name: CONFIG[name] for name in ("device", "role", "board")}
    assert settings.checked(without)[0] == PRESENCE  # by LoRaWAN: it needs neither Wi-Fi nor an address


def test_a_bad_line_of_the_config_is_named_and_the_default_holds():
    config = dict(CONFIG)
    config.update({"heartbeat_s": 5, "colour": "blue", "message_fr": "x", "production": "yes"})
    _, values, faults = settings.checked(config)
    assert values == {} and len(faults) == 4
    for word in ("heartbeat_s is 5", "60 to 86400", "colour", "no setting of this name", "message_fr", "'yes'"):
        assert any(word in fault for fault in faults), word


def test_a_config_without_what_no_device_can_do_without_is_refused_by_name():
    for change, word in (
        ({"device": "24A160FFFE000101"}, "24A160FFFE000101"),
        ({"device": None}, "16 lower-case"),
        ({"role": "spy"}, "presence or kiosk"),
        ({"board": "../evil"}, "board '../evil'"),
        ({"link": "carrier pigeon"}, "wifi or lorawan"),
        ({"wifi": "net"}, "ssid"),
        ({"wifi": {"ssid": "", "key": ""}}, "1 to 32"),
        ({"wifi": {"ssid": "net", "key": "secret7"}}, "7 characters"),
        ({"gateway": None}, "gateway"),
        ({"gateway": {"host": "x", "port": True}}, "port True"),
        ({"gateway": {"host": "x", "port": 70000}}, "70000"),
    ):
        config = dict(CONFIG)
        config.update(change)
        error = str(raised(SettingsError, settings.checked, config))
        assert word in error and "secret" not in error, error
    raised(SettingsError, settings.checked, [])
