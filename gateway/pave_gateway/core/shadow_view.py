"""A device's settings as people see them: by name, choices by their text, and never a passphrase."""

from dataclasses import dataclass
from typing import Any, cast

from pave_gateway.core import shadow_wifi
from pave_gateway.core.shadow_wifi import Rotation
from pave_wire import shadow

Values = dict[int, Any]


@dataclass(frozen=True, slots=True)
class View:
    """A device's shadow for people; settings by name, and never a passphrase.

    Attributes:
        version: Of the desired settings; 0 when none were ever set.
        desired: What it is to have.
        reported: What it says it has.
        reported_version: The desired version that it has taken up.
        differing: Names of settings that it does not have as desired.
        refused: Names of settings that it would not take.
        wifi: Where the rotation of its credentials stands.
        wifi_failure: Why credentials failed, "" where none did.
    """

    version: int
    desired: dict[str, Any]
    reported: dict[str, Any]
    reported_version: int
    differing: list[str]
    refused: list[str]
    wifi: Rotation
    wifi_failure: str


def named(values: Values) -> dict[str, Any]:
    """Return settings by name, choices by text, Wi-Fi without its passphrase."""
    return {name_of(number): _shown(number, value) for number, value in values.items()}


def name_of(number: int) -> str:
    """Return the name of a known setting."""
    return shadow.find(number)[1]


def choices_of(number: int) -> tuple[str, ...]:
    """Return the texts that a known setting may have, none if it is no choice; its value is the index of one."""
    allowed: Any = shadow.find(number)[3]
    return cast("tuple[str, ...]", allowed) if isinstance(allowed, tuple) and isinstance(allowed[0], str) else ()


def _shown(number: int, value: Any) -> Any:
    if number == shadow.WIFI:
        said = value.get(1)  # the SSID of a desired one, the profiles known in a report
        more = {} if said is None else {"ssid" if isinstance(said, str) else "known": said}
        return {"profile": value[shadow_wifi.PROFILE], **more}
    choices = choices_of(number)
    return choices[value] if isinstance(value, int) and 0 <= value < len(choices) else value
