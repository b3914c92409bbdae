# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statistics of few rounds, paired by seed.

Ratios are taken round by round, and their logarithms averaged: the confidence interval is Student's on these, 95 %,
two-sided. What may be 0, or is a distance, is judged by the difference of each round instead, in the same way. No
bootstrap: of three pairs it can only draw these three again, and its intervals come out much too narrow."""
import math
import statistics

# A standard deviation from two values says next to nothing (Student's factor is 12.7).
MIN_PAIRS = 3
# Student's t, 97.5 %, by degrees of freedom from 2 on (any table of it).
STUDENT = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
NORMAL = 1.959964

MET, MISSED, INCONCLUSIVE = "met", "missed", "inconclusive"


class Estimate:
    """A mean with its interval; low and high are None where there are too few values for one. A value of None: there
    is nothing to say at all."""

    def __init__(self, value, low, high, n):
        self.value, self.low, self.high, self.n = value, low, high, n

    def below(self, bound):
        """Whether the true figure is at most the bound, as far as can be said."""
        if self.low is None:
            return INCONCLUSIVE
        return MET if self.high <= bound else MISSED if self.low > bound else INCONCLUSIVE

    def above(self, bound):
        """Whether it is greater."""
        if self.low is None:
            return INCONCLUSIVE
        return MET if self.low > bound else MISSED if self.high <= bound else INCONCLUSIVE


def student(freedom):
    """The factor of a 95 % interval. Beyond the table: Cornish and Fisher's expansion."""
    if freedom - 2 < len(STUDENT):
        return STUDENT[freedom - 2]
    z, n = NORMAL, freedom
    return (z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3))


def mean(values):
    """Of one value for each round."""
    if not values:
        return Estimate(None, None, None, 0)
    middle = statistics.fmean(values)
    if len(values) < MIN_PAIRS:
        return Estimate(middle, None, None, len(values))
    half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Estimate(middle, middle - half, middle + half, len(values))


def ratio(pairs):
    """Of the first to the second of each pair: the geometric mean. None where one is 0, since there is none then."""
    if any(ours <= 0 or theirs <= 0 for ours, theirs in pairs):
        return Estimate(None, None, None, len(pairs))
    logs = mean([math.log(ours / theirs) for ours, theirs in pairs])
    return Estimate(*(None if x is None else math.exp(x) for x in (logs.value, logs.low, logs.high)), logs.n)


def overall(verdicts):
    """Of several that must all be met. No correction for their number is needed: each of them can only fail it."""
    verdicts = list(verdicts)
    if MISSED in verdicts:
        return MISSED
    return MET if verdicts and all(verdict == MET for verdict in verdicts) else INCONCLUSIVE


def spread(values):
    """Median, least, greatest; None without values."""
    return (statistics.median(values), min(values), max(values)) if values else None
