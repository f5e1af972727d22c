"""What a device answers its gateway, on every link: plain functions of what came, already authenticated.

    request                answered
    POST /x   command      2.04 and its result (`pave_wire.command`)
    GET  /s                2.05 and the report of the settings
    PUT  /s   desired      2.04 and the report on them
    GET  /.well-known/core 2.05 and the links
    anything else          4.04, 4.05; 4.00 for what cannot be read, 5.03 where it could not be kept

Each command is carried out at most once, whatever the network and the power do:

    its id is                        answer
    -------------------------------  -----------------------------------------------------------------
    lower than the newest known      stale, with the newest
    the newest, and it runs          started
    the newest, and it is over       what became of it
    the newest, but power went       failed: interrupted
    above                            kept as started, carried out, kept as over, then answered

What cannot be undone has to be confirmed: with the last four hexadecimal digits of the device, as a number.
"""

from pave_wire import command, model
from pave_wire.command import Command, Result
from pave_wire.errors import ModelError, WireError

GET, POST, PUT = 1, 2, 3  # coap's, which a device behind LoRaWAN loads only for what it decompresses
CONTENT, CHANGED = 0x45, 0x44
BAD_REQUEST, NOT_FOUND, NOT_ALLOWED, UNAVAILABLE = 0x80, 0x84, 0x85, 0xA3
LINK_FORMAT = 40  # RFC 6690
LINKS = b'</s>;rt="urn:pave:shadow";ct=60,</x>;rt="urn:pave:command";ct=60'
CONFIRMED = (command.FACTORY_RESET, command.ERASE)


class Requests:
    """The requests of one device.

    Args:
        device: EUI-64 text.
        kind: shadow.PRESENCE or shadow.KIOSK.
        settings: `app.settings.Settings`.
        memory: durable: `newest()` returns (id, status) of the newest command, (0, DONE) before the first, and
            `keep(id, status)` stores it; raises OSError.

    Attributes:
        acts: {code: function(argument) -> (status, detail)}. STARTED says that `finished` will be called. A function
            that restarts the device leaves that until the answer is out.
    """

    def __init__(self, device, kind, settings, memory):
        self._confirmation = int(device[-4:], 16)
        self._kind = kind
        self._settings = settings
        self._memory = memory
        self._runs = 0  # id of the command that runs
        self.acts = {}

    def answer(self, code, path, payload):
        """Return (code, payload bytes, content-format or None) of the response to a request."""
        allowed = {"s": (GET, PUT), "x": (POST,), ".well-known/core": (GET,)}.get(path)
        if allowed is None:
            return NOT_FOUND, b"", None
        if code not in allowed:
            return NOT_ALLOWED, b"", None
        if path == ".well-known/core":
            return CONTENT, LINKS, LINK_FORMAT
        try:
            if code == GET:
                return CONTENT, self._settings.reported(), model.CONTENT_FORMAT_CBOR
            said = self._settings.take(payload) if code == PUT else self._commanded(payload)
            return CHANGED, said, model.CONTENT_FORMAT_CBOR
        except WireError as error:
            return BAD_REQUEST, model.problem("not understood", str(error)[:64]), model.CONTENT_FORMAT_PROBLEM
        except OSError as error:
            return UNAVAILABLE, model.problem("not kept", str(error)[:64]), model.CONTENT_FORMAT_PROBLEM

    def finished(self, status, detail=""):
        """Return the result (bytes, for POST /x) of the command that ran, which is over now; None if none did."""
        if not self._runs:
            return None
        result = Result(self._runs, status, detail)
        self._memory.keep(self._runs, status)
        self._runs = 0
        return command.pack_result(result)

    def _commanded(self, payload):
        asked = command.unpack_command(payload)
        newest, status = self._memory.newest()
        if asked.id < newest:
            return command.pack_result(Result(asked.id, command.STALE, "", newest))
        if asked.id > newest:
            status, detail = self._carried_out(asked)
        elif status == command.STARTED and self._runs != asked.id:
            status, detail = command.FAILED, "interrupted"
        else:
            detail = ""
        return command.pack_result(Result(asked.id, status, detail))

    def _carried_out(self, asked: Command):
        """Return (status, detail); both writes are durable before anything is answered."""
        self._memory.keep(asked.id, command.STARTED)
        status, detail = self._tried(asked)
        if status == command.STARTED:
            self._runs = asked.id
        else:
            self._memory.keep(asked.id, status)
        return status, detail

    def _tried(self, asked):
        act = self.acts.get(asked.code)
        try:
            command.check(asked.code, self._kind, asked.argument)
        except ModelError as error:
            return command.REFUSED, str(error)
        if act is None:
            return command.REFUSED, "not on this device"
        if self._runs:
            return command.REFUSED, "busy: command %d runs" % self._runs
        if asked.code in CONFIRMED and asked.argument != self._confirmation:
            return command.REFUSED, "confirm with %d" % self._confirmation
        try:
            return act(asked.argument)
        except (OSError, ValueError) as error:
            print("command %d failed:" % asked.code, error)
            return command.FAILED, type(error).__name__
