"""The crash campaign: a gateway's journal is killed, and its disk loses power, at every point that matters."""
