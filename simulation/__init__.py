"""The composition root of an emulated site: devices, gateway, broker, subscriber, and the books between them."""
