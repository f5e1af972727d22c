"""What the network server is given from outside."""

from typing import Protocol

from pave_gateway.core.instant import Now


class Clock(Protocol):
    """The site's time (`core.clock.SiteClock`). What is scheduled, and what the law counts, goes by `monotonic_ms`."""

    def now(self, monotonic_ms: int, /) -> Now:
        """Return the present."""
        ...


class RandomSource(Protocol):
    """A `random.Random`."""

    def randrange(self, stop: int, /) -> int:
        """Return a number from 0 to `stop` - 1."""
        ...


class Keyring(Protocol):
    """Seals what lies on the disk (`core.keys_sealed.AesKeyring`)."""

    def seal(self, device: str, purpose: str, clear: bytes, /) -> bytes:
        """Return `clear` sealed for `device` and `purpose`."""
        ...

    def open(self, device: str, purpose: str, sealed: bytes, /) -> bytes:
        """Return what was sealed for `device` and `purpose`.

        Raises:
            ValueError: sealed under another key, for another device or purpose, or damaged.
        """
        ...


class RootKeys(Protocol):
    """What a device joins with (`core.keys.LoraKeys`)."""

    @property
    def join_eui(self) -> bytes:
        """8 bytes, as printed."""
        ...

    @property
    def app_key(self) -> bytes:
        """16 bytes."""
        ...


class RootKeyStore(Protocol):
    """The LoRaWAN devices of the site (`core.keys.KeyTable`)."""

    def lora(self, device: str, /) -> RootKeys | None:
        """Return the root keys of `device`; None while it is none of them."""
        ...
