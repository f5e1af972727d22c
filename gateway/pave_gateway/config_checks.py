"""What every key of a site file allows and the gateway could not be started with: faults between keys.

Each check returns a line per fault. Those of the raw `data` are told beside the faults of single keys; the others look
at tables that have none.
"""

import ipaddress
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pave_gateway.config_endpoint import endpoint
from pave_gateway.config_faults import Location, SiteFile
from pave_gateway.config_journal import JournalConfig
from pave_gateway.config_lora_ingress import SemtechUdpConfig, check_one
from pave_gateway.config_lorawan import LorawanConfig
from pave_gateway.config_registry import RegistryConfig
from pave_gateway.control_address import socket_path

Data = Mapping[str, Any]

_PLACES = (("bay",), ("kiosk",))
_UNIQUE = (("id", _PLACES), ("device", _PLACES), ("name", (("sink",),)), ("key", (("registry", "technician"),)))


def network_servers(file: SiteFile, data: Data) -> list[str]:
    """Return that more than one of them is named, or settings of one that is not."""
    faults: list[str] = []
    given = [data.get(name) for name in ("semtech_udp", "chirpstack", "things_stack")]
    try:
        check_one(*given)
    except ValueError as error:
        second = "chirpstack" if given[2] is None else "things_stack"
        faults.append(f"{file.where((second,))}: {error}")
    if data.get("lorawan") is not None and given[0] is None:
        where = file.where(("lorawan",))
        faults.append(f"{where}: lorawan: nothing brings its frames; add [semtech_udp], or take it out")
    return faults


def repeated(file: SiteFile, data: Data) -> list[str]:
    """Return ids, devices, names of sinks and technicians' keys that are used twice."""
    faults: list[str] = []
    for key, tables in _UNIQUE:
        seen: dict[str, Location] = {}
        for table in tables:
            for index, entry in enumerate(_entries(data, table)):
                value = entry.get(key)
                if not value or not isinstance(value, str):  # a place without a device; what is no text is told anyway
                    continue
                first = seen.setdefault(value, (*table, index, key))
                if first != (*table, index, key):
                    here, there = file.where((*table, index, key)), file.where(first)
                    named = f"{'.'.join(table)}.{index + 1}.{key}"
                    faults.append(f"{here}: {named}: {value!r} is already used at {there}")
    return faults


def lorawan(file: SiteFile, own: LorawanConfig | None, data: Data) -> list[str]:
    """Return why the built-in network server cannot be made for so many devices."""
    devices = sum(1 for table in _PLACES for _ in _entries(data, table))
    try:
        (own or LorawanConfig()).settings(devices)
    except ValueError as error:
        return [f"{file.where(('lorawan', 'net_id'))}: lorawan: {error}"]
    return []


def shared_port(file: SiteFile, coap: tuple[str, int], semtech_udp: SemtechUdpConfig | None) -> list[str]:
    """Return that CoAP and the packet forwarders are given one UDP port; `coap` is its (address, port)."""
    if semtech_udp is None:
        return []
    (host, port), (own, own_port) = coap, endpoint(semtech_udp.listen)
    everywhere = ipaddress.ip_address(host).is_unspecified and (":" in host or ":" not in own)  # "::" is IPv4's, too
    if own_port == 0 or own_port != port or not (host == own or everywhere):
        return []
    where = file.where(("semtech_udp", "listen"))
    return [f"{where}: semtech_udp.listen: {semtech_udp.listen!r} is listen.coap's port, too; use another"]


def shared_place(file: SiteFile, journal: JournalConfig, registry: RegistryConfig) -> list[str]:
    """Return that two of the gateway's own files are given one name."""
    faults: list[str] = []
    taken = {registry.public_path(journal.path): "gateway.json", socket_path(journal.path): "control.sock"}
    users = {os.path.realpath(path): name for path, name in taken.items()}
    for key, path in _own_files(journal, registry).items():
        user = users.setdefault(os.path.realpath(path), key)
        if user != key:
            faults.append(f"{file.where(tuple(key.split('.')))}: {key}: {str(path)!r} is {user}'s; name another place")
    return faults


def in_the_way(file: SiteFile, journal: JournalConfig, registry: RegistryConfig) -> list[str]:
    """Return what lies on this machine where the site file names something else: folders for files, a file for one."""
    faults: list[str] = []
    for key, path in _own_files(journal, registry).items():
        where = f"{file.where(tuple(key.split('.')))}: {key}: {str(path)!r}"
        is_folder = _is_folder(path)
        if key == "registry.records":
            if is_folder is False:
                faults.append(f"{where} is a file, and has to be a folder; name another")
        elif is_folder:
            example = path / ("journal.sqlite" if key == "journal.path" else "journal.sqlite.keys")
            faults.append(f'{where} is a folder; name a file, such as "{example}"')
    return faults


def _own_files(journal: JournalConfig, registry: RegistryConfig) -> dict[str, Path]:
    """Return the places that the site file names, by key."""
    key_file, records = registry.key_path(journal.path), registry.records_path(journal.path)
    return {"journal.path": journal.path, "registry.key_file": key_file, "registry.records": records}


def _is_folder(path: Path) -> bool | None:
    """Return whether `path` is a folder, None where nothing is there, or nothing that this user may see."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return None


def _entries(data: Data, table: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the entries of an array of tables, none where the file has something else there."""
    found: Any = data
    for name in table:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    for entry in cast("list[Any]", found) if isinstance(found, list) else ():
        yield cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
