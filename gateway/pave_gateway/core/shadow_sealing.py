"""The one secret among a device's settings, its Wi-Fi passphrase: sealed where it is kept, opened where it travels."""

from typing import Any

from pave_gateway.core.keys_sealed import Keyring, KeyringError
from pave_gateway.core.shadow_wifi import KEY, Wifi
from pave_wire import cbor, shadow

PURPOSE = "wifi"

_Values = dict[int, Any]


def sealed(keyring: Keyring, device: str, wifi: Wifi) -> Wifi:
    """Return desired Wi-Fi as it is kept; `wifi` is as it travels, with a passphrase."""
    return {**wifi, KEY: keyring.seal(device, PURPOSE, wifi[KEY].encode())}


def opened(keyring: Keyring, device: str, wifi: Wifi | None) -> Wifi | None:
    """Return desired Wi-Fi as it travels; None where there is none, or its passphrase cannot be opened."""
    if wifi is None or KEY not in wifi:
        return wifi
    try:
        return {**wifi, KEY: keyring.open(device, PURPOSE, wifi[KEY]).decode()}
    except KeyringError:
        return None


def under_newest(keyring: Keyring, device: str, values: _Values) -> _Values:
    """Return desired settings as they may be written: no passphrase under an older key, if it opens at all.

    So nothing that is handed to the disk after a key was added lies there under another (`core.keys_rotation`).
    """
    wifi: Wifi | None = values.get(shadow.WIFI)
    if wifi is None or KEY not in wifi or keyring.is_newest(wifi[KEY]):
        return values
    clear = opened(keyring, device, wifi)
    return values if clear is None else {**values, shadow.WIFI: sealed(keyring, device, clear)}


def sealed_in(content: bytes) -> bytes | None:
    """Return the sealed passphrase in desired settings as the journal has them, None where there is none."""
    wifi: Wifi | None = cbor.loads(content).get(shadow.WIFI)
    return None if wifi is None else wifi.get(KEY)


def with_sealed(content: bytes, value: bytes) -> bytes:
    """Return the same settings with their passphrase under another seal."""
    values: _Values = cbor.loads(content)
    return cbor.dumps({**values, shadow.WIFI: {**values[shadow.WIFI], KEY: value}})
