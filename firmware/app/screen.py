"""What the kiosk's screen shows, and when that changes: pure logic, without a pixel.

Three things come in: what the gateway says of the bays (`heard`), a service message (`tell`), whether it is night.
`view(now_ms)` says what is to be seen, as plain tuples: equal views look equal, so the rest of `screen_*` draws only
what differs. `next_change_ms` says when a view changes although nothing came in; the caller sleeps until then.

Never stale data as fresh. How old the figures are decides how they are shown:

    tone      from                      shown
    -------   -----------------------   ---------------------------------------------------------------------
    FRESH     the gateway's word        figures
    OLD       Max-Age, at most FRESH_S  figures, pale; their age in the title
    NONE      FIGURES_S                 no figures: that there is no news, and since when
    NONE      nothing heard yet         that the first news are awaited

A bay with 20 parkings a day that is free half of the time is free for 36 minutes on end: after ten, three of four that
were free still are. Until then an old figure with its age is worth more than none.

Languages take turns: each shows its pages, one for TURN_S, then comes the next. A text is one page or several, as its
layout wraps it; without a text a language has one turn. A new message begins with its first page at once. Where
there is no text to be read only the words beside figures change: a turn then lasts QUIET_TURN_S, as it is a redrawing.

A nearest bay has a distance and a direction, which is drawn as one of eight arrows: 0 is straight on for somebody who
reads the screen, then clockwise by eighths of a turn.
"""

from app import screen_words as words

FRESH, OLD, NONE = 0, 1, 2  # tones
FRESH_S = 30  # at most: the gateway speaks every 20 s
FIGURES_S = 600
TURN_S = 8  # three lines of some 20 characters are read in 5 s, aloud in 6
QUIET_TURN_S = 120  # arrows, distances and "Taxi" are read in any language


def eighth_of(bearing_deg, heading_deg):
    """Return the direction, 0 to 7, of a compass bearing for somebody who looks towards `heading_deg`."""
    return int((bearing_deg - heading_deg) % 360 + 22.5) // 45 % 8


class Screen:
    """The state of one kiosk's screen.

    Args:
        layout: of the panel (`screen_tft`, `screen_oled`): has `wrap(text)`, which returns the pages of a text, each a
            tuple of lines, and `figure_pages`, how many turns the figures need beside those of texts.
        languages: of screen_words, in the order of their turns.
        heading_deg: compass direction in which somebody looks who reads the screen.
    """

    def __init__(self, layout, languages=(words.FRENCH, words.ENGLISH), heading_deg=0):
        self.night = False
        self._wrap = layout.wrap
        self._figure_pages = layout.figure_pages
        self._languages = languages
        self._heading_deg = heading_deg
        self._counts = None
        self._nearest = {}
        self._heard_ms = 0
        self._fresh_s = FRESH_S
        self._message = {}  # pages by language
        self._until_ms = None
        self._began_ms = 0  # of the first turn

    def configure(self, languages, heading_deg):
        """Take other languages and another direction, as in the constructor; then `tell` again."""
        self._languages = languages
        self._heading_deg = heading_deg

    # What comes in

    def heard(self, counts, nearest, now_ms, max_age_s=FRESH_S):
        """Take what the gateway says.

        Args:
            counts: {kind: (free bays, all bays)}.
            nearest: {kind: (distance in m, compass bearing in degrees)} of the nearest free bay, where it is known.
            now_ms: the time, as everywhere here.
            max_age_s: for how long that is fresh, as the gateway says.
        """
        self._counts = counts
        self._nearest = nearest
        self._heard_ms = now_ms
        self._fresh_s = min(max_age_s, FRESH_S)

    def tell(self, texts, now_ms, until_ms=None):
        """Show a message {language: text} until a time; a language without a text shows that of another. {}: none."""
        some = [texts[language] for language in self._languages if texts.get(language)]
        some += [texts[language] for language in sorted(texts) if texts[language]]
        self._message = {}
        if some:
            for language in self._languages:
                self._message[language] = self._wrap(texts.get(language) or some[0])
        self._until_ms = until_ms
        self._began_ms = now_ms

    # What is to be seen

    def free(self):
        """Return how many bays of all kinds were said to be free; None before anything was."""
        return None if self._counts is None else sum([free for free, _ in self._counts.values()])

    def view(self, now_ms):
        """Return what is to be seen: (title, tone, rows, page, night).

        A page is lines of text, or the number of a page of figures.
        A row is (label, number of free bays in words or "", arrow or None, number, word that follows it).
        """
        age_s = self._age_s(now_ms)
        tone = self._tone(age_s)
        turns = self._turns(now_ms, age_s, tone)
        language, page = turns[self._turn(now_ms, turns) % len(turns)]
        return self._title(tone, age_s, language), tone, self._rows(tone, language), page, self.night

    def next_change_ms(self, now_ms):
        """Return when `view` changes without anything coming in, None if never. It may look the same then."""
        age_s = self._age_s(now_ms)
        tone = self._tone(age_s)
        changes = []
        turns = self._turns(now_ms, age_s, tone)
        if len(turns) > 1:
            changes.append(self._began_ms + (self._turn(now_ms, turns) + 1) * _turn_ms(turns))
        if tone == FRESH:
            changes.append(self._heard_ms + self._fresh_s * 1000)
        elif age_s is not None:
            step_s = words.age_step_s(age_s)
            changes.append(self._heard_ms + (age_s // step_s + 1) * step_s * 1000)
        if self._until_ms is not None and now_ms < self._until_ms:
            changes.append(self._until_ms)
        return min(changes) if changes else None

    def _age_s(self, now_ms):
        return None if self._counts is None else (now_ms - self._heard_ms) // 1000

    def _tone(self, age_s):
        if age_s is None or age_s >= FIGURES_S:
            return NONE
        return FRESH if age_s < self._fresh_s else OLD

    def _turn(self, now_ms, turns):
        return (now_ms - self._began_ms) // _turn_ms(turns)

    def _turns(self, now_ms, age_s, tone):
        """Return the (language, page) that take turns; a page is lines of text, or the number of one of figures."""
        told = self._until_ms is None or now_ms < self._until_ms
        turns = []
        for language in self._languages:
            if tone == NONE:
                pages = self._wrap(self._excuse(age_s, language))
            else:
                pages = list(range(self._figure_pages))
            if told:
                pages += self._message.get(language, ())
            turns += [(language, page) for page in pages or ((),)]
        return turns

    def _title(self, tone, age_s, language):
        if tone == FRESH or age_s is None:
            return words.FREE_BAYS[language]
        if tone == OLD:
            return words.SEEN[language] % words.age(age_s)
        return words.UNAVAILABLE[language]

    def _excuse(self, age_s, language):
        return words.WAITING[language] if age_s is None else words.NO_NEWS[language] % words.age(age_s)

    def _rows(self, tone, language):
        counts = self._counts or {}
        return tuple(
            [
                (labels[language],) + self._figures(tone, kind, counts[kind][0], language)
                for kind, labels in words.KINDS
                if kind in counts
            ]
        )

    def _figures(self, tone, kind, free, language):
        if tone == NONE:
            return "", None, words.NOTHING, ""
        if not free:
            return "", None, "", words.FULL[language]
        word = words.free(free, language)
        if kind not in self._nearest:
            return "", None, "%d" % free, word
        metres, bearing_deg = self._nearest[kind]
        eighth = eighth_of(bearing_deg, self._heading_deg)
        return ("%d %s" % (free, word), eighth) + words.distance(metres, language)


def _turn_ms(turns):
    """Return how long each of these turns lasts: quiet ones are of languages alone, without a page of anything."""
    return 1000 * (TURN_S if any(page not in ((), 0) for _, page in turns) else QUIET_TURN_S)
