"""A city's own subscriber: prints what arrives from Pavé's gateway, and knows nothing of Pavé but its topics.

    python examples/city/subscriber.py --port 1883 --topic 'pave/#' [--record received.ndjson]

On a terminal it draws a live table; elsewhere it prints a line every five seconds. `--record` keeps every message as
one JSON line, flushed before the message is acknowledged to the broker; the file is there once the broker has said that
we are subscribed.
"""

from __future__ import annotations

import argparse
import json
import queue
import signal
import sys
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any, TextIO

import paho.mqtt.client as mqtt
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

ROWS = 12
COLUMNS = ("time", "bay", "kind", "state", "because", "confidence", "reading")
_KINDS = ("delivery", "taxi", "disabled")


class City:
    """What the city knows so far."""

    def __init__(self, record_path: Path | None) -> None:
        self.latest: deque[dict[str, Any]] = deque(maxlen=ROWS)
        self.occupied: dict[str, tuple[str, bool]] = {}  # place -> (kind, occupied)
        self._newest: dict[str, str] = {}  # place -> time of that
        self.messages = 0
        self._seen: Counter[str] = Counter()
        self._record_path = record_path
        self._record: TextIO | None = None
        self._lock = threading.Lock()

    def subscribed(self) -> None:
        """Messages come from now on."""
        if self._record_path is not None and self._record is None:
            self._record = self._record_path.open("a")

    def take(self, payload: bytes) -> None:
        """Take one message as published."""
        message = json.loads(payload)
        with self._lock:
            self.messages += 1
            self._seen[message["id"]] += 1
            if message["kind"] in _KINDS and "occupied" in message["values"]:
                self._take_state(message)
                self.latest.appendleft(message)
        if self._record is not None:
            self._record.write(json.dumps({"seen_s": time.time(), **message}) + "\n")
            self._record.flush()

    def _take_state(self, message: dict[str, Any]) -> None:
        """A reading that came late is history, and not the state of its bay."""
        if message["time"] >= self._newest.get(message["place"], ""):
            self._newest[message["place"]] = message["time"]
            self.occupied[message["place"]] = (message["kind"], message["values"]["occupied"])

    def summary(self) -> str:
        """One line: messages, distinct readings, occupied bays by kind."""
        with self._lock:
            kinds = ", ".join(f"{kind} {self._occupied(kind)}" for kind in _KINDS)
            return f"city: {self.messages} messages, {len(self._seen)} readings; occupied: {kinds}"

    def table(self, columns: int) -> Table:
        """The latest readings of bays, newest first, for a terminal of so many columns."""
        width = len(COLUMNS) if columns >= 110 else 4
        table = Table(title="What the city receives", caption=self.summary(), expand=True)
        for column in COLUMNS[:width]:
            table.add_column(column, no_wrap=True)
        with self._lock:
            for message in self.latest:
                table.add_row(*_cells(message)[:width])
        return table

    def _occupied(self, kind: str) -> str:
        states = [occupied for found, occupied in self.occupied.values() if found == kind]
        return f"{sum(states)}/{len(states)}"


def _cells(message: dict[str, Any]) -> list[Text]:
    values = message["values"]
    state = Text("occupied", "bold red") if values["occupied"] else Text("free", "green")
    texts = [message["time"][11:19], message["place"], message["kind"], "", values.get("reason", ""), "", message["id"]]
    cells = [Text("".join(char if char.isprintable() else "?" for char in str(text))) for text in texts]
    cells[3] = state
    cells[5] = Text(f"{values['confidence']:.2f}" if "confidence" in values else "")
    return cells


def subscribe(city: City, host: str, port: int, topic: str) -> mqtt.Client:
    """Connect with a persistent session at QoS 1; messages go to `city`."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="city", clean_session=False, manual_ack=True)

    def on_connect(client: mqtt.Client, *_: object) -> None:
        client.subscribe(topic, qos=1)

    def on_message(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        city.take(message.payload)
        client.ack(message.mid, message.qos)

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: city.subscribed()
    client.on_message = on_message
    client.reconnect_delay_set(1, 2)
    client.connect(host, port)
    client.loop_start()
    return client


def _stopped(stop: queue.SimpleQueue[int]) -> bool:
    """Wait for a signal for as long as a summary holds; say whether there was one."""
    try:
        stop.get(timeout=5)
    except queue.Empty:
        return False
    return True


def main() -> int:
    """Subscribe until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Print what a city receives from Pavé.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--topic", default="pave/#")
    parser.add_argument("--record", type=Path, help="append every message to this file as a JSON line")
    arguments = parser.parse_args()
    stop: queue.SimpleQueue[int] = queue.SimpleQueue()  # an Event's lock may be held by what the signal interrupts
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop.put(number))
    city = City(arguments.record)
    client = subscribe(city, arguments.host, arguments.port, arguments.topic)
    console = Console()
    if console.is_terminal:
        with Live(console=console, get_renderable=lambda: city.table(console.width), refresh_per_second=4):
            stop.get()
    else:
        while not _stopped(stop):
            print(city.summary(), flush=True)
    client.disconnect()
    client.loop_stop()
    print(city.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
