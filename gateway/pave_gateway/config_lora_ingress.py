"""The site file's sections on where LoRaWAN frames come from: one of [semtech_udp], [chirpstack], [things_stack]."""

import ipaddress
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pave_gateway.config_endpoint import endpoint
from pave_gateway.config_table import File, Id, Port, Table, Text
from pave_gateway.core import limits

_APPLICATION = 'the id of the application as ChirpStack shows it, 36 characters, or "+" for all'
_ID = 'its id of 3 or more small letters, digits and single -, such as "app1"'
_TENANT = 'its id of small letters, digits and single -, such as "ttn", or "" for an installation of your own'


class SecretError(Exception):
    """A password or key cannot be read; the message says from where, and the next step."""


def _listen(text: str) -> str:
    address = ipaddress.ip_address(endpoint(text)[0])
    if address.is_unspecified or address.is_global:
        raise ValueError(
            "Semtech UDP has no authentication: name one address of this machine that only the forwarders reach, "
            'on loopback, a LAN or a VPN, such as "127.0.0.1:1700"'
        )
    return text


def _gateways(given: Any) -> Any:
    if given == "any":
        return given
    euis = list(cast("Sequence[Any]", given)) if isinstance(given, list | tuple) else []
    if not 1 <= len(euis) <= limits.LORAWAN_CONCENTRATORS:
        raise ValueError(f'write "any", or a list of 1 to {limits.LORAWAN_CONCENTRATORS} EUI-64 of concentrators')
    for eui in euis:
        if not isinstance(eui, str) or not re.fullmatch("[0-9a-f]{16}", eui):
            raise ValueError(f"{eui!r} is no EUI-64; write 16 hexadecimal digits, letters small, in quotes")
    return tuple(euis)


def _web_server(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+", text):
        raise ValueError('write the root of a web server, such as "https://eu1.cloud.thethings.network"')
    return text


class SemtechUdpConfig(Table):
    """[semtech_udp]: packet forwarders of the site's own network server.

    `gateways` are the EUI-64 of its concentrators, or "any", which is for loopback.
    """

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:1700"
    gateways: Annotated[Literal["any"] | tuple[str, ...], BeforeValidator(_gateways)]

    @model_validator(mode="after")
    def _known_off_loopback(self) -> "SemtechUdpConfig":
        if self.gateways == "any" and not ipaddress.ip_address(endpoint(self.listen)[0]).is_loopback:
            raise ValueError(f'gateways = "any" is for loopback; on {self.listen} list the EUI-64 of each concentrator')
        return self

    @property
    def allowed(self) -> frozenset[str] | None:
        """The EUIs, None for any."""
        return None if isinstance(self.gateways, str) else frozenset(self.gateways)


class ChirpStackConfig(Table):
    """[chirpstack]: events of ChirpStack v4 from its MQTT broker, at least once.

    `application` is ChirpStack's application id, "+" for all; `client_id` names this gateway's session at the broker,
    which keeps what arrives while the gateway is away for `session_days` (MQTT 5).
    """

    host: Text
    port: Port = 1883
    version: Literal["5", "3.1.1"] = "5"
    application: Annotated[str, Field(pattern=r"^(\+|[0-9a-f-]{36})$", description=_APPLICATION)] = "+"
    client_id: Id
    session_days: Annotated[int, Field(ge=1, le=365)] = 7
    tls: bool = False
    ca_file: File | None = None
    username: Text | None = None
    password_file: File | None = None


class ThingsStackConfig(Table):
    """[things_stack]: uplinks of The Things Stack from its MQTT server, gaps refilled from its storage.

    `application` and `tenant` as in "app1@ttn" (no tenant for an installation of one's own); the API key, with the
    rights to read and write traffic, is in `key_file` or in the environment as PAVE_THINGS_STACK_KEY.
    """

    host: Text
    port: Port = 8883
    application: Annotated[str, Field(pattern=r"^[a-z0-9](?:[-]?[a-z0-9]){2,35}$", description=_ID)]
    tenant: Annotated[str, Field(pattern=r"^([a-z0-9](?:[-]?[a-z0-9]){1,35})?$", description=_TENANT)] = "ttn"
    tls: bool = True
    ca_file: File | None = None
    storage: Annotated[str, AfterValidator(_web_server)] | None = None
    key_file: File | None = None

    @property
    def uid(self) -> str:
        """What its MQTT server calls the application."""
        return f"{self.application}@{self.tenant}" if self.tenant else self.application

    @property
    def storage_url(self) -> str:
        """Where the storage integration is asked."""
        return self.storage or f"https://{self.host}"


THINGS_STACK_KEY = "PAVE_THINGS_STACK_KEY"
CHIRPSTACK_PASSWORD = "PAVE_CHIRPSTACK_PASSWORD"


def check_one(semtech_udp: object, chirpstack: object, things_stack: object) -> None:
    """Raise ValueError where a site has more than one of the sections: a device belongs to one network."""
    given = {"semtech_udp": semtech_udp, "chirpstack": chirpstack, "things_stack": things_stack}
    named = [f"[{name}]" for name, section in given.items() if section is not None]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)}: a device belongs to one network; keep one of them")


def secret(path: Path | None, variable: str) -> str | None:
    """Return a secret from its file, else from the environment, None where there is neither.

    Raises:
        SecretError: the file cannot be read, is empty, or is open to everybody.
    """
    if path is None:
        return os.environ.get(variable) or None
    try:
        if path.stat().st_mode & 0o007:
            raise SecretError(f"{path}: everybody on this machine may read it; chmod o= {path}")
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path}: {error}; put the secret there, readable by the gateway alone") from error
    if not text:
        raise SecretError(f"{path}: it is empty; put the secret there, readable by the gateway alone")
    return text
