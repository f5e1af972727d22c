"""Devices over the control interface: which there are, what they said last, the registry's acts, the audit trail."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request

from pave_gateway.api.acts import Acts
from pave_gateway.api.control_models import (
    Act,
    ActDone,
    At,
    Device,
    DeviceInDetail,
    DeviceInPath,
    Devices,
    NewDevice,
    Period,
    Trail,
)
from pave_gateway.api.problems import Problem
from pave_gateway.assembly.core import Core
from pave_gateway.core import limits
from pave_gateway.core.instant import iso_utc
from pave_gateway.core.registry import Assignment
from pave_gateway.core.silence import Silence
from pave_gateway.provisioning_export import entry
from pave_gateway.store import registry_tables
from pave_gateway.store.shadow_tables import hello_of

After = Annotated[int, Query(ge=0, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=limits.CONTROL_PAGE_MAX)]
_NOWHERE = "nowhere"


def router(core: Core, silence: Silence, acts: Acts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["devices"])
    shown = _Shown(core, silence)
    _add_views(routes, core, shown)
    _add_acts_on_a_place(routes, core, shown, acts)
    _add_other_acts(routes, core, shown, acts)
    return routes


def known(core: Core, device: str) -> None:
    """Raise Problem for a device that the registry does not have."""
    if core.registry.device(device) is None:
        step = "list the devices, or import its provisioning record"
        raise Problem(404, f"device {device} is not in the registry", device, step)


def actor(request: Request) -> str:
    """Return who asks (`api.control_socket`)."""
    assert request.client is not None
    return request.client.host


def _add_views(routes: APIRouter, core: Core, shown: "_Shown") -> None:
    @routes.get("/devices", summary="All devices, retired ones too, in the order in which they came")
    async def list_devices(after: After = 0, limit: Limit = limits.CONTROL_PAGE) -> Devices:  # pyright: ignore[reportUnusedFunction]
        rows = list(islice(core.registry.devices(), after, after + limit + 1))
        is_last = len(rows) <= limit
        return Devices(
            devices=[shown.device(row.device) for row in rows[:limit]], next=None if is_last else after + limit
        )

    @routes.get("/devices/{device}", summary="One device, with its past and what it said last")
    async def show_device(device: DeviceInPath) -> DeviceInDetail:  # pyright: ignore[reportUnusedFunction]
        known(core, device)
        return shown.in_detail(device)

    @routes.get("/acts", summary="The audit trail, oldest first")
    async def trail(after: After = 0, limit: Limit = limits.CONTROL_PAGE) -> Trail:  # pyright: ignore[reportUnusedFunction]
        rows = core.reader.read(registry_tables.acts, after, limit)
        lines = [
            Act(
                number=row.number, at=iso_utc(row.at_ms), actor=row.actor, act=row.act, device=row.device,
                place=row.place, detail=row.detail,
            )
            for row in rows
        ]  # fmt: skip
        return Trail(acts=lines, next=rows[-1].number if len(rows) == limit else None)


def _add_acts_on_a_place(routes: APIRouter, core: Core, shown: "_Shown", acts: Acts) -> None:
    registrar = core.registrar

    @routes.post("/devices/{device}/assign", summary="Let a device that stands nowhere speak for a place without one")
    async def assign(device: DeviceInPath, at: At, request: Request) -> ActDone:  # pyright: ignore[reportUnusedFunction]
        known(core, device)
        number = await acts.do(
            lambda done: registrar.assign(at.place, device, acts.by(actor(request)), done), f"{device} at {at.place}"
        )
        return shown.done(number, device)

    @routes.post("/devices/{device}/replace", summary="Let it speak for a place in the stead of the device there")
    async def replace(device: DeviceInPath, at: At, request: Request) -> ActDone:  # pyright: ignore[reportUnusedFunction]
        known(core, device)
        number = await acts.do(
            lambda done: registrar.replace(at.place, device, acts.by(actor(request)), done), f"{device} at {at.place}"
        )
        return shown.done(number, device)

    @routes.post("/devices/{device}/move", summary="Let it speak for another place, which has no device")
    async def move(device: DeviceInPath, at: At, request: Request) -> ActDone:  # pyright: ignore[reportUnusedFunction]
        known(core, device)
        number = await acts.do(
            lambda done: registrar.move(device, at.place, acts.by(actor(request)), done), f"{device} to {at.place}"
        )
        return shown.done(number, device)


def _add_other_acts(routes: APIRouter, core: Core, shown: "_Shown", acts: Acts) -> None:
    registrar = core.registrar

    @routes.post("/devices", status_code=201, summary="Register a device whose keys its network server has")
    async def add(new: NewDevice, request: Request) -> ActDone:  # pyright: ignore[reportUnusedFunction]
        number = await acts.do(
            lambda done: registrar.add(new.device, new.kind, new.board, new.note, acts.by(actor(request)), done),
            new.device,
        )
        return shown.done(number, new.device)

    @routes.post("/devices/{device}/release", summary="Take it from its place; its history stays there")
    async def release(device: DeviceInPath, request: Request) -> ActDone:  # pyright: ignore[reportUnusedFunction]
        known(core, device)
        number = await acts.do(lambda done: registrar.release(device, acts.by(actor(request)), done), device)
        return shown.done(number, device)

    @routes.post("/devices/{device}/retire", summary="Refuse its readings from now on and wipe its keys")
    async def retire(device: DeviceInPath, request: Request) -> ActDone:  # pyright: ignore[reportUnusedFunction]
        known(core, device)
        number = await acts.do(lambda done: registrar.retire(device, acts.by(actor(request)), done), device)
        return shown.done(number, device)


class _Shown:
    """Devices for answers."""

    def __init__(self, core: Core, silence: Silence) -> None:
        self._core = core
        self._silence = silence

    def device(self, device: str) -> Device:
        """Return one that the registry has."""
        return Device.model_validate(self._fields(device))

    def in_detail(self, device: str) -> DeviceInDetail:
        """Return the same with what only the journal knows."""
        reader = self._core.reader
        fields = self._fields(device)
        hello = reader.read(hello_of, device)
        newest = reader.history(device, 1)
        if newest and fields["heard_ago_s"] is None:
            fields["heard_ago_s"] = max(0, self._core.now().ms - newest[0].row.received_ms) // 1000
        return DeviceInDetail.model_validate(
            {
                **fields,
                "places": [_period(one) for one in self._core.registry.history_of_device(device)],
                "version": "" if hello is None else hello.version,
                "last_reading": None if not newest else {
                    "epoch": newest[0].row.epoch,
                    "seq": newest[0].row.seq,
                    "received": iso_utc(newest[0].row.received_ms),
                    "read": iso_utc(newest[0].row.read_ms),
                    "values": newest[0].row.values,
                },
            }
        )  # fmt: skip

    def done(self, act: int, device: str) -> ActDone:
        """Return what came of an act."""
        return ActDone(act=act, device=self.device(device))

    def _fields(self, device: str) -> dict[str, object]:
        row = self._core.registry.device(device)
        assert row is not None
        keys = self._core.registrar.keys
        kinds = {"oscore": keys.oscore(device), "lora": keys.lora(device)}
        hearing, heard_ago_s = self._hearing(device)
        return {
            **entry(self._core.registry, device),
            "epoch": row.epoch,
            "keys": [kind for kind, found in kinds.items() if found is not None],
            "hearing": hearing,
            "heard_ago_s": heard_ago_s,
        }

    def _hearing(self, device: str) -> tuple[str | None, int | None]:
        """Return how it stands with `device`, and how many seconds ago it was heard; None where nothing is expected."""
        now = self._core.now()
        try:
            state, heard_ms = self._silence.state_of(device).value, self._silence.heard_ms(device)
        except KeyError:
            heard_ms = self._silence.nowhere.get(device)
            state = None if heard_ms is None and device not in self._core.registry.displaced else _NOWHERE
        if heard_ms is not None:
            return state, max(0, now.monotonic_ms - heard_ms) // 1000
        bay = self._core.bays.of_device(device)
        if bay is None or bay.heard_ms is None:
            return state, None
        return state, max(0, now.ms - bay.heard_ms) // 1000


def _period(one: Assignment) -> Period:
    until = "" if one.to_ms is None else iso_utc(one.to_ms)
    return Period(place=one.place, since=iso_utc(one.from_ms), until=until, ended_by=one.ended_by)
