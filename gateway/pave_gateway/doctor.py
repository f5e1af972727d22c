"""What `doctor` looks at: what a gateway stands on. Nothing here changes anything but a probe's session at a broker.

Whether a start would be refused is in `doctor_start`; here is the rest, and what is asked of others: the gateway that
runs, the machine, ports, another's network server.
"""

import contextlib
import fcntl
import os
import shutil
import ssl
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from pave_gateway import doctor_start as start
from pave_gateway.assembly.machine import this_machine
from pave_gateway.cli_client import Client, NotRunningError, RefusedError, waiting_start
from pave_gateway.config import Config, parse_endpoint
from pave_gateway.config_lora_ingress import ChirpStackConfig, SecretError, ThingsStackConfig, endpoint
from pave_gateway.findings import Finding, Severity, error, fine, of_message, warning
from pave_gateway.ingress import chirpstack_doctor, chirpstack_ingress, things_stack_doctor, things_stack_ingress
from pave_gateway.ports import FORWARDERS, PortError, tcp_listener, udp_port

_ROOM_SPARE_BYTES = 64_000_000  # beside the journal: its write-ahead log, and a copy while it is reshaped
_NTP = "let NTP reach this machine, or say [clock] trusted = true where something else sets its clock"


async def examine(config: Config, client: Client) -> list[Finding]:
    """Return all there is to say of a site's gateway, running or not; `client` asks it."""
    with _as_its_user(config):
        is_running, found = ask_gateway(config, client)
        of_journal, stored = start.journal(config)
        found += [*technicians(config), *start.key_file(config, stored), *of_journal]
        if stored is not None:
            found += start.registry(config, stored)
        found += [*start.beside(config), *disk(config), *clock(config)]
        if not is_running:
            found += start.control(config)
        of_server = await network_server(config)
    if not is_running:
        found += ports(config)
    return [*found, *of_server]


def ask_gateway(config: Config, client: Client) -> tuple[bool, list[Finding]]:
    """Return whether a gateway has the journal, and what it says of itself."""
    has_journal = _is_locked(config.journal.path)
    try:
        status = client.get("status")
    except NotRunningError:
        waits = waiting_start(parse_endpoint(config.listen.http))
        if waits is not None:
            step = "see to that: the start is tried again by itself, every few seconds"
            return True, [error(f"the gateway is being started, and waits: {waits}", step)]
        if has_journal:
            step = "look at its log: it is starting, waits for room on its disk, or is of an older version"
            return True, [error("a gateway has the journal open, and does not listen on its control socket", step)]
        return False, [warning("the gateway does not run", "pave-gateway run --site ...")]
    except RefusedError as refused:
        return True, [of_message(str(refused))]
    if not has_journal:  # `start.control` says who it is that answers
        return False, [warning("the gateway of this journal does not run", "pave-gateway run --site ...")]
    found = [fine(f"the gateway runs: {status['journal']['stored']} readings stored")]
    if status["site"] != config.site.id:
        what = f"the gateway that has this journal is of site {status['site']!r}, the site file says {config.site.id!r}"
        found = [error(what, "name the site file that it was started with, or give each site a folder of its own")]
    found += moved(config, status["listen"])
    said = [Finding(Severity(one["severity"]), one["what"], one["next_step"]) for one in status["findings"]]
    return True, found + said


def moved(config: Config, listens: dict[str, str]) -> list[Finding]:
    """Return where the gateway that runs listens, where the site file says another address by now."""
    step = "stop the gateway and start it again: it reads the site file at its start"
    wanted = config.listens()
    return [
        warning(
            f"{key}: the gateway that runs has {listens.get(key, 'none')}, the site file {wanted.get(key, 'none')}",
            step,
        )
        for key in sorted(wanted.keys() | listens.keys())
        if listens.get(key) != wanted.get(key)
    ]


def technicians(config: Config) -> list[Finding]:
    """Return whether anybody may provision devices."""
    if config.registry.technician:
        return [fine(f"site file: {len(config.places())} places, {len(config.registry.technician)} technicians")]
    step = "add [[registry.technician]] with a name and the key that their tool shows"
    return [warning("the site file names no technician: every provisioning record is refused", step)]


def disk(config: Config) -> list[Finding]:
    """Return whether the disk has room for what the journal may still take."""
    path = config.journal.path
    folder = start.existing(path.parent)
    free = shutil.disk_usage(folder).free
    used = path.stat().st_size if start.is_there(path) else 0
    needed = max(0, config.journal.disk_cap_mb * 1_000_000 - used) + _ROOM_SPARE_BYTES
    what = f"disk of {folder}: {free / 1e6:,.0f} MB free"
    if free < _ROOM_SPARE_BYTES:
        return [error(what, "free some space now: readings are refused when it is full")]
    if free < needed:
        step = "free some space, or lower disk_cap_mb"
        return [warning(f"{what}, and the journal may take {needed / 1e6:,.0f} MB more", step)]
    return [fine(what)]


def clock(config: Config) -> list[Finding]:
    """Return whether the machine's clock can be believed."""
    if config.clock.trusted:
        return [fine("clock: believed, as the site file says")]
    if this_machine(False).is_synchronized():
        return [fine("clock: synchronized")]
    return [warning("clock: not synchronized; readings are marked so, and sinks hear of them later", _NTP)]


def ports(config: Config) -> list[Finding]:
    """Return whether what a gateway will listen on is free."""
    tries: list[tuple[str, Callable[[], object]]] = [
        (f"port {config.listen.coap}, UDP", lambda: udp_port(*parse_endpoint(config.listen.coap))),
        (f"port {config.listen.http}, TCP", lambda: tcp_listener(*parse_endpoint(config.listen.http)).close()),
    ]
    forwarders = config.semtech_udp
    if forwarders is not None:
        tries.append((f"port {forwarders.listen}, UDP", lambda: udp_port(*endpoint(forwarders.listen), key=FORWARDERS)))
    return [_try(name, take) for name, take in tries]


async def network_server(config: Config) -> list[Finding]:
    """Return what the broker of another's network server gives, where the site file names one."""
    own = config.chirpstack or config.things_stack
    if own is None:
        return []
    found = certificates(own)
    if found:
        return found
    try:
        if isinstance(own, ChirpStackConfig):
            return await chirpstack_doctor.probe(chirpstack_ingress.settings_of(own), own.application)
        return await _things_stack(own, config.site.id)
    except SecretError as failure:
        return [of_message(str(failure))]


def certificates(own: ChirpStackConfig | ThingsStackConfig) -> list[Finding]:
    """Return whether the file of certificates that a network server is to be known by is of use."""
    is_read = own.ca_file is not None and (own.tls or isinstance(own, ThingsStackConfig))
    try:
        if is_read:
            ssl.create_default_context(cafile=str(own.ca_file))
    except OSError as failure:
        step = "name a file with certificates (PEM) that the gateway may read"
        return [error(f"ca_file {own.ca_file}: {failure.strerror or failure}", step)]
    return []


def worst(found: Iterable[Finding]) -> Severity:
    """Return how bad the worst of them is."""
    severities = {one.severity for one in found}
    return next((one for one in (Severity.ERROR, Severity.WARNING) if one in severities), Severity.FINE)


async def _things_stack(own: ThingsStackConfig, site: str) -> list[Finding]:
    settings, storage = things_stack_ingress.settings_of(own, site), things_stack_ingress.storage_of(own)
    try:
        found = await things_stack_doctor.probe(settings, own.uid, storage, time.time_ns() // 1_000_000)
    finally:
        await storage.close()
    return [*found, *things_stack_doctor.promises(own)]


def _try(name: str, take: Callable[[], object]) -> Finding:
    try:
        take()
    except PortError as failure:
        return of_message(str(failure))
    return fine(f"{name}: free")


def _is_locked(path: Path) -> bool:
    """Say whether a gateway has the journal, without taking it."""
    path = Path(os.path.realpath(path))
    try:
        with path.with_name(path.name + ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def _as_its_user(config: Config) -> Generator[None]:
    """Look as the user who owns the journal, where root asks: what root may read and write says nothing of others."""
    owner = _owner(config)
    if os.geteuid() != 0 or owner == 0:
        yield
        return
    os.seteuid(owner)
    try:
        yield
    finally:
        os.seteuid(0)


def _owner(config: Config) -> int:
    """Return the user that the gateway runs as: who owns the journal, or what is there in the place of it."""
    journal = config.journal.path
    paths = (journal, config.registry.key_path(journal), start.existing(journal.parent))
    return next(path.stat().st_uid for path in paths if start.is_there(path))
