"""The ESP32-S3 around the VM: pins, buses and peripherals, kept while the core sleeps or resets."""
