"""ChirpStack's side of a broker, and a gateway that listens there; `chirpstack_site.py FOLDER PORT MODE KILL_AFTER`
runs such a gateway in a process of its own, which kills itself.

    MODE honest  it dies when a frame is on disk and its PUBACK is not yet sent
    MODE early   wrong on purpose: it acknowledges what it was handed, and dies before that is on disk
"""

import asyncio
import base64
import itertools
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lora_ingress_support import Disk, Publisher
from lorawan_support import START_MS, eui, event_of, hello_of

from pave_gateway.ingress.chirpstack_ingress import ChirpStackIngress
from pave_gateway.ingress.mqtt_client import MqttSubscriber
from pave_gateway.ingress.mqtt_connection import BrokerSettings

APPLICATION = "17c82e96-be03-4f38-aef3-f83d48582d97"
DEVICES = [eui(0x100 + number) for number in range(50)]


class ChirpStackSide:
    """Publishes events of devices as ChirpStack does; each device counts its own frames and readings."""

    def __init__(self, port: int, qos: int = 1) -> None:
        self.broker = Publisher(port, "application/+/device/+/command/down")
        self._qos = qos
        self.age_s = 0.0  # of what is published: for so long the broker has kept it
        self._fcnt = {device: itertools.count() for device in DEVICES}
        self._seq = {device: itertools.count() for device in DEVICES}
        self.sent: list[tuple[str, int, int]] = []

    def up(self, device: str, port: int, data: bytes, **more: Any) -> None:
        received_s = START_MS / 1000 + time.monotonic() - self.age_s
        body = {
            "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
            "time": datetime.fromtimestamp(received_s, UTC).isoformat(),
            "deviceInfo": {"applicationId": APPLICATION, "devEui": device},
            "devAddr": "00189440",
            "dr": 3,
            "fCnt": next(self._fcnt[device]),
            "fPort": port,
            "data": base64.b64encode(data).decode(),
            "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -90, "snr": 7.5}],
            **more,
        }
        kept = {name: value for name, value in body.items() if value != 0}  # as protobuf's JSON does
        self.publish(device, "up", json.dumps(kept).encode())

    def hello(self, *devices: str) -> None:
        for device in devices:
            self.up(device, 3, hello_of())

    def event(self, device: str) -> None:
        seq = next(self._seq[device])
        self.sent.append((device, 1, seq))
        self.up(device, 1, event_of(device, seq, occupied=bool(seq % 2)))

    def publish(self, device: str, event: str, payload: bytes) -> None:
        self.broker.publish(f"application/{APPLICATION}/device/{device}/event/{event}", payload, self._qos)

    def told(self, device: str, event: str, **fields: Any) -> None:
        body = {"deviceInfo": {"applicationId": APPLICATION, "devEui": device}, **fields}
        self.publish(device, event, json.dumps(body).encode())

    @property
    def commands(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for _, payload in list(self.broker.received)]

    def stop(self) -> None:
        self.broker.stop()


def settings(port: int, version: str = "5", **more: Any) -> BrokerSettings:
    fields = {"client_id": "pave-lab", "qos": 1, "session_s": 3600, **more}
    return BrokerSettings("127.0.0.1", port, version, **fields)


def ingress_over(disk: Disk, broker: BrokerSettings) -> ChirpStackIngress:
    """Return a gateway's ingress, restored."""
    ingress = ChirpStackIngress(broker, "+", disk.behind(DEVICES))
    disk.restore(ingress)
    return ingress


async def die_after(folder: Path, port: int, mode: str, kill_after: int) -> None:
    """Run a gateway until it has killed itself."""
    disk = Disk(folder / "journal.sqlite", DEVICES)
    ingress = ingress_over(disk, settings(port))
    loop, settled = asyncio.get_running_loop(), itertools.count(1)
    taken = ingress.subscriber._taken

    def honest(message: Any, settle: Any) -> None:
        def last() -> None:
            if next(settled) == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)
            settle()

        taken(message, last)

    def early(message: Any, settle: Any) -> None:
        settle()
        if next(settled) == kill_after:  # PUBACKs have left by then, and the disk has nothing yet
            loop.call_later(0.2, os.kill, os.getpid(), signal.SIGKILL)
        loop.call_later(0.4, taken, message, lambda: None)

    ingress.subscriber._taken = {"honest": honest, "early": early}[mode]  # type: ignore[method-assign]
    assert isinstance(ingress.subscriber, MqttSubscriber)
    ingress.start()
    print("running", flush=True)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(die_after(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
