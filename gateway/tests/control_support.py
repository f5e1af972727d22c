"""A gateway with a technician, asked over its control socket, and the command line that asks it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
from gateway_support import running, site_file
from typer.testing import CliRunner, Result

from pave_gateway.cli_app import app
from pave_gateway.config import Config, load
from pave_gateway.control_address import socket_path
from pave_gateway.runtime import Runtime
from pave_gateway.store.reader import JournalReader
from pave_tools.provisioning import (
    Flashed,
    OscoreKeys,
    make_record,
    new_oscore_keys,
    public_hex,
    read_reader,
    technician_key,
    write_record,
)


class Laboratory:
    """A site with a technician, in a folder."""

    def __init__(self, folder: Path, extra: str = "", insecure: bool = True) -> None:
        """`extra` is TOML; `insecure`: with plain CoAP."""
        self.folder = folder
        self.technician = technician_key(folder / "technician.key")
        key = public_hex(self.technician)
        self.site = site_file(folder, f'[[registry.technician]]\nname = "Jeanne"\nkey = "{key}"\n{extra}')
        if not insecure:
            self.site.write_text(self.site.read_text().replace("insecure = true", "insecure = false"))
        self.socket = socket_path(self.config.journal.path)

    @property
    def config(self) -> Config:
        return load(self.site)

    def record(self, device: str, epoch: int = 100, kind: str = "presence") -> bytes:
        """Return the provisioning record of a device that has just been flashed."""
        return self._flash(device, epoch, kind)[2]

    def provision(self, device: str, epoch: int = 100, kind: str = "presence") -> OscoreKeys:
        """Flash a device: its record lands in the gateway's folder. Return its keys."""
        flashed, keys, record = self._flash(device, epoch, kind)
        write_record(self.folder / "records", flashed, record)
        return keys

    def _flash(self, device: str, epoch: int, kind: str) -> tuple[Flashed, OscoreKeys, bytes]:
        reader = read_reader(self.folder / "gateway.json")
        flashed, keys = Flashed(device, kind, "pave-presence-v1", "1.0", epoch), new_oscore_keys(device, reader)
        return flashed, keys, make_record(flashed, keys, None, self.technician, [reader])

    def stored(self) -> list[str]:
        """Return the identities of all readings in the journal."""
        with closing(JournalReader(self.config.journal.path)) as reader:
            return [stored.row.identity for batch in reader.all() for stored in batch]

    def file(self, name: str, content: bytes) -> Path:
        """Write a file of what somebody brought."""
        brought = self.folder / "brought"
        brought.mkdir(exist_ok=True)
        path = brought / name
        path.write_bytes(content)
        return path

    @asynccontextmanager
    async def gateway(self, **parts: Any) -> AsyncIterator[Runtime]:
        """Run the gateway in this process."""
        async with running(self.config, **parts) as (runtime, _):
            yield runtime

    @asynccontextmanager
    async def asked(self, **parts: Any) -> AsyncIterator[httpx.AsyncClient]:
        """The same; yield a client of its control socket."""
        async with self.gateway(**parts), self.client() as client:
            yield client

    def client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        return httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=30)

    def cli(self, *arguments: str) -> Result:
        """Run a command of `pave-gateway` for this site."""
        return CliRunner().invoke(app, [*arguments], env={"PAVE_SITE": str(self.site), "COLUMNS": "200"})

    async def run(self, *arguments: str) -> str:
        """Run a command while the gateway runs in this process; it must succeed. Return what it printed."""
        result = await asyncio.to_thread(self.cli, *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    async def answer(self, *arguments: str) -> Any:
        """The same with --json."""
        return json.loads(await self.run(*arguments, "--json"))

    async def refused(self, *arguments: str) -> tuple[int, str]:
        """Run a command that must not succeed; return its exit status and what it says."""
        result = await asyncio.to_thread(self.cli, *arguments)
        assert result.exit_code != 0, result.stdout
        return result.exit_code, result.stderr

    def process(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as an operator does: in a process of its own."""
        command = [sys.executable, "-m", "pave_gateway", *arguments, "--site", str(self.site)]
        return subprocess.run(command, capture_output=True, text=True, check=False)
