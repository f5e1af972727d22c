"""[[sink]] of the site file: a back-end."""

import string
from typing import Annotated, Literal

from pydantic import AfterValidator

from pave_gateway.config_table import Id, Port, Table, Text

TOPIC_FIELDS = ("site", "kind", "place", "device", "class")
_APART = ("place", "device")  # what tells the retained state of one bay from another's


def _topic(text: str) -> str:
    fields: list[str] = []
    for _, field, spec, conversion in string.Formatter().parse(text):
        if field is None:
            continue
        if field not in TOPIC_FIELDS:
            raise ValueError(f"{{{field}}} is not known; use {', '.join(TOPIC_FIELDS)}")
        if spec or conversion:
            raise ValueError(f"{{{field}}} takes no conversion (!) and no format (:); write {{{field}}} alone")
        fields.append(field)
    topic = text.format(**dict.fromkeys(TOPIC_FIELDS, "x"))  # what it will be like
    if not topic or any(banned in topic for banned in "+#\0"):  # MQTT 5, 4.7.1 and 4.7.3
        raise ValueError("a topic to publish to has no wildcard (+, #), no NUL and is not empty")
    if not set(fields) & set(_APART):
        raise ValueError("put {place} into it: with one topic for all bays each retained state replaces the last one")
    return text


class SinkTable(Table):
    """What every [[sink]] has, whatever its kind."""

    name: Id


class MqttConfig(SinkTable):
    """[[sink]] kind = "mqtt"."""

    kind: Literal["mqtt"]
    host: Text
    port: Port = 1883
    version: Literal["5", "3.1.1"] = "5"
    topic: Annotated[str, AfterValidator(_topic)] = "pave/{site}/{kind}/{place}"
