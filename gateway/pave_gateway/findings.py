"""What a check of the site's surroundings found, for `doctor`: how bad it is, what, and the next step."""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"  # it works, and promises less than it could
    ERROR = "error"  # it does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report; `next_step` is empty where there is nothing to do."""

    severity: Severity
    what: str
    next_step: str = ""


def fine(what: str) -> Finding:
    """Return that all is well."""
    return Finding(Severity.FINE, what)


def warning(what: str, next_step: str) -> Finding:
    """Return that something promises less than it could."""
    return Finding(Severity.WARNING, what, next_step)


def error(what: str, next_step: str) -> Finding:
    """Return that something does not work."""
    return Finding(Severity.ERROR, what, next_step)


def of_message(message: str) -> Finding:
    """Return an error from the line of a refusal, which ends with the next step behind a semicolon."""
    what, _, step = message.rpartition("; ")
    return error(what, step) if what else error(message, "")
