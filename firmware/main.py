# Composition root: everything else is in the slot that boot.py chose.
from roles import supervise

supervise.run(watchdog)  # noqa: F821  boot.py's, in the same namespace
