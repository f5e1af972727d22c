"""The load: a process of its own that fires requests made beforehand, and says what came back.

Started by `benchmarks.ingest`; takes a step as one JSON object per line and answers with one. A step first makes its
requests, untimed, then lays them out for the kernel, then sends:

    outstanding    closed loop: so many requests are under way; each answer lets the next one go
    rate           open loop: requests go when a Poisson process says so, whether or not answers come

An answer is known by its token. One that does not come within RETRANSMIT_S makes its request go again, the same bytes,
up to MAX_RETRANSMIT times; then it is lost. Latency is measured from when a request was due to go. One answer in
SAMPLE is kept and opened afterwards.
"""

from __future__ import annotations

import gc
import json
import random
import struct
import sys
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import _ingest_requests as requests
from benchmarks._ingest_datagrams import MSG_WAITFORONE, SLOT_BYTES, Port, Sendable
from pave_wire import coap
from pave_wire.errors import WireError

RETRANSMIT_S = 2.0  # ACK_TIMEOUT (RFC 7252, 4.8)
MAX_RETRANSMIT = 4
SAMPLE = 101
_LOOK_S = 0.1  # between two looks for what was lost
_MOST_AHEAD = 60_000  # of the oldest that is under way: tokens have 16 bits
_MSG_DONTWAIT = 0x40
_ANSWER = struct.Struct(">BBHH").unpack_from  # of the usual one: header, and a token of two bytes
_ACK = 0x62  # version, type, token length
_SEPARATE = 0x42
_EMPTY_ACK = 0x60
_now = time.perf_counter


@dataclass(frozen=True)
class Step:
    """What to send.

    Attributes:
        port: Of the server on 127.0.0.1.
        sealed: Under OSCORE.
        devices: How many take turns.
        addresses: How many they have, likewise; each has message IDs of its own.
        first: How many requests this server had before.
        count: How many to send.
        outstanding: For a closed loop.
        rate: Requests a second, for an open loop.
    """

    port: int
    sealed: bool
    devices: int
    addresses: int
    first: int
    count: int
    outstanding: int = 0
    rate: float = 0.0


@dataclass
class Result:
    """What came of it. Times in seconds."""

    sent: int = 0
    answered: int = 0
    took_s: float = 0.0
    client_cpu_s: float = 0.0
    retransmissions: int = 0
    lost: int = 0
    empty_acks: int = 0
    separate: int = 0  # of those answered, in a message of their own
    unexpected: int = 0  # duplicates, and what is no answer
    opened: int = 0
    refused: dict[str, int] = field(default_factory=dict)  # answers that are not 2.04, or are not authentic
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0


class Load:
    """One step under way."""

    def __init__(self, step: Step, sendable: Sendable, port: Port) -> None:
        self.step = step
        self.result = Result()
        self.latencies_s = array("d")
        self.samples: list[tuple[int, bytes]] = []  # which request, and its answer
        self._sendable = sendable
        self._port = port
        self._due_s = array("d", bytes(8 * requests.TOKENS))  # by token, 0 when nothing is under way
        self._tries = Counter[int]()
        self._next = 0  # to be sent
        self._oldest = 0  # that may be under way
        self._under_way = 0

    def closed(self, outstanding: int) -> None:
        """Keep so many requests under way until all are answered or lost."""
        self._port.wait_at_most(_LOOK_S)
        looks_s = _now() + _LOOK_S
        while self._under_way or self._next < len(self._sendable):
            self._send(min(outstanding - self._under_way, self._sendable_now()), _now())
            self._take(self._port.receive(MSG_WAITFORONE))
            if _now() >= looks_s:
                self._look()
                looks_s = _now() + _LOOK_S

    def open(self, rate: float) -> None:
        """Send each request when it is due, and wait for the last answers."""
        source = random.Random(self.step.first)
        due_s = _now()
        looks_s = due_s + _LOOK_S
        while self._under_way or self._next < len(self._sendable):
            now_s = _now()
            while due_s <= now_s and self._sendable_now():
                self._send(1, due_s)
                due_s += source.expovariate(rate)
            self._take(self._port.receive(_MSG_DONTWAIT))
            if now_s >= looks_s:
                self._look()
                looks_s = now_s + _LOOK_S

    def _sendable_now(self) -> int:
        return min(len(self._sendable), self._oldest + _MOST_AHEAD) - self._next

    def _send(self, count: int, due_s: float) -> None:
        while count > 0:
            sent = self._port.send(self._sendable, self._next, count)
            first = self.step.first + self._next
            for at in range(first, first + sent):
                self._due_s[at & 0xFFFF] = due_s
            self._next += sent
            self._under_way += sent
            self.result.sent += sent
            count -= sent

    def _take(self, count: int) -> int:
        answers, due = self._port.answers, self._due_s
        now_s = _now()
        for slot in range(count):
            first, code, _, token = _ANSWER(answers, slot * SLOT_BYTES)
            if first == _ACK and code == coap.CHANGED and due[token]:
                self._answered(slot, token, now_s)
            else:
                self._unusual(slot, now_s)
        return count

    def _answered(self, slot: int, token: int, now_s: float) -> None:
        self.latencies_s.append(now_s - self._due_s[token])
        if not token % SAMPLE:
            at = slot * SLOT_BYTES
            self.samples.append((self._index(token), bytes(self._port.answers[at : at + self._port.size(slot)])))
        self._ended(token)

    def _ended(self, token: int) -> None:
        self._due_s[token] = 0.0
        self._under_way -= 1

    def _index(self, token: int) -> int:
        """Return which request of this server is under way under a token."""
        oldest = self.step.first + self._oldest
        return oldest + (token - oldest & 0xFFFF)

    def _unusual(self, slot: int, now_s: float) -> None:
        """Take what is not a piggybacked 2.04: a separate response, an empty ACK before it, an error, a duplicate."""
        first, code, mid, token = _ANSWER(self._port.answers, slot * SLOT_BYTES)
        if first == _EMPTY_ACK and code == coap.EMPTY:
            self.result.empty_acks += 1
            return
        if first == _SEPARATE:
            acknowledgement = bytes((_EMPTY_ACK, coap.EMPTY)) + mid.to_bytes(2, "big")
            self._port.send(Sendable([acknowledgement], [self._port.sender(slot)], self.step.port), 0, 1)
        if first not in (_ACK, _SEPARATE) or not self._due_s[token]:
            self.result.unexpected += 1
        elif code == coap.CHANGED:
            self.result.separate += 1
            self._answered(slot, token, now_s)
        else:
            name = coap.code_text(code)
            self.result.refused[name] = self.result.refused.get(name, 0) + 1
            self._ended(token)

    def _look(self) -> None:
        """Send again what was not answered in time."""
        now_s = _now()
        while self._oldest < self._next and not self._due_s[self.step.first + self._oldest & 0xFFFF]:
            self._oldest += 1
        for at in range(self._oldest, self._next):
            token = self.step.first + at & 0xFFFF
            due_s = self._due_s[token]
            if not due_s:
                continue
            if now_s - due_s < RETRANSMIT_S * (self._tries[at] + 1):
                break
            self._tries[at] += 1
            if self._tries[at] > MAX_RETRANSMIT:
                self.result.lost += 1
                self._ended(token)
            else:
                self.result.retransmissions += 1
                self._port.send(self._sendable, at, 1)


class Client:
    """Makes requests and sends them."""

    def __init__(self) -> None:
        self._devices: list[requests.Device] = []
        self._port = Port()

    def run(self, step: Step) -> Result:
        """Do one step."""
        self._devices += [requests.Device(number) for number in range(len(self._devices), step.devices)]
        at = range(step.first, step.first + step.count)
        sendable = Sendable([self._request(step, n) for n in at], [n % step.addresses for n in at], step.port)
        load = Load(step, sendable, self._port)
        gc.collect()
        gc.disable()
        began_s, began_cpu_s = _now(), time.process_time()
        if step.rate:
            load.open(step.rate)
        else:
            load.closed(step.outstanding)
        load.result.took_s = _now() - began_s
        load.result.answered = len(load.latencies_s)
        load.result.client_cpu_s = time.process_time() - began_cpu_s
        gc.enable()
        self._open(step, load)
        _summarize(load.result, load.latencies_s)
        return load.result

    def _request(self, step: Step, n: int) -> bytes:
        turn, number = divmod(n, step.devices)
        device = self._devices[number]
        return requests.header(n // step.addresses, n) + (device.sealed(turn) if step.sealed else device.plain(turn))

    def _open(self, step: Step, load: Load) -> None:
        """Look inside the answers that were kept."""
        for n, answer in load.samples:
            turn, number = divmod(n, step.devices)
            try:
                code = self._devices[number].opened(turn, answer) if step.sealed else coap.decode(answer).code
            except WireError as error:
                code_name = type(error).__name__
            else:
                code_name = coap.code_text(code)
            load.result.opened += 1
            if code_name != "2.04":
                load.result.refused[code_name] = load.result.refused.get(code_name, 0) + 1


def _summarize(result: Result, latencies_s: Sequence[float]) -> None:
    ordered = sorted(latencies_s)
    if ordered:
        result.p50_ms = ordered[len(ordered) // 2] * 1e3
        result.p99_ms = ordered[len(ordered) * 99 // 100] * 1e3
        result.max_ms = ordered[-1] * 1e3


def main() -> None:
    """Read steps from standard input until it ends."""
    client = Client()
    for line in sys.stdin:
        given: dict[str, Any] = json.loads(line)
        print(json.dumps(asdict(client.run(Step(**given)))), flush=True)


if __name__ == "__main__":
    main()
