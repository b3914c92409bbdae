# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws charts over time as SVG. Lengths are pixels. The look is that of `cagmactl simulate --svg`; the ground is
painted, so that a page's own may be dark."""
import html
import math

WIDTH = 1280
MARGIN = 28
DARK, GREY, PALE = "#1f2933", "#5f6b76", "#e4e8ec"
FONTS = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
STYLE = (".s{font-size:11px}.e{text-anchor:end}.m{text-anchor:middle}.n{font-weight:600}"
         f".g{{stroke:{PALE}}}.l{{fill:none;stroke-linejoin:round}}")
# Steps of an axis, as many as have room.
STEPS = tuple(digit * 10**power for power in range(-2, 6) for digit in (1, 2, 5))


def px(value):
    """A tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")


def figure(value):
    """1234, 12.3, 0.45: three figures, all of those before the point."""
    digits = 0 if abs(value) >= 99.95 or value == 0 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}"


def axis_step(top, room):
    """From one line of a grid to the next: at least 24 px."""
    return next((step for step in STEPS if step * room >= 24 * top), top)


class Picture:
    """What is drawn, element by element."""

    def __init__(self, title, facts, height):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{px(height)}" '
            f'viewBox="0 0 {WIDTH} {px(height)}" font-family="{FONTS}" font-size="13" fill="{DARK}">',
            f"<style>{STYLE}</style>", f"<title>{html.escape(title)}</title>"]
        self.rect(0, 0, WIDTH, height, "#fff")
        self.text(MARGIN, 40, title, 'font-size="21" font-weight="600"')
        self.text(WIDTH - MARGIN, 40, facts, f'class="e" fill="{GREY}"')

    def text(self, x, y, text, attributes=""):
        self.parts.append(f'<text x="{px(x)}" y="{px(y)}" {attributes}>{html.escape(text)}</text>')

    def line(self, x1, y1, x2, y2, attributes):
        self.parts.append(f'<line x1="{px(x1)}" y1="{px(y1)}" x2="{px(x2)}" y2="{px(y2)}" {attributes}/>')

    def rect(self, x, y, width, height, fill):
        self.parts.append(
            f'<rect x="{px(x)}" y="{px(y)}" width="{px(width)}" height="{px(height)}" fill="{fill}"/>')

    def path(self, points, attributes, close=False):
        if points:
            drawn = "L".join(f"{px(x)} {px(y)}" for x, y in points)
            self.parts.append(f'<path {attributes} d="M{drawn}{"Z" if close else ""}"/>')

    def document(self):
        """The file's text."""
        return "\n".join([*self.parts, "</svg>", ""])


class Panel:
    """One chart: times along the bottom with the stages marked, a scale from 0 on the left."""

    def __init__(self, picture, left, top, width, height, end_s, most):
        self.picture, self.left, self.top, self.width, self.height = picture, left, top, width, height
        self.end_s, self.most = end_s, most

    def x(self, t_s):
        return self.left + self.width * t_s / self.end_s

    def y(self, value):
        return self.top + self.height * (1 - min(value, self.most) / self.most)

    def frame(self, title, stage_names, unit, labelled):
        """Title, stages, and the scale; labelled: the times too."""
        picture, right, bottom = self.picture, self.left + self.width, self.top + self.height
        picture.text(self.left, self.top - 9, title, 'class="n"')
        length = self.end_s / len(stage_names)
        for stage, name in enumerate(stage_names):
            if stage % 2:
                picture.rect(self.x(stage * length), self.top, self.width / len(stage_names), self.height, "#f6f7f9")
            if name:
                picture.text(self.x((stage + 0.5) * length), bottom + 14, name, f'class="s m" fill="{GREY}"')
        if labelled:
            picture.text(right, bottom + 28, f"stages of {length:g} s", f'class="s e" fill="{GREY}"')
        step = axis_step(self.most, self.height)
        for i in range(int(self.most / step + 1e-9) + 1):
            y = self.y(i * step)
            picture.line(self.left, y, right, y, f'stroke="{GREY}"' if i == 0 else 'class="g"')
            last = i == int(self.most / step + 1e-9)
            picture.text(self.left - 7, y + 4, f"{i * step:g}{' ' + unit if last and unit else ''}",
                         f'class="s e" fill="{GREY}"')

    def curve(self, points, attributes):
        """(t_s, value) joined; None leaves a gap."""
        piece = []
        for t_s, value in [*points, (0, None)]:
            if value is not None:
                piece.append((self.x(t_s), self.y(value)))
                continue
            self.picture.path(piece, f'class="l" {attributes}')
            piece = []

    def area(self, lower, upper, attributes):
        """Between two curves without gaps."""
        self.picture.path([(self.x(t), self.y(v)) for t, v in [*upper, *reversed(lower)]], attributes, close=True)


def nice(value):
    """What a scale ends at, so that all of it is seen."""
    if value <= 0:
        return 1
    unit = 10 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if value <= step * unit * (1 + 1e-9))
