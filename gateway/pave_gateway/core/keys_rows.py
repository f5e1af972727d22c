"""What a rotation of the sealing key reads of the journal, and puts into a transaction (`core.keys_rotation`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A row of the journal that may hold something sealed.

    Attributes:
        device: EUI-64 as 16 lower-case hexadecimal digits.
        number: With `device` it names the row, or says which state of it this is; 0 where the device alone does.
        content: The sealed value, or what has one in it.
    """

    device: str
    number: int
    content: bytes


@dataclass(frozen=True, slots=True)
class ResealedRow:
    """The same secret under another seal. It takes the place of `before`, and of nothing that was written meanwhile.

    Attributes:
        device: As in `SealedRow`.
        number: As in `SealedRow`.
        before: What was read.
        content: The same, but for the seal.
    """

    device: str
    number: int
    before: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class ResealedKeysRow(ResealedRow):
    """Of the keys of a device."""


@dataclass(frozen=True, slots=True)
class ResealedSettingsRow(ResealedRow):
    """Of the settings a device is to have; `number` is their version."""


@dataclass(frozen=True, slots=True)
class ResealedSessionRow(ResealedRow):
    """Of the keys of a LoRaWAN session; `number` is its JoinNonce."""
