"""The firmware, whole: what it wrote of a new gateway's name is lost after that gateway has stored its window."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import Now
from pave_gateway.core.keys import DeviceKeys
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.core.places import Place
from pave_gateway.ingress import coap_site
from pave_gateway.ingress.coap_resources import Site as Resources
from pave_gateway.ingress.coap_site import CoapServer
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal
from simulation.virtual_gateway import EPOCH_MS

from .oscore_site import BAY, COAP, EUI, FIRST, KEYS, SECOND, Site, play

WAKES_S = 60


async def production_front(journal: Path) -> tuple[CoapServer, InlineCommitter]:
    """Serve with the production front under the name SECOND, with a journal that begins now."""
    loop = asyncio.get_running_loop()
    committer = InlineCommitter(Journal(journal))
    source = random.Random(2)
    contexts = OscoreContexts(source.randbytes)
    contexts.add(DeviceKeys(EUI, KEYS.secret, KEYS.salt, SECOND, KEYS.device_id, None), None, 0)
    parts = coap_site.CoapParts(
        contexts=contexts,
        ingest=Ingest({EUI: Place(BAY, "taxi", "Rue de Bercy", 48.8, 2.3, EUI)}, committer),
        committer=committer,
        site=Resources(),
        now=lambda: Now(int(loop.time() * 1000), EPOCH_MS + int(loop.time() * 1000), True),
        monotonic=loop.time,
        random_below=source.randrange,
        insecure=False,
    )
    return await coap_site.start(*COAP, parts), committer


def test_a_sensor_that_forgot_its_gateways_name_is_heard_again_by_itself(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        site.close_gateway()
        server, committer = await production_front(tmp_path / "journal.sqlite")
        before = site.nvs("gateway")
        assert before[10:] == FIRST
        await site.until(lambda: server.counters.accepted >= 2, 5 * WAKES_S)
        assert site.nvs("gateway")[10:] == SECOND and server.counters.echo == 1
        await site.asleep()
        site.device.power_cut()
        site.set_nvs("gateway", before)
        site.device.power_on()
        accepted = server.counters.accepted
        await site.until(lambda: site.nvs("gateway")[10:] == SECOND, 10 * WAKES_S)
        await site.until(lambda: server.counters.accepted >= accepted + 3, 10 * WAKES_S)
        assert server.counters.echo == 1, "its window was never lost"
        assert server.counters.repeated in (1, 2), "it was heard from the first report that came again"
        await server.close()
        await committer.close(0)

    site = play(tmp_path, "presence", script, heartbeat_s=WAKES_S)
    assert site.ledger.unsealed == [] and site.ledger.reused() == 0 and site.device.stats.crashes == 0
