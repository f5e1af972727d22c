"""Addresses in the site file: "127.0.0.1:5683", "[::1]:5683"."""

import ipaddress


def endpoint(text: str, port: int = 1700) -> tuple[str, int]:
    """Return (address, port) of "127.0.0.1:1700" or "[fd00::1]:1700"; ValueError otherwise.

    Args:
        text: As it stands in the site file.
        port: What an example in the error has.
    """
    host, colon, digits = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        version = ipaddress.ip_address(bare).version
        if not colon or not (digits.isascii() and digits.isdecimal()) or int(digits) > 65535:
            raise ValueError
    except ValueError:
        raise ValueError(f'write an address and a port, such as "127.0.0.1:{port}" or "[::1]:{port}"') from None
    if host != (f"[{bare}]" if version == 6 else bare):  # "::1:5683" is an address by itself
        raise ValueError(f'write an IPv6 address in brackets, and no other: "{joined(bare, int(digits))}"')
    return bare, int(digits)


def joined(host: str, port: int) -> str:
    """Return them as the site file has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
