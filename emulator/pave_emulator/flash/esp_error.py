"""Refusals of ESP-IDF, as the firmware sees them."""

from __future__ import annotations

FAIL = -0x1  # ESP_FAIL
INVALID_ARG = -0x102
NOT_FOUND = -0x105
OTA_VALIDATE_FAILED = -0x1503


class EspError(Exception):
    """A call that fails. `status` is the negated esp_err_t, as MicroPython's OSError carries it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
