from checks import raised
from fake_board import Nvs, Rtc, imported, power_on

from pave_wire import coap, limits
from pave_wire.coap import CON, Message

oscore_keys = imported("roles.oscore_keys")
rtc_state = imported("roles.rtc_state")
PLAIN = {"gateway": {"insecure": True}}
SECURE = {"gateway": {}}
STORED = {"secret": bytes(16), "salt": b"salt", "id": b"device", "gateway": bytes(10) + b"gateway", "reserved": 0}


def sealed(keys):
    """Return the Partial IV of a request sealed with `keys`."""
    message, _ = keys.security.seal_request(Message(CON, coap.GET, 1, b"t"), None)
    value = message.option(coap.OSCORE)
    return int.from_bytes(value[1 : 1 + (value[0] & 7)], "big")


def test_plain_coap_is_for_devices_without_keys_that_may_be_insecure():
    power_on()
    assert oscore_keys.Keys(PLAIN).security is None
    assert "provision this device" in str(raised(OSError, oscore_keys.Keys, SECURE))
    power_on(oscore=STORED)
    assert oscore_keys.Keys(PLAIN).security is not None


def test_whatever_is_missing_beside_the_secret_is_named():
    for missing in ("salt", "id", "gateway", "reserved"):
        power_on(oscore={key: value for key, value in STORED.items() if key != missing})
        for settings in (PLAIN, SECURE):
            assert missing in str(raised(oscore_keys.KeysError, oscore_keys.Keys, settings))
    power_on(oscore=dict(STORED, gateway=bytes(10)))
    assert "10 bytes" in str(raised(oscore_keys.KeysError, oscore_keys.Keys, SECURE))


def test_a_damaged_nvs_is_no_missing_key():
    power_on(oscore=STORED)
    found, Nvs._found = Nvs._found, lambda nvs, key: damaged()

    def damaged():
        raise OSError(-0x110B)

    try:
        assert raised(OSError, oscore_keys.Keys, PLAIN).args[0] == -0x110B
    finally:
        Nvs._found = found


def test_numbers_go_on_after_sleep_and_crash_and_leave_out_the_block_after_a_power_cut():
    power_on(oscore=STORED)
    assert [sealed(oscore_keys.Keys(SECURE)) for _ in range(3)] == [0, 1, 2]
    assert Nvs.kept["oscore"]["reserved"] == limits.OSCORE_RESERVE and Nvs.commits == 1
    Rtc.kept = b""
    assert sealed(oscore_keys.Keys(SECURE)) == limits.OSCORE_RESERVE and Nvs.commits == 2


def test_a_number_of_rtc_memory_counts_only_where_it_cannot_go_back():
    for reserved, number, first in (
        (512, 256, 256),  # the block has just been reserved
        (512, 300, 300),
        (512, 512, 512),  # used up
        (512, 255, 512),  # of an earlier block: something is wrong, so the whole block is left out
        (512, 4711, 4711),  # NVS is older
        (0, 4711, 4711),  # other keys were there before
    ):
        power_on(oscore=dict(STORED, reserved=reserved))
        rtc_state.set_sequence(number)
        assert sealed(oscore_keys.Keys(SECURE)) == first
        assert Nvs.kept["oscore"]["reserved"] > first
        assert sealed(oscore_keys.Keys(SECURE)) == first + 1


def test_the_last_number_is_the_last_that_nvs_can_keep():
    power_on(oscore=dict(STORED, reserved=0x7FFFFFFF - limits.OSCORE_RESERVE))
    keys = oscore_keys.Keys(SECURE)
    sealed(keys)
    keys.security._context.sequence = 0x7FFFFFFF
    assert "provision this device anew" in str(raised(ValueError, sealed, keys))


def test_gateway_and_window_are_kept_together():
    power_on(oscore=STORED)
    keys = oscore_keys.Keys(SECURE)
    for window in ((-1, 0), (0, 1), ((1 << 40) - 1, 0xFFFFFFFF)):
        keys.keep_peer(b"another", window)
        assert len(Nvs.kept["oscore"]["gateway"]) == 17
        again = oscore_keys.Keys(SECURE).security._context
        assert (again.recipient_id, again.window, again.sender_id) == (b"another", window, b"device")
