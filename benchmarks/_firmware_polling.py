# ruff: noqa: B905  runs on MicroPython
"""What benchmarks.firmware measures the presence sensor against: woken by a timer, one sample, a fixed threshold.

Written as well as that design allows: compiled, a poll loads the driver and nothing else, nothing is written unless
something has changed, and the LoRa link is the firmware's own.
"""

import struct
import time

import machine

from drivers.lis2mdl import LIS2MDL, SAMPLE_PERIOD_MS

OCCUPIED_LSB = 53  # 8 uT, as the fixed threshold of benchmarks.detection
VACANT_LSB = 33
HEARTBEAT_MS = 3_600_000
LAYOUT = "<4shhhBQQ"  # mark, baseline, occupied, next heartbeat, when the link wants to go on or 0; then its CBOR
BYTES = struct.calcsize(LAYOUT)
MARK = b"poll"


def now_ms():
    return time.time_ns() // 1_000_000


def sample(board):
    i2c = machine.I2C(0, sda=machine.Pin(board.I2C_SDA), scl=machine.Pin(board.I2C_SCL), freq=board.I2C0_HZ)
    magnetometer = LIS2MDL(i2c, board.MAGNETOMETER_ADDRESS)
    if machine.reset_cause() != machine.DEEPSLEEP_RESET:
        magnetometer.start()
        time.sleep_ms(2 * SAMPLE_PERIOD_MS)
    return magnetometer.read_field()


def poll(board, settings):
    """One wake-up; does not return."""
    memory = machine.RTC().memory()
    field = sample(board)
    if memory[:4] != MARK:
        report(board, settings, field, 0, 0, b"", "boot")
    _, x, y, z, occupied, heartbeat_ms, link_ms = struct.unpack(LAYOUT, memory[:BYTES])
    away = sum((a - b) * (a - b) for a, b in zip(field, (x, y, z)))
    limit = VACANT_LSB if occupied else OCCUPIED_LSB
    found = 1 if away > limit * limit else 0
    reason = None
    if found != occupied:
        reason = "field"
    elif now_ms() >= heartbeat_ms:
        reason = "heartbeat"
    if reason or (link_ms and now_ms() >= link_ms):
        report(board, settings, (x, y, z), found, heartbeat_ms, memory[BYTES:], reason)
    machine.deepsleep(settings["poll_ms"])


def report(board, settings, baseline, occupied, heartbeat_ms, kept, reason):
    """Say it over the link, or go on with what was not answered yet; does not return."""
    import random

    from app.lora_session import Session
    from app.outbox import Outbox
    from net.lora_link import LoraLink
    from pave_wire import cbor
    from roles import lora_board
    from roles.lorawan_keys import Keys
    from roles.persistent import Persistent

    persistent = Persistent()
    sent = cbor.loads(kept) if kept else None
    outbox = Outbox(settings["device"], *(sent["outbox"] if sent else (persistent.next_epoch(),)))
    if reason:
        heartbeat_ms = now_ms() + HEARTBEAT_MS

    def save():
        head = struct.pack(LAYOUT, MARK, *baseline, occupied, heartbeat_ms, session.due_ms(now_ms()) or 0)
        machine.RTC().memory(head + cbor.dumps({"outbox": outbox.state(), "link": session.state()}))

    session = Session(
        Keys(),
        outbox,
        (board.NAME, "polling", min(machine.reset_cause(), 4)),
        lambda n: random.getrandbits(30) % n,
        persistent.next_epoch,
        sent["link"] if sent else None,
        now_ms(),
    )
    if reason:
        outbox.add({"occupied": bool(occupied), "reason": reason, "confidence": 0.9}, now_ms())
    save()
    link = LoraLink(lora_board.make_radio(board), session, save, lambda: None)
    while link.due_ms() is not None and link.due_ms() <= now_ms() + 3000:
        while link.due_ms() > now_ms():
            machine.lightsleep(link.due_ms() - now_ms())
        link.exchange()
    link.sleep()
    lora_board.hold(board)
    save()
    machine.deepsleep(settings["poll_ms"])
