"""The gateway of a simulation in virtual time: its CoAP front, core and journal, on the loop the devices run on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pave_gateway.core.bays import Bays
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.places import Place
from pave_gateway.ingress import coap_server
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal

EPOCH_MS = 1_800_000_000_000  # 2027-01-15, when simulated time starts


class VirtualGateway:
    """No page, no sinks: those wait for real sockets. Its committer has no thread, so one seed gives one journal."""

    def __init__(self, places: list[Place], journal: Path) -> None:
        self.bays = Bays(places)
        self._committer = InlineCommitter(Journal(journal))
        by_device = {place.device: place for place in places}
        self.ingest = Ingest(by_device, self._committer, [self.bays.apply])
        self._coap: coap_server.CoapServer | None = None

    async def start(self, host: str, port: int) -> None:
        """Serve devices at this address of the simulated network."""
        loop = asyncio.get_running_loop()
        self._coap = await coap_server.start(
            host, port, self.ingest, self.bays, lambda: EPOCH_MS + int(loop.time() * 1000), loop.time,
            transport="simplesocketserver",
        )  # fmt: skip

    @property
    def answers(self) -> dict[str, int]:
        """Answers to `POST /r`, by response code."""
        return self._coap.answers if self._coap else {}

    async def stop(self) -> None:
        """Stop serving; everything acknowledged is in the journal."""
        if self._coap:
            await self._coap.close()
        await self._committer.close(0.0)
