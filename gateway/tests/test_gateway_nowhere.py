"""Devices that stand nowhere, and are counted on: said in findings, status and list, with the next step."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from control_support import Laboratory
from gateway_support import BAY, KIOSK, STRANGER, TAXI, reading, running
from oscore_device import OscoreDevice

from pave_gateway.core.ingest import Accepted, Refused
from pave_gateway.core.silence import Hearing
from pave_gateway.runtime import Runtime
from pave_wire import coap, hello


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


async def offer(runtime: Runtime, device: str, seq: int = 1) -> Any:
    """Report as `device`; return the verdict."""
    verdict: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    core = runtime.gateway.core
    core.ingest.offer([reading(device, seq=seq)], core.now(), verdict.set_result)
    return await verdict


def without_first_bay(lab: Laboratory) -> None:
    """Take the bay of BAY out of the site file."""
    head, first, rest = lab.site.read_text().split("[[bay]]", 2)
    assert BAY in first
    lab.site.write_text(f"{head}[[bay]]{rest}")


async def of_device(lab: Laboratory, device: str) -> list[tuple[str, str]]:
    """Return the findings that name a device."""
    found = (await lab.answer("status"))["findings"]
    return [(one["what"], one["next_step"]) for one in found if device in one["what"]]


async def hearing(lab: Laboratory, device: str) -> str | None:
    return (await lab.answer("devices", "show", device))["hearing"]


async def test_a_device_whose_bay_left_the_site_file_is_named_until_it_is_assigned(lab: Laboratory) -> None:
    async with lab.gateway():
        assert await of_device(lab, BAY) == []
    without_first_bay(lab)
    for _ in range(2):  # the start that releases it, and a later one
        async with lab.gateway():
            ((what, step),) = await of_device(lab, BAY)
            assert "stands nowhere: its place lab-l-01 is not in the site file" in what
            assert step == f"pave-gateway devices assign PLACE {BAY}, or retire {BAY}"
            assert await hearing(lab, BAY) == "nowhere"
            listed = await lab.answer("devices", "list", "--state", "nowhere")
            assert [one["device"] for one in listed] == [BAY]
            status = await lab.answer("status")
            assert status["statistics"]["standing_nowhere"] == 1
    async with lab.gateway():
        await lab.run("devices", "release", TAXI)
        await lab.run("devices", "assign", "lab-t-01", BAY)
        assert await of_device(lab, BAY) == []
        assert await hearing(lab, BAY) == "never"


async def test_a_device_that_reports_and_is_refused_since_it_stands_nowhere_is_named(lab: Laboratory, caplog) -> None:
    async with lab.gateway() as runtime:
        await lab.run("devices", "add", STRANGER)
        assert (await of_device(lab, STRANGER), await hearing(lab, STRANGER)) == ([], None)  # a spare on the shelf
        for seq in (1, 2):
            assert isinstance(await offer(runtime, STRANGER, seq), Refused)
        ((what, _),) = await of_device(lab, STRANGER)
        assert what == f"device {STRANGER} stands nowhere and reports: its readings are refused"
        found = await lab.answer("devices", "show", STRANGER)
        assert (found["hearing"], found["heard_ago_s"]) == ("nowhere", 0)
        assert sum(STRANGER in line for line in caplog.messages) == 1
        await lab.run("devices", "retire", STRANGER)
        assert isinstance(await offer(runtime, STRANGER, 3), Refused)
        assert await of_device(lab, STRANGER) == []


async def test_a_released_device_whose_readings_are_still_taken_is_named(lab: Laboratory) -> None:
    async with lab.gateway() as runtime:
        assert isinstance(await offer(runtime, BAY), Accepted)
        await lab.run("devices", "release", BAY)
        assert await of_device(lab, BAY) == []
        assert isinstance(await offer(runtime, BAY, 2), Accepted)
        ((what, _),) = await of_device(lab, BAY)
        assert "reports: that counts for the past of lab-l-01, and changes nothing" in what
        await lab.run("devices", "assign", "lab-l-01", BAY)
        assert await of_device(lab, BAY) == []
        assert isinstance(await offer(runtime, BAY, 3), Accepted)
        assert runtime.gateway.silence.state_of(BAY) is Hearing.OK


async def test_who_is_not_in_the_registry_is_no_device_that_stands_nowhere(lab: Laboratory) -> None:
    async with lab.gateway() as runtime:
        assert isinstance(await offer(runtime, STRANGER), Refused)
        assert runtime.gateway.silence.nowhere == {}


async def test_a_hello_is_heard_too(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, insecure=False)
    async with running(lab.config):
        pass
    keys = lab.provision(KIOSK, kind="kiosk")
    async with lab.gateway() as runtime:
        host, port = runtime.links.coap.address[:2]
        device = await OscoreDevice(KIOSK, keys).open((host, port))
        await lab.run("devices", "release", KIOSK)
        said = hello.pack_hello(hello.Hello(1, 0, "pave-kiosk-v1", "1.0", 1))
        await device.request(coap.POST, "h", said, 60)
        assert await hearing(lab, KIOSK) == "nowhere"
        device.close()


async def test_a_long_list_is_cut_and_says_how_to_see_the_rest(lab: Laboratory) -> None:
    spares = [f"24a160fffe00{number:04x}" for number in range(0x900, 0x90B)]
    async with lab.gateway() as runtime:
        for spare in spares:
            await lab.run("devices", "add", spare)
            await offer(runtime, spare)
        found = (await lab.answer("status"))["findings"]
        named = [one["what"] for one in found if "stands nowhere" in one["what"]]
        assert len(named) == 8
        (more,) = [one for one in found if "more devices stand nowhere" in one["what"]]
        assert more["what"].startswith("3 more")
        assert len(await lab.answer("devices", "list", "--state", "nowhere")) == len(spares)
