"""What a VM prints, as the ESP32 port sends it: each LF of the firmware's text leaves as CR LF.

Theory of operation. The host's VM sends LF as it is. On the board text is cooked and `sys.stdout.buffer` is not, but
here both come out of one pipe. What is known to write binary is `mpremote mount`, whose requests are a byte 0x18, a
command and arguments of known lengths: they pass as they are. Other binary writes are cooked, which is a known gap.

Source: MicroPython's ports/esp32 (mp_hal_stdout_tx_strn_cooked); mpremote's transport_serial.py for the requests.
"""

from __future__ import annotations

MOUNT_REQUEST = 0x18
BYTE, WORD, TEXT = "1", "4", "t"  # int8, int32, int32 and as many bytes
MOUNT_ARGUMENTS = {
    1: TEXT,  # stat
    2: TEXT,  # ilistdir, start
    3: "",  # ilistdir, next
    4: TEXT + TEXT,  # open
    5: BYTE,  # close
    6: BYTE + WORD,  # read
    7: BYTE,  # readline
    8: BYTE + TEXT,  # write
    9: BYTE + WORD + BYTE,  # seek
    10: TEXT,  # remove
    11: TEXT + TEXT,  # rename
    12: TEXT,  # mkdir
    13: TEXT,  # rmdir
}


class CookedOutput:
    """A stream of bytes, cooked piece by piece."""

    def __init__(self) -> None:
        self._after_return = False
        self._command_next = False
        self._arguments = ""
        self._length = b""  # what has come of the length of a TEXT
        self._raw = 0  # bytes that pass as they are

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the stream."""
        if self._plain(data):
            self._after_return = data.endswith(b"\r")
            return data.replace(b"\n", b"\r\n")
        return b"".join(self._byte(byte) for byte in data)

    def _plain(self, data: bytes) -> bool:
        """Whether nothing but lone line feeds have to be looked at."""
        inside = self._command_next or self._arguments or self._raw or self._length or self._after_return
        return not inside and MOUNT_REQUEST not in data and b"\r" not in data

    def _byte(self, byte: int) -> bytes:
        one = bytes([byte])
        if self._command_next:
            self._command_next = False
            self._arguments = MOUNT_ARGUMENTS.get(byte, "")
        elif self._raw:
            self._raw -= 1
        elif self._arguments:
            self._argument(one)
        elif byte == MOUNT_REQUEST:
            self._command_next = True
        elif byte == 0x0A and not self._after_return:
            one = b"\r\n"
        self._after_return = byte == 0x0D
        return one

    def _argument(self, one: bytes) -> None:
        """A byte that an argument begins with, or goes on with while its length comes."""
        kind = self._arguments[0]
        if kind == TEXT:
            self._length += one
            if len(self._length) < 4:
                return
            self._raw, self._length = int.from_bytes(self._length, "little"), b""
        else:
            self._raw = int(kind) - 1
        self._arguments = self._arguments[1:]
