from dice import Dice
from fake_board import Rtc, imported, power_on

from app.outbox import Outbox
from pave_wire.reading import REASONS, STATES

presence_pack = imported("roles.presence_pack")
rtc_state = imported("roles.rtc_state")

LINK_BYTES = 220  # of CBOR: a LoRaWAN session's state, 130, with all its grains of airtime and answers
SENSING_BYTES = 39 + 4 * 40


def fullest(outbox):
    for at in range(20):
        values = {"occupied": at % 2 == 1, "reason": "heartbeat", "confidence": 0.96, "lasted": 30_000_000 + at}
        values["ended"] = "occupied"
        values["field"] = 4000 * 150 / 1_000_000_000
        values["dropped"] = 100_000
        outbox.add(values, 315_360_000_000 + at)
    return outbox.state()


def test_readings_come_back_as_they_were():
    dice = Dice(7)
    for _ in range(200):
        values = {
            "occupied": bool(dice.below(2)),
            "reason": REASONS[dice.below(len(REASONS))],
            "confidence": dice.below(101) / 100,
            "field": dice.below(60_000) * 150 / 1_000_000_000,
            "lasted": dice.below(1 << 30),
            "ended": STATES[dice.below(3)],
        }
        state = [5, 9, [(8, 12345, values), (7, 1, {"fault": "radar"}), (6, 2, {"resets-crash": 3, "blind": True})], 0]
        assert presence_pack.unpack(presence_pack.pack(state)) == state


def test_the_fullest_outbox_fits_rtc_memory_beside_sensing_and_link():
    power_on()
    state = presence_pack.pack(fullest(Outbox("24a160fffe000101", 4_000_000_000, 4_000_000_000)))
    rtc_state.save(
        [315_360_000_000, state, [1, 315_360_000_000, 315_360_000_000, 3], bytes(LINK_BYTES)], bytes(SENSING_BYTES)
    )
    print("bytes of RTC memory:", len(Rtc.kept))
    assert len(Rtc.kept) <= 1600, len(Rtc.kept)
    assert presence_pack.unpack(rtc_state.load()[1]) == presence_pack.unpack(state)
