#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""report.py OUT DIR: what the runs recorded below OUT say. Writes DIR/testbed.md, three pictures (testbed-*.svg) and
the figures (testbed-*.csv), and prints the verdicts. Runs that are missing are said to be missing.
Exit status: 0, also where an aim is missed; 1 where there is nothing to report."""
import argparse
import csv
import itertools
import pathlib
import re
import sys

import aims
import plots
import runs
import stats
import svg

REGIMES = {"ample": "memory enough", "short": "memory short"}
FILES = {"residence": plots.residence, "iops": plots.operations, "allocation": plots.allocation}
NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)")
SPREAD, TIMES_STATIC, TIMES_ORACLE = "spread", "static", "oracle"


def tables(memory_guests, disk_guest):
    """(title, [(column, what of it, figure, factor)])."""
    iterations = [(guest.upper(), SPREAD, f"iterations_{guest}", 1) for guest in memory_guests]
    ratios = [("× static", TIMES_STATIC), ("× oracle", TIMES_ORACLE)]
    times = [(f"Residence time of {guest.upper()}: mean of the completed iterations, of those that ended in the second "
              "half of the stages, of the ages of the running ones each 3 s, and how long those take in the end, or took until "
              "the end",
              [("all, s", SPREAD, f"residence_{guest}_s", 1),
               *((name, what, f"residence_{guest}_s", 1) for name, what in ratios),
               ("second half, s", SPREAD, f"residence_loaded_{guest}_s", 1),
               *((name, what, f"residence_loaded_{guest}_s", 1) for name, what in ratios),
               ("age, s", SPREAD, f"age_{guest}_s", 1),
              ("of all that run, second half, s", SPREAD, f"takes_loaded_{guest}_s", 1),
              *((name, what, f"takes_loaded_{guest}_s", 1) for name, what in ratios)]) for guest in memory_guests]
    return [
        ("Work done: completed iterations of the memory tasks, and the disk tasks' throughput",
         [("all", SPREAD, "iterations", 1), *((name, what, "iterations", 1) for name, what in ratios), *iterations,
          (f"{disk_guest}, MiB/s", SPREAD, "disk_mib_s", 1),
          *((name, what, "disk_mib_s", 1) for name, what in ratios)]),
        ("Progress: the geometric mean of the iterations that each task completed, and one",
         [("all", SPREAD, "progress", 1), *((name, what, "progress", 1) for name, what in ratios)]),
        *times,
        ("Memory and disk",
         [("swapped in, MiB", SPREAD, "swap_in_mib", 1), ("out, MiB", SPREAD, "swap_out_mib", 1),
          ("swap, requests/s", SPREAD, "swap_iops", 1), ("× static", TIMES_STATIC, "swap_iops", 1),
          ("all, requests/s", SPREAD, "disk_iops", 1),
          *((f"{guest.upper()} stalled, %", SPREAD, f"stalled_{guest}_permille", 0.1) for guest in memory_guests),
          ("moved, MiB", SPREAD, "moved_mib", 1), ("most beyond what there is, MiB", SPREAD, "beyond_mib", 1),
          ("least above a guarantee, MiB", SPREAD, "above_guarantee_mib", 1)]),
        ("Processor, % of a core",
         [("balancer", SPREAD, "own_cpu_permille", 0.1), ("agent (highest)", SPREAD, "agent_cpu_permille", 0.1),
          ("libvirtd", SPREAD, "libvirtd_cpu_permille", 0.1), ("the QEMUs", SPREAD, "qemu_cpu_permille", 0.1)]),
    ]


def as_spread(values, factor, rounds):
    """Rounds without a value are told: one without a completed iteration isn't a quick one."""
    found = stats.spread([value * factor for value in values])
    if found is None:
        return "–"
    middle, least, most = (str(value) if isinstance(value, int) else svg.figure(value) for value in found)
    few = f", n={len(values)}" if len(values) < rounds else ""
    return (middle if least == most else f"{middle} ({least}–{most})") + few


def cell(figures, regime, contestant, column):
    _, what, name, factor = column
    if what == SPREAD:
        return as_spread(figures.values(regime, contestant, name), factor, len(figures.all[regime][contestant]))
    if what == contestant:
        return "1"
    return aims.as_ratio(figures.ratio(regime, contestant, what, name))


def markdown(header, rows):
    """A table; of hostile text only what can't break it."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(field).replace("|", "/").replace("\n", " ") for field in line) + " |"
            for line in lines] + [""]


def facts_of(found):
    """What all runs have in common, as (name, values) with each that occurs."""
    facts = {}
    for run in found:
        meta = run.meta
        facts.setdefault("date", set()).add(str(meta.get("started", "unknown"))[:10])
        machine = meta.get("machine")
        for name, value in (machine if isinstance(machine, dict) else {}).items():
            facts.setdefault(name, set()).add(f"{value:.1f}" if isinstance(value, float) else str(value))
        facts.setdefault(f"guests' memory, {REGIMES.get(run.regime, run.regime)}", set()).add(
            f"{meta['host_kib'] / runs.MIB_KIB:.0f} MiB, of it in reserve {reserve_mib(meta):.0f}")
        for guest in meta["guests"]:
            facts.setdefault(guest["name"].upper(), set()).add(", ".join(
                f"{name.removesuffix('_kib')} {value // runs.MIB_KIB} MiB" if name.endswith("_kib") else str(value)
                for name, value in guest.items() if name != "name" and isinstance(value, (int, str))))
        disk = meta.get("disk")
        if isinstance(disk, dict):
            facts.setdefault("the shared disk", set()).add(", ".join(f"{name} {value}" for name, value in disk.items()))
        for name in ("steps", "iteration_us"):
            if name in meta:
                facts.setdefault(f"an iteration, {name}", set()).add(str(meta[name]))
        facts.setdefault("stages", set()).add(f"{meta['stages']} of {meta['stage_s']:g} s")
        facts.setdefault("sizes", set()).add(f"those of the paper by {meta.get('factor', 'unknown')}")
    return facts


def reserve_mib(meta):
    return runs.reserve_kib(meta) / runs.MIB_KIB


def as_fact(values):
    """A range of numbers that differ, as the load does."""
    return "; ".join(merged((value, None) for value in sorted(values)))


def command(found):
    """What repeats this."""
    meta = found[0].meta
    seeds = sorted({run.seed for run in found})
    mom = " --mom MOM" if any(run.contestant == "mom" for run in found) else ""
    return (f"tests/bench/testbed/run BUILD-DIR{mom} --factor {meta.get('factor', 4)} --stage-s {meta['stage_s']:g} "
            f"--rounds {len(seeds)} --seed {seeds[0]} --report docs/benchmarks")


def notes_of(found):
    """Of the runs, and who said each."""
    said = [(f"{REGIMES.get(run.regime, run.regime)}: {note}", run.contestant) for run in found
            if isinstance(run.meta.get("notes"), list) for note in run.meta["notes"]]
    return [f"{note} ({', '.join(plots.order(by))})" for note, by in merged(said).items()]


def missing(figures):
    """Runs of seeds that others of the regime have been run with."""
    for regime, contestants in figures.all.items():
        seeds = set().union(*contestants.values())
        for name in plots.order(contestants):
            for seed in sorted(seeds - contestants[name].keys()):
                yield f"{regime}/{name}/{seed}"


def merged(texts):
    """Of (text, who says it), those that differ in numbers only as one, with these from – to: who says it, by text."""
    kinds = {}
    for said, who in texts:
        parts = NUMBER.split(" ".join(str(said).split()))
        numbers, by = kinds.setdefault(tuple(parts[::2]), ([], set()))
        numbers.append(parts[1::2])
        by.add(who)
    return {ranges(words, numbers): by for words, (numbers, by) in kinds.items()}


def ranges(words, numbers):
    """The words with the least and the greatest of the numbers that stood between them."""
    said = [f"{min(of, key=float)}–{max(of, key=float)}" if len(set(of)) > 1 else of[0] for of in zip(*numbers)]
    return "".join(word + number for word, number in itertools.zip_longest(words, said, fillvalue=""))


METHOD = """\
Figures are medians over the rounds (least–greatest). Ratios (×) are taken between rounds of the same seed: their
geometric mean, with the 95 % confidence interval of Student's t on the logarithms; what may be 0 or is a distance is
judged by differences in the same way. An aim is *met* or *missed* where the whole interval is on one side of it;
*inconclusive* otherwise, and always with fewer than 3 rounds. More rounds decide.

Iterations are those of the memory tasks of all guests that were completed within the six stages. Static: an equal
part of the memory for each guest; unmoved: the sizes that guests start with. Oracle: everything at its maximum where memory is enough; the best fixed split that
a search found where it is short, so that what moves memory can be better; best is the one with the most progress. The
best peer is the one of MOM, Proxmox and the original CAGMA (`cagma-classic`) with the most iterations, or progress.
Progress is a measure of our own: as long as some of a guest's tasks have their memory its processor is busy, so that
the sum of iterations is much the same with any split, and doesn't show that the other tasks stand still. The balancer's CPU time is cagmad's, or the peer's.
Stalled: the part of the time in which nothing in the guest went on for want of memory (the kernel's `full` pressure);
as long as one of its tasks has its memory, that is little. Completed iterations are of those that got on: where tasks stand
still for a minute, only *of all that run* tells. Slowdown: the completed iterations' residence time in the second half,
times that of VM3's memory task just then, so that how fast the machine was is left out. Requests are counted by the
guests; QEMU joins neighbours before the disk sees them.
"""


def text(found, left_out, figures):
    memory_guests = found[0].memory_guests
    lines = ["# CAGMA's experiment on real guests", "", "    " + command(found), ""]
    lines += markdown(["", ""], [[name, as_fact(values)] for name, values in facts_of(found).items()])
    lines += ["## Aims", ""]
    lines += markdown(["regime", "aim", "measured", "verdict"],
                      [row[:4] for row in aims.judge(figures, memory_guests)])
    for name in FILES:
        lines += [f"![{name}](testbed-{name}.svg)", ""]
    disk_guest = ", ".join(found[0].disk_guests).upper()
    for regime, contestants in figures.all.items():
        lines += [f"## {REGIMES.get(regime, regime).capitalize()}", ""]
        for title, columns in tables(memory_guests, disk_guest):
            rows = [[contestant, len(contestants[contestant]),
                     *(cell(figures, regime, contestant, column) for column in columns)]
                    for contestant in plots.order(contestants)]
            lines += [title, "", *markdown(["", "rounds", *(column[0] for column in columns)], rows)]
    names = ["iterations", "progress", *(f"residence_{guest}_s" for guest in memory_guests), "swap_in_mib", "disk_mib_s"]
    worth = list(aims.mechanisms(figures, names))
    if worth:
        header = ["regime", "mechanism", "compared", "iterations", "progress",
                  *(f"residence {guest.upper()}" for guest in memory_guests), "swapped in", "disk throughput"]
        lines += ["## What mechanisms are worth", "", "With it, times without it.", "", *markdown(header, worth)]
    lines += ["## How it is counted", "", METHOD]
    for title, notes in (("Missing", list(missing(figures))), ("Notes of the runs", notes_of(found)),
                         ("Left out", left_out)):
        if notes:
            lines += [f"## {title}", "", *(f"- {note}" for note in notes), ""]
    return "\n".join(lines)


def rounded(value):
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else value


def write_csv(path, rows):
    """Rows may have different columns: the sum of all."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([rounded(row.get(name)) for name in names] for row in rows)


def ratio_rows(figures):
    """Every figure of every contestant to static's and to the oracle's."""
    for regime, contestants in figures.all.items():
        for contestant in plots.order(contestants):
            names = dict.fromkeys(name for of in contestants[contestant].values() for name in of)
            for reference in (aims.STATIC, aims.ORACLE):
                for name in names if reference != contestant else ():
                    found = figures.ratio(regime, contestant, reference, name)
                    if found.value is not None:
                        yield {"regime": regime, "contestant": contestant, "to": reference, "figure": name,
                               "rounds": found.n, "ratio": found.value, "low": found.low, "high": found.high}


def with_run(run, row):
    return {"regime": run.regime, "contestant": run.contestant, "seed": run.seed, **row}


def write_figures(directory, found, figures):
    write_csv(directory / "testbed-summary.csv",
              [with_run(run, figures.all[run.regime][run.contestant][run.seed]) for run in found])
    write_csv(directory / "testbed-ratios.csv", list(ratio_rows(figures)))
    write_csv(directory / "testbed-stages.csv", [with_run(run, row) for run in found for row in runs.stages(run)])
    write_csv(directory / "testbed-series.csv", [with_run(run, row) for run in found for row in runs.series(run)])


def plot_data(found):
    first = found[0]
    data = {"guests": first.guests, "memory_guests": first.memory_guests, "stages": first.meta["stages"],
            "end_s": first.end_us / 1e6, "regime_names": REGIMES, "regimes": {}, "there_is_mib": {}}
    for run in found:
        data["regimes"].setdefault(run.regime, {}).setdefault(run.contestant, []).append(list(runs.series(run)))
        data["there_is_mib"][run.regime] = run.meta["host_kib"] / runs.MIB_KIB - reserve_mib(run.meta)
    rounds = len({run.seed for run in found})
    data["facts"] = (f"{len(first.guests)} guests · {first.meta['stages']} stages of {first.meta['stage_s']:g} s · "
                     f"{'medians of ' if rounds > 1 else ''}{rounds} round{'s' if rounds > 1 else ''}")
    return data


def alike(found):
    """(those with the guests and stages of most, why the others are left out): what differs can't be compared."""
    kinds = {}
    for run in found:
        shape = (run.end_us, run.meta["stages"], tuple(run.guests), tuple(run.memory_guests), tuple(run.disk_guests))
        kinds.setdefault(shape, []).append(run)
    most = max(kinds.values(), key=len, default=[])
    return most, [f"{run.regime}/{run.contestant}/{run.seed}: other guests or stages than most have"
                  for run in found if run not in most]


def report(out, directory):
    """Returns the rows of the verdicts; none where there is nothing to report."""
    found, left_out = runs.read_all(out)
    found, others = alike(found)
    if not found:
        print("\n".join([f"{out}: no complete run", *left_out]), file=sys.stderr)
        return []
    figures = aims.Figures(found, runs.figures)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "testbed.md").write_text(text(found, left_out + others, figures))
    data = plot_data(found)
    for name, draw in FILES.items():
        (directory / f"testbed-{name}.svg").write_text(draw(data))
    write_figures(directory, found, figures)
    return aims.judge(figures, found[0].memory_guests)


def main():
    parser = argparse.ArgumentParser(description="What the testbed's runs say.")
    parser.add_argument("out", type=pathlib.Path, help="where the runs are recorded")
    parser.add_argument("directory", type=pathlib.Path, help="where the report goes")
    arguments = parser.parse_args()
    rows = report(arguments.out, arguments.directory)
    for regime, aim, figure, verdict, _ in rows:
        print(f"{regime:6} {aim}: {figure}: {verdict}")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
