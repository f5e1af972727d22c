"""What lies between devices and the world: Wi-Fi."""
