"""Every figure of the README comes from here: `python -m benchmarks.NAME` prints a table and, last, one JSON line."""
