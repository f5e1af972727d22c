"""Ways in: each turns bytes into readings, hands them to the core and answers only with what the core decided."""
