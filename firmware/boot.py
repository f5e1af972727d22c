# Runs first after every reset and wake-up. The watchdog is the first thing that lives.
from machine import WDT

watchdog = WDT(timeout=60_000)

import sys

sys.path.insert(0, "/a")  # the slot the application is in
