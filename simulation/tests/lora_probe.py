# ruff: noqa: I001, PTH123  runs on MicroPython
# main.py of a device that does nothing but report over LoRaWAN: a state that changes each `every_s` of /config.json.
import json
import random
import sys

sys.path.insert(0, "/a")

import machine

from app import lora_talk
from app.lora_session import Session
from app.outbox import Outbox
from net.clock import now_ms
from net.lora_link import LoraLink
from roles import lora_board, rtc_state
from roles.lorawan_keys import Keys
from roles.persistent import Persistent
from roles.service import Service
from pave_wire import command, model

with open("/config.json") as file:
    settings = json.load(file)
board = __import__("boards." + settings["board_module"], None, None, ("*",))
persistent = Persistent()
kept = rtc_state.load()
if kept is None:
    outbox = Outbox(settings["device"], persistent.next_epoch())
    kept = {"link": None, "next_ms": now_ms(), "count": 0}
else:
    outbox = Outbox(settings["device"], *kept["outbox"])
    # after a brown-out the clock begins again
    kept["next_ms"] = min(kept["next_ms"], now_ms() + settings["every_s"] * 1000)


def save():
    kept["outbox"] = outbox.state()
    kept["link"] = session.state()
    rtc_state.save(kept)


def random_below(n):
    return random.getrandbits(30) % n


def sense():
    """Take the reading that is due."""
    if now_ms() >= kept["next_ms"]:
        count = kept["count"]
        values = {"occupied": count % 2 == 1, "reason": "field" if count else "boot", "confidence": 0.96}
        if count:
            values["lasted"] = settings["every_s"]
        outbox.add(values, now_ms())
        kept["count"] = count + 1
        kept["next_ms"] = now_ms() + settings["every_s"] * 1000
        save()


def blink(seconds):
    print("blinks", seconds)
    return command.DONE, ""


try:
    radio = lora_board.make_radio(board)
    identity = (board.NAME, "probe", min(machine.reset_cause(), 4))
    session = Session(Keys(), outbox, identity, random_below, persistent.next_epoch, kept["link"], now_ms())
    link = LoraLink(radio, session, save, lambda: None)
    config = {"device": settings["device"], "role": "presence", "board": "pave_presence_v1"}
    service = Service(config, persistent, outbox, lambda: None)
    service.requests.acts[command.IDENTIFY] = blink
    sense()
    while link.due_ms() is not None and link.due_ms() <= now_ms() + 3000:
        while link.due_ms() > now_ms():
            machine.lightsleep(link.due_ms() - now_ms())
        for event in link.exchange():
            print("event", *event[:3])
            if event[0] == lora_talk.REQUEST:
                print("request", event[1].path)
                code, payload, form = service.requests.answer(event[1].code, event[1].path, event[1].payload)
                session.respond(event[1], code, payload if form == model.CONTENT_FORMAT_CBOR else b"")
        sense()
    link.sleep()
    lora_board.hold(board)
    save()
    wake_ms = kept["next_ms"]
    if link.due_ms() is not None:
        wake_ms = min(wake_ms, link.due_ms())
    print("sleeps", session.phase, len(outbox), wake_ms - now_ms())
    machine.deepsleep(max(1, wake_ms - now_ms()))
except OSError as error:
    print("stopped:", error)
    machine.deepsleep(3_600_000)
