"""Power: who draws what and why (ledger), what the cell and its capacitor make of it, how many years that lasts."""
