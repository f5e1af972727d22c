"""The LoRaWAN network server of one site, sans-I/O: frames and time in, frames and rows out.

`radio` is what passes between server and concentrators, `dedup` joins the copies of a frame. `sessions` finds whose it
is and `uplinks` proves it; `joins` activates devices, `join_gate` spreads many. `mac`, `links` and `adr` keep a link in
order. `downlinks` is what waits for a device, `transmitter` and `concentrators` find it a window. `application` reads
payloads, for this server and for those of others; `progress` and `acknowledgement` are its parts. `server` puts all of
it together, `capacity` says what it can carry.
"""
