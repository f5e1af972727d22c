"""What drawing takes of the heap: run inside the VM with the directory of the slot; prints lines "heap WHAT BYTES"."""

import gc
import sys

sys.path[:] = ["", ".frozen", sys.argv[1]]


class Pin:
    OUT = 3

    def init(self, mode, value):
        pass

    def __call__(self, level):
        pass


class Bus:
    """Takes all and keeps nothing."""

    def write(self, data):
        pass

    def writeto(self, address, data):
        pass

    def writevto(self, address, parts):
        pass


COUNTS = {"delivery": (12, 24), "taxi": (3, 12), "disabled": (2, 14)}
NEAREST = {"delivery": (120, 45), "taxi": (80, 200), "disabled": (40, 300)}
MESSAGE = "Arrêt déplacé : à cause d'un événement, prenez le bus à l'angle de la rue de Dijon."


def used():
    gc.collect()
    return gc.mem_alloc()


def load():
    from app import screen, screen_oled, screen_show, screen_tft
    from app.screen_words import FRENCH
    from drivers.ili9341 import ILI9341, rgb565
    from drivers.ssd1306 import SSD1306

    lcd = ILI9341(Bus(), Pin(), Pin(), Pin())
    made = []
    panels = (("tft", screen_tft.Layout(rgb565), lcd), ("oled", screen_oled.Layout(64), SSD1306(Bus())))
    for name, layout, panel in panels:
        state = screen.Screen(layout, (FRENCH,))
        state.heard(COUNTS, NEAREST, 0)
        state.tell({FRENCH: MESSAGE}, 0)
        made.append((name, state, screen_show.Shown(layout, panel)))
    return made


def draw(state, shown):
    """Return how many bytes drawing everything takes if nothing is collected meanwhile, and the largest area."""
    view = state.view(1000)
    steps = []
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in shown.update(view):
        after = gc.mem_alloc()
        steps.append(after - before)
        before = gc.mem_alloc()
    gc.enable()
    return sum(steps), max(steps)


empty = used()
made = load()
print("heap loaded", used() - empty)
for name, state, shown in made:
    total, most = draw(state, shown)
    print("heap", name + "-all", total)
    print("heap", name + "-area", most)
