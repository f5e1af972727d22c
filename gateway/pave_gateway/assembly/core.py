"""The parts between the links and the back-ends, built on the journal in an order in which each finds what it needs.

    journal -> key file -> clock -> registry (this journal's ID, the site file followed) -> bays brought forward
            -> shadow, commands -> OSCORE contexts -> ingest

Nothing here listens or speaks. When `open_core` returns, all that a start decides is on disk. Damage to the journal
that shows on the way is salvaged, and all is built once more on what could be saved.
"""

import asyncio
import logging
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from pave_gateway.assembly.machine import Machine
from pave_gateway.config import Config
from pave_gateway.core import limits
from pave_gateway.core.bays import Bays, SnapshotError
from pave_gateway.core.clock import SiteClock, Timeline
from pave_gateway.core.commands import Commands
from pave_gateway.core.committer import CommitFailed, Committer, Outcome
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import ClockLog, Now
from pave_gateway.core.keys import draw_gateway_id
from pave_gateway.core.keys_record import open_keys
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.core.places import KIOSK, Place
from pave_gateway.core.registry import Registry
from pave_gateway.core.registry_acts import Registrar
from pave_gateway.core.registry_change import By, Done, NotRecorded, Recorded
from pave_gateway.core.registry_rows import SITE_FILE
from pave_gateway.core.registry_site import follow_site, plan_site
from pave_gateway.core.shadow import Shadows
from pave_gateway.core.shadow_resources import Resources
from pave_gateway.store import clock_tables, registry_tables, shadow_tables
from pave_gateway.store.errors import NoRoomError
from pave_gateway.store.journal import Journal, JournalError, JournalReader
from pave_gateway.store.key_file import KeyFile, open_key_file
from pave_gateway.store.meta import ProbeRow
from pave_wire import shadow

_log = logging.getLogger(__name__)

GATEWAY = "gateway"  # the actor of what it does by itself

CommitterFactory = Callable[[Journal, Config, Callable[[], int | None]], Committer]
"""Makes the committer of a journal; the last argument returns the time, None while nobody can tell."""


@dataclass(frozen=True, slots=True)
class Core:
    """See above; `open_core` makes it. `config` is without bays and kiosks: `registry.places` has them."""

    config: Config
    machine: Machine
    committer: Committer
    reader: JournalReader
    key_file: KeyFile
    clock: SiteClock
    clock_log: ClockLog
    registrar: Registrar
    bays: Bays
    shadows: Shadows
    commands: Commands
    resources: Resources
    contexts: OscoreContexts
    ingest: Ingest

    @property
    def registry(self) -> Registry:
        """Devices and where they stand."""
        return self.registrar.registry

    def now(self) -> Now:
        """Return the site's time."""
        return self.clock.now(self.machine.monotonic_ms())

    def kind_of(self, device: str) -> int | None:
        """Return the kind (`pave_wire.shadow`) of a device of this site, None for any other."""
        return kind_of(self.registry, device)


async def open_core(
    config: Config,
    machine: Machine,
    committer_factory: CommitterFactory,
    stack: AsyncExitStack,
) -> Core:
    """Build it; `stack` closes it.

    Raises:
        JournalError, KeyFileError, KeyringError, SiteConflictError: the message says why and what to do.
        NoRoomError: a JournalError that will not come again once the disk has room.
    """
    places = config.places()
    config = config.model_copy(update={"bay": (), "kiosk": ()})  # 12 MB for 10,000 of them, and `places` says it all
    path = config.journal.path
    trusted_ms = _TrustedTime(machine)
    journal = Journal(path, config.journal.policy([sink.name for sink in config.sink]))
    committer = committer_factory(journal, config, trusted_ms)
    stack.push_async_callback(committer.close, limits.COMMIT_WAIT_AT_STOP_S)
    reader = stack.enter_context(closing(JournalReader(path, journal.report_damage)))
    with _room_told(journal):
        try:
            return await _built(config, places, machine, reader, committer, trusted_ms)
        except JournalError as error:
            if not journal.damages:
                raise
            _log.error("%s", error)
        await _salvaged(committer)
        return await _built(config, places, machine, reader, committer, trusted_ms)


@contextmanager
def _room_told(journal: Journal) -> Generator[None]:
    """Raise NoRoomError for what `journal` could not do since the disk is full; a committer tells it in words alone."""
    try:
        yield
    except JournalError as error:
        if journal.lacks_room:
            raise NoRoomError(str(error)) from error
        raise


async def _salvaged(committer: Committer) -> None:
    """Wait for the transaction before which a journal that is known to be damaged is salvaged.

    Raises:
        JournalError: it cannot be, within the time after which a disk that failed is tried again.
    """
    for wait_s in (limits.TEND_S, limits.TEND_S, 0.0):
        result: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        committer.submit([ProbeRow()], result.set_result)
        outcome = await result
        if not isinstance(outcome, CommitFailed):
            return
        await asyncio.sleep(wait_s)
    raise JournalError(outcome.reason)


async def _built(
    config: Config,
    places: list[Place],
    machine: Machine,
    reader: JournalReader,
    committer: Committer,
    trusted_ms: "_TrustedTime",
) -> Core:
    clock_log = ClockLog(reader.read_rows(clock_tables.clock_changes))
    position = _Position(reader.last_position())
    clock = _clock(machine, clock_log, reader, committer, position)
    trusted_ms.clock = clock
    registrar, key_file = _registry(config, places, machine, reader, committer, position)
    await _settle(registrar, machine, clock)
    bays = _bays(registrar.registry, clock_log, reader)
    position.bays = bays
    shadows = Shadows(
        reader.read_rows(shadow_tables.desired),
        reader.read_rows(shadow_tables.reported),
        registrar.keyring,
    )
    open_commands = reader.read_rows(shadow_tables.open_commands)
    commands = Commands(open_commands, clock.now(machine.monotonic_ms()))
    return Core(
        config=config,
        machine=machine,
        committer=committer,
        reader=reader,
        key_file=key_file,
        clock=clock,
        clock_log=clock_log,
        registrar=registrar,
        bays=bays,
        shadows=shadows,
        commands=commands,
        resources=Resources(shadows, commands, partial(kind_of, registrar.registry)),
        contexts=_contexts(registrar, machine, reader),
        ingest=Ingest(registrar.registry.admitted, committer, [bays.apply]),
    )


def kind_of(registry: Registry, device: str) -> int | None:
    """Return the kind (`pave_wire.shadow`) of an admitted device, None for any other."""
    place = registry.place_of(device)
    return None if place is None else shadow.KIOSK if place.kind == KIOSK else shadow.PRESENCE


class _TrustedTime:
    """The time for the journal's housekeeping, which is there before the clock; None while nobody can tell."""

    def __init__(self, machine: Machine) -> None:
        self._monotonic_ms = machine.monotonic_ms
        self.clock: SiteClock | None = None

    def __call__(self) -> int | None:
        now = None if self.clock is None else self.clock.now(self._monotonic_ms())
        return now.ms if now is not None and now.synchronized else None


class _Position:
    """Of the newest reading whose commit has been told of: the log's at the start, then what the bays have seen."""

    def __init__(self, at_start: int) -> None:
        self._at_start = at_start
        self.bays: Bays | None = None

    def __call__(self) -> int:
        return self._at_start if self.bays is None else max(self.bays.position, self._at_start)


def _clock(
    machine: Machine, clock_log: ClockLog, reader: JournalReader, committer: Committer, position: Callable[[], int]
) -> SiteClock:
    last = reader.after(position() - 1, 1)
    last_ms = last[0].row.received_ms if last else 0
    monotonic_ms, wall_ms, is_synchronized = machine.monotonic_ms(), machine.wall_ms(), machine.is_synchronized()
    timeline = Timeline(machine.boot, clock_log, last_ms, monotonic_ms, wall_ms, is_synchronized)
    clock = SiteClock(timeline, clock_log, committer, position)
    clock.observe(monotonic_ms, wall_ms, is_synchronized)  # before anything is admitted
    return clock


def _registry(
    config: Config,
    places: list[Place],
    machine: Machine,
    reader: JournalReader,
    committer: Committer,
    position: Callable[[], int],
) -> tuple[Registrar, KeyFile]:
    stored = reader.read(registry_tables.load)
    sealed = [value for _, value in stored.sealed]
    path = config.registry.key_path(config.journal.path)
    key_file = open_key_file(path, config.site.id, sealed, machine.wall_ms(), machine.random_bytes)
    keyring = key_file.keyring(machine.random_bytes)
    keys, faults = open_keys(stored.sealed, keyring, stored.gateway_id)
    for fault in faults:
        _log.error("%s", fault)
    registry = Registry(places)
    registry.restore(stored.devices, stored.assignments, stored.last_act)
    return Registrar(registry, keys, keyring, committer, position), key_file


async def _settle(registrar: Registrar, machine: Machine, clock: SiteClock) -> None:
    """Give a new journal its ID, and let the registry follow the site file."""
    registry = registrar.registry
    plan = plan_site(registry, registry.places.values())
    for line in plan.stale:
        _log.warning("%s", line)
    for gone in plan.end:
        _log.warning("%s is no longer in the site file: device %s is released from it", gone.place, gone.device)
    now = clock.now(machine.monotonic_ms())
    if not registrar.keys.gateway_id:
        gateway_id = draw_gateway_id(machine.random_bytes)
        by = By(GATEWAY, now.ms, now.synchronized)
        await _recorded(lambda done: registrar.begin_life(gateway_id, by, done))
    if plan.begin or plan.end:
        by = By(SITE_FILE, now.ms, now.synchronized)
        await _recorded(lambda done: follow_site(registrar, plan, by, done))


async def _recorded(act: Callable[[Done], None]) -> None:
    """Do `act`, wait until it is on disk; raise JournalError if it cannot be."""
    result: asyncio.Future[Recorded | NotRecorded] = asyncio.get_running_loop().create_future()
    act(result.set_result)
    recorded = await result
    if isinstance(recorded, NotRecorded):
        raise JournalError(recorded.reason)


def _bays(registry: Registry, clock_log: ClockLog, reader: JournalReader) -> Bays:
    """Return the bays as the log has them: as they were written down last, and what came since."""
    bays = Bays(registry.places.values(), registry, clock_log)
    position = reader.read(clock_tables.bays_position)
    try:
        bays.restore(reader.read_rows(clock_tables.bays), position)
    except SnapshotError as error:
        _log.warning("%s", error)
        position = 0
    batch = reader.after(position, limits.REBUILD_BATCH_ROWS)
    while batch:
        bays.apply(batch)
        batch = reader.after(batch[-1].position, limits.REBUILD_BATCH_ROWS)
    return bays


def _contexts(registrar: Registrar, machine: Machine, reader: JournalReader) -> OscoreContexts:
    contexts = OscoreContexts(machine.random_bytes)
    windows, default_window = reader.replay_windows()
    reserved, first = reader.reservations()
    for keys in registrar.keys.all_oscore():
        device = keys.device
        contexts.add(keys, windows.get(device, default_window), reserved.get(device, first))
    return contexts
