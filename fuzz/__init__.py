"""Hostile bytes for every decoder of `pave_wire`: `python -m fuzz --for 60`; see `__main__.py`."""
