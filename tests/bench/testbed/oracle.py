# SPDX-License-Identifier: LGPL-2.1-or-later
"""The best fixed split of a host on which memory is short, by a small search.

What all demand beyond what there is, the shortage, is laid on the guests in different ways: on all in proportion to
their demands, on one of them, on two in halves; then as the best of these, half as far again from the first way, since
demands are no sharp figures. One run is noisy: the best two have a second one, with another seed. What counts is what
runs.py calls progress: the sum of iterations is much the same with any split, as a guest's processor is busy as long as
some of its tasks have their memory. All runs are kept below OUT/search and not made again."""

import itertools
import json
from dataclasses import asdict
from pathlib import Path

from bed import BedError
from contestants import Oracle
from runner import Settings, run_once
from runs import Bad, Run, progress
from sizes import KIB_PER_MIB, Sizes, sizes

SEEDS = (1001, 1002)  # none of the rounds'
FINALISTS = 2
BEYOND = 1.5
PAGE_KIB = 4
RUNS_MOST = 7 + 1 + FINALISTS


def fit(wanted_kib: dict[str, float], guests, total_kib: int) -> dict[str, int]:
    """The nearest split of all there is within guarantees and maxima: what one can't take, the others share."""
    low = {guest.name: guest.guarantee_kib for guest in guests}
    high = {guest.name: guest.max_kib for guest in guests}
    total_kib = min(max(total_kib, sum(low.values())), sum(high.values()))

    def at(level):
        return {name: min(max(kib + level, low[name]), high[name]) for name, kib in wanted_kib.items()}

    least, most = -max(wanted_kib.values()), max(high.values()) - min(wanted_kib.values())
    while most - least > 1:
        level = (least + most) / 2
        least, most = (level, most) if sum(at(level).values()) <= total_kib else (least, level)
    return {name: int(kib) // PAGE_KIB * PAGE_KIB for name, kib in at(least).items()}


def laid(size: Sizes, burden: dict[str, float]) -> dict[str, int]:
    """The split with S laid on the guests by these parts, which come to 1."""
    total_kib = size.host_kib - size.reserve_kib
    shortage_kib = sum(guest.demand_kib for guest in size.guests) - total_kib
    wanted_kib = {guest.name: guest.demand_kib - shortage_kib * burden.get(guest.name, 0) for guest in size.guests}
    return fit(wanted_kib, size.guests, total_kib)


def in_proportion(size: Sizes) -> dict[str, float]:
    demands_kib = sum(guest.demand_kib for guest in size.guests)
    return {guest.name: guest.demand_kib / demands_kib for guest in size.guests}


def first_burdens(size: Sizes) -> dict[str, dict[str, float]]:
    """By label."""
    names = [guest.name for guest in size.guests]
    burdens = {"all": in_proportion(size)}
    burdens |= {name: {name: 1} for name in names}
    return burdens | {f"{a}+{b}": {a: 0.5, b: 0.5} for a, b in itertools.combinations(names, 2)}


def beyond(size: Sizes, burden: dict[str, float]) -> dict[str, float]:
    centre = in_proportion(size)
    return {name: part + BEYOND * (burden.get(name, 0) - part) for name, part in centre.items()}


class Search:
    """Runs what isn't there yet."""

    def __init__(self, settings: Settings, say):
        self.settings, self.say = settings, say
        self.size = sizes("short", settings.factor, settings.calibration.demands_kib)
        self.splits: dict[str, dict[str, int]] = {}
        self.scores: dict[str, list[float]] = {}

    def try_(self, label: str, burden: dict[str, float], seed: int) -> None:
        split = laid(self.size, burden)
        directory = self.settings.out / "search" / f"{label}-{seed}"
        score = score_of(directory, self.size) or self.measure(label, split, seed, directory)
        if score is not None:
            self.splits[label] = split
            self.scores.setdefault(label, []).append(score)

    def measure(self, label: str, split: dict[str, int], seed: int, directory: Path) -> float | None:
        """None where it can't be run, twice."""
        text = ", ".join(f"{name} {kib // KIB_PER_MIB}" for name, kib in split.items())
        for again in (True, False):
            self.say(f"  looking for the oracle's split: {label} ({text} MiB), one of at most {RUNS_MOST} runs")
            try:
                run_once(self.settings, "short", Oracle(None, split), seed, directory)
                return score_of(directory, self.size)
            except BedError as error:
                self.say(f"  {error}{'; once more' if again else '; it is left out'}")
        return None

    def mean(self, label: str) -> float:
        return sum(self.scores[label]) / len(self.scores[label])

    def best(self, n: int = 1, runs: int = 1) -> list[str]:
        """The best n of those with that many runs."""
        known = [label for label, scores in self.scores.items() if len(scores) >= runs]
        return sorted(known, key=self.mean, reverse=True)[:n]

    def run(self) -> dict[str, int]:
        burdens = first_burdens(self.size)
        for label, burden in burdens.items():
            self.try_(label, burden, SEEDS[0])
        if not self.scores:
            raise BedError("oracle: no fixed split could be run")
        nearest = self.best()[0]
        if nearest != "all":
            burdens["beyond"] = beyond(self.size, burdens[nearest])
            self.try_("beyond", burdens["beyond"], SEEDS[0])
        for label in self.best(FINALISTS):
            self.try_(label, burdens[label], SEEDS[1])
        chosen = (self.best(runs=2) or self.best())[0]
        self.keep(chosen)
        return self.splits[chosen]

    def keep(self, chosen: str) -> None:
        """For people and the report; the runs themselves are what counts when this is resumed."""
        found = {"chosen": chosen, "tried": [{"label": label, "split_kib": self.splits[label], "progress": scores}
                                             for label, scores in self.scores.items()]}
        path = self.settings.out / "search" / "summary.json"
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def score_of(directory: Path, size: Sizes) -> float | None:
    """Of a run that is there and of these sizes."""
    try:
        meta = json.loads((directory / "meta.json").read_text(encoding="utf-8"))
        if (meta["host_kib"], meta["guests"]) != (size.host_kib, [asdict(guest) for guest in size.guests]):
            return None
        return progress(Run(directory))
    except (FileNotFoundError, Bad):
        return None


def best_split(settings: Settings, say) -> dict[str, int]:
    """At most RUNS_MOST runs; none where all are there."""
    return Search(settings, say).run()
