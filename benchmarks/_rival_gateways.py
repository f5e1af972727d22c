"""The gateways compared: Pavé's, the same acknowledging too early, and ThingsBoard's with its most durable storage.

ThingsBoard IoT Gateway 3.8 runs as its own program in its own environment (`build/rival`), with its REST connector,
SQLite storage, QoS 1, no statistics, no rate limits, and the shortest delay between packs that makes sense.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._emulator_usage import memory_bytes
from benchmarks._rival_ports import free_tcp_port
from simulation.processes import end_with_parent

ROOT = Path(__file__).parent.parent
RIVAL_PYTHON = ROOT / "build" / "rival" / "bin" / "python"
START_TIMEOUT_S = 60.0
_VALUES = {
    "epoch": "int",
    "seq": "int",
    "occupied": "bool",
    "reason": "string",
    "confidence": "double",
    "field": "double",
    "lasted": "int",
}

Prepare = Callable[[Path, int, int, int], tuple[list[str], dict[str, str]]]


@dataclass(frozen=True)
class Kind:
    """A gateway that can be run.

    Attributes:
        label: For the table.
        link: How devices speak to it, see `_rival_devices`.
        prepare: From a folder, its port, the broker's port and the number of devices: command and environment.
    """

    label: str
    link: str
    prepare: Prepare


class Gateway:
    """A gateway that is started, killed, and started again on the same port and folder."""

    def __init__(self, kind: Kind, folder: Path, broker_port: int, devices: int) -> None:
        self.kind = kind
        self.port = free_tcp_port()
        self.most_mb = 0.0
        self._folder = folder
        self._log_path = folder / "gateway.log"
        folder.mkdir(parents=True, exist_ok=True)
        self._command, self._environment = kind.prepare(folder, self.port, broker_port, devices)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Start it; return how many seconds passed until it took connections."""
        began_s = time.perf_counter()
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env={**os.environ, **self._environment}, stdout=log, stderr=log,
                text=True, preexec_fn=end_with_parent,
            )  # fmt: skip
        while not self._listens():
            if self._process.poll() is not None or time.perf_counter() - began_s > START_TIMEOUT_S:
                said = self._log_path.read_text(errors="replace")[-2000:]
                raise SystemExit(f"{self.kind.label} did not start; it said:\n{said}")
            time.sleep(0.05)
        return time.perf_counter() - began_s

    def look(self) -> None:
        """Note its memory."""
        if self._process is not None:
            self.most_mb = max(self.most_mb, memory_bytes(self._process.pid) / 1e6)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        if self.kind.link == "http":
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        sockets = Path("/proc/net/udp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(f":{self.port:04X}") for line in sockets)  # the local address (proc(5))


def _pave(*more: str) -> Prepare:
    def prepare(folder: Path, port: int, broker_port: int, devices: int) -> tuple[list[str], dict[str, str]]:
        options = {"devices": devices, "port": port, "journal": folder / "journal.db", "mqtt": broker_port}
        words = [f"--{name}={value}" for name, value in options.items()]
        return [sys.executable, "-m", "benchmarks._ingest_gateway", *words, *more], {"PYTHONPATH": str(ROOT)}

    return prepare


def _thingsboard(folder: Path, port: int, broker_port: int, _devices: int) -> tuple[list[str], dict[str, str]]:
    if not RIVAL_PYTHON.exists():
        raise SystemExit(f"no {RIVAL_PYTHON.relative_to(ROOT)} here. Next: make build/rival/.rival")
    configuration = folder / "config"
    for name in (configuration, folder / "data", folder / "logs"):
        name.mkdir(exist_ok=True)
    files = {"tb_gateway.json": _tb_gateway(broker_port), "rest.json": _rest(port), "logs.json": _LOGS}
    for name, content in files.items():
        (configuration / name).write_text(json.dumps(content))
    return [str(RIVAL_PYTHON), "-m", "thingsboard_gateway.tb_gateway"], {"TB_GW_CONFIG_DIR": str(configuration)}


def _tb_gateway(broker_port: int) -> Mapping[str, Any]:
    limits = ("rateLimits", "dpRateLimits", "messagesRateLimits", "deviceMessagesRateLimits", "deviceRateLimits",
              "deviceDpRateLimits")  # fmt: skip
    platform = {
        "host": "127.0.0.1",
        "port": broker_port,
        "remoteShell": False,
        "remoteConfiguration": False,
        "statistics": {"enable": False},
        "deviceFiltering": {"enable": False},
        "maxPayloadSizeBytes": 8196,
        "minPackSendDelayMS": 10,
        "minPackSizeToSend": 500,
        "checkConnectorsConfigurationInSeconds": 60,
        "handleDeviceRenaming": False,
        "security": {"type": "accessToken", "accessToken": "token"},
        "qos": 1,
        **dict.fromkeys(limits, "0:0,"),
    }
    storage = {"type": "sqlite", "data_file_path": "./data/", "max_read_records_count": 1000}
    connector = {"type": "rest", "name": "rest", "configuration": "rest.json"}
    return {"thingsboard": platform, "storage": storage, "grpc": {"enabled": False}, "connectors": [connector]}


def _rest(port: int) -> Mapping[str, Any]:
    device = {
        "deviceNameExpressionSource": "request",
        "deviceNameExpression": "${device}",
        "deviceProfileExpressionSource": "constant",
        "deviceProfileExpression": "presence",
    }
    series = [{"type": kind, "key": key, "value": f"${{{key}}}"} for key, kind in _VALUES.items()]
    mapping = {
        "endpoint": "/r",
        "HTTPMethods": ["POST"],
        "security": {"type": "anonymous"},
        "response": {"responseExpected": False},
        "converter": {"type": "json", "deviceInfo": device, "attributes": [], "timeseries": series},
    }
    return {
        "server": {"host": "127.0.0.1", "port": str(port), "SSL": False},
        "logLevel": "ERROR",
        "enableRemoteLogging": False,
        "mapping": [mapping],
        "requestsMapping": {"attributeRequests": [], "attributeUpdates": [], "serverSideRpc": []},
    }


_LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler", "level": "ERROR"}},
    "root": {"level": "ERROR", "handlers": ["console"]},
    "loggers": {},
}

PAVE = "pave"
RIVAL = "thingsboard"
CONTROL = "eager"
KINDS = {
    PAVE: Kind("Pavé: CoAP with OSCORE", "coap", _pave()),
    RIVAL: Kind("ThingsBoard gateway: HTTP, plain", "http", _thingsboard),
    CONTROL: Kind("control: Pavé, answers before commit", "coap", _pave("--eager")),
}
