"""The sessions of a site's devices, and whose a frame may be.

A device has at most two: the one in use, and one that a Join-Accept has offered. The offered one takes over with its
first uplink; until then the old one stays valid, since the accept may have been lost. Two sessions may share a DevAddr:
the MIC decides. Keys stay sealed until a frame needs them, so a start with 10,000 devices opens none.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pave_gateway.core import limits
from pave_gateway.core.keys_rows import ResealedRow
from pave_gateway.core.lorawan import parameters
from pave_gateway.core.lorawan.downlinks import Message, Queued
from pave_gateway.core.lorawan.mac import MacState
from pave_gateway.core.lorawan.parameters import Parameters
from pave_gateway.core.lorawan.ports import Keyring, RandomSource
from pave_gateway.core.lorawan.rows import LoraSessionRow, StoredDevice
from pave_wire.lorawan import Frame, Session

_DRAWS = 16  # for an address that is free, before the next free one is taken
KEY_BYTES = 16
PURPOSE = "lorawan session"  # of what the keyring seals


class NoAddressError(Exception):
    """Every DevAddr of the site is in use; give it a shorter prefix."""


@dataclass(slots=True, eq=False)
class LoraSession:
    """One session of one device.

    Attributes:
        device: Whose.
        number: Its JoinNonce.
        dev_addr: 32 bits.
        sealed_keys: As on disk.
        parameters: What the device has agreed to, as on disk.
        in_use: The device has sent under it, and that is on disk.
        starting: Its first frame is on its way to the disk.
        fcnt_up: The last counter on disk, -1 for none.
        heard: The last counter handed to the disk.
        repeats: How many repetitions of that frame were answered.
        fcnt_down: The next downlink's counter.
        reserved: Counters below it may be used.
        reserving: More of them are on their way to the disk.
        frame: The last one heard since the start.
        answered: What was sent after it.
        unconfirmed: A confirmed downlink that its next frame should confirm.
        ended: The root keys are others since, or gone: what was on its way counts no more.
    """

    device: str
    number: int
    dev_addr: int
    sealed_keys: bytes
    parameters: Parameters
    in_use: bool = False
    starting: bool = False
    fcnt_up: int = -1
    heard: int = -1
    repeats: int = 0
    fcnt_down: int = 0
    reserved: int = 0
    reserving: bool = False
    frame: Frame | None = None
    answered: Message | None = None
    unconfirmed: Queued | None = None
    ended: bool = False
    _keys: Session | None = None
    _mac: MacState | None = None

    @property
    def mac(self) -> MacState:
        """What was asked of the device; made for sessions that are heard."""
        if self._mac is None:
            self._mac = MacState()
        return self._mac

    def keys(self, keyring: Keyring) -> Session:
        """Return its keys; raises ValueError where `keyring` cannot open them."""
        if self._keys is None:
            opened = keyring.open(self.device, PURPOSE, self.sealed_keys)
            self._keys = Session(self.dev_addr, opened[:KEY_BYTES], opened[KEY_BYTES:])
        return self._keys


class Sessions:
    """All of them, by device and by address."""

    def __init__(self) -> None:
        self._by_device: dict[str, list[LoraSession]] = {}  # the one in use first
        self._by_address: dict[int, list[LoraSession]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return sum(len(sessions) for sessions in self._by_device.values())

    def __iter__(self) -> Iterator[LoraSession]:
        """By device, in the order in which they came."""
        for sessions in self._by_device.values():
            yield from sessions

    def at(self, dev_addr: int) -> list[LoraSession]:
        """Return the sessions with this address."""
        return self._by_address.get(dev_addr, [])

    def in_use(self, device: str) -> LoraSession | None:
        """Return the session that `device` sends under."""
        return next((session for session in self._by_device.get(device, []) if session.in_use), None)

    def restore(self, device: StoredDevice, row: LoraSessionRow) -> None:
        """Take up a session as it is on disk. Downlink counters that were reserved may have been used."""
        in_use = row.session == device.session
        fcnt_up = device.fcnt_up if in_use else -1
        reserved = device.fcnt_down if in_use else row.fcnt_down
        first = reserved if in_use else 0  # nothing is sent under a session before its first uplink
        self._insert(
            LoraSession(
                device.device,
                row.session,
                row.dev_addr,
                row.sealed_keys,
                parameters.of_text(row.parameters),
                in_use=in_use,
                fcnt_up=fcnt_up,
                heard=fcnt_up,
                fcnt_down=first,
                reserved=reserved,
            )
        )

    def offer(self, row: LoraSessionRow) -> None:
        """Take a session that a Join-Accept offers; one offered earlier is gone."""
        for session in list(self._by_device.get(row.device, [])):
            if not session.in_use:
                self._remove(session)
        self._insert(
            LoraSession(
                row.device,
                row.session,
                row.dev_addr,
                row.sealed_keys,
                parameters.of_text(row.parameters),
                reserved=row.fcnt_down,
            )
        )

    def resealed(self, row: ResealedRow) -> None:
        """Take the keys of a session that are on disk under another seal."""
        for session in self._by_device.get(row.device, []):
            if session.number == row.number:
                session.sealed_keys = row.content

    def start(self, session: LoraSession) -> None:
        """Let `session`, under which its device has sent, take the place of all before it."""
        for other in list(self._by_device.get(session.device, [])):
            if other.number < session.number:
                self._remove(other)
        session.in_use, session.starting = True, False

    def end(self, device: str) -> list[LoraSession]:
        """Forget every session of `device`, and return them."""
        ended = list(self._by_device.get(device, []))
        for session in ended:
            session.ended = True
            self._remove(session)
        return ended

    def free_address(self, addresses: range, source: RandomSource) -> int:
        """Return a DevAddr that no session has.

        Drawn, so that neighbours under the same NetID seldom meet.

        Raises:
            NoAddressError: there is none.
        """
        for _ in range(_DRAWS):
            drawn = addresses[source.randrange(len(addresses))]
            if drawn not in self._by_address:
                return drawn
        for address in addresses[: len(self._by_address) + 1]:
            if address not in self._by_address:
                return address
        raise NoAddressError(f"all {len(addresses)} addresses of the site are in use; shorten lorawan.addresses")

    def _insert(self, session: LoraSession) -> None:
        sharing = self._by_address.setdefault(session.dev_addr, [])
        if len(sharing) < limits.LORAWAN_SESSIONS_PER_ADDRESS:
            sharing.append(session)
            self._by_device.setdefault(session.device, []).append(session)

    def _remove(self, session: LoraSession) -> None:
        self._by_device[session.device].remove(session)
        sharing = self._by_address[session.dev_addr]
        sharing.remove(session)
        if not sharing:
            del self._by_address[session.dev_addr]
