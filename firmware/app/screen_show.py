"""From views to a panel: draws the areas whose content differs from what the panel shows, and no others."""


class Shown:
    """What one panel shows.

    Args:
        layout: has `areas` [(x, y, width, height), in px], `contents(view)` (for each area what is in it, compared by
            equality) and `paint(at, content, canvas, x_px, y_px)`.
        panel: has `draw(x, y, width, height, paint)`, as the drivers of SSD1306 and ILI9341.
    """

    def __init__(self, layout, panel):
        self._layout = layout
        self._panel = panel
        self._shown = [None] * len(layout.areas)

    def update(self, view):
        """Draw what differs. A generator that yields after each area: others may go on there.

        Raises:
            OSError: the panel does not answer; what was not drawn is drawn by the next update.
        """
        contents = self._layout.contents(view)
        for at, content in enumerate(contents):
            if content != self._shown[at]:
                self._shown[at] = None
                self._draw(at, content)
                self._shown[at] = content
                yield

    def forget(self):
        """Take note that the panel has lost its picture: the next update draws all of it."""
        self._shown = [None] * len(self._shown)

    def _draw(self, at, content):
        x_px, y_px, width_px, height_px = self._layout.areas[at]

        def paint(canvas, x, y):
            self._layout.paint(at, content, canvas, x, y)

        self._panel.draw(x_px, y_px, width_px, height_px, paint)
