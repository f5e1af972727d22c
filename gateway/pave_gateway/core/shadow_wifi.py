"""Wi-Fi credentials that rotate without stranding a device.

New credentials travel as a second profile; the old one is withdrawn only after the device has reported, durably, from
the gateway's side of the new one. Nothing is remembered but the two documents, so a gateway that was killed or restored
goes on where they stand. Profiles are numbered; 0 is the one that the technician flashed.

    desired                 the device reports                    state         then
    none                    -                                     UNTOUCHED
    N, keep the others      nothing of N                          OFFERED       waits
    N, keep the others      that it knows N, uses O               KNOWN         waits
    N, keep the others      that N failed, and why; uses O        FELL_BACK     waits: N may work later (the key of the
                                                                                access point changes tonight), and the
                                                                                device tries it when O fails; or cancel
    N, keep the others      that it uses N                        PROVED        desired becomes "N alone", in the same
                                                                                transaction as the report
    N alone                 that it uses N and knows others       WITHDRAWING   waits
    N alone                 that it uses N and knows no other     SETTLED
    N alone                 that it uses another                  ASTRAY        it keeps what works; rotate again

To cancel is to desire "O alone", O being the one in use: the device has it, so nothing secret travels.

What the device must do (`pave_wire.shadow` says it): keep the profile in use whatever happens; forget another only when
told so and while connected. So even a gateway that has it all wrong strands nobody.
"""

from enum import Enum
from typing import Any

from pave_wire import limits
from pave_wire.errors import ModelError
from pave_wire.shadow import WIFI_FAILURES, check_reported_wifi

PROFILE, SSID, KEY, KEEP = 0, 1, 2, 3  # of the desired map
IN_USE, KNOWN, FAILED, WHY = 0, 1, 2, 3  # of the reported one

Wifi = dict[int, Any]


class Rotation(Enum):
    """Where the rotation of a device's credentials stands."""

    UNTOUCHED = "untouched"
    OFFERED = "offered"
    KNOWN = "known"
    FELL_BACK = "fell back"
    PROVED = "proved"
    WITHDRAWING = "withdrawing"
    SETTLED = "settled"
    ASTRAY = "astray"


def state_of(desired: Wifi | None, reported: Wifi | None) -> Rotation:
    """Return the state, by the table above."""
    if desired is None:
        return Rotation.UNTOUCHED
    profile = desired[PROFILE]
    in_use = None if reported is None else reported[IN_USE]
    if not desired[KEEP]:
        if in_use != profile:
            return Rotation.OFFERED if reported is None else Rotation.ASTRAY
        return Rotation.SETTLED if reported is None or reported[KNOWN] == [profile] else Rotation.WITHDRAWING
    if reported is None:
        return Rotation.OFFERED
    if in_use == profile:
        return Rotation.PROVED
    if reported.get(FAILED) == profile:
        return Rotation.FELL_BACK
    return Rotation.KNOWN if profile in reported[KNOWN] else Rotation.OFFERED


def failure(reported: Wifi | None) -> str:
    """Return why the profile that failed last did, "" where none failed."""
    if reported is None or FAILED not in reported:
        return ""
    why = reported.get(WHY, -1)
    return f"profile {reported[FAILED]}: {WIFI_FAILURES[why] if 0 <= why < len(WIFI_FAILURES) else 'no reason given'}"


def begin(desired: Wifi | None, reported: Wifi | None, ssid: str, key: str) -> Wifi:
    """Return the desired Wi-Fi that offers new credentials, under a profile number that nobody has used.

    Raises:
        ModelError: there are no more numbers.
    """
    used = [0 if desired is None else desired[PROFILE]]
    if reported is not None:
        used += [reported[IN_USE], *reported[KNOWN], reported.get(FAILED, 0)]
    if max(used) >= limits.SEQ_MAX:
        raise ModelError(f"wifi: profile {max(used)} is the last number; provision the device anew")
    return {PROFILE: max(used) + 1, SSID: ssid, KEY: key, KEEP: True}


def cancel(desired: Wifi | None, reported: Wifi | None) -> Wifi:
    """Return the desired Wi-Fi that withdraws what `begin` offered.

    Raises:
        ModelError: nothing is offered, or to withdraw it could strand the device.
    """
    if desired is None or not desired[KEEP]:
        raise ModelError("wifi: no new credentials are on offer; there is nothing to cancel")
    if reported is None:
        raise ModelError("wifi: the device has not said which profile it uses; wait for its report, then cancel")
    if reported[IN_USE] == desired[PROFILE]:
        raise ModelError("wifi: the device uses the new credentials already; set the old ones as new to go back")
    return {PROFILE: reported[IN_USE], KEEP: False}


def after_report(desired: Wifi | None, reported: Wifi | None) -> Wifi | None:
    """Return the desired Wi-Fi that follows from a report, None if it stays as it is."""
    if desired is not None and state_of(desired, reported) is Rotation.PROVED:
        return {**desired, KEEP: False}
    return None


def reported_wifi(value: Any) -> Wifi:
    """Return what a device says of its Wi-Fi, without anything that is not to be kept (a passphrase, say).

    Raises:
        ModelError: it is not what a device may say.
    """
    check_reported_wifi(value)
    return {key: value[key] for key in (IN_USE, KNOWN, FAILED, WHY) if key in value}
