"""An arrow in one of eight directions, in a square of any size, made of rectangles.

Two shapes are enough, straight up and up to the right; the others are these, turned by quarters.
"""


def draw(canvas, eighth, x_px, y_px, size_px, colour):
    """Draw the arrow `eighth` (0 up, then clockwise) in the square of `size_px` whose top left corner is given."""
    spans = _diagonal(size_px) if eighth & 1 else _upright(size_px)
    for left, top, wide, high in spans:
        for _ in range(eighth // 2):
            left, top, wide, high = size_px - top - high, left, high, wide
        canvas.fill_rect(x_px + left, y_px + top, wide, high, colour)


def _upright(size):
    """Yield (left, top, width, height) of a triangle over a shaft a third as wide; `size` is odd."""
    head = (size + 1) // 2
    for row in range(head):
        yield head - 1 - row, row, 2 * row + 1, 1
    shaft = size // 3 | 1
    yield (size - shaft) // 2, head, shaft, size - head


def _diagonal(size):
    """Yield the rows of a triangle in the corner, and of a shaft that ends square to its direction."""
    head = 5 * size // 7
    half = size // 5
    for row in range(size):
        middle = size - 1 - row  # column of the diagonal
        left = max(middle - half, half - middle, 0)
        right = min(middle + half + 1, size)
        if row < head:
            left = min(left, size - head + row)
            right = size
        if right > left:
            yield left, row, right - left, 1
