"""Acts asked for over the control interface: each waits for its turn and for its commit, then says what came of it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from pave_gateway.api.problems import Problem, problem
from pave_gateway.assembly.core import Core
from pave_gateway.core import limits
from pave_gateway.core.change import Change
from pave_gateway.core.registry_acts import RegistryBusyError, RegistryError
from pave_gateway.core.registry_change import By, Done, NotRecorded, Recorded

_TURN_S = 0.02
_T = TypeVar("_T")


class Acts:
    """Carries acts out on a running gateway's core. Two at once go one after the other."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def by(self, actor: str) -> By:
        """Return `actor`, now."""
        now = self._core.now()
        return By(actor, now.ms, now.synchronized)

    async def do(self, act: Callable[[Done], None], value: str = "") -> int:
        """Do `act`, an act of the registrar; return its number once it is on disk and in effect.

        Raises:
            Problem: it may not be done, or is not on disk; `value` is what it was about.
        """
        done: asyncio.Future[Recorded | NotRecorded] = asyncio.get_running_loop().create_future()
        await self.turn()
        try:
            act(done.set_result)
        except RegistryError as error:
            raise problem(409, str(error), value) from error
        recorded = await self.wait(done, value)
        if isinstance(recorded, NotRecorded):
            raise problem(503, recorded.reason, value)
        return recorded.act

    async def change(self, name: str, device: str, detail: str, make: Callable[[], Change], actor: str) -> None:
        """Make a change of another family durable and in effect, together with its line in the audit trail."""
        made: list[Change] = []

        def act(done: Done) -> None:
            change = self._core.registrar.change(self.by(actor))
            made.append(make())
            change.act(name, device, detail=detail)
            change.join(made[0].rows)

            def finish(outcome: Recorded | NotRecorded) -> None:
                if isinstance(outcome, Recorded):
                    made[0].apply()
                done(outcome)

            self._core.registrar.submit(change, finish)

        await self.do(act, device)

    async def turn(self) -> None:
        """Return when no other change of the registry is on its way; what follows in the same step has its turn.

        Raises:
            Problem: the disk keeps the one before for too long.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + limits.CONTROL_WAIT_S
        while True:
            try:
                self._core.registrar.change(self.by(""))
            except RegistryBusyError as error:
                if loop.time() > until_s:
                    raise problem(503, str(error)) from error
                await asyncio.sleep(_TURN_S)
            else:
                return

    async def wait(self, done: "asyncio.Future[_T]", value: str = "") -> _T:
        """Return what `done` gets; raise Problem if the disk takes too long."""
        try:
            return await asyncio.wait_for(asyncio.shield(done), limits.CONTROL_WAIT_S)
        except TimeoutError:
            raise Problem(
                504,
                f"not on disk after {limits.CONTROL_WAIT_S:.0f} s, and it may still get there",
                value,
                "look at the gateway's status, then at the audit trail",
            ) from None
