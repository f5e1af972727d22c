"""What the screen says, in French and in English."""

FRENCH, ENGLISH = 0, 1

KINDS = (
    ("delivery", ("Livraison", "Delivery")),
    ("taxi", ("Taxi", "Taxi")),
    ("disabled", ("Handicapés", "Disabled")),
)
FREE_BAYS = ("Places libres", "Free bays")
SEEN = ("Relevé il y a %s", "Seen %s ago")
UNAVAILABLE = ("Indisponible", "Unavailable")
WAITING = ("En attente des premières nouvelles.", "Waiting for the first news.")
NO_NEWS = ("Aucune nouvelle des places depuis %s.", "No news of the bays for %s.")
IDENTIFY = ("Contrôle technique de cet écran.", "Technical check of this screen.")
MAINTENANCE = ("Maintenance en cours.", "Maintenance under way.")
FULL = ("complet", "full")
NOTHING = "\u2013"
_FREE = (("libre", "libres"), ("free", "free"))
_POINT = (",", ".")


def age(age_s):
    """Return an age in words, rounded down: to 10 s in the first minute, then to minutes, then to hours."""
    if age_s < 60:
        return "%d s" % (age_s // 10 * 10)
    if age_s < 3600:
        return "%d min" % (age_s // 60)
    return "%d h" % (age_s // 3600)


def age_step_s(age_s):
    """Return to what `age` rounds, s."""
    return 10 if age_s < 60 else 60 if age_s < 3600 else 3600


def free(count, language):
    """Return the word that follows a number of free bays; French has a singular for 0 and 1."""
    return _FREE[language][count > 1]


def distance(metres, language):
    """Return a distance as (number, unit): in steps of 10 m, which is what positions of bays are good for."""
    metres = max(10, (int(metres) + 5) // 10 * 10)
    if metres < 1000:
        return "%d" % metres, "m"
    tenths = (metres + 50) // 100
    return "%d%s%d" % (tenths // 10, _POINT[language], tenths % 10), "km"
