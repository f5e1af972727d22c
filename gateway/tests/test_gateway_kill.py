"""SIGKILL at random moments under load: what a device saw acknowledged is in the journal.

Every COMMIT takes 20 ms, on any machine. The negative control, which differs only in answering before it, proves that
the harness sees a loss.

Power loss and every sync boundary are another campaign; here the kernel keeps the pages and the process dies.
"""

import asyncio
import contextlib
import itertools
import random
import signal
from pathlib import Path

from gateway_support import BAY, TESTS, coap_client, reading, site_file, start_gateway

from pave_gateway.store.journal import Journal, JournalReader
from pave_wire import model

KILLS = 4
OUTSTANDING = 16


async def test_whatever_the_moment_of_a_kill_no_acknowledged_reading_is_lost(tmp_path):
    acknowledged = await kill_again_and_again(tmp_path, "honest", seed=11)
    assert len(acknowledged) > 20 * KILLS
    assert acknowledged - in_journal(tmp_path) == set()


async def test_a_gateway_that_acknowledges_before_it_commits_is_caught_by_the_same_harness(tmp_path):
    acknowledged = await kill_again_and_again(tmp_path, "early", seed=11)
    stored = in_journal(tmp_path)
    assert acknowledged - stored != set()
    assert len(acknowledged & stored) > len(acknowledged) / 2  # it does store; only the last moment is lost


def in_journal(folder: Path) -> set[str]:
    Journal(folder / "journal.sqlite").close()  # as a restarted gateway would, with recovery of the write-ahead log
    identities = [i.row.identity for batch in JournalReader(folder / "journal.sqlite").all() for i in batch]
    assert len(identities) == len(set(identities))
    return set(identities)


async def kill_again_and_again(folder: Path, committer: str, seed: int) -> set[str]:
    """Return the identities that were answered with 2.04 before a kill."""
    source = random.Random(seed)
    site = site_file(folder)
    acknowledged: set[str] = set()
    for epoch in range(1, KILLS + 1):
        process, addresses = await asyncio.to_thread(
            start_gateway, [str(site), committer], TESTS / "killable_gateway.py"
        )
        async with contextlib.AsyncExitStack() as stack:
            # one endpoint each: an endpoint has one request outstanding with its peer (NSTART, RFC 7252, 4.7)
            posts = [await stack.enter_async_context(coap_client()) for _ in range(OUTSTANDING)]
            seqs = itertools.count()
            devices = [asyncio.create_task(report(post, addresses.coap, epoch, seqs, acknowledged)) for post in posts]
            await asyncio.sleep(0.1 + 0.3 * source.random())
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            process.stdout.close()
            for device in devices:
                device.cancel()
            await asyncio.gather(*devices, return_exceptions=True)
    return acknowledged


async def report(post, address: str, epoch: int, seqs: "itertools.count[int]", acknowledged: set[str]) -> None:
    with contextlib.suppress(Exception):  # the gateway dies under us, as intended
        while True:
            item = reading(BAY, seq=next(seqs), epoch=epoch)
            answer = await post(address, model.pack_readings(BAY, [item]))
            if str(answer.code)[:4] == "2.04":
                acknowledged.add(item.identity)
