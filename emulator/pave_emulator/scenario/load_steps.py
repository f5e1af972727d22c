"""The `steps` and `properties` of a scenario file, and the event patterns in both.

An event is written as one of the world's, by name: `arrives: BAY`, `leaves: BAY`, `press: PLACE`, `person: PLACE`,
`level: PLACE`, `step: NAME`, where `any` is every one; or by its record: `{kind: boot, device: X, cause: power-on}`. A
value is plain, `{least: 1, most: 9}`, `{contains: text}`, or `@field`, the value of the event before.
"""

from __future__ import annotations

from typing import Any

import yaml

from pave_emulator import trace
from pave_emulator.causes import CAUSES
from pave_emulator.nearest import hint
from pave_emulator.scenario.events import ANY, WORLD, Bounds, Contains, Pattern, Reference
from pave_emulator.scenario.motion import MANOEUVRES
from pave_emulator.scenario.properties import Property
from pave_emulator.scenario.steps import ACTIONS, Arguments, Step
from pave_emulator.scenario.vehicle import KINDS
from pave_emulator.scenario.yaml_reader import Read, Reader

_CHOICES = {"vehicle": KINDS, "manoeuvre": MANOEUVRES}


class StepReader:
    """Reads steps and properties of one file."""

    def __init__(self, reader: Reader) -> None:
        """`reader` is the file's."""
        self._reader = reader
        self._count = {"step": 0, "property": 0}

    def step(self, node: yaml.Node) -> Step:
        """One item of `steps`."""
        reader = self._reader
        fields: dict[str, Read] = {
            "name": reader.text,
            "at_s": reader.not_negative,
            "after": self.pattern,
            "delay_s": reader.not_negative,
            "every_time": reader.yes_or_no,
            "do": self._action,
        }
        got = reader.mapping(node, fields, required={"do"})
        action, arguments = got.pop("do")
        if ("at_s" in got) == ("after" in got):
            reader.fail(node, "a step has either at_s or after")
        if "after" not in got and got.keys() & {"delay_s", "every_time"}:
            reader.fail(node, "delay_s and every_time belong to a step that comes after an event")
        if "after" not in got and any(isinstance(value, Reference) for value in arguments.values()):
            reader.fail(node, "a step at a time has no event that @ could refer to")
        self._count["step"] += 1
        got.setdefault("name", f"step {self._count['step']}")
        return Step(action=action, arguments=arguments, where=reader.where(node), **got)

    def property(self, node: yaml.Node) -> Property:
        """One item of `properties`: a mapping of its form to its parts, and perhaps a name."""
        reader = self._reader
        pairs = reader.pairs(node, (*Property.FORMS, "name"))
        name_nodes = pairs.pop("name", None)
        if len(pairs) != 1:
            reader.fail(node, f"one of {', '.join(Property.FORMS)} expected, found {', '.join(pairs) or 'none'}")
        form, (key_node, value_node) = next(iter(pairs.items()))
        if form not in Property.FORMS:
            reader.fail(key_node, f"unknown key {form!r}: {hint(form, Property.FORMS)}")
        parts = Property.FORMS[form]
        if parts == ("event",):
            got: dict[str, Any] = {"event": self.pattern(value_node)}
        else:
            got = reader.mapping(value_node, {part: self._part(part) for part in parts}, required=parts)
        self._count["property"] += 1
        patterns = tuple(got[part] for part in parts if isinstance(got[part], Pattern))
        name = reader.text(name_nodes[1]) if name_nodes else f"{form} {self._count['property']}"
        return Property(name, form, patterns, got.get("s", 0.0), got.get("count", 0))

    def pattern(self, node: yaml.Node) -> Pattern:
        """An event pattern."""
        reader = self._reader
        pairs = reader.pairs(node, (*WORLD, "kind"))
        named = [key for key in pairs if key in WORLD]
        if len(named) == 1 and "kind" not in pairs:
            what = named[0]
            place = self._value(pairs.pop(what)[1])
            where = () if place == ANY else ((WORLD[what], place),)
            rest = tuple((name, self._value(value)) for name, (_, value) in pairs.items())
            return Pattern(trace.TRUTH, (("what", what), *where, *rest))
        if "kind" not in pairs:
            key_node = next(iter(pairs.values()))[0] if pairs else node
            word = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            reader.fail(key_node, f"no event {word!r}: {hint(word, (*WORLD, 'kind'))}")
        kind = reader.choice(trace.KINDS, "kind of record")(pairs.pop("kind")[1])
        self._check_fields(kind, pairs)
        return Pattern(kind, tuple((name, self._value(value)) for name, (_, value) in pairs.items()))

    def _check_fields(self, kind: str, pairs: dict[str, tuple[yaml.Node, yaml.Node]]) -> None:
        """A field that no such record has, or a cause there is not, would make a property that cannot fail."""
        fields = trace.FIELDS.get(kind)
        for name, (key_node, value_node) in pairs.items():
            if fields is not None and name not in ("device", *fields):
                self._reader.fail(key_node, f"a {kind} record has no {name!r}: {hint(name, ('device', *fields))}")
            if (kind, name) == (trace.BOOT, "cause") and isinstance(value_node, yaml.ScalarNode):
                self._reader.choice(tuple(CAUSES.values()), "cause")(value_node)

    def _part(self, part: str) -> Read:
        if part == "s":
            return self._reader.positive
        return self._reader.whole if part == "count" else self.pattern

    def _value(self, node: yaml.Node) -> Any:
        reader = self._reader
        if isinstance(node, yaml.MappingNode):
            fields: dict[str, Read] = {"least": reader.number, "most": reader.number, "contains": reader.text}
            got = reader.mapping(node, fields)
            if got.keys() == {"contains"}:
                return Contains(got["contains"])
            if not got or "contains" in got:
                reader.fail(node, "a value is plain, {least, most} or {contains}")
            return Bounds(got.get("least", float("-inf")), got.get("most", float("inf")))
        text = reader.text(node)
        return Reference(text[1:]) if text.startswith("@") else reader.scalar(node)

    def _action(self, node: yaml.Node) -> tuple[str, dict[str, Any]]:
        reader = self._reader
        pairs = reader.pairs(node, ACTIONS)
        if len(pairs) != 1:
            reader.fail(node, f"one action expected, found {', '.join(pairs) or 'none'}")
        action, (key_node, value_node) = next(iter(pairs.items()))
        if action not in ACTIONS:
            reader.fail(key_node, f"no action {action!r}: {hint(action, ACTIONS)}")
        return action, self._arguments(ACTIONS[action], value_node)

    def _arguments(self, table: Arguments, node: yaml.Node) -> dict[str, Any]:
        types = {name: given if isinstance(given, type) else given[0] for name, given in table.items()}
        defaults = {name: given[1] for name, given in table.items() if not isinstance(given, type)}
        fields = {name: self._argument(name, kind) for name, kind in types.items()}
        got = self._reader.mapping(node, fields, required=types.keys() - defaults.keys())
        return {**defaults, **got}

    def _argument(self, name: str, kind: type) -> Read:
        reader = self._reader
        if name in _CHOICES:
            return reader.choice(_CHOICES[name], name)
        plain: dict[type, Read] = {
            str: reader.text,
            float: reader.number,
            int: reader.whole,
            bool: reader.yes_or_no,
        }

        def read(node: yaml.Node) -> Any:
            if isinstance(node, yaml.ScalarNode) and node.value.startswith("@"):
                return Reference(node.value[1:])
            return plain[kind](node)

        return read
