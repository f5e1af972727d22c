from checks import raised
from fake_board import Nvs, imported, power_on

lorawan_keys = imported("roles.lorawan_keys")
STORED = {
    "app_key": bytes(range(16)),
    "dev_eui": bytes(8),
    "join_eui": bytes(8),
    "dev_nonce": 0,
    "join_nonce": 0,
    "airtime_ms": 0,
}
AGREED = [256, 1, bytes(16), bytes(16), 0, 0, 869_525_000, 1, 0, [[868_100_000, 0, 5, 0]]]


def test_without_keys_nothing_is_said():
    power_on()
    assert "no LoRaWAN keys" in str(raised(lorawan_keys.KeysError, lorawan_keys.Keys))


def test_whatever_is_missing_or_short_beside_the_app_key_is_named():
    for missing in STORED:
        if missing != "app_key":
            power_on(lora={key: value for key, value in STORED.items() if key != missing})
            assert missing in str(raised(lorawan_keys.KeysError, lorawan_keys.Keys))
    power_on(lora=dict(STORED, app_key=bytes(15)))
    assert "15 bytes" in str(raised(lorawan_keys.KeysError, lorawan_keys.Keys))


def test_a_dev_nonce_is_stored_before_it_is_given_and_the_last_is_the_last():
    power_on(lora=STORED)
    keys = lorawan_keys.Keys()
    assert [keys.next_dev_nonce(), lorawan_keys.Keys().next_dev_nonce()] == [0, 1]
    power_on(lora=dict(STORED, dev_nonce=0xFFFF))
    keys = lorawan_keys.Keys()
    assert keys.next_dev_nonce() == 0xFFFF
    assert "provision this device anew" in str(raised(lorawan_keys.KeysError, keys.next_dev_nonce))
    assert "provision this device anew" in str(raised(lorawan_keys.KeysError, lorawan_keys.Keys().next_dev_nonce))


def test_a_session_comes_back_with_its_counters():
    power_on(lora=STORED)
    keys = lorawan_keys.Keys()
    assert keys.session() is None
    assert keys.joined(AGREED) == 64
    assert lorawan_keys.Keys().session() == (AGREED, 64, -1)
    assert lorawan_keys.Keys().join_nonce == 257
    keys.keep_counters(256, 128, 7)
    assert lorawan_keys.Keys().session() == (AGREED, 128, 7)


def test_a_session_without_its_own_counters_is_over():
    for counters in (None, bytes(12), bytes(11), b"\0\0\1\1" + bytes(8)):
        power_on(lora=STORED)
        lorawan_keys.Keys().joined(AGREED)
        if counters is None:
            del Nvs.kept["lora"]["counters"]
        else:
            Nvs.kept["lora"]["counters"] = counters
        assert lorawan_keys.Keys().session() is None
    power_on(lora=STORED)
    lorawan_keys.Keys().joined(AGREED)
    Nvs.kept["lora"]["session"] = b"\xff"
    assert lorawan_keys.Keys().session() is None


class Cut:
    """NVS whose power fails after so many writes."""

    def __init__(self, writes):
        self.left = writes
        self.whole = Nvs.set_blob, Nvs.set_i32
        Nvs.set_blob, Nvs.set_i32 = self.of(Nvs.set_blob), self.of(Nvs.set_i32)

    def of(self, method):
        def write(nvs, key, value):
            if not self.left:
                raise OSError("power cut")
            self.left -= 1
            method(nvs, key, value)

        return write

    def end(self):
        Nvs.set_blob, Nvs.set_i32 = self.whole


def test_a_join_cut_short_leaves_no_session():
    left = []
    for writes in range(4):
        power_on(lora=STORED)
        lorawan_keys.Keys().joined(AGREED)
        keys = lorawan_keys.Keys()
        cut = Cut(writes)
        try:
            keys.joined([512] + AGREED[1:])
        except OSError:
            pass
        finally:
            cut.end()
        session = lorawan_keys.Keys().session()
        left.append(session and session[0][0])
    assert left == [256, 256, None, 512]
