"""The site file: read, overridden by `--set`, checked, and refused with the line, the value and the fix."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from pave_gateway import config_checks as checks
from pave_gateway.config_coap import CoapConfig
from pave_gateway.config_endpoint import endpoint
from pave_gateway.config_faults import Location, SiteFile, nearest, refusals, table_of
from pave_gateway.config_journal import JournalConfig
from pave_gateway.config_lora_ingress import ChirpStackConfig, SemtechUdpConfig, ThingsStackConfig
from pave_gateway.config_lorawan import LorawanConfig
from pave_gateway.config_registry import RegistryConfig
from pave_gateway.config_sink import MqttConfig
from pave_gateway.config_state import ClockConfig, SilenceConfig
from pave_gateway.config_table import Id, Table, Text
from pave_gateway.core.places import KIOSK, Place

_FILE_BYTES_MAX = 32_000_000  # 10,000 bays take 2 MB


class ConfigError(Exception):
    """The site file cannot be used. `str(error)` has one line per fault."""


def _endpoint(text: str) -> str:
    parse_endpoint(text)
    return text


Endpoint = Annotated[str, AfterValidator(_endpoint)]
_DEVICE = 'an EUI-64 as 16 hexadecimal digits, letters small, or "" for none yet'
Device = Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$", description=_DEVICE)]
Lat = Annotated[float, Field(ge=-90, le=90)]
Lon = Annotated[float, Field(ge=-180, le=180)]


class SiteConfig(Table):
    """[site]: what the place is called."""

    id: Id
    name: Text


class ListenConfig(Table):
    """[listen]: addresses, "host:port"; port 0 takes a free one."""

    coap: Endpoint = "127.0.0.1:5683"
    http: Endpoint = "127.0.0.1:8080"


class BayConfig(Table):
    """[[bay]]: where it is, what it is for, and its first device, if it is to have one by the site file."""

    id: Id
    kind: Literal["delivery", "taxi", "disabled"]
    street: Text
    lat: Lat
    lon: Lon
    device: Device = ""


class KioskConfig(Table):
    """[[kiosk]]: a shelter's controller; `device` as in [[bay]]."""

    id: Id
    name: Text
    lat: Lat
    lon: Lon
    device: Device = ""


class Config(Table):
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
    sink: Annotated[tuple[MqttConfig, ...], Field(strict=False)] = ()
    bay: Annotated[tuple[BayConfig, ...], Field(strict=False, min_length=1)]
    kiosk: Annotated[tuple[KioskConfig, ...], Field(strict=False)] = ()

    def listens(self) -> dict[str, str]:
        """Return each address that devices, browsers and forwarders are to find, by its key."""
        found = {"listen.coap": self.listen.coap, "listen.http": self.listen.http}
        return found if self.semtech_udp is None else found | {"semtech_udp.listen": self.semtech_udp.listen}

    def places(self) -> list[Place]:
        """Return the bays, then the kiosks, in the order of the file."""
        bays = [Place(bay.id, bay.kind, bay.street, bay.lat, bay.lon, bay.device) for bay in self.bay]
        return bays + [Place(k.id, KIOSK, k.name, k.lat, k.lon, k.device) for k in self.kiosk]


def load(path: Path, overrides: Sequence[str] = (), here: bool = False) -> Config:
    """Return the configuration in `path`, with `overrides` such as "sink.city.port=1884" applied.

    Args:
        path: Of the site file.
        overrides: In the order in which they count.
        here: Also look whether what lies on this machine is in the way of the files it names.

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
        raise ConfigError("\n".join([*refusals(file, Config, error), *_between(file, data, error)])) from error
    faults = [*checks.network_servers(file, data), *checks.repeated(file, data)]
    faults += _of_tables(file, data, {name: getattr(config, name) for name in Config.model_fields})
    if here:
        faults += checks.in_the_way(file, config.journal, config.registry)
    if faults:
        raise ConfigError("\n".join(faults))
    return config


def parse_endpoint(text: str) -> tuple[str, int]:
    """Return (address, port) of "127.0.0.1:5683", "[::1]:5683" or "localhost:5683"; ValueError otherwise."""
    host, _, port = text.rpartition(":")
    return endpoint(f"127.0.0.1:{port}" if host == "localhost" else text, 5683)


def apply_override(data: dict[str, Any], override: str) -> Location:
    """Put one "a.b=value" or "sink.NAME.key=value" into `data`; return the path it was put at.

    Raises:
        ConfigError: no "=", or no sink of that name.
    """
    key, equals, value = override.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise ConfigError(f'--set {override}: write KEY=VALUE, such as "listen.http=127.0.0.1:8081"')
    if parts[0] == "sink" and len(parts) == 3:
        index = _sink_index(data, parts[1], override)
        data["sink"][index][parts[2]] = _typed(value, "sink", parts[2])
        return "sink", index, parts[2]
    if len(parts) != 2 or not isinstance(data.setdefault(parts[0], {}), dict):
        raise ConfigError(f"--set {override}: only TABLE.KEY and sink.NAME.KEY can be set; edit the file for the rest")
    data[parts[0]][parts[1]] = _typed(value, parts[0], parts[1])
    return tuple(parts)


def _typed(text: str, table: str, key: str) -> object:
    """Return `text` as the key takes it: a number without quotes where one is wanted; as it is where it is none."""
    model = table_of(Config.model_fields[table].annotation) if table in Config.model_fields else None
    field = model.model_fields.get(key) if model else None
    wanted = field.annotation if field else None
    if wanted is bool:
        return {"true": True, "false": False}.get(text, text)
    try:
        return wanted(text) if wanted is int or wanted is float else text
    except ValueError:
        return text


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
        if len(content) > _FILE_BYTES_MAX:
            raise ConfigError(f"{path}: more than {_FILE_BYTES_MAX:,} bytes; that is no site file, name it with --site")
        return content.decode("utf-8-sig").replace("\r\n", "\n")  # Windows' editors put a byte order mark before it
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the site file with --site") from error
    except UnicodeDecodeError as error:
        why = f"{error.reason} at byte {error.start}"
        raise ConfigError(f"{path}: not UTF-8 text ({why}); have your editor save it as UTF-8") from error


def _sink_index(data: dict[str, Any], name: str, override: str) -> int:
    sinks: Any = data.get("sink", [])
    tables: list[dict[str, Any]] = [sink for sink in sinks if isinstance(sink, dict)]  # a file may have anything there
    names = [str(sink.get("name")) for sink in tables]
    if name not in names:
        raise ConfigError(f"--set {override}: there is no sink {name!r}{nearest(name, names)}")
    return names.index(name)


def _between(file: SiteFile, data: dict[str, Any], error: ValidationError) -> list[str]:
    """Return the faults between keys of a file in which single keys have some, of the tables that have none."""
    faulty = {detail["loc"][0] for detail in error.errors(include_url=False)}
    sound: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        if name not in faulty:
            annotation: Any = field.annotation
            sound[name] = TypeAdapter(annotation).validate_python(data[name]) if name in data else field.default
    return [*checks.network_servers(file, data), *checks.repeated(file, data), *_of_tables(file, data, sound)]


def _of_tables(file: SiteFile, data: dict[str, Any], sound: dict[str, Any]) -> list[str]:
    """Return the faults between keys of the tables in `sound`, which have none by themselves."""
    faults: list[str] = []
    if "lorawan" in sound:
        faults += checks.lorawan(file, sound["lorawan"], data)
    if {"listen", "semtech_udp"} <= sound.keys():
        faults += checks.shared_port(file, parse_endpoint(sound["listen"].coap), sound["semtech_udp"])
    if {"journal", "registry"} <= sound.keys():
        faults += checks.shared_place(file, sound["journal"], sound["registry"])
    return faults
