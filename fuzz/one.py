"""One target under atheris (libFuzzer), in a process of its own: started by `__main__.py`, never by hand.

The inputs that really ran are counted in a file that is mapped into memory, since libFuzzer ends the process as it
likes. An input that takes more CPU time than `LIMIT_MS`, twice, is a bug like any other.
"""

from __future__ import annotations

import argparse
import importlib
import mmap
import pkgutil
import struct
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pave_wire", "fuzz.control", "fuzz.gateway_control"]):
    from fuzz.targets import Target, find

LIMIT_MS = 300  # CPU time of one input, under instrumentation


def load_wire() -> list[str]:
    """Import every module of `pave_wire`, instrumented; return their names.

    All of them and here, since what a target or the wire itself imports later, inside a function, is not instrumented:
    its branches would not guide the fuzzer.
    """
    with atheris.instrument_imports(include=["pave_wire"]):
        package = importlib.import_module("pave_wire")
        names = [found.name for found in pkgutil.iter_modules(package.__path__, "pave_wire.")]
        for name in names:
            importlib.import_module(name)
    return ["pave_wire", *names]


def load_gateway() -> list[str]:
    """Import what the gateway's targets run, instrumented, and return their names; aiocoap below it is not."""
    with atheris.instrument_imports(include=["pave_gateway.ingress", "pave_gateway.core"]):
        importlib.import_module("pave_gateway.ingress.coap_front")
    return [f"pave_gateway.ingress.{name}" for name in ("coap_front", "coap_pack", "coap_parse")]


class SlowInputError(Exception):
    """One input took longer than `LIMIT_MS`."""


def runner(target: Target, counter: mmap.mmap):
    """Return libFuzzer's callback."""
    from pave_wire.errors import WireError

    count = 0

    def run_ms(data: bytes) -> float:
        start = time.thread_time()
        try:
            target.run(data)
        except WireError:
            pass
        return (time.thread_time() - start) * 1000

    def test_one_input(data: bytes) -> None:
        nonlocal count
        count += 1
        struct.pack_into("<Q", counter, 0, count)
        if run_ms(data) > LIMIT_MS:
            again_ms = run_ms(data)
            if again_ms > LIMIT_MS:
                raise SlowInputError(f"{again_ms:.0f} ms for {len(data)} bytes; at most {LIMIT_MS}")

    return test_one_input


def write_seeds(target: Target, corpus: Path) -> None:
    """Put the target's examples into its corpus."""
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)


def main() -> None:
    """Run, until libFuzzer ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=find)
    parser.add_argument("seconds", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("counter", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("crashes", type=Path)
    arguments = parser.parse_args()
    target: Target = arguments.target
    load_wire()
    if target.module.startswith("pave_gateway"):
        load_gateway()
    write_seeds(target, arguments.corpus)
    with arguments.counter.open("r+b") as file:
        counter = mmap.mmap(file.fileno(), 8)
    options = [
        f"-max_total_time={arguments.seconds}",
        f"-seed={arguments.seed}",
        f"-max_len={target.max_bytes}",
        f"-artifact_prefix={arguments.crashes}/{target.name}-",
        "-timeout=20",
        "-rss_limit_mb=1024",
        "-verbosity=0",
        str(arguments.corpus),
    ]
    atheris.Setup([sys.argv[0], *options], runner(target, counter))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
