# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was aimed at, and whether it was reached: each aim a row of (regime, aim, figure, verdict, rounds)."""
import stats
import svg

OURS, ORACLE, STATIC = "cagma", "oracle", "static"
PEERS = ("mom", "proxmox", "cagma-classic")
# Where the best peer is nearer to the oracle than this, nothing is asked of the distance.
DISTANCE = 0.10
# What was asked of iterations is asked of progress too (runs.py).
WORK = ("iterations", "progress")
RESIDENCE, THROUGHPUT, SWAP, OWN_CPU_PERMILLE = 1.10, 0.95, 0.5, 10
# What each mechanism is worth: the first with it, the second without.
MECHANISMS = (("growth foreseen", "cagma", "cagma-unforeseen"), ("read-back", "cagma", "cagma-unread"),
              ("agent and events", "cagma-unread", "cagma-balloon"))


class Figures:
    """Of all runs, by regime, contestant and seed."""

    def __init__(self, runs, figures):
        self.all = {}
        for run in runs:
            self.all.setdefault(run.regime, {}).setdefault(run.contestant, {})[run.seed] = figures(run)

    def values(self, regime, contestant, name):
        """One for each round, where it is known."""
        rounds = self.all.get(regime, {}).get(contestant, {})
        return [said[name] for _, said in sorted(rounds.items()) if said.get(name) is not None]

    def together(self, regime, contestants, name):
        """A tuple for each seed that all of these have been run with."""
        rounds = [self.all.get(regime, {}).get(contestant, {}) for contestant in contestants]
        seeds = sorted(set.intersection(*map(set, rounds)))
        found = [tuple(of[seed].get(name) for of in rounds) for seed in seeds]
        return [values for values in found if None not in values]

    def ratio(self, regime, ours, theirs, name):
        return stats.ratio(self.together(regime, (ours, theirs), name))


def as_ratio(estimate):
    """With its interval, or why there is none."""
    if estimate.value is None:
        return "–"
    return svg.figure(estimate.value) + interval(estimate, 1)


def interval(estimate, scale):
    if estimate.low is None:
        return f" (n={estimate.n})"
    return f" [{estimate.low * scale:.2f}, {estimate.high * scale:.2f}]"


def said(verdict, n):
    return f"{verdict}, n={n}" if verdict == stats.INCONCLUSIVE else verdict


def row(regime, aim, estimate, verdict, figure=None):
    if estimate.n == 0:
        figure = "not measured"
    return regime, aim, figure or as_ratio(estimate), said(verdict, estimate.n), estimate.n


def ample(figures, memory_guests):
    """Memory enough for all: as good as with everything at its maximum."""
    for guest in memory_guests:
        for name, when in (("residence", ""), ("residence_loaded", " in the second half")):
            found = figures.ratio("ample", OURS, ORACLE, f"{name}_{guest}_s")
            yield row("ample", f"residence time of {guest.upper()}{when}, times the oracle's: at most {RESIDENCE:.2f}",
                      found, found.below(RESIDENCE))
        found = figures.ratio("ample", OURS, ORACLE, f"slowdown_{guest}")
        yield row("ample", f"slowdown of {guest.upper()}, times the oracle's: at most {RESIDENCE:.2f}", found,
                  found.below(RESIDENCE))
    found = figures.ratio("ample", OURS, ORACLE, "disk_mib_s")
    yield row("ample", f"disk guest's throughput, times the oracle's: at least {THROUGHPUT:.2f}", found,
              found.above(THROUGHPUT))


def more_than_others(figures, name):
    verdicts = []
    for other in (STATIC, *PEERS):
        found = figures.ratio("short", OURS, other, name)
        verdicts.append(found.above(1))
        yield row("short", f"{name}, times that of {other}: above 1", found, verdicts[-1])
    verdict = stats.overall(verdicts)
    yield "short", f"more {name} than static and every peer", "all four rows above", verdict, None


def best_peer(figures, name):
    """(who it is, its part of the oracle's figure): the one that comes nearest; None if there are no runs."""
    found = {peer: figures.ratio("short", peer, ORACLE, name).value for peer in PEERS}
    found = {peer: value for peer, value in found.items() if value is not None}
    peer = max(found, key=found.get, default=None)
    return (peer, found[peer]) if peer else None


def half_the_distance(figures, name):
    """Ours less the middle between the best peer and the oracle, as a part of the oracle's, must not be negative."""
    aim = f"{name}: at most half of the best peer's distance to the oracle"
    best = best_peer(figures, name)
    if best is None:
        return "short", aim, "not measured", said(stats.INCONCLUSIVE, 0), 0
    peer, part = best
    distance = f"{peer} is {abs(1 - part) * 100:.0f} % {'below' if part < 1 else 'above'} the oracle"
    if part > 1:
        return "short", aim, distance, "not asked (the oracle has most progress, not most of this)", None
    if 1 - part < DISTANCE:
        return "short", aim, distance, f"not asked (below {DISTANCE * 100:.0f} %)", None
    rounds = figures.together("short", (OURS, ORACLE, peer), name)
    rounds = [(ours, oracle, theirs) for ours, oracle, theirs in rounds if oracle > 0]
    found = stats.mean([(ours - (oracle + theirs) / 2) / oracle for ours, oracle, theirs in rounds])
    if found.n == 0:
        return row("short", aim, found, stats.INCONCLUSIVE)
    beyond = f"ours beyond the middle by {found.value * 100:.1f}{interval(found, 100)} % of the oracle's"
    return row("short", aim, found, found.above(0), f"{distance}; {beyond}")


def guarantee(figures):
    """What happened once is a miss, whatever the rest."""
    values = figures.values("short", OURS, "above_guarantee_mib")
    found = stats.mean(values)
    few = len(values) < stats.MIN_PAIRS
    verdict = stats.MISSED if values and min(values) < 0 else stats.INCONCLUSIVE if few else stats.MET
    return row("short", "no guest below its guarantee", found, verdict,
               f"least: {min(values):.1f} MiB above" if values else None)


def swapping(figures):
    """By the difference, since ours may be 0."""
    rounds = figures.together("short", (OURS, STATIC), "swap_iops")
    found = stats.mean([ours - SWAP * static for ours, static in rounds])
    ours, static = (stats.mean([values[i] for values in rounds]).value for i in (0, 1))
    return row("short", "requests to swap, at most half of static's", found, found.below(0),
               f"{svg.figure(ours)} of {svg.figure(static)} a second; less half: {svg.figure(found.value)}"
               f"{interval(found, 1)}" if rounds else None)


def overhead(figures, what, name):
    """Of all rounds of both regimes."""
    values = [value for regime in sorted(figures.all) for value in figures.values(regime, OURS, name)]
    found = stats.mean(values)
    return row("both", f"CPU time of {what} below 1 % of a core", found, found.below(OWN_CPU_PERMILLE),
               f"{found.value / 10:.2f}{interval(found, 0.1)} %" if values else None)


def judge(figures, memory_guests):
    """All rows."""
    work = [row for name in WORK for row in (*more_than_others(figures, name), half_the_distance(figures, name))]
    return [*ample(figures, memory_guests), *work, guarantee(figures), swapping(figures),
            overhead(figures, "cagmad", "own_cpu_permille"),
            overhead(figures, "the agent in its guest", "agent_cpu_permille")]


def mechanisms(figures, names):
    """(regime, mechanism, compared, then the ratio of each figure)."""
    for regime in sorted(figures.all):
        for what, with_it, without in MECHANISMS:
            ratios = [figures.ratio(regime, with_it, without, name) for name in names]
            if any(found.n for found in ratios):
                yield [regime, what, f"{with_it} / {without}", *map(as_ratio, ratios)]
