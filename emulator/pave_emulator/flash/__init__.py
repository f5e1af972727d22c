"""The SPI flash of a device: image, partition table, NVS."""
