"""A device on LoRaWAN with its keys, its clock and its outbox, and the network at the other end of the codecs."""

import struct

from fake_board import imported, power_on

from app import lora_talk
from app.lora_session import RUNNING, Session
from app.outbox import Outbox
from pave_wire import event_encode, hello, lorawan, lorawan_join

Keys = imported("roles.lorawan_keys").Keys
APP_KEY = bytes(range(16))
DEVICE = "24a160fffe000101"
IDENTITY = ("pave-presence-v1", "1.0", 4)
STORED = {
    "app_key": APP_KEY,
    "dev_eui": bytes(8),
    "join_eui": bytes(8),
    "dev_nonce": 0,
    "join_nonce": 0,
    "airtime_ms": 0,
}


class Chance:
    def __init__(self):
        self._state = 1

    def below(self, n):
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % n


class Bench:
    """The two of them."""

    def __init__(self, **stored):
        power_on(lora=dict(STORED, **stored))
        self.now_ms = 1000
        self.chance = Chance()
        self.outbox = Outbox(DEVICE, 100)
        self.epochs = 100
        self.kept = None
        self.join_nonce = 256
        self.server = None
        self.up = self.down = -1
        self.sent = []
        self.wake()

    def wake(self, kept="as it was"):
        """A wake-up from deep sleep."""
        kept = self.kept if kept == "as it was" else kept
        self.session = Session(
            Keys(), self.outbox, IDENTITY, self.chance.below, self.next_epoch, kept, self.now_ms, battery=200
        )

    def next_epoch(self):
        self.epochs += 1
        return self.epochs

    def add(self, reason="field", **more):
        self.outbox.add(dict({"occupied": True, "reason": reason}, **more), self.now_ms)

    def send(self, answer=None, within_s=8000):
        """Wait for the next uplink, let it be answered by `answer(frame)` -> bytes or None; return (frame, events)."""
        due_ms = self.session.due_ms(self.now_ms)
        if due_ms is None or due_ms > self.now_ms + within_s * 1000:
            return None, []
        self.now_ms = max(self.now_ms, due_ms)
        uplink = self.session.next_uplink(self.now_ms)
        if uplink is None:
            return self.send(answer, within_s)
        self.kept = self.session.state()
        self.sent = self.sent[-9:] + [uplink]  # the heap of the VM is small
        frame = self.heard(uplink.phy)
        phy = None if answer is None else answer(frame)
        if phy is not None:
            assert self.session.accepts(phy)
        self.now_ms += 3000
        events = self.session.finish(5, self.now_ms)
        self.kept = self.session.state()
        return frame, events

    def heard(self, phy):
        if lorawan.frame_type(phy) == lorawan.JOIN_REQUEST:
            self.dev_nonce = lorawan_join.decode_join_request(APP_KEY, phy, -1)
            return None
        frame = lorawan.decode_uplink(self.server, phy, self.up)
        self.up = frame.fcnt
        return frame

    def accept(self, _frame=None):
        accept = lorawan_join.JoinAccept(self.join_nonce, 0, 0x01020304, 0, 3, 1, (867_100_000, 867_300_000, 0, 0, 0))
        self.server = lorawan_join.session_of(APP_KEY, accept, self.dev_nonce)
        self.join_nonce += 256
        self.up = self.down = -1
        return lorawan_join.encode_join_accept(APP_KEY, accept)

    def downlink(self, port=None, payload=b"", fopts=b"", flags=0, confirmed=False):
        self.down += 1
        return lorawan.encode_downlink(self.server, self.down, port, payload, fopts, flags, confirmed)

    def welcome(self, frame):
        """Answer a hello as rule 9 of SCHC has it: one bit, the token, CBOR, seven bits."""
        data = frame.payload[:1] + hello.pack_welcome(1000, b"e")
        return self.downlink(9, (int.from_bytes(data, "big") << 7).to_bytes(len(data) + 1, "big"))

    def acknowledge(self, epoch, seq, **more):
        return lambda frame: self.downlink(
            event_encode.FPORT_ACKNOWLEDGEMENT, struct.pack(">BH", epoch & 255, seq & 65535), **more
        )

    def refuse(self, fport, epoch, seq):
        return lambda frame: self.downlink(fport, struct.pack(">BH", epoch & 255, seq & 65535))

    def running(self):
        """Join, say hello, be answered."""
        self.send(self.accept)
        frame, events = self.send(self.welcome)
        assert frame.port == 3 and events == [(lora_talk.WELCOME, 1000, b"e")] and self.session.phase == RUNNING
        return self


class Said:
    """What of an event the tests look at."""

    def __init__(self, payload):
        _, flags, self.epoch_low, self.seq_low = struct.unpack(">BBBH", payload[:5])
        self.oldest = bool(flags & 32)


def said(frame):
    assert frame.port == 1
    return Said(frame.payload)
