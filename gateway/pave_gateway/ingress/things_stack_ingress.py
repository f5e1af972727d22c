"""The Things Stack as the network server of the site: its messages and what its storage kept to the application.

Its MQTT server has QoS 0 and no sessions. A frame that comes live is taken at once, so that its answer may go out in
its own receive windows; what is missing before it is asked of the storage (`things_stack_refill`), and its readings
find their place by their own identity. Without a storage they come all the same: the device sends what was not
acknowledged again.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pave_gateway.config_lora_ingress import THINGS_STACK_KEY, SecretError, ThingsStackConfig, secret
from pave_gateway.core import limits
from pave_gateway.ingress import things_stack
from pave_gateway.ingress.mqtt_client import Incoming
from pave_gateway.ingress.mqtt_connection import BrokerSettings
from pave_gateway.ingress.mqtt_downlinks import Order
from pave_gateway.ingress.mqtt_ingress import Behind, ExternalIngress
from pave_gateway.ingress.things_stack import DownlinkTold, ThingsStackError, Told
from pave_gateway.ingress.things_stack_refill import Question, Refill
from pave_gateway.ingress.things_stack_storage import Storage, StorageError, instant

_NAME_BITS = 64
_STORAGE = "the storage of The Things Stack"
ADVICE = {
    things_stack.ENCRYPTED: "payloads are encrypted; switch skip_payload_crypto off for the application",
    things_stack.SIMULATED: "a simulated uplink, which is not for production",
    things_stack.MALFORMED: "a message cannot be read; this gateway knows those of The Things Stack v3",
    things_stack.FOREIGN_TOPIC: "a topic is none of The Things Stack's; see which server this is",
}


def key_of(config: ThingsStackConfig) -> str:
    """Return the API key; raises SecretError where there is none."""
    key = secret(config.key_file, THINGS_STACK_KEY)
    if key is None:
        raise SecretError(f"[things_stack] has no API key; name its file as key_file, or set {THINGS_STACK_KEY}")
    return key


def settings_of(config: ThingsStackConfig, site: str) -> BrokerSettings:
    """Return the MQTT server that the site file names, for `site`; raises SecretError."""
    return BrokerSettings(
        config.host,
        config.port,
        "3.1.1",
        f"pave-{site}",
        qos=0,
        tls=config.tls,
        ca_file=config.ca_file,
        username=config.uid,
        password=key_of(config),
    )


def storage_of(config: ThingsStackConfig) -> Storage:
    """Return the storage that the site file names; raises SecretError, and OSError for a bad `ca_file`."""
    return Storage(config.storage_url, config.application, key_of(config), config.ca_file)


@dataclass(slots=True)
class ThingsStackCounters:
    """Since the start.

    Attributes:
        dropped: Messages that came to nothing, by reason.
        questions: To the storage.
        refilled: Stored uplinks that it gave.
        failures: Questions that it did not answer.
        error: Why the last one failed, "" where it did not.
    """

    dropped: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(things_stack.REASONS, 0)))
    questions: int = 0
    refilled: int = 0
    failures: int = 0
    error: str = ""


class ThingsStackIngress(ExternalIngress):
    """See above. `counters` are of messages and questions, `refill` tells what is still asked for."""

    def __init__(self, settings: BrokerSettings, uid: str, storage: Storage, behind: Behind) -> None:
        """`settings` and `storage` as of `settings_of` and `storage_of`; `uid` is "application@tenant"."""
        super().__init__(settings, things_stack.topics(uid), behind, can_replace=True)
        self._uid = uid
        self._storage = storage
        self._device_ids: dict[str, str] = {}  # device of this site: what The Things Stack calls it
        self._devices: dict[str, str] = {}  # the other way round
        self._wake = asyncio.Event()
        self.refill = Refill(lambda device: bool(self.uplinks.state(device).gaps))
        self.counters = ThingsStackCounters()

    def start(self) -> None:
        """Connect and stay connected; ask for what is missing."""
        super().start()
        self.run(self._ask())

    async def close(self) -> None:
        """See `ExternalIngress`."""
        await super().close()
        await self._storage.close()

    def receive(self, message: Incoming, settle: Callable[[], None]) -> None:
        """See `ExternalIngress`."""
        try:
            told = things_stack.message_of(message.topic, message.payload)
        except ThingsStackError as error:
            self._dropped(str(error), message.topic)
            settle()
            return
        self._take(told, settle)

    def order(self, order: Order) -> bool:
        """See `ExternalIngress`."""
        device_id = self._device_ids.get(order.device)
        if device_id is None:
            return False
        topic = things_stack.command_topic(self._uid, device_id, order.replaces)
        return self.subscriber.publish(topic, things_stack.command(order))

    def name(self) -> str:
        """See `ExternalIngress`; a correlation id."""
        return f"{things_stack.OURS}{self._behind.source.getrandbits(_NAME_BITS):016x}"

    def connected(self) -> None:
        """See `ExternalIngress`."""
        if self.uplinks.heard_ms:
            self.refill.connected(self.uplinks.heard_ms)
            self._wake.set()

    def missed(self, device: str, since_ms: int) -> None:
        """See `ExternalIngress`."""
        self.refill.missed(device, since_ms, self.monotonic_ms())
        self._wake.set()

    def _take(self, told: Told, settle: Callable[[], None]) -> None:
        event = told.event
        if isinstance(event, DownlinkTold):
            device = self._devices.get(told.device_id)
            if device is not None and event.name:
                self.downlinks.sent(device, event.name, self._behind.clock.now(self.monotonic_ms()), event.lost)
            settle()
            return
        if self._behind.knows(event.device):
            self._device_ids[event.device] = told.device_id
            self._devices[told.device_id] = event.device
        self.uplinks.take(event, settle)

    def _dropped(self, reason: str, where: str) -> None:
        self.counters.dropped[reason] += 1
        self._behind.log.warning(f"things stack {reason}", f"The Things Stack, {where[:120]!r}: {ADVICE[reason]}")

    async def _ask(self) -> None:
        """Ask the storage whenever there is something to ask, for ever."""
        while True:
            self._wake.clear()
            question = self.refill.question(self.monotonic_ms())
            if question is not None:
                await self._ask_one(question)
            now_ms = self.monotonic_ms()
            due_ms = self.refill.next_ms(now_ms)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due_ms is None else max(0, due_ms - now_ms) / 1000):
                    await self._wake.wait()

    async def _ask_one(self, question: Question) -> None:
        self.counters.questions += 1
        try:
            await self._fetch(question)
        except StorageError as error:
            self.counters.failures += 1
            self.counters.error = str(error)
            self._behind.log.warning(_STORAGE, f"{_STORAGE}: {error}; asking again")
            self.refill.failed(self.monotonic_ms(), error.retry_after_s)
        else:
            self.counters.error = ""
            self.refill.answered(question, self.monotonic_ms())

    async def _fetch(self, question: Question) -> None:
        """Take every stored uplink that answers a question; return when all of them are on disk."""
        device_id = self._device_ids.get(question.device) if question.device is not None else None
        under_way = _UnderWay()
        after = instant(question.since_ms)
        for _ in range(limits.REFILL_PAGES):
            count, last = 0, ""
            async for line in self._storage.page(device_id, after):
                count += 1
                last = things_stack.stored_at(line) or last
                await under_way.begin()
                self._refill(line, under_way)
            if count < limits.REFILL_PAGE or last in ("", after):
                break
            after = last
        await under_way.end()

    def _refill(self, line: bytes, under_way: "_UnderWay") -> None:
        try:
            told = things_stack.stored(line)
        except ThingsStackError as error:
            self._dropped(str(error), "storage")
            under_way.settled()
            return
        self.counters.refilled += 1
        self._take(told, under_way.settled)


class _UnderWay:
    """Stored uplinks on their way to the disk, in bounded number."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(limits.REFILL_UNDER_WAY)

    async def begin(self) -> None:
        """Wait for room for one more."""
        await self._room.acquire()

    def settled(self) -> None:
        """Note that one is on disk, or came to nothing."""
        self._room.release()

    async def end(self) -> None:
        """Wait until none is left."""
        for _ in range(limits.REFILL_UNDER_WAY):
            await self._room.acquire()
