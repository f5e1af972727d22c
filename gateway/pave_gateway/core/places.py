"""Where devices stand: the bays and kiosks of the site, as the site file has them.

Which device stands at a place now is the registry's to say (`core.registry`).
"""

from dataclasses import dataclass

KIOSK = "kiosk"


@dataclass(frozen=True, slots=True)
class Place:
    """A bay or a kiosk.

    Attributes:
        id: Unique in the site, such as "bercy-l-01".
        kind: "delivery", "taxi", "disabled" or "kiosk".
        label: The street of a bay, the name of a kiosk.
        lat: Degrees north (WGS 84).
        lon: Degrees east (WGS 84).
        device: The one that the site file puts there first: EUI-64 as 16 lower-case hexadecimal digits, "" for none.
    """

    id: str
    kind: str
    label: str
    lat: float
    lon: float
    device: str = ""

    @property
    def is_bay(self) -> bool:
        """Whether vehicles park here."""
        return self.kind != KIOSK
