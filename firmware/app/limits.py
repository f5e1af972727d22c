"""Every bound of the applications in one place."""

OUTBOX_READINGS = 20  # with the detector's state they must fit the 2,048 bytes of RTC memory
AWAKE_MAX_S = 60  # of one wake-up: a field that never rests, or an interrupt that never falls, must not empty the cell
HOLD_OFF_S = 120  # then the interrupt is left alone for so long
REPORT_ATTEMPTS_MAX = 9  # after which the wait between attempts no longer grows
RETRY_FIRST_S = 2  # doubled by every failed attempt
RETRY_MAX_S = 900
CRASHES_BEFORE_FRESH_START = 3  # in a row: then everything but the outbox is forgotten
CRASH_SLEEP_FIRST_S = 5
SENSOR_CRASH_SLEEP_MAX_S = 3600  # lives on a cell
KIOSK_CRASH_SLEEP_MAX_S = 30  # lives on the mains, and people look at it
KIOSK_HEALTHY_AFTER_S = 600  # then earlier crashes are forgotten
KIOSK_LOOK_S = 25  # between looks at the screen, which feed the watchdog of 60 s; the gateway wakes it before that
KIOSK_STUCK_S = 120  # an asking task that has not gone on for so long never will: it may listen for the next bound
KIOSK_SILENCE_S = 90  # without a word of the gateway, whatever its Max-Age was, everything begins anew
KIOSK_ASK_AGAIN_S = 20  # a gateway that has no room for an observer
KIOSK_REPORT_EVERY_S = 10  # at most
KIOSK_HEARTBEAT_S = 600
KIOSK_RETRY_MAX_S = 30  # people look at it
