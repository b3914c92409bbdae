# SPDX-License-Identifier: LGPL-2.1-or-later
"""The three pictures of a report: residence time, disk operations and allocation, over the stages. What is drawn for a
contestant is the median over its rounds, each 3 s."""
import statistics

import svg

# In this order wherever they are named: (colour, width, dashes). Ours are blue and violet, the thickest is the default.
LOOKS = {
    "cagma": ("#1f6fb2", 3.2, ""),
    "cagma-balloon": ("#5aa9e6", 1.5, "5 3"),
    "cagma-unforeseen": ("#7c6fd0", 1.5, "2 3"),
    "cagma-unread": ("#12908e", 1.5, "8 3"),
    "cagma-classic": ("#b7791f", 1.8, ""),
    "mom": ("#c2410c", 1.8, ""),
    "proxmox": ("#d1549c", 1.8, ""),
    "static": ("#8894a0", 1.8, ""),
    "unmoved": ("#8894a0", 1.5, "2 3"),
    "oracle": (svg.DARK, 1.8, "6 3"),
}
OTHER = ("#4d7c0f", 1.5, "3 2")
GUESTS = ("#3a7fb8", "#e0a03c", "#9aa5b1", "#7c6fd0")

AXIS = 52
RANKING = 208  # of names and figures on the right of a panel
TOP = 100
LINE = 18


def order(contestants):
    """As in LOOKS, what isn't known there last."""
    known = list(LOOKS)
    return sorted(contestants, key=lambda name: (known.index(name) if name in known else len(known), name))


def stroke(contestant):
    colour, width, dashes = LOOKS.get(contestant, OTHER)
    return f'stroke="{colour}" stroke-width="{width}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def medians(rounds, name):
    """[(t_s, value)] of the rows of all rounds of one contestant; as long as all of them have rows."""
    curve = []
    for rows in zip(*rounds):
        values = [row[name] for row in rows if row.get(name) is not None]
        curve.append((rows[0]["t_s"], statistics.median(values) if values else None))
    return curve


def level(curve):
    """The mean over the stages."""
    values = [value for _, value in curve if value is not None]
    return statistics.fmean(values) if values else None


def ranking(panel, curves):
    """Names with their means beside a panel, the least on top: the legend, and the result."""
    levels = {name: level(curve) for name, curve in curves.items()}
    known = sorted((name for name in levels if levels[name] is not None), key=levels.get)
    step = min(LINE, (panel.height + 10) / max(len(known), 1))
    x = panel.left + panel.width + 12
    for i, name in enumerate(known):
        y = panel.top + 6 + i * step
        panel.picture.line(x, y - 4, x + 24, y - 4, stroke(name))
        weight = ' class="n"' if name == "cagma" else ""
        panel.picture.text(x + 30, y, name, f'font-size="12"{weight}')
        panel.picture.text(x + RANKING - 24, y, svg.figure(levels[name]), f'font-size="12" text-anchor="end"{weight}')


def stage_names(data):
    return [str(stage + 1) for stage in range(data["stages"])]


def overlaid(title, subtitle, data, columns, unit):
    """A row for each regime, and a column for each (title, name of a figure): all contestants in one panel."""
    row, height = 272, 216
    regimes = list(data["regimes"])
    picture = svg.Picture(title, data["facts"], TOP + row * len(regimes) + 8)
    picture.text(svg.MARGIN, 62, subtitle, f'fill="{svg.GREY}"')
    column = (svg.WIDTH - 2 * svg.MARGIN) / len(columns)
    for r, regime in enumerate(regimes):
        drawn = [{name: medians(rounds, figure) for name, rounds in data["regimes"][regime].items()}
                 for _, figure in columns]
        for c, (curves, (heading, _)) in enumerate(zip(drawn, columns)):
            most = max((value for curve in curves.values() for _, value in curve if value is not None), default=0)
            panel = svg.Panel(picture, svg.MARGIN + AXIS + c * column, TOP + 8 + r * row,
                              column - AXIS - RANKING - 22, height, data["end_s"], svg.nice(most))
            panel.frame(f"{heading}, {data['regime_names'].get(regime, regime)}", stage_names(data), unit,
                        r == len(regimes) - 1)
            # The default is drawn last, over the others.
            for name in sorted(order(curves), key=lambda name: name == "cagma"):
                panel.curve(curves[name], stroke(name))
            ranking(panel, curves)
    return picture.document()


def residence(data):
    columns = [(guest.upper(), f"{guest}_takes_s") for guest in data["memory_guests"]]
    return overlaid("Residence time", "How long the iterations take, from start to end, that run at a time, looked at "
                    "each 3 s; unfinished ones at least as long as the one before. Lower is better. At the right: the "
                    "mean.", data, columns, "s")


def operations(data):
    return overlaid("Disk operations", "Requests a second as guests count them, over 3 s each; QEMU joins some. Swapping "
                    "takes them from work. At the right: the mean.", data,
                    [("All requests", "disk_iops"), ("Of these to swap", "swap_iops")], "/s")


def guest_legend(picture, guests, y):
    x = svg.MARGIN
    for i, guest in enumerate(guests):
        picture.rect(x, y - 10, 22, 11, GUESTS[i % len(GUESTS)])
        picture.text(x + 28, y, guest.upper())
        x += 84
    picture.line(x, y - 4, x + 22, y - 4, f'stroke="{svg.DARK}" stroke-dasharray="7 4"')
    picture.text(x + 28, y, "what there is for guests")


def stack(panel, guests, rounds):
    """The guests' sizes one on top of the other."""
    below = None
    for i, guest in enumerate(guests):
        curve = medians(rounds, f"{guest}_mib")
        if not curve:
            return
        # From the start on: the first sample is at 3 s.
        curve = [(0, curve[0][1]), *curve]
        below = below or [(t_s, 0) for t_s, _ in curve]
        above = [(t_s, value + lower) for (t_s, value), (_, lower) in zip(curve, below)]
        panel.area(below, above, f'fill="{GUESTS[i % len(GUESTS)]}" stroke="#fff" stroke-width="1"')
        below = above


def allocation(data):
    """A small chart for each contestant."""
    columns, row, height, heading = 3, 158, 108, 30
    rows = {regime: -(-len(contestants) // columns) for regime, contestants in data["regimes"].items()}
    picture = svg.Picture("Allocation", data["facts"],
                          TOP + sum(n * row + heading for n in rows.values()) + 4)
    picture.text(svg.MARGIN, 62, "Memory of each guest in MiB, one on top of the other, each 3 s.",
                 f'fill="{svg.GREY}"')
    guest_legend(picture, data["guests"], 84)
    column = (svg.WIDTH - 2 * svg.MARGIN + 26) / columns
    top = TOP
    for regime, contestants in data["regimes"].items():
        picture.text(svg.MARGIN, top + 18, data["regime_names"].get(regime, regime).capitalize(),
                     f'class="n" font-size="15" fill="{svg.GREY}"')
        there_is = data["there_is_mib"][regime]
        sums = [sum(sample[f"{guest}_mib"] for guest in data["guests"])
                for rounds in contestants.values() for samples in rounds for sample in samples]
        for i, name in enumerate(order(contestants)):
            panel = svg.Panel(picture, svg.MARGIN + AXIS + i % columns * column,
                              top + heading + 20 + i // columns * row, column - AXIS - 26, height, data["end_s"],
                              max([there_is, *sums]) * 1.06)
            panel.frame(name, stage_names(data), "", i + columns >= len(contestants) and i == len(contestants) - 1)
            stack(panel, data["guests"], contestants[name])
            for stage in range(1, data["stages"]):
                x = panel.x(stage * data["end_s"] / data["stages"])
                picture.line(x, panel.top, x, panel.top + height, 'stroke="#fff" stroke-opacity="0.5"')
            panel.picture.line(panel.left, panel.y(there_is), panel.left + panel.width, panel.y(there_is),
                               f'stroke="{svg.DARK}" stroke-dasharray="7 4"')
        top += rows[regime] * row + heading
    return picture.document()
