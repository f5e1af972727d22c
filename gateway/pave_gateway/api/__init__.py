"""What the gateway serves over HTTP: open data, live events, counters."""
