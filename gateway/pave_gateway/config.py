"""The site file: read, overridden by `--set`, checked, and refused with the line, the value and the fix."""

import ipaddress
import os
import string
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pave_gateway.config_coap import CoapConfig
from pave_gateway.config_faults import Location, SiteFile, nearest, refusals
from pave_gateway.config_journal import JournalConfig
from pave_gateway.config_lora_ingress import ChirpStackConfig, SemtechUdpConfig, ThingsStackConfig, check_one
from pave_gateway.config_lorawan import LorawanConfig
from pave_gateway.config_registry import RegistryConfig
from pave_gateway.config_state import ClockConfig, SilenceConfig
from pave_gateway.control_address import socket_path
from pave_gateway.core.places import KIOSK, Place

_FILE_BYTES_MAX = 32_000_000  # 10,000 bays take 2 MB
TOPIC_FIELDS = ("site", "kind", "place", "device", "class")


class ConfigError(Exception):
    """The site file cannot be used. `str(error)` has one line per fault."""


def _endpoint(text: str) -> str:
    parse_endpoint(text)
    return text


def _topic(text: str) -> str:
    for _, field, spec, conversion in string.Formatter().parse(text):
        if field is not None and field not in TOPIC_FIELDS:
            raise ValueError(f"{{{field}}} is not known; use {', '.join(TOPIC_FIELDS)}")
        if spec or conversion:
            raise ValueError(f"{{{field}}} takes no conversion (!) and no format (:); write {{{field}}} alone")
    topic = text.format(**dict.fromkeys(TOPIC_FIELDS, "x"))  # what it will be like
    if not topic or any(banned in topic for banned in "+#\0"):  # MQTT 5, 4.7.1 and 4.7.3
        raise ValueError("a topic to publish to has no wildcard (+, #), no NUL and is not empty")
    return text


Endpoint = Annotated[str, AfterValidator(_endpoint)]
_ID = "small letters, digits and -, 64 at most"  # it becomes part of topics, URLs and file names
_DEVICE = 'an EUI-64 as 16 hexadecimal digits, letters small, or "" for none yet'
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description=_ID)]
Device = Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$", description=_DEVICE)]
Lat = Annotated[float, Field(ge=-90, le=90)]
Lon = Annotated[float, Field(ge=-180, le=180)]
Text = Annotated[str, Field(min_length=1, max_length=120)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteConfig(_Strict):
    """[site]: what the place is called."""

    id: Id
    name: Text


class ListenConfig(_Strict):
    """[listen]: addresses, "host:port"; port 0 takes a free one."""

    coap: Endpoint = "127.0.0.1:5683"
    http: Endpoint = "127.0.0.1:8080"


class MqttConfig(_Strict):
    """[[sink]] kind = "mqtt"."""

    name: Id
    kind: Literal["mqtt"]
    host: Text
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    version: Literal["5", "3.1.1"] = "5"
    topic: Annotated[str, AfterValidator(_topic)] = "pave/{site}/{kind}/{place}"


class BayConfig(_Strict):
    """[[bay]]: where it is, what it is for, and its first device, if it is to have one by the site file."""

    id: Id
    kind: Literal["delivery", "taxi", "disabled"]
    street: Text
    lat: Lat
    lon: Lon
    device: Device = ""


class KioskConfig(_Strict):
    """[[kiosk]]: a shelter's controller; `device` as in [[bay]]."""

    id: Id
    name: Text
    lat: Lat
    lon: Lon
    device: Device = ""


class Config(_Strict):
    """A site file."""

    site: SiteConfig
    listen: ListenConfig = ListenConfig()
    clock: ClockConfig = ClockConfig()
    coap: CoapConfig = CoapConfig()
    journal: JournalConfig
    registry: RegistryConfig = RegistryConfig()
    silence: SilenceConfig = SilenceConfig()
    lorawan: LorawanConfig | None = None
    semtech_udp: SemtechUdpConfig | None = None
    chirpstack: ChirpStackConfig | None = None
    things_stack: ThingsStackConfig | None = None
    sink: tuple[MqttConfig, ...] = ()
    bay: Annotated[tuple[BayConfig, ...], Field(min_length=1)]
    kiosk: tuple[KioskConfig, ...] = ()

    def places(self) -> list[Place]:
        """Return the bays, then the kiosks, in the order of the file."""
        bays = [Place(bay.id, bay.kind, bay.street, bay.lat, bay.lon, bay.device) for bay in self.bay]
        return bays + [Place(k.id, KIOSK, k.name, k.lat, k.lon, k.device) for k in self.kiosk]


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Return the configuration in `path`, with `overrides` such as "sink.city.port=1884" applied.

    Raises:
        ConfigError: no such file, not TOML, or a fault in it; the message has one line per fault.
    """
    text = _read(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}; mend that line: KEY = VALUE, texts in quotes") from error
    except RecursionError as error:
        raise ConfigError(
            f"{path}: brackets in brackets, too deep to read; no key of a site file needs that"
        ) from error
    file = SiteFile(path, text, {apply_override(data, override): override for override in overrides})
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(refusals(file, Config, error))) from error
    _check(file, config)
    return config


def parse_endpoint(text: str) -> tuple[str, int]:
    """Return (address, port) of "127.0.0.1:5683", "[::1]:5683" or "localhost:5683"; ValueError otherwise."""
    host, colon, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        if not colon or not 0 <= int(port) <= 65535:
            raise ValueError
    except ValueError:
        raise ValueError('write an address and a port, such as "127.0.0.1:5683" or "[::1]:5683"') from None
    return host, int(port)


def apply_override(data: dict[str, Any], override: str) -> Location:
    """Put one "a.b=value" or "sink.NAME.key=value" into `data`; return the path it was put at.

    The text goes in as it is and pydantic converts it, so `--set sink.city.version=5` and `=3.1.1` both work.

    Raises:
        ConfigError: no "=", or no sink of that name.
    """
    key, equals, value = override.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise ConfigError(f'--set {override}: write KEY=VALUE, such as "listen.http=127.0.0.1:8081"')
    if parts[0] == "sink" and len(parts) == 3:
        index = _sink_index(data, parts[1], override)
        data["sink"][index][parts[2]] = value
        return "sink", index, parts[2]
    if len(parts) != 2 or not isinstance(data.setdefault(parts[0], {}), dict):
        raise ConfigError(f"--set {override}: only TABLE.KEY and sink.NAME.KEY can be set; edit the file for the rest")
    data[parts[0]][parts[1]] = value
    return tuple(parts)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
        if len(content) > _FILE_BYTES_MAX:
            raise ConfigError(f"{path}: more than {_FILE_BYTES_MAX:,} bytes; that is no site file, name it with --site")
        return content.decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the site file with --site") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def _sink_index(data: dict[str, Any], name: str, override: str) -> int:
    sinks: Any = data.get("sink", [])
    tables: list[dict[str, Any]] = [sink for sink in sinks if isinstance(sink, dict)]  # a file may have anything there
    names = [str(sink.get("name")) for sink in tables]
    if name not in names:
        raise ConfigError(f"--set {override}: there is no sink {name!r}{nearest(name, names)}")
    return names.index(name)


def _check(file: SiteFile, config: Config) -> None:
    """Refuse what every key allows and the gateway could not be started with."""
    faults = [*_lorawan_faults(file, config), *_repeated(file, config), *_shared_port(file, config)]
    faults += _shared_place(file, config)
    if faults:
        raise ConfigError("\n".join(faults))


def _repeated(file: SiteFile, config: Config) -> list[str]:
    """Return ids, devices and sink names that are used twice."""
    faults: list[str] = []
    for key, tables in (("id", ("bay", "kiosk")), ("device", ("bay", "kiosk")), ("name", ("sink",))):
        seen: dict[str, Location] = {}
        for table in tables:
            for index, entry in enumerate(getattr(config, table)):
                value = getattr(entry, key)
                if not value:  # a place without a device
                    continue
                first = seen.setdefault(value, (table, index, key))
                if first != (table, index, key):
                    here, there = file.where((table, index, key)), file.where(first)
                    faults.append(f"{here}: {table}.{index + 1}.{key}: {value!r} is already used at {there}")
    return faults


def _lorawan_faults(file: SiteFile, config: Config) -> list[str]:
    """Return why LoRaWAN cannot be served."""
    faults: list[str] = []
    try:
        check_one(config.semtech_udp, config.chirpstack, config.things_stack)
    except ValueError as error:
        second = "chirpstack" if config.things_stack is None else "things_stack"
        faults.append(f"{file.where((second,))}: {error}")
    try:
        (config.lorawan or LorawanConfig()).settings(len(config.bay) + len(config.kiosk))
    except ValueError as error:
        faults.append(f"{file.where(('lorawan', 'net_id'))}: lorawan: {error}")
    if config.lorawan is not None and config.semtech_udp is None:
        where = file.where(("lorawan",))
        faults.append(f"{where}: lorawan: nothing brings its frames; add [semtech_udp], or take it out")
    return faults


def _shared_port(file: SiteFile, config: Config) -> list[str]:
    """Return that CoAP and the packet forwarders are given one UDP port."""
    if config.semtech_udp is None:
        return []
    (coap, coap_port), (own, own_port) = parse_endpoint(config.listen.coap), parse_endpoint(config.semtech_udp.listen)
    everywhere = ipaddress.ip_address(coap).is_unspecified and (":" in coap or ":" not in own)  # "::" is IPv4's, too
    if own_port == 0 or own_port != coap_port or not (coap == own or everywhere):
        return []
    where = file.where(("semtech_udp", "listen"))
    return [f"{where}: semtech_udp.listen: {config.semtech_udp.listen!r} is listen.coap's port, too; use another"]


def _shared_place(file: SiteFile, config: Config) -> list[str]:
    """Return that two of the gateway's own files are given one name."""
    faults: list[str] = []
    journal, registry = config.journal.path, config.registry
    taken = {registry.public_path(journal): "gateway.json", socket_path(journal): "control.sock"}
    users = {os.path.realpath(path): name for path, name in taken.items()}
    own = {"journal.path": journal}
    own |= {"registry.key_file": registry.key_path(journal), "registry.records": registry.records_path(journal)}
    for key, path in own.items():
        user = users.setdefault(os.path.realpath(path), key)
        if user != key:
            faults.append(f"{file.where(tuple(key.split('.')))}: {key}: {str(path)!r} is {user}'s; name another place")
    return faults
