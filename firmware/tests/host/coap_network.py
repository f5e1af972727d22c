"""A network in virtual time that loses, repeats and reorders datagrams, between endpoints that know nothing of it."""

import heapq
import random


class Network:
    """Endpoints by address; `run` moves time from one event to the next.

    Args:
        seed: of everything random here.
        loss, duplication: probabilities per datagram.
        delay_ms: each datagram takes a random time up to this, so they overtake each other.
    """

    def __init__(self, seed, loss=0.2, duplication=0.2, delay_ms=300):
        self.random = random.Random(seed)
        self.loss = loss
        self.duplication = duplication
        self.delay_ms = delay_ms
        self.now_ms = 1_000_000
        self.endpoints = {}
        self.handlers = {}
        self.datagrams = 0
        self._flying = []
        self._calls = []
        self._serial = 0

    def add(self, address, endpoint, handler):
        """Let `endpoint` live at `address`; `handler(event, now_ms)` gets its events."""
        self.endpoints[address] = endpoint
        self.handlers[address] = handler

    def at(self, at_ms, call):
        """Call `call(now_ms)` at `at_ms`."""
        self._serial += 1
        heapq.heappush(self._calls, (at_ms, self._serial, call))

    def flush(self):
        """Take up what every endpoint wants sent."""
        for address, endpoint in self.endpoints.items():
            for data, peer in endpoint.datagrams_to_send(self.now_ms):
                self._fly(data, address, peer)

    def run(self, until_ms=None):
        """Run until nothing is left to happen, or `until_ms`."""
        while True:
            self.flush()
            times = [queue[0][0] for queue in (self._flying, self._calls) if queue]
            times += [due for due in (e.next_timeout() for e in self.endpoints.values()) if due is not None]
            if not times or (until_ms is not None and min(times) > until_ms):
                self.now_ms = max(self.now_ms, until_ms or 0)
                return
            self.now_ms = max(self.now_ms, min(times))
            self._step()

    def _step(self):
        for address, endpoint in self.endpoints.items():
            due = endpoint.next_timeout()
            if due is not None and due <= self.now_ms:
                self._handle(address, endpoint.handle_timeout(self.now_ms))
        while self._calls and self._calls[0][0] <= self.now_ms:
            heapq.heappop(self._calls)[2](self.now_ms)
        while self._flying and self._flying[0][0] <= self.now_ms:
            _, _, data, source, target = heapq.heappop(self._flying)
            if target in self.endpoints:
                self._handle(target, self.endpoints[target].receive_datagram(data, source, self.now_ms))
            self.flush()

    def _handle(self, address, events):
        for event in events:
            self.handlers[address](event, self.now_ms)

    def _fly(self, data, source, target):
        self.datagrams += 1
        copies = 1 + (self.random.random() < self.duplication)
        for _ in range(copies):
            if self.random.random() >= self.loss:
                self._serial += 1
                arrives_ms = self.now_ms + self.random.randrange(self.delay_ms)
                heapq.heappush(self._flying, (arrives_ms, self._serial, data, source, target))
