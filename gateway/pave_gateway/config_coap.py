"""[coap] of the site file."""

from pave_gateway.config_table import Table


class CoapConfig(Table):
    """[coap]: `insecure = true` serves plain CoAP beside OSCORE: no device is known by it, so for laboratories only."""

    insecure: bool = False
