"""The watchdog of a kiosk's PC: when its power is to be cycled. Pure logic: whether it was heard in, verdicts out.

    state     until                                                   then
    --------  ------------------------------------------------------  --------------------------------
    alive     silent for KIOSK_PC_SILENT_S                            said: not alive
    silent    heard                                                   alive; the next wait is short again
    silent    silent for as long as a PC may take to start            its power is cycled
    cycled    without power for KIOSK_PC_OFF_S                        power again; silence counts anew

A PC that starts is silent too, and one that installs updates starts by itself. So silence has to last for
KIOSK_PC_BOOT_S, and after each power-cycle that did not help for twice as long. After the controller's own start nobody
has heard the PC yet; then it is KIOSK_PC_FIRST_BOOT_S. At most KIOSK_PC_CYCLES_A_DAY in 24 hours: a PC that does not
come back after that needs somebody to look at it, and a file system is not helped by more.
"""

from app import limits

_DAY_MS = 86_400_000


class PcWatchdog:
    """One PC, silent from `now_ms` on.

    Attributes:
        is_alive: whether it is heard; None until it was, or would have been.
        cycles: how often its power was cycled.
    """

    def __init__(self, now_ms):
        self.is_alive = None
        self.cycles = 0
        self._heard_ms = now_ms
        self._patience_s = limits.KIOSK_PC_FIRST_BOOT_S
        self._cycled_ms = []  # by itself, of the last day

    def heard(self, now_ms):
        """Take a heartbeat."""
        self.is_alive = True
        self._heard_ms = now_ms
        self._patience_s = limits.KIOSK_PC_BOOT_S

    def is_due(self, now_ms):
        """Return whether the power is to be cycled now: then do, and say `cycled`."""
        silent_s = (now_ms - self._heard_ms) // 1000
        if silent_s >= (limits.KIOSK_PC_SILENT_S if self.is_alive else self._patience_s):
            self.is_alive = False
        if silent_s < self._patience_s:
            return False
        self._cycled_ms = [at_ms for at_ms in self._cycled_ms if now_ms - at_ms < _DAY_MS]
        return len(self._cycled_ms) < limits.KIOSK_PC_CYCLES_A_DAY

    def cycled(self, now_ms, commanded=False):
        """Take note that the power is on again; `commanded`: by people, who are not bound by the limit of a day."""
        self.cycles += 1
        self._heard_ms = now_ms
        if commanded:
            self._patience_s = limits.KIOSK_PC_BOOT_S
            return
        self._cycled_ms.append(now_ms)
        doubled_s = max(limits.KIOSK_PC_BOOT_S, min(self._patience_s, limits.KIOSK_PC_BOOT_MAX_S // 2)) * 2
        self._patience_s = min(limits.KIOSK_PC_BOOT_MAX_S, doubled_s)
