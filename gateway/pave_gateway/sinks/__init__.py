"""Ways out: each back-end follows the journal with a cursor of its own."""
