"""The keys of devices, opened and at hand, and whom they name on the air.

OSCORE (RFC 8613) names both ends by IDs of at most 7 bytes, and derives a key for each direction from the device's
master secret and the sender's ID.

Device, towards the gateway. Its ID is the `kid` of every request, and must be unique at a gateway. It is the 6 bytes of
its MAC, which is its EUI-64 less the `fffe` in the middle: unique without asking anyone, on laptops that are offline.
A shorter one would have to be handed out. The provisioning record states it, so nothing here depends on how it is made.

Gateway, towards its devices: `gateway_id`, 7 random bytes that a journal draws at its beginning, once. So every
journal has a sender key of its own for each device. A gateway whose disk died cannot know which sender sequence numbers
were used, and no clock can tell it for certain; under a key that nobody has used before, its new journal starts at 0
and no nonce can meet an older one (RFC 8613, 3.3 and 7.5, 2.; only the gateway needs a good random source). Among 100
journals of one site two equal IDs have a probability of 7e-14. A journal that is restored from a backup, or salvaged,
draws another at its next start (`store.meta`): for the time since it is one that has lost its memory, and one backup
may be restored on two cards, whose clocks need not be set.

    new journal                                          device that knows an older gateway_id
    request, unknown window   <-----------------------   any request, under the device's unchanged sender key
    4.01, Echo, `kid`: the new gateway_id  ---------->   derives the new recipient key, opens the answer to its own
                                                         request, keeps the ID in NVS (its window of the gateway's
                                                         requests begins anew: nothing was ever sealed under this key)
    window begins (B.1.2)     <-----------------------   the request again, with the Echo

The Echo is needed anyway, since the window is lost too. RFC 8613 allows a `kid` in a response (5, "kid"); it
authenticates itself, as only who holds the master secret can derive the key it names. A device takes a new ID from a
response to a request of its own and from nothing else, so no recorded message can bring an older ID back.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

RandomBytes = Callable[[int], bytes]

GATEWAY_ID_BYTES = 7


@dataclass(frozen=True, slots=True, repr=False)
class OscoreSecret:
    """What a device and its gateways share for good.

    Attributes:
        master_secret: 16 to 32 bytes.
        master_salt: 0 to 32 bytes.
        device_id: The device's sender ID, 1 to 7 bytes.
        id_context: Or None.
    """

    master_secret: bytes
    master_salt: bytes
    device_id: bytes
    id_context: bytes | None = None


@dataclass(frozen=True, slots=True, repr=False)
class DeviceKeys:
    """What the gateway's OSCORE context with `device` is made of, as `pave_wire.oscore_context.Context` takes it.

    Attributes:
        device: EUI-64 as 16 lower-case hexadecimal digits.
        master_secret, master_salt, id_context: As in `OscoreSecret`.
        sender_id: The gateway's, of this journal.
        recipient_id: The device's: the `kid` of its requests.
    """

    device: str
    master_secret: bytes
    master_salt: bytes
    sender_id: bytes
    recipient_id: bytes
    id_context: bytes | None = None

    def __repr__(self) -> str:
        """No secret in a log or a traceback."""
        return f"DeviceKeys({self.device}, recipient_id={self.recipient_id.hex()})"


@dataclass(frozen=True, slots=True, repr=False)
class LoraKeys:
    """What a LoRaWAN 1.0.4 device joins with.

    Attributes:
        dev_eui: 16 lower-case hexadecimal digits; a device's EUI-64 is its DevEUI.
        join_eui: 8 bytes, as printed.
        app_key: 16 bytes.
    """

    dev_eui: str
    join_eui: bytes
    app_key: bytes

    def __repr__(self) -> str:
        """No secret in a log or a traceback."""
        return f"LoraKeys({self.dev_eui}, join_eui={self.join_eui.hex()})"


@dataclass(frozen=True, slots=True)
class Secrets:
    """All keys of a device that is not retired; it has one kind at least."""

    oscore: OscoreSecret | None
    lora: LoraKeys | None


def draw_gateway_id(random_bytes: RandomBytes) -> bytes:
    """Return the ID for a new journal; `random_bytes(count)` is the operating system's source."""
    return random_bytes(GATEWAY_ID_BYTES)


class KeyTable:
    """The opened keys of all devices in use; changed by the registry's committed acts alone."""

    def __init__(self, gateway_id: bytes) -> None:
        """`gateway_id` is b"" until the journal has drawn one; no context may be made before."""
        self.gateway_id = gateway_id
        self._secrets: dict[str, Secrets] = {}
        self._device_of_kid: dict[bytes, str] = {}

    def put(self, device: str, secrets: Secrets) -> None:
        """Make `secrets` the keys of `device`, in place of any it had."""
        self.remove(device)
        self._secrets[device] = secrets
        if secrets.oscore is not None:
            self._device_of_kid[secrets.oscore.device_id] = device

    def remove(self, device: str) -> None:
        """Forget the keys of `device`, if there are any."""
        old = self._secrets.pop(device, None)
        if old is not None and old.oscore is not None:
            del self._device_of_kid[old.oscore.device_id]

    def secrets(self, device: str) -> Secrets | None:
        """Return the keys of `device`; None if it has none, or is retired."""
        return self._secrets.get(device)

    def device_of_kid(self, kid: bytes) -> str | None:
        """Return the device whose OSCORE ID is `kid`."""
        return self._device_of_kid.get(kid)

    def oscore(self, device: str) -> DeviceKeys | None:
        """Return what the OSCORE context with `device` is made of; None if it has no such keys."""
        secrets = self._secrets.get(device)
        if secrets is None or secrets.oscore is None:
            return None
        own = secrets.oscore
        return DeviceKeys(device, own.master_secret, own.master_salt, self.gateway_id, own.device_id, own.id_context)

    def all_oscore(self) -> Iterator[DeviceKeys]:
        """Yield `oscore` of every device that has such keys."""
        for device in self._secrets:
            keys = self.oscore(device)
            if keys is not None:
                yield keys

    def lora(self, device: str) -> LoraKeys | None:
        """Return the LoRaWAN root keys of `device`; None if it has none."""
        secrets = self._secrets.get(device)
        return secrets.lora if secrets is not None else None
