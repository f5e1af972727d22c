"""Readings of the outbox as RTC memory keeps them: a third of their CBOR, since each name and word is a number.

    {"occupied": True, "reason": "field", "confidence": 0.96, "field": 1.2e-05, "lasted": 300}
    -> {0: True, 2: 1, 3: 96, 4: 80, 5: 300}

What has no number stays as it is.
"""

from drivers.lis2mdl import NT_PER_LSB
from pave_wire.reading import BLIND, CONFIDENCE, DROPPED, ENDED, FAULT, FIELD, LASTED, OCCUPIED, REASON, REASONS, STATES

_NAMES = (OCCUPIED, BLIND, REASON, CONFIDENCE, FIELD, LASTED, ENDED, FAULT, DROPPED)
_WORDS = {REASON: REASONS, ENDED: STATES}
_STEPS = {CONFIDENCE: 100, FIELD: 1_000_000_000 / NT_PER_LSB}


def pack(state):
    """Return the outbox's `state()` with its readings made short."""
    return state[:2] + [[(seq, read_ms, _short(values)) for seq, read_ms, values in state[2]]] + state[3:]


def unpack(state):
    """Return what `pack` was given."""
    return state[:2] + [[(seq, read_ms, _long(values)) for seq, read_ms, values in state[2]]] + state[3:]


def field_t(counts):
    """Return a deviation of the field in tesla, as `unpack` gives it back."""
    return counts * NT_PER_LSB / 1_000_000_000


def _short(values):
    short = {}
    for name, value in values.items():
        if name in _WORDS and value in _WORDS[name]:
            value = _WORDS[name].index(value)
        elif name in _STEPS:
            value = round(value * _STEPS[name])
        short[_NAMES.index(name) if name in _NAMES else name] = value
    return short


def _long(values):
    readable = {}
    for key, value in values.items():
        name = key if isinstance(key, str) else _NAMES[key]
        if name in _WORDS and not isinstance(value, str):
            value = _WORDS[name][value]
        elif name == CONFIDENCE:
            value = value / 100  # pyright: ignore[reportOperatorIssue]  a number
        elif name == FIELD:
            value = field_t(value)
        readable[name] = value
    return readable
