"""The journal on disk, and the two ways to write it: a thread (production) and inline (tests, simulation)."""
