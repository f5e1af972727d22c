"""[coap] of the site file."""

from pydantic import BaseModel, ConfigDict


class CoapConfig(BaseModel):
    """[coap]: `insecure = true` serves plain CoAP beside OSCORE: no device is known by it, so for laboratories only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    insecure: bool = False
