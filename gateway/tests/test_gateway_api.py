"""Open data, events, counters and the page, over real HTTP."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest
from gateway_support import BAY, TAXI, coap_client, config_in, free_port, machine_at, reading, running, site_file

from pave_gateway.api.events import EventHub
from pave_gateway.api.features import bay_properties, etag
from pave_gateway.config import load
from pave_gateway.console import page
from pave_gateway.console.street_map import MARK_GAP, draw
from pave_gateway.core import limits
from pave_gateway.core.bays import Bays
from pave_gateway.core.instant import ClockLog, ClockRow
from pave_gateway.core.places import Place
from pave_gateway.core.rows import ReadingRow, StoredReading
from pave_gateway.ingress import coap_site
from pave_wire import model

NOW_MS = 1795414323120


@pytest.fixture
async def site(tmp_path):
    """Yield (HTTP client, post a state change over CoAP)."""
    async with running(config_in(tmp_path), machine=machine_at(NOW_MS)) as (_, addresses), coap_client() as post:

        async def change(device: str, occupied: bool, seq: int = 1, age_s: float = 0) -> None:
            item = reading(device, seq=seq, occupied=occupied, age_s=age_s)
            assert str((await post(addresses.coap, model.pack_readings(device, [item]))).code)[:4] == "2.04"

        async with httpx.AsyncClient(base_url=f"http://{addresses.http}", trust_env=False) as client:
            yield client, change


async def test_the_geojson_has_a_point_per_bay_with_its_state(site):
    client, change = site
    await change(BAY, True, seq=7, age_s=12)
    response = await client.get("/open-data/bays.geojson")
    assert response.headers["content-type"] == "application/geo+json"
    assert response.headers["access-control-allow-origin"] == "*"
    collection = response.json()
    assert collection["type"] == "FeatureCollection"
    assert collection["features"] == [
        {
            "type": "Feature",
            "id": "lab-l-01",
            "geometry": {"type": "Point", "coordinates": [2.3858, 48.8358]},
            "properties": {
                "id": "lab-l-01",
                "kind": "delivery",
                "street": "Rue de Bercy",
                "state": "occupied",
                "occupied": True,
                "confidence": None,
                "since": "2026-11-23T06:11:51.120Z",
                "since_error_s": None,
                "age_s": 12,
                "seq": 7,
            },
        },
        {
            "type": "Feature",
            "id": "lab-t-01",
            "geometry": {"type": "Point", "coordinates": [2.3855, 48.836]},
            "properties": {
                "id": "lab-t-01",
                "kind": "taxi",
                "street": "Rue de Bercy",
                "state": None,
                "occupied": None,
                "confidence": None,
                "since": None,
                "since_error_s": None,
                "age_s": None,
                "seq": None,
            },
        },
    ]


def test_a_bay_that_is_blind_says_so_and_since_when_how_surely():
    bays = Bays([Place("b1", "delivery", "Rue de Bercy", 48.8, 2.3, BAY)])
    values = {"blind": True, "confidence": 0.25, "lasted": 60, "ended": "vacant"}
    bays.apply([StoredReading(1, ReadingRow(BAY, 1, 4, "presence", NOW_MS, NOW_MS - 10_000, values))])
    assert bay_properties(next(iter(bays)), NOW_MS + 5_000) == {
        "id": "b1",
        "kind": "delivery",
        "street": "Rue de Bercy",
        "state": "blind",
        "occupied": None,
        "confidence": 0.25,
        "since": "2026-11-23T06:11:53.120Z",
        "since_error_s": 2,  # 1.5: the age may be off by 5 %, and is rounded to a second
        "age_s": 15,
        "seq": 4,
    }


def test_an_etag_changes_with_all_that_the_answer_is_made_of():
    places = [Place("b1", "delivery", "Rue de Bercy", 48.8, 2.3, BAY)]
    bays = Bays(places, clock=ClockLog([ClockRow(0, "boot", 0, False)]))
    tags = [etag(places, bays)]
    bays.apply([StoredReading(1, ReadingRow(BAY, 1, 1, "presence", 0, 0, {"occupied": True}, synchronized=False))])
    tags.append(etag(places, bays))
    bays.clock.add(ClockRow(1, "boot", NOW_MS, True))
    tags.append(etag(places, bays))
    bays.assign("b1", TAXI, 1)
    tags.append(etag(places, bays))
    tags.append(etag([], bays))
    assert len(set(tags)) == 5 and etag([], bays) == tags[-1]


async def test_an_etag_spares_the_body_until_a_reading_comes(site):
    client, change = site
    tag = (await client.get("/open-data/bays.geojson")).headers["etag"]
    unchanged = await client.get("/open-data/bays.geojson", headers={"If-None-Match": f'"other", {tag}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    await change(BAY, True)
    assert (await client.get("/open-data/bays.geojson", headers={"If-None-Match": tag})).status_code == 200


async def test_events_begin_with_a_snapshot_and_go_on_with_changes(site):
    client, change = site
    async with client.stream("GET", "/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        assert await anext(lines) == "event: snapshot"
        snapshot = json.loads((await anext(lines)).removeprefix("data: "))
        assert [bay["occupied"] for bay in snapshot] == [None, None]
        await anext(lines)
        await change(TAXI, False)
        assert await anext(lines) == "event: change"
        assert json.loads((await anext(lines)).removeprefix("data: "))["id"] == "lab-t-01"


async def test_viewers_that_come_at_once_get_no_more_than_the_places_there_are_and_leave_them_free(site, monkeypatch):
    monkeypatch.setattr(limits, "EVENT_CLIENTS", 3)
    client, _ = site
    for _ in range(2):  # the second time on the places that the first has left
        statuses = await asyncio.gather(*(status_of_viewer(client) for _ in range(12)))
        assert sorted(statuses) == [200] * 3 + [503] * 9
        await until_free(client)


async def status_of_viewer(client: httpx.AsyncClient) -> int:
    async with client.stream("GET", "/events") as response:
        await asyncio.sleep(0.5)  # the others come meanwhile
        return response.status_code


async def until_free(client: httpx.AsyncClient) -> None:
    """Return once a viewer finds a place: the server hears a little later that the others have left."""
    async with asyncio.timeout(5):
        while True:
            async with client.stream("GET", "/events") as response:
                if response.status_code == 200:
                    break
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)


async def test_the_counters_are_served_while_coap_is_still_coming_up(tmp_path, monkeypatch):
    config = load(site_file(tmp_path), [f"listen.http=127.0.0.1:{free_port()}"])
    begun = []
    start = coap_site.start

    async def start_late(*arguments):
        async with httpx.AsyncClient(trust_env=False) as client:
            begun.append(await client.get(f"http://{config.listen.http}/stats"))
        return await start(*arguments)

    monkeypatch.setattr(coap_site, "start", start_late)
    async with running(config):
        assert begun[0].status_code == 200
        assert begun[0].json()["since_start"]["coap_answers"] == {}


async def test_the_counters_and_the_health_are_served(site):
    client, change = site
    await change(BAY, False)
    counters = (await client.get("/stats")).json()
    assert counters["stored"] == counters["since_start"]["acknowledged"] == 1
    assert counters["since_start"]["coap_answers"] == {"2.04": 1}
    assert counters["availability"]["delivery"] == {"free": 1, "total": 1}
    health = (await client.get("/healthz")).json()
    assert (health["status"], health["storage_error"]) == ("ok", "")
    assert [finding["severity"] for finding in health["findings"]] == ["warning"]
    assert "plain CoAP is on" in health["findings"][0]["what"]


async def test_the_page_shows_every_bay_in_words_and_warns_of_plain_coap(site):
    client, change = site
    await change(BAY, True)
    html = (await client.get("/")).text
    assert 'data-bay="lab-l-01" data-kind="delivery" data-state="occupied"' in html
    assert 'data-bay="lab-t-01" data-kind="taxi" data-state="unknown"' in html
    assert "Plain CoAP" in html
    for asset in re.findall(r'(?:href|src)="(/static/[^"]+)"', html):
        assert (await client.get(asset)).status_code == 200, asset


async def test_a_name_in_the_site_file_cannot_inject_markup():
    place = Place("b1", "delivery", "<script>alert(1)</script>", 48.8, 2.3, BAY)
    html = page.Page("Lab & <b>", False, [place]).render(Bays([place]), NOW_MS)
    assert "<script>alert" not in html
    assert "Lab &amp; &lt;b&gt;" in html
    assert "Plain CoAP" not in html


def test_nothing_on_the_page_comes_from_the_internet():
    for path in Path(page.__file__).parent.rglob("*"):
        if path.suffix in (".html", ".css", ".js", ".svg"):
            assert set(re.findall(r"https?://[^\"' ]+", path.read_text())) <= {"http://www.w3.org/2000/svg"}, path


def test_marks_keep_their_distance_stay_inside_and_keep_north_up():
    rank = [Place(f"t{n}", "taxi", "Rue de Bercy", 48.84 + n * 5e-5, 2.38, f"{n:016x}") for n in range(6)]
    north = Place("n", "delivery", "Rue de Dijon", 48.85, 2.39, "f" * 16)
    drawing = draw([*rank, north, rank[0]])
    marks = drawing.marks
    for a in marks:
        assert drawing.left < a.x < drawing.left + drawing.width
        assert drawing.top < a.y < drawing.top + drawing.height
        for b in marks:
            assert a is b or (a.x - b.x) ** 2 + (a.y - b.y) ** 2 > (MARK_GAP - 1) ** 2
    assert min(marks, key=lambda mark: mark.y).place is north


def test_a_site_with_a_single_bay_can_be_drawn():
    drawing = draw([Place("b", "delivery", "Rue de Bercy", 48.8, 2.3, BAY)])
    assert len(drawing.marks) == len(drawing.streets) == 1


def hub_with_bay() -> tuple[Bays, EventHub]:
    bays = Bays([Place("b", "delivery", "Rue de Bercy", 48.8, 2.3, BAY)])
    return bays, EventHub(bays, lambda: NOW_MS)


def flip(bays: Bays, seq: int) -> None:
    bays.apply([StoredReading(seq, ReadingRow(BAY, 1, seq, "presence", 0, 0, {"occupied": bool(seq % 2)}))])


async def test_a_client_that_does_not_keep_up_is_cut_off_and_costs_nothing_more():
    bays, hub = hub_with_bay()
    stream = hub.open()
    await anext(stream)
    for seq in range(limits.EVENTS_QUEUED_PER_CLIENT + 1):
        flip(bays, seq)
    assert hub.clients == 0
    assert [event async for event in stream] == []


async def test_a_client_that_leaves_is_forgotten():
    bays, hub = hub_with_bay()
    stream = hub.open()
    await anext(stream)
    assert hub.clients == 1
    stream.close()
    assert hub.clients == 0
    flip(bays, 1)


async def test_viewers_are_bounded_before_any_of_them_reads():
    _, hub = hub_with_bay()
    streams = [hub.open() for _ in range(limits.EVENT_CLIENTS)]
    assert None not in streams
    assert hub.open() is None
    for stream in streams:
        await anext(stream)
    hub.close()
    assert [await asyncio.wait_for(anext(stream, None), 1) for stream in streams] == [None] * limits.EVENT_CLIENTS
