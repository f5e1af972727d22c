"""What the tests of this folder share. They run under pytest and, unchanged, inside the MicroPython VM."""


def raised(error, call, *args):
    """Return the error of the type `error` that `call(*args)` raises; anything else fails the test."""
    try:
        result = call(*args)
    except error as found:
        return found
    raise AssertionError("no %s, but %r" % (error.__name__, result))
