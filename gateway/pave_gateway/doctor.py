"""What `doctor` looks at: what a gateway stands on. Nothing here changes anything but a probe's session at a broker."""

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pave_gateway.assembly.machine import this_machine
from pave_gateway.cli_client import Client, NotRunningError, RefusedError
from pave_gateway.config import Config, parse_endpoint
from pave_gateway.config_lora_ingress import SecretError, endpoint
from pave_gateway.findings import Finding, Severity, error, fine, warning
from pave_gateway.ingress import chirpstack_doctor, chirpstack_ingress, things_stack_doctor, things_stack_ingress
from pave_gateway.ports import FORWARDERS, PortError, tcp_listener, udp_port
from pave_gateway.store.errors import JournalError
from pave_gateway.store.key_file import KeyFileError, load_key_file
from pave_gateway.store.reader import JournalReader

_ROOM_SPARE_BYTES = 64_000_000  # beside the journal: its write-ahead log, and a copy while it is reshaped
_NTP = "let NTP reach this machine, or say [clock] trusted = true where something else sets its clock"


async def examine(config: Config, client: Client) -> list[Finding]:
    """Return all there is to say of a site's gateway, running or not; `client` asks it."""
    is_running, own = ask_gateway(config, client)
    found = [*own, *technicians(config), *key_file(config), *journal(config), *disk(config), *clock(config)]
    if not is_running:
        found += ports(config)
    return [*found, *await network_server(config)]


def ask_gateway(config: Config, client: Client) -> tuple[bool, list[Finding]]:
    """Return whether a gateway has the journal, and what it says of itself."""
    try:
        status = client.get("status")
    except NotRunningError:
        if _is_locked(config.journal.path):
            step = "look at its log: it is starting, or was started by an older version"
            return True, [error("a gateway has the journal open, and does not listen on its control socket", step)]
        return False, [warning("the gateway does not run", "pave-gateway run --site ...")]
    except RefusedError as refused:
        return True, [_of_message(str(refused))]
    said = [Finding(Severity(one["severity"]), one["what"], one["next_step"]) for one in status["findings"]]
    return True, [fine(f"the gateway runs: {status['statistics']['stored']} readings stored"), *said]


def technicians(config: Config) -> list[Finding]:
    """Return whether anybody may provision devices."""
    if config.registry.technician:
        return [fine(f"site file: {len(config.places())} places, {len(config.registry.technician)} technicians")]
    step = "add [[registry.technician]] with a name and the key that their tool shows"
    return [warning("the site file names no technician: every provisioning record is refused", step)]


def key_file(config: Config) -> list[Finding]:
    """Return whether the key file is there, whole, of this site, and its owner's alone."""
    path = config.registry.key_path(config.journal.path)
    try:
        if os.geteuid() == 0 and _owner(path) != 0:  # root may read it, and is not who owns it
            return _mode(path)
        found = load_key_file(path)
    except FileNotFoundError:
        if config.journal.path.exists():
            step = "put its copy back; if no device was ever provisioned, the gateway makes one when it starts"
            return [error(f"key file {path}: missing", step)]
        return [fine(f"key file {path}: none yet, made at the first start")]
    except KeyFileError as refused:
        return [_of_message(str(refused))]
    if found.site != config.site.id:
        return [error(f"key file {path}: it is of site {found.site!r}, not {config.site.id!r}", "name the right one")]
    return [fine(f"key file {path}: of this site, nobody else reads it; keep a copy off this machine")]


def journal(config: Config) -> list[Finding]:
    """Return whether the journal opens, and what it holds."""
    path = config.journal.path
    if not path.exists():
        return [fine(f"journal {path}: none yet, made at the first start")]
    try:
        reader = JournalReader(path)
        try:
            usage = reader.usage(config.journal.policy([sink.name for sink in config.sink]))
        finally:
            reader.close()
    except (JournalError, ValueError) as failure:
        return [_of_message(str(failure))]
    found = [fine(f"journal {path}: {usage.kept} readings, {usage.used_bytes / 1e6:.1f} MB")]
    return found + [
        warning(f"{count} readings that sink {sink} will never get were removed", "see its backlog, and at_cap")
        for sink, count in usage.lost.items()
    ]


def disk(config: Config) -> list[Finding]:
    """Return whether the disk has room for what the journal may still take."""
    folder = _existing(config.journal.path.parent)
    free = shutil.disk_usage(folder).free
    used = config.journal.path.stat().st_size if config.journal.path.exists() else 0
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
    try:
        if config.chirpstack is not None:
            settings = chirpstack_ingress.settings_of(config.chirpstack)
            return await chirpstack_doctor.probe(settings, config.chirpstack.application)
        if config.things_stack is not None:
            own = config.things_stack
            settings, storage = (
                things_stack_ingress.settings_of(own, config.site.id),
                things_stack_ingress.storage_of(own),
            )
            try:
                now_ms = time.time_ns() // 1_000_000
                found = await things_stack_doctor.probe(settings, own.uid, storage, now_ms)
            finally:
                await storage.close()
            return [*found, *things_stack_doctor.promises(own)]
    except (SecretError, OSError) as failure:
        return [_of_message(str(failure))]
    return []


def worst(found: Iterable[Finding]) -> Severity:
    """Return how bad the worst of them is."""
    severities = {one.severity for one in found}
    return next((one for one in (Severity.ERROR, Severity.WARNING) if one in severities), Severity.FINE)


def _try(name: str, take: Callable[[], object]) -> Finding:
    try:
        take()
    except PortError as failure:
        return _of_message(str(failure))
    return fine(f"{name}: free")


def _of_message(message: str) -> Finding:
    what, _, step = message.rpartition("; ")
    return error(what, step) if what else error(message, "")


def _is_locked(path: Path) -> bool:
    """Say whether a gateway has the journal, without taking it."""
    try:
        with path.with_name(path.name + ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _owner(path: Path) -> int:
    return path.stat().st_uid


def _mode(path: Path) -> list[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [error(f"key file {path}: mode {mode:04o} lets others at it", f"chmod 600 {path}")]
    return [fine(f"key file {path}: user {_owner(path)} alone reads it; keep a copy off this machine")]


def _existing(folder: Path) -> Path:
    return folder if folder.exists() or folder == folder.parent else _existing(folder.parent)
