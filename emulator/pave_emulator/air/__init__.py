"""What lies between devices and the world: LoRa with its gateway's radio, Wi-Fi with its networks."""
