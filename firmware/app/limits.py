"""Every bound of the applications in one place."""

OUTBOX_READINGS = 20  # with the detector's state they must fit the 2,048 bytes of RTC memory
SEQ_PER_WAKE_MAX = 1000  # readings one wake-up can make: the outbox refills a few dozen times before it is quiet
REPORT_ATTEMPTS_MAX = 6  # after which the wait between attempts no longer grows
RETRY_FIRST_S = 1  # doubled by every failed attempt
RETRY_MAX_S = 120
FAILURES_BEFORE_COLD_START = 3  # crashes in a row after which the RTC state is no longer trusted
CRASH_SLEEP_FIRST_S = 5
CRASH_SLEEP_MAX_S = 3600
