"""Every target of `fuzz/targets.py` on what hypothesis thinks of: any bytes, damaged examples, CBOR of any shape."""

import random

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS, Target
from pave_wire.errors import WireError

SLOW = {"p256", "cose", "coap-endpoint", "oscore-request", "oscore-response"}
CBOR_TARGETS = {"cbor", "senml", "senml-json", "readings", "availability", "bundle"}
present = [target for target in TARGETS if target.exists]


def run(target: Target, data: bytes) -> None:
    try:
        target.run(data)
    except WireError:
        pass


def damaged(examples: list[bytes]) -> st.SearchStrategy[bytes]:
    """Examples with bytes changed, taken out, put in, or the rest of another example behind them."""

    def damage(example: bytes, other: bytes, seed: int, times: int) -> bytes:
        rng = random.Random(seed)
        data = bytearray(example)
        for _ in range(times):
            at = rng.randrange(len(data) + 1)
            way = rng.randrange(5)
            if way == 0 and at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            elif way == 1:
                del data[at : at + rng.randrange(4)]
            elif way == 2:
                data[at:at] = rng.choice((b"\0", b"\xff", b"\x18", b"\x9f", rng.randbytes(3)))
            elif way == 3 and at < len(data):
                data[at] = rng.choice((0, 1, 0x17, 0x7F, 0x80, 0xFF))
            else:
                data[at:] = other[rng.randrange(len(other) + 1) :]
        return bytes(data)

    some = st.sampled_from(examples)
    return st.builds(damage, some, some, st.integers(0, 2**32 - 1), st.integers(0, 4))


labels = st.one_of(st.integers(-7, 9), st.sampled_from(["n", "v", "x_", "\u00e9"]))
leaves = st.one_of(
    st.integers(-(2**64), 2**64 - 1),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(max_size=40),
    st.text(max_size=20),
    st.sampled_from(
        ["urn:dev:mac:24a160fffe000101_", "seq", "epoch", "occupied", "taxi/free", "slot/main.mpy", "pave"]
    ),
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(labels, inner, max_size=6), max_leaves=30
)
packs = st.lists(st.dictionaries(labels, leaves, max_size=5), max_size=8)
manifests = st.dictionaries(st.integers(1, 6), st.one_of(leaves, st.lists(st.lists(leaves, max_size=4), max_size=4)))
encoded = st.one_of(values, packs, manifests).map(cbor2.dumps)


def check(target: Target, strategy: st.SearchStrategy[bytes], examples: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def holds(data: bytes) -> None:
        run(target, data)

    holds()


def strategy_of(target: Target) -> st.SearchStrategy[bytes]:
    parts = [st.binary(max_size=64)]
    if target.seeds():
        parts.append(damaged(list(target.seeds())))
    if target.name in CBOR_TARGETS:
        parts.append(encoded)
    return st.one_of(parts)


@pytest.mark.parametrize("target", present, ids=lambda target: target.name)
def test_hostile_bytes_raise_nothing_but_named_errors(target: Target) -> None:
    check(target, strategy_of(target), 30 if target.name in SLOW else 150)


@pytest.mark.long
@pytest.mark.parametrize("target", present, ids=lambda target: target.name)
def test_hostile_bytes_raise_nothing_but_named_errors_for_long(target: Target) -> None:
    check(target, strategy_of(target), 500 if target.name in SLOW else 5000)


@pytest.mark.parametrize("target", present, ids=lambda target: target.name)
def test_at_least_one_example_of_each_target_is_accepted(target: Target) -> None:
    accepted = 0
    for seed in target.seeds():
        try:
            target.run(seed)
            accepted += 1
        except WireError:
            pass
    refused_always = {"oscore-outside", "oscore-named", "lorawan-raw"}  # nothing that is not sealed may pass
    assert accepted or target.name in refused_always


def test_a_planted_bug_is_found() -> None:
    def planted(data: bytes) -> None:
        if len(data) > 3 and data[:3] == b"PAV" and data[3] != 0x45:
            raise IndexError("planted")

    target = Target("planted", "pave_wire", planted, lambda: [b"PAVE" * 3])
    with pytest.raises(IndexError):
        check(target, strategy_of(target), 500)
