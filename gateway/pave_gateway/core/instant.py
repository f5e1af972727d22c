"""How an instant is written for people and machines outside."""

from datetime import UTC, datetime


def iso_utc(time_ms: int) -> str:
    """Return RFC 3339 UTC with milliseconds, from milliseconds since 1970."""
    whole_s = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{whole_s:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
