"""The city's side: a real mosquitto, a real mosquitto_sub that writes down what arrives, and a stand-in for a platform.

ThingsBoard's gateway asks its platform once per connection how much it may send, and sends nothing before it is told:
here it may send as much as it likes. Everything else it says is plain MQTT.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks._rival_ports import free_tcp_port
from simulation.processes import end_with_parent

_CONFIGURATION = """
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages 0
persistence false
"""
_RPC_REQUEST, _RPC_RESPONSE = "v1/devices/me/rpc/request/", "v1/devices/me/rpc/response/"
_NO_LIMITS = {"messages": "0:0,", "telemetryMessages": "0:0,", "telemetryDataPoints": "0:0,"}
_SESSION = {
    "maxPayloadSize": 65_536,
    "maxInflightMessages": 1000,
    "rateLimits": _NO_LIMITS,
    "gatewayRateLimits": _NO_LIMITS,
}
_LOOK_S = 0.2

Identity = tuple[str, int, int]


class City:
    """Broker and subscriber of one gateway."""

    def __init__(self, folder: Path) -> None:
        """Start them; `port` is the broker's."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_tcp_port()
        self._arrived = folder / "arrived.txt"
        configuration = folder / "mosquitto.conf"
        configuration.write_text(_CONFIGURATION.format(port=self.port))
        log = (folder / "mosquitto.log").open("wb")
        self._broker = subprocess.Popen(
            [_program("mosquitto"), "-c", str(configuration)], stdout=log, stderr=log, preexec_fn=end_with_parent
        )
        self._platform = self._connect_platform()
        with self._arrived.open("wb") as arrived:
            self._subscriber = subprocess.Popen(
                [_program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t", "#",
                 "-F", "%U %t %p"], stdout=arrived, preexec_fn=end_with_parent,
            )  # fmt: skip

    def deliveries(self, after_bytes: int = 0) -> list[tuple[float, Identity]]:
        """Return (time in seconds since 1970, identity) of each reading that arrived, however often."""
        text = self._arrived.read_bytes()[after_bytes:]
        whole = text[: text.rfind(b"\n") + 1].decode()
        return [found for line in whole.splitlines() for found in _readings(*line.split(" ", 2))]

    def size(self) -> int:
        """Return how many bytes have been written down."""
        return self._arrived.stat().st_size

    def wait_until_quiet(self, quiet_s: float, at_most_s: float) -> None:
        """Return when nothing has arrived for `quiet_s`."""
        end_s = time.monotonic() + at_most_s
        size, since_s = self.size(), time.monotonic()
        while time.monotonic() < min(end_s, since_s + quiet_s):
            time.sleep(_LOOK_S)
            if self.size() != size:
                size, since_s = self.size(), time.monotonic()

    def close(self) -> None:
        """End all of it."""
        self._platform.disconnect()
        self._platform.loop_stop()
        for process in (self._subscriber, self._broker):
            process.terminate()
            process.wait(10)

    def _connect_platform(self) -> mqtt.Client:
        platform = mqtt.Client(CallbackAPIVersion.VERSION2)
        platform.on_message = _tell_limits
        for _ in range(50):
            try:
                platform.connect("127.0.0.1", self.port)
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        platform.subscribe(_RPC_REQUEST + "+", 1)
        platform.loop_start()
        return platform


def tally(deliveries: list[tuple[float, Identity]], acknowledged: set[Identity]) -> dict[str, int]:
    """Compare what arrived with what a device was told is safe."""
    times = Counter(identity for _, identity in deliveries)
    return {
        "acknowledged": len(acknowledged),
        "arrived": len(times),
        "lost": len(acknowledged - times.keys()),
        "duplicates": times.total() - len(times),
    }


def _readings(at: str, topic: str, payload: str) -> Iterator[tuple[float, Identity]]:
    """Yield what a message says, in either gateway's words."""
    if topic == "v1/gateway/telemetry":
        for device, entries in json.loads(payload).items():
            for entry in entries:
                values = entry["values"]
                yield float(at), (device, int(values["epoch"]), int(values["seq"]))
    elif topic.startswith("pave/"):
        said = json.loads(payload)
        yield float(at), (said["device"], said["epoch"], said["seq"])


def _tell_limits(platform: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
    platform.publish(message.topic.replace(_RPC_REQUEST, _RPC_RESPONSE), json.dumps(_SESSION), qos=1)


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise SystemExit(f"no {name} here. Next: apt install mosquitto mosquitto-clients")
    return found
