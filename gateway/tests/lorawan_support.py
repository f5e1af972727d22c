"""What the tests of the LoRaWAN network server share: virtual time, a journal in memory, devices, a site."""

import heapq
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apsw

from pave_gateway.core.commands import Commands
from pave_gateway.core.committer import CommitFailed, Committed, CommitterBusy, Conflicted, Outcome, Outdated
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import Now
from pave_gateway.core.keys import KeyTable, LoraKeys, Secrets
from pave_gateway.core.keys_sealed import AesKeyring
from pave_gateway.core.lorawan.application import LorawanApplication
from pave_gateway.core.lorawan.radio import Downlink, TxResult, Uplink
from pave_gateway.core.lorawan.server import NetworkServer
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_gateway.core.places import Place
from pave_gateway.core.rows import ReadingRow, StoredReading
from pave_gateway.core.shadow import Shadows
from pave_gateway.core.shadow_resources import Resources
from pave_gateway.store import lorawan_tables, shadow_tables
from pave_wire import event, hello, lorawan, lorawan_join, region, shadow
from pave_wire.event_encode import encode
from pave_wire.lorawan import DOWN, Frame, Session
from pave_wire.mac_commands import decode as decode_mac
from pave_wire.reading import REASON, Reading

START_MS = 1_795_000_000_000
JOIN_EUI = bytes.fromhex("0200000000000001")
NEAR, FAR = "00000000000000a1", "00000000000000a2"
CHANNEL_HZ = 868_100_000


def eui(number: int) -> str:
    return f"24a160fffe{number:06x}"


class World:
    """Virtual time: what is due happens in order, and takes none."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, due_ms: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (max(due_ms, self.now_ms), next(self._numbers), act))

    def after(self, delay_ms: int, act: Callable[[], None]) -> None:
        self.at(self.now_ms + delay_ms, act)

    def next_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def pop(self) -> None:
        self.now_ms, _, act = heapq.heappop(self._heap)
        act()


class Store:
    """A committer over SQLite in memory, its readings kept as docs/WIRE.md says. `delay_ms` is modelled."""

    def __init__(self, world: World | None = None, delay_ms: int = 0) -> None:
        self.db: Any = apsw.Connection(":memory:")
        self.db.execute(lorawan_tables.SCHEMA + shadow_tables.SCHEMA)
        self.writers = {**lorawan_tables.WRITERS, **shadow_tables.WRITERS}
        self.readings: dict[tuple[str, int, int], dict[str, Any]] = {}
        self.world, self.delay_ms = world, delay_ms
        self.failing = self.busy = False
        self.generation = 0
        self.groups: list[list[Any]] = []

    def submit(self, rows: Sequence[Any], done: Callable[[Outcome], None], urgent: bool = False) -> None:
        if self.busy:
            raise CommitterBusy("full")
        if self.world is None or not self.delay_ms:
            done(self.write(rows))
        else:
            rows, generation = list(rows), self.generation
            self.world.after(self.delay_ms, lambda: self._complete(rows, done, generation))

    def _complete(self, rows: Sequence[Any], done: Callable[[Outcome], None], generation: int) -> None:
        if generation == self.generation:  # else its gateway was killed first
            done(self.write(rows))

    async def close(self, timeout_s: float) -> None:
        del timeout_s

    def write(self, rows: Sequence[Any]) -> Outcome:
        if self.failing:
            return CommitFailed("disk full")
        readings = [row for row in rows if isinstance(row, ReadingRow)]
        new = [row for row in readings if self._is_new(row)]
        for row in readings:
            if row not in new and not self._same(row):
                return Conflicted(row.identity)
        self.db.execute("BEGIN")
        for row in rows:
            if not isinstance(row, ReadingRow):
                outdated = self.writers[type(row)](self.db, row)
                if outdated is not None:
                    self.db.execute("ROLLBACK")
                    return Outdated(outdated)
        self.db.execute("COMMIT")
        self.groups.append(list(rows))
        for row in new:
            self.readings[row.device, row.epoch, row.seq] = row.values
        return Committed(tuple(StoredReading(len(self.readings), row) for row in new))

    def _is_new(self, row: ReadingRow) -> bool:
        known = self.readings.get((row.device, row.epoch, row.seq))
        return known is None or (known.get(REASON) == event.REBUILT and not self._same(row))

    def _same(self, row: ReadingRow) -> bool:
        known = self.readings[row.device, row.epoch, row.seq]
        stored = Reading(row.device, row.epoch, row.seq, 0, known)
        return event.same_reading(stored, Reading(row.device, row.epoch, row.seq, 0, row.values))


class Device:
    """A sensor's side of LoRaWAN: what it sends it makes, what it hears it reads, with the codecs it really has."""

    def __init__(self, number: int) -> None:
        self.eui = eui(number)
        self.app_key = bytes([number & 0xFF, number >> 8]) * 8
        self.dev_nonce = -1
        self.join_nonce = -1
        self.session: Session | None = None
        self.accept: lorawan_join.JoinAccept | None = None
        self.fcnt = 0
        self.down = -1

    def join_request(self) -> bytes:
        self.dev_nonce += 1
        return lorawan_join.encode_join_request(self.app_key, JOIN_EUI, bytes.fromhex(self.eui), self.dev_nonce)

    def join(self, phy: bytes) -> None:
        self.accept = lorawan_join.decode_join_accept(self.app_key, phy, self.join_nonce)
        self.join_nonce = self.accept.join_nonce
        self.session = lorawan_join.session_of(self.app_key, self.accept, self.dev_nonce)
        self.fcnt, self.down = 0, -1

    def uplink(
        self, port: int | None = None, data: bytes = b"", fopts: bytes = b"", flags: int = 0, confirmed: bool = False
    ) -> bytes:
        assert self.session is not None
        self.fcnt += 1
        return lorawan.encode_uplink(self.session, self.fcnt - 1, port, data, fopts, flags, confirmed)

    def hear(self, phy: bytes) -> Frame:
        assert self.session is not None
        frame = lorawan.decode_downlink(self.session, phy, self.down)
        self.down = frame.fcnt
        return frame


def hello_of(epoch: int = 1, seq: int = 0, token: int = 7) -> bytes:
    packed = hello.pack_hello(hello.Hello(epoch, seq, "pave-presence-v1", "0.1.0", 1))
    return bytes([token]) + packed  # rule 3: the token in front, whole bytes


def event_of(
    device: str, seq: int, occupied: bool = True, oldest: bool = True, epoch: int = 1, age_s: int = 0, lasted: int = -1,
    reason: str = "field",
) -> bytes:  # fmt: skip
    values: dict[str, Any] = {"reason": reason, "occupied": occupied, "confidence": 0.96}
    if lasted >= 0:
        values["lasted"] = lasted
    return encode(Reading(device, epoch, seq, age_s, values), oldest)


def mac_of(frame: Frame) -> list[tuple[int, dict[str, int]]]:
    return decode_mac(DOWN, frame.fopts)[0]


class Site:
    """A network server with its concentrators, in virtual time. The air is the test's own hands."""

    def __init__(
        self, devices: int = 1, settings: LorawanSettings | None = None, delay_ms: int = 0, seed: int = 1
    ) -> None:
        self.world = World()
        self.settings = settings or LorawanSettings()
        self.store = Store(self.world, delay_ms)
        self.seed = seed
        self.synchronized = True
        self.era = 0
        self.devices = [Device(0x100 + number) for number in range(devices)]
        self.table = KeyTable(b"")
        for device in self.devices:
            self.table.put(device.eui, Secrets(None, LoraKeys(device.eui, JOIN_EUI, device.app_key)))
        numbers = itertools.count()
        self.keyring = AesKeyring([bytes(range(32))], lambda size: next(numbers).to_bytes(size, "big"))
        self.results: Callable[[Downlink], TxResult | None] = lambda downlink: TxResult.OK
        self.start()

    def start(self) -> None:
        """Start a gateway over what is on disk: at first, and after it was killed."""
        kinds = {device.eui: shadow.PRESENCE for device in self.devices}
        places = {device.eui: Place(device.eui, "delivery", "", 0, 0, device.eui) for device in self.devices}
        db = self.store.db
        self.shadows = Shadows(shadow_tables.desired(db), shadow_tables.reported(db), self.keyring)
        self.commands = Commands(shadow_tables.open_commands(db), self.now())
        self.ingest = Ingest(places, self.store, [])
        self.application = LorawanApplication(
            self.ingest, self.store, Resources(self.shadows, self.commands, kinds.get), self.settings.heartbeats_per_ack
        )
        self.sent: list[Downlink] = []
        self.notices: list[Any] = []
        self.server = NetworkServer(
            self.settings,
            lambda: self.world.now_ms,
            self,
            lambda: self.era,
            random.Random(self.seed),
            self.keyring,
            self.table,
            self.store,
            self.application,
            self._transmit,
            self.notices.append,
        )
        self.server.restore(lorawan_tables.read_lorawan(db), self.world.now_ms)
        for gateway_id in (NEAR, FAR):
            self.server.concentrator_reached(gateway_id, self.world.now_ms)

    def now(self, monotonic_ms: int | None = None) -> Now:
        monotonic_ms = self.world.now_ms if monotonic_ms is None else monotonic_ms
        return Now(monotonic_ms, START_MS + monotonic_ms, self.synchronized)

    def tmst(self) -> int:
        """The counter of every concentrator."""
        return self.world.now_ms * 1000 % (1 << 32)

    def hear(
        self, phy: bytes, snr_db: float | Mapping[str, float] = 5.0, data_rate: int = 3, frequency_hz: int = CHANNEL_HZ
    ) -> None:
        """Let concentrators hear a frame now; a number is for the near one alone."""
        heard = snr_db if isinstance(snr_db, Mapping) else {NEAR: snr_db}
        for gateway_id, snr in heard.items():
            uplink = Uplink(phy, gateway_id, self.tmst(), frequency_hz, data_rate, -110 + snr, snr)
            self.server.receive_uplink(uplink, self.world.now_ms)

    def run(self, for_ms: int) -> None:
        """Let time pass."""
        end_ms = self.world.now_ms + for_ms
        while True:
            timeout_ms, next_ms = self.server.next_timeout(), self.world.next_ms()
            due = [ms for ms in (timeout_ms, next_ms) if ms is not None]
            if not due or min(due) > end_ms:
                break
            if next_ms is not None and next_ms == min(due):
                self.world.pop()
            else:
                self.world.now_ms = max(self.world.now_ms, min(due))
                self.server.handle_timeout(self.world.now_ms)
        self.world.now_ms = end_ms

    def joined(self, number: int = 0, greet: bool = True) -> Device:
        """Return a device that has joined and, unless told otherwise, said hello; what that took is over."""
        device = self.devices[number]
        self.hear(device.join_request())
        self.run(10_000)
        device.join(self.sent[-1].phy)
        if greet:
            self.hear(device.uplink(3, hello_of()))
            self.run(60_000)
            device.hear(self.sent[-1].phy)
        self.keep_alive()
        self.sent.clear()
        return device

    def keep_alive(self) -> None:
        for gateway_id in (NEAR, FAR):
            self.server.concentrator_reached(gateway_id, self.world.now_ms)

    def _transmit(self, downlink: Downlink) -> None:
        self.sent.append(downlink)
        result = self.results(downlink)
        if result is not None:
            self.world.after(20, lambda: self.server.transmitted(downlink.token, result, self.world.now_ms))


def delay_ms_of(downlink: Downlink, uplink_tmst: int) -> int:
    """Return how long after an uplink a downlink is on air."""
    return (downlink.tmst - uplink_tmst) % (1 << 32) // 1000


def airtime_us(downlink: Downlink) -> int:
    return region.frame_time_us(downlink.data_rate, len(downlink.phy), crc=False)
