"""Where devices stand: the bays and kiosks of the site. Only their devices are admitted."""

from dataclasses import dataclass

KIOSK = "kiosk"


@dataclass(frozen=True, slots=True)
class Place:
    """A bay or a kiosk, with the one device that reports for it.

    Attributes:
        id: Unique in the site, such as "bercy-l-01".
        kind: "delivery", "taxi", "disabled" or "kiosk".
        label: The street of a bay, the name of a kiosk.
        lat: Degrees north (WGS 84).
        lon: Degrees east (WGS 84).
        device: EUI-64 as 16 lower-case hexadecimal digits.
    """

    id: str
    kind: str
    label: str
    lat: float
    lon: float
    device: str

    @property
    def is_bay(self) -> bool:
        """Whether vehicles park here."""
        return self.kind != KIOSK
