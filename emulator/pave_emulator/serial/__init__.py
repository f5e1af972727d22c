"""A device's serial port: the UART, the reset circuit, the ROM loader behind them, and RFC 2217 in front."""
