# Composition root: everything else is in the slot that boot.py chose.
try:
    from roles import supervise
except Exception as error:  # a damaged slot: not a REPL at full current, but sleep, and try again
    import sys

    import machine

    sys.print_exception(error)
    machine.deepsleep(300_000)

# boot.py's watchdog, in the same namespace
supervise.run(watchdog)  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
