"""The site file: read, overridden by `--set`, checked, and refused with the line, the value and the fix."""

import difflib
import ipaddress
import string
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pave_gateway.config_coap import CoapConfig
from pave_gateway.config_journal import JournalConfig
from pave_gateway.config_lora_ingress import ChirpStackConfig, SemtechUdpConfig, ThingsStackConfig, check_one
from pave_gateway.config_lorawan import LorawanConfig
from pave_gateway.config_registry import RegistryConfig
from pave_gateway.config_state import ClockConfig, SilenceConfig
from pave_gateway.core.places import KIOSK, Place
from pave_gateway.toml_lines import line_of

TOPIC_FIELDS = ("site", "kind", "place", "device", "class")

_Path = tuple[str | int, ...]


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
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]  # it becomes part of topics, URLs and file names
Eui64 = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
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
    device: Eui64 | Literal[""] = ""


class KioskConfig(_Strict):
    """[[kiosk]]: a shelter's controller; `device` as in [[bay]]."""

    id: Id
    name: Text
    lat: Lat
    lon: Lon
    device: Eui64 | Literal[""] = ""


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
        raise ConfigError(f"{path}: not TOML: {error}") from error
    overridden = {apply_override(data, override): override for override in overrides}
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        faults = [_fault(path, text, overridden, detail) for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(faults)) from error
    _check(path, text, config)
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


def apply_override(data: dict[str, Any], override: str) -> _Path:
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
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the site file with --site") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def _sink_index(data: dict[str, Any], name: str, override: str) -> int:
    sinks: list[dict[str, Any]] = data.get("sink", [])
    names = [str(sink.get("name")) for sink in sinks]
    if name not in names:
        raise ConfigError(f"--set {override}: there is no sink {name!r}{_nearest(name, names)}")
    return names.index(name)


def _fault(path: Path, text: str, overridden: dict[_Path, str], detail: Any) -> str:
    location: _Path = detail["loc"]
    where = _where(path, text, location)
    for overridden_path, override in overridden.items():
        if overridden_path[: len(location)] == location:
            where = f"--set {override}"
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in location)
    return f"{where}: {key}: {_explain(location, detail)}"


def _where(path: Path, text: str, location: _Path) -> str:
    line = line_of(text, location)
    return f"{path}:{line}" if line else str(path)


def _explain(location: _Path, detail: Any) -> str:
    if detail["type"] == "missing":
        return "is missing; add it"
    if detail["type"] == "extra_forbidden":
        return f"is not a key here{_nearest(str(location[-1]), _keys_at(location[:-1]))}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{detail['input']!r} will not do: {message[:1].lower()}{message[1:]}"


def _nearest(word: str, words: Iterable[str]) -> str:
    """Return "; did you mean ...?", or the list of what is possible."""
    known = list(words)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known) or 'none'}"


def _keys_at(location: _Path) -> list[str]:
    """Return the keys of the table at `location`: numbers in it stand for entries of an array of tables."""
    model: Any = Config
    for part in location:
        if isinstance(part, str):
            model = _table_of(model.model_fields[part].annotation)
    return list(model.model_fields)


def _table_of(annotation: Any) -> Any:
    """Return the model inside `Model`, `Model | None` or `tuple[Model, ...]`."""
    inside = [each for each in get_args(annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
    return inside[0] if inside else annotation


def _check(path: Path, text: str, config: Config) -> None:
    """Refuse ids, devices and sink names that are used twice, and LoRaWAN that cannot be served."""
    faults = _lorawan_faults(path, text, config)
    for key, tables in (("id", ("bay", "kiosk")), ("device", ("bay", "kiosk")), ("name", ("sink",))):
        seen: dict[str, _Path] = {}
        for table in tables:
            for index, entry in enumerate(getattr(config, table)):
                value = getattr(entry, key)
                if not value:  # a place without a device
                    continue
                first = seen.setdefault(value, (table, index, key))
                if first != (table, index, key):
                    here, there = _where(path, text, (table, index, key)), _where(path, text, first)
                    faults.append(f"{here}: {table}.{index + 1}.{key}: {value!r} is already used at {there}")
    if faults:
        raise ConfigError("\n".join(faults))


def _lorawan_faults(path: Path, text: str, config: Config) -> list[str]:
    faults: list[str] = []
    try:
        check_one(config.semtech_udp, config.chirpstack, config.things_stack)
    except ValueError as error:
        faults.append(f"{path}: {error}")
    try:
        (config.lorawan or LorawanConfig()).settings(len(config.bay) + len(config.kiosk))
    except ValueError as error:
        faults.append(f"{_where(path, text, ('lorawan', 'net_id'))}: lorawan: {error}")
    if config.lorawan is not None and config.semtech_udp is None:
        where = _where(path, text, ("lorawan",))
        faults.append(f"{where}: lorawan: nothing brings its frames; add [semtech_udp], or take it out")
    return faults
