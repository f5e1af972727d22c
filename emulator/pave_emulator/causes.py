"""What the causes of a boot are called, in records, reports and scenarios."""

from __future__ import annotations

# by the port's machine.reset_cause()
CAUSES = {1: "power-on", 2: "hard", 3: "watchdog", 4: "deep sleep", 5: "soft"}
