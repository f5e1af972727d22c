"""The gateway's own upkeep over the control interface: the journal's damage was seen, the sealing key is rotated.

A rotation (`assembly.rotation`) goes on after its answer, and after whoever asked for it has left: `GET /keys` tells
how far it is.
"""

from fastapi import APIRouter, Request

from pave_gateway.api.acts import Acts
from pave_gateway.api.control_devices import actor
from pave_gateway.api.control_models import DamageSeen, Keys, SealedPart, SealingKey
from pave_gateway.api.problems import Problem, problem
from pave_gateway.assembly.core import Core
from pave_gateway.assembly.rotation import KeyRotation
from pave_gateway.core.keys_rotation import PARTS
from pave_gateway.core.registry_change import Done
from pave_gateway.store import meta
from pave_gateway.store.key_file import KeyFileError


def router(core: Core, acts: Acts, rotation: KeyRotation) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["upkeep"])
    _add_seen(routes, core, acts)
    _add_keys(routes, rotation)
    return routes


def _add_seen(routes: APIRouter, core: Core, acts: Acts) -> None:
    @routes.post("/journal/seen", summary="Tell no longer of the journal's damage: somebody has seen it")
    async def seen(request: Request) -> DamageSeen:  # pyright: ignore[reportUnusedFunction]
        damage = meta.text(core.reader.connection, "damaged")
        if damage is None:
            before = meta.text(core.reader.connection, "damage_seen")
            seen_before = f"; seen before: {before}" if before else ""
            raise Problem(
                409, f"the journal has no damage that is still told{seen_before}", "", "there is nothing to do"
            )

        def act(done: Done) -> None:
            change = core.registrar.change(acts.by(actor(request)))
            change.act("damage seen", detail=damage)
            change.join([meta.DamageSeenRow(damage)])
            core.registrar.submit(change, done)

        return DamageSeen(act=await acts.do(act), damage=damage)


def _add_keys(routes: APIRouter, rotation: KeyRotation) -> None:
    @routes.get("/keys", summary="The sealing keys, and how far a rotation is")
    async def keys() -> Keys:  # pyright: ignore[reportUnusedFunction]
        return _keys(rotation)

    @routes.post("/keys/rotate", status_code=202, summary="Begin to seal all secrets under a new key, or go on with it")
    async def rotate(request: Request) -> Keys:  # pyright: ignore[reportUnusedFunction]
        try:
            await rotation.begin(actor(request))
        except KeyFileError as error:
            raise problem(409, str(error), str(rotation.path)) from error
        return _keys(rotation)


def _keys(rotation: KeyRotation) -> Keys:
    file, counts = rotation.file, rotation.rotation.counts
    return Keys(
        key_file=str(rotation.path),
        sealing=[SealingKey(id=key.id.hex(), made=key.made) for key in file.sealing],
        dropped=[SealingKey(id=key.id.hex(), made=key.made, dropped=key.dropped) for key in file.dropped],
        running=rotation.is_running,
        trouble=rotation.trouble,
        parts=[
            SealedPart(name=part.name, rows=count.rows, passed=count.passed, anew=count.anew, closed=count.closed)
            for part, count in zip(PARTS, counts, strict=True)
        ],
        faults=rotation.rotation.faults,
        act=rotation.act,
    )
