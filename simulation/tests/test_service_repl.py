"""The serial port of a device in production: nobody gets in by typing, but for a while, who may."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pave_emulator import lockstep
from pave_emulator.clock import VirtualClock
from pave_emulator.serial.device_port import DevicePort

from .service_site import ServiceSite, play

TYPED = (b"\x03", b"\x03\x03\x03", b"\x04", b"\r\x01", b"\x03\x01\x04", b"print(6*7)\r", b"\x02\x03\r\n")


@pytest.fixture(autouse=True)
def short_wait_for_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VM at its prompt waits for people, and virtual time for the VM: not for as long as for one that computes."""
    monkeypatch.setattr(lockstep, "STUCK_S", 3.0)


class Typist:
    """Somebody at the serial port."""

    def __init__(self, site: ServiceSite) -> None:
        self.heard = b""
        port = DevicePort(site.device, VirtualClock(site.loop))
        self._line = port.line
        self._line.to_host = self._hear

    def _hear(self, data: bytes) -> None:
        self.heard += data

    async def types(self, data: bytes) -> bytes:
        """Return what is said within 2 s."""
        self.heard = b""
        self._line.host_sends(data)
        await asyncio.sleep(2)
        return self.heard

    async def interrupts(self, site: ServiceSite) -> None:
        """Have Ctrl-C end at the REPL, then cut the power."""
        self.heard = b""
        self._line.host_sends(b"\x03")
        await site.until(lambda: b"KeyboardInterrupt" in self.heard, 5)
        site.device.power_cut()

    async def gets_in(self) -> bool:
        """Whether anything that one may type has Python answer."""
        for typed in TYPED:
            said = await self.types(typed)
            if b">>>" in said or b"raw REPL" in said or b"42" in said or b"KeyboardInterrupt" in said:
                return True
        return False


def test_in_production_nothing_that_is_typed_is_answered_and_an_unlock_opens_for_its_minutes(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        someone = Typist(site)
        site.device.power_cut()
        site.device.power_on()
        await site.serves()
        assert not await someone.gets_in()
        assert await site.command("identify", 1) == ("done", ""), "it goes on as if nothing had been typed"
        assert await site.command("unlock", 1) == ("done", "")
        await site.until(lambda: site.said("serial port open for 1 min"), 30)
        await someone.interrupts(site)
        site.device.power_on()
        await site.serves()
        assert not await someone.gets_in(), "an unlock counts once"

    play(tmp_path, script, production=True)


def test_an_unlock_that_nobody_uses_ends_by_itself(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        assert await site.command("unlock", 1) == ("done", "")
        await site.until(lambda: site.said("serial port open"), 30)
        await site.serves(90)
        assert site.said("serial port open") == 1 and site.device.stats.watchdog_resets == 0

    play(tmp_path, script, production=True)


@pytest.mark.long
def test_a_device_in_development_lets_ctrl_c_through(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        someone = Typist(site)
        site.device.power_cut()
        site.device.power_on()
        await site.serves()
        await someone.interrupts(site)

    play(tmp_path, script)
