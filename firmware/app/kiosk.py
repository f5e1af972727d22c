"""When a kiosk tries its gateway again."""

from app import limits


def pause_ms(failures, chance):
    """Return how long to wait after so many failures in a row; `chance`, 0 to 1023, spreads it over a quarter.

    So a street of kiosks does not come back all at once.
    """
    pause_s = min(limits.KIOSK_RETRY_MAX_S, limits.RETRY_FIRST_S << min(failures - 1, limits.REPORT_ATTEMPTS_MAX))
    return pause_s * 1000 + pause_s * chance * 1000 // 4096
