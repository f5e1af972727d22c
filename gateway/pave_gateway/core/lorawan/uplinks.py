"""Whose a data frame is: every session with its DevAddr is tried, and the MIC decides."""

from dataclasses import dataclass

from pave_gateway.core.lorawan.counters import LorawanCounters
from pave_gateway.core.lorawan.ports import Keyring
from pave_gateway.core.lorawan.sessions import LoraSession, Sessions
from pave_wire import lorawan
from pave_wire.errors import LorawanError, MicError, ReplayError
from pave_wire.lorawan import Frame


@dataclass(frozen=True, slots=True)
class Proven:
    """An authentic frame: a new one, or (`frame` is None) the last one of its session again."""

    session: LoraSession
    frame: Frame | None


def prove(phy: bytes, sessions: Sessions, keyring: Keyring, counters: LorawanCounters) -> Proven | None:
    """Return what a data frame proves to be, or None; whatever it is not is counted and changes nothing."""
    found = sessions.at(lorawan.dev_addr(phy))
    if not found:
        counters.foreign += 1
        return None
    for session in list(found):
        try:
            return Proven(session, lorawan.decode_uplink(session.keys(keyring), phy, session.heard))
        except ReplayError as error:
            return _replayed(session, error.counter, counters)
        except MicError:
            continue
        except LorawanError:
            counters.malformed += 1
            return None
        except ValueError:
            counters.sealed += 1
    counters.forged += 1
    return None


def _replayed(session: LoraSession, fcnt: int, counters: LorawanCounters) -> Proven | None:
    """Allow what NbTrans allows: the last frame again, so many times.

    Anyone can send a frame again that he has heard; so a device that was told to send each once is not answered twice.
    """
    if fcnt != session.fcnt_up or fcnt != session.heard or session.repeats >= session.parameters.nb_trans - 1:
        counters.replayed += 1
        return None
    session.repeats += 1
    counters.repeated += 1
    return Proven(session, None)
