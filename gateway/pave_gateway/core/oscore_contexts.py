"""The OSCORE contexts (RFC 8613, 3) of a site's devices, found by the kid of a request in one look-up.

Theory of operation. A context is made of keys, which never change, and of two numbers that must never go back: which
requests of the device were seen (`ReplayRow`), and which numbers of our own may have been used (`SenderRow`). Both come
from the journal when the gateway starts. Deriving keys costs some 40 us, so a context is derived when its device first
speaks, or is spoken to; a stranger can cause that once per device and no more.

    stored window       the context           its requests
    ------------------  --------------------  ----------------------------------------------------------
    (highest, seen)     goes on from there    accepted if new: no extra round trip after a kill
    None: it was lost   waits for Echo        challenged once, by 4.01 with Echo (RFC 8613, B.1.2)

A window is in memory ahead of the disk while its commit is under way. What came of that the context is told: `stored`
when it is durable, `retract` when it is not: the request was then neither acted on nor answered, and its device may
send the same bytes again.

A context that was removed is gone for good, even if its device is let in again a moment later under the same keys:
requests that were under way still hold it, and what they have in the queue to the disk is not what its successor has.
So it seals nothing any more. All numbers that it ever used are then below its `reserved` as it was when it was removed,
and that is where its successor begins, whatever was in the queue.
"""

from collections.abc import Callable, Hashable
from typing import Protocol

from pave_gateway.core import limits
from pave_gateway.core.rows import ReplayRow, SenderRow
from pave_wire import limits as wire_limits
from pave_wire.errors import OscoreSequenceError
from pave_wire.oscore_context import FRESH_WINDOW, Context


class DeviceKeys(Protocol):
    """What a device and the gateway share, as the registry hands it out.

    `sender_id` and `recipient_id` are the gateway's: it seals under the one, and requests carry the other as kid.
    """

    @property
    def device(self) -> str:
        """EUI-64 as 16 lower-case hexadecimal digits."""
        ...

    @property
    def master_secret(self) -> bytes:
        """At least 16 random bytes."""
        ...

    @property
    def master_salt(self) -> bytes:
        """b"" for none."""
        ...

    @property
    def sender_id(self) -> bytes:
        """0 to 7 bytes."""
        ...

    @property
    def recipient_id(self) -> bytes:
        """0 to 7 bytes, another for each device of the site."""
        ...

    @property
    def id_context(self) -> bytes | None:
        """The kid context of requests, None for none."""
        ...


class DeviceContext(Context):
    """The context shared with one device, and where it was heard last.

    Attributes:
        device: EUI-64 as 16 lower-case hexadecimal digits.
        address: Where its newest authentic request came from, None before the first.
        gone: It was removed: nothing is sealed, stored or answered under it any more.
        window_stored: The journal has a window of this device from which later ones can be derived.
        reserving: A `SenderRow` is on its way to disk by itself.
        observing: How many resources it observes.
    """

    __slots__ = ("address", "device", "gone", "observing", "reserving", "window_stored")

    def __init__(self, keys: DeviceKeys, window: tuple[int, int] | None, reserved: int) -> None:
        super().__init__(
            keys.master_secret,
            keys.master_salt,
            keys.sender_id,
            keys.recipient_id,
            reserved,
            window,
            keys.id_context,
        )
        self.device = keys.device
        self.address: Hashable = None
        self.gone = False
        self.window_stored = window is not None
        self.reserving = False
        self.observing = 0

    def replay_row(self) -> ReplayRow:
        """Return the window as it is to be stored."""
        highest, seen = self.window or FRESH_WINDOW
        return ReplayRow(self.device, highest, seen)

    def sender_row(self) -> SenderRow | None:
        """Return the reservation that should be stored now, None if there is no need."""
        due = self.reservation_due()
        return None if due is None else SenderRow(self.device, due)

    def leap(self, start: int) -> bool:
        """Use no number below `start` any more; say whether that is news."""
        if start <= self.reserved:
            return False
        self.sequence = self.reserved = start
        return True

    def take_number(self) -> int:
        """Return the next sender sequence number, see `Context`; none of a context that is gone."""
        if self.gone:
            raise OscoreSequenceError(f"{self.device} was removed or has other keys; it is sent nothing under the old")
        return super().take_number()

    def is_newest(self, number: int) -> bool:
        """Say whether no accepted request has a higher Partial IV than this."""
        window = self.window
        return window is not None and window[0] == number

    def retract(self, number: int) -> None:
        """Take back that the request under this Partial IV was accepted: it was neither acted on nor answered."""
        window = self.window
        if window is None:
            return
        highest, seen = window
        behind = highest - number
        if 0 <= behind < wire_limits.OSCORE_WINDOW:
            self._window = highest, seen & ~(1 << behind)


class OscoreContexts:
    """The contexts of all devices of a site. Only devices that were added have one."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """`random_bytes` returns that many random bytes: the challenges of this boot."""
        self._random_bytes = random_bytes
        self._contexts: dict[bytes, DeviceContext] = {}
        self._underived: dict[bytes, tuple[DeviceKeys, tuple[int, int] | None, int]] = {}
        self._kids: dict[str, bytes] = {}
        self._listeners: list[Callable[[DeviceContext], None]] = []

    def subscribe(self, listener: Callable[[DeviceContext], None]) -> None:
        """Call `listener(context)` when a device is removed: nothing may be sealed under its context any more."""
        self._listeners.append(listener)

    def __len__(self) -> int:
        """How many devices there are."""
        return len(self._kids)

    def add(self, keys: DeviceKeys, window: tuple[int, int] | None, reserved: int) -> None:
        """Let a device in, or give it other keys. Once for the same keys: it starts from what was stored.

        Args:
            keys: What is shared with it.
            window: (highest, seen) as stored last; `FRESH_WINDOW` with new keys; None if it was lost.
            reserved: `SenderRow.reserved` as stored last: no number below it is used again. 0 with new keys only. Of a
                device that `remove` knew, what that returned is as good.

        Raises:
            ValueError: another device has this kid.
        """
        kid = keys.recipient_id
        held_by = self._device_of(kid)
        if held_by not in (None, keys.device):
            raise ValueError(f"kid {kid.hex()} of {keys.device} is in use by {held_by}; provision it under another")
        used = self.remove(keys.device)
        self._kids[keys.device] = kid
        self._underived[kid] = (keys, window, max(reserved, used or 0))

    def remove(self, device: str) -> int | None:
        """Let a device in no more; its context is gone for good.

        Returns:
            A number above all that were ever used with this device, under these keys or earlier ones: where to begin
            if it is added again. None if the device is not known.
        """
        kid = self._kids.pop(device, None)
        if kid is None:
            return None
        underived = self._underived.pop(kid, None)
        if underived is not None:
            return underived[2]
        context = self._contexts.pop(kid)
        context.gone = True
        for listener in self._listeners:
            listener(context)
        return context.reserved

    def find(self, kid: bytes, kid_context: bytes | None) -> DeviceContext | None:
        """Return the context that a request names, or None."""
        context = self._contexts.get(kid) or self._derived(kid)
        if context is None or (kid_context is not None and kid_context != context.id_context):
            return None
        return context

    def of_device(self, device: str) -> DeviceContext | None:
        """Return the context shared with `device`, or None."""
        kid = self._kids.get(device)
        return None if kid is None else self.find(kid, None)

    def _device_of(self, kid: bytes) -> str | None:
        context, waiting = self._contexts.get(kid), self._underived.get(kid)
        return context.device if context is not None else None if waiting is None else waiting[0].device

    def _derived(self, kid: bytes) -> DeviceContext | None:
        found = self._underived.get(kid)
        if found is None:
            return None
        keys, window, reserved = found
        context = DeviceContext(keys, window, reserved)
        if window is None:
            context.lose_window(self._random_bytes(limits.ECHO_BYTES))
        del self._underived[kid]
        self._contexts[kid] = context
        return context
