"""What the gateway decides, without sockets, threads or a clock: admission, occupancy, identity."""
