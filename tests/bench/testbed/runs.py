# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads what the testbed recorded, and takes the figures of one run from it. Times are µs from the start of stage 1."""
import bisect
import csv
import json
import math
import statistics

SAMPLE_US = 3_000_000  # the paper looks at everything each 3 s
MIB_KIB = 1024
# What a disk task reads and writes in one iteration: three times 2 MiB.
DISK_ITERATION_MIB = 6
LONGEST_S = 86400
# Below OUT: where the oracle's search keeps its trials, which are no rounds.
SEARCH = "search"

META = {"regime": str, "contestant": str, "seed": int, "stage_s": (int, float), "stages": int, "host_kib": int,
        "guests": list}
GUEST = {"name": str, "kind": str, "guarantee_kib": int}
COLUMNS = {
    "iterations.csv": ("guest", "task", "kind", "start_us", "end_us"),
    "tasks.csv": ("guest", "task", "kind", "start_us", "end_us"),
    "guests.csv": ("t_us", "guest", "actual_kib", "swap_in_kib", "swap_out_kib", "rd_ops", "wr_ops", "swap_rd_ops",
                   "swap_wr_ops", "psi_full_us"),
    "cpu.csv": ("t_us", "what", "cpu_us"),
}
TEXTS = ("guest", "task", "kind", "what")
# What may be empty: a task that lived until the end, figures that a guest doesn't tell.
NEEDED = {"iterations.csv": ("start_us", "end_us"), "tasks.csv": ("start_us",), "guests.csv": ("t_us",),
          "cpu.csv": ("t_us",)}


class Bad(Exception):
    """A run that can't be read: where, and why."""


class Line:
    """A figure over time, as it was sampled."""

    def __init__(self):
        self.times, self.values = [], []

    def add(self, t_us, value):
        """Samples come in order; what doesn't is dropped."""
        if not self.times or t_us > self.times[-1]:
            self.times.append(t_us)
            self.values.append(value)

    def at(self, t_us):
        """A counter's value, between two samples in proportion."""
        right = bisect.bisect_left(self.times, t_us)
        if right == 0:
            return self.values[0]
        if right == len(self.times):
            return self.values[-1]
        t0, t1, v0, v1 = *self.times[right - 1:right + 1], *self.values[right - 1:right + 1]
        return v0 + (v1 - v0) * (t_us - t0) / (t1 - t0)

    def last(self, t_us):
        """The value that held at a time; before the first sample that one."""
        return self.values[max(0, bisect.bisect_right(self.times, t_us) - 1)]

    def grown(self, from_us, to_us):
        """By how much a counter grew; None if it was never sampled."""
        return self.at(to_us) - self.at(from_us) if self.times else None

    def within(self, from_us, to_us):
        """The values in between, with the one that held at the beginning."""
        inside = [value for t, value in zip(self.times, self.values) if from_us < t <= to_us]
        return [self.last(from_us), *inside] if self.times else []


def check(fields, value, where):
    """That an object has these fields, of these types."""
    for name, kind in fields.items():
        if not isinstance(value, dict) or name not in value:
            raise Bad(f"{where}: no {name}")
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise Bad(f"{where}: {name} is {value[name]!r}")


def read_meta(path):
    """meta.json, checked as far as anything depends on it."""
    try:
        meta = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Bad(f"{path}: {error}") from error
    check(META, meta, path)
    for guest in meta["guests"]:
        check(GUEST, guest, f"{path}, guests")
    if not meta["guests"] or meta["stages"] <= 0 or not 0 < meta["stage_s"] * meta["stages"] <= LONGEST_S:
        raise Bad(f"{path}: no guests, or no stages that a run could have")
    return meta


def parse(text):
    """A whole number as C has it; None of an empty field."""
    if not text:
        return None
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError(f"{text[:20]}… is too large")
    return number


def read_table(path):
    """Rows of a file as dictionaries, with whole numbers where they belong; None where a field is empty."""
    rows = []
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            missing = set(COLUMNS[path.name]) - set(reader.fieldnames or ())
            if missing:
                raise Bad(f"{path}: no column {sorted(missing)[0]}")
            for row in reader:
                try:
                    rows.append({name: row[name] if name in TEXTS else parse(row[name])
                                 for name in COLUMNS[path.name]})
                except (TypeError, ValueError) as error:
                    raise Bad(f"{path}, line {reader.line_num}: {error}") from error
                if any(rows[-1][name] is None for name in NEEDED[path.name]):
                    raise Bad(f"{path}, line {reader.line_num}: a time is missing")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Bad(f"{path}: {error}") from error
    return rows


class Task:
    """When a task lived, and its completed iterations in order."""

    def __init__(self, guest, kind, start_us, end_us):
        self.guest, self.kind, self.start_us, self.end_us = guest, kind, start_us, end_us
        self.starts, self.ends = [], []

    def add(self, start_us, end_us):
        """One completed iteration; they come in order."""
        self.starts.append(start_us)
        self.ends.append(end_us)

    def running(self, t_us):
        """(start, how long it takes) of the iteration that runs at a time; None where the task doesn't live. One that
        is never completed takes as long as it got, or as the one before if that is longer: it would seem short."""
        if not self.start_us <= t_us < self.end_us:
            return None
        index = bisect.bisect_right(self.ends, t_us)
        if index < len(self.starts) and self.starts[index] <= t_us:
            return self.starts[index], self.ends[index] - self.starts[index]
        if index == 0:
            return self.start_us, (self.ends[0] if self.ends else self.end_us) - self.start_us
        start_us = self.ends[index - 1]
        return start_us, max(self.end_us - start_us, start_us - self.starts[index - 1])


    def done(self):
        """Completed iterations, and of the last one the part that its age suggests: of some ten long ones, a whole one
        more or less would be much."""
        if not self.ends:
            return 0
        usual = statistics.fmean(end - start for start, end in zip(self.starts, self.ends))
        return len(self.ends) + min(1, (self.end_us - self.ends[-1]) / usual if usual > 0 else 0)


class Run:
    """One recorded run."""

    def __init__(self, directory):
        self.meta = read_meta(directory / "meta.json")
        self.regime, self.contestant, self.seed = (self.meta[name] for name in ("regime", "contestant", "seed"))
        self.end_us = round(self.meta["stage_s"] * self.meta["stages"] * 1_000_000)
        self.guests = [guest["name"] for guest in self.meta["guests"]]
        self.memory_guests = [guest["name"] for guest in self.meta["guests"] if guest["kind"] == "memory"]
        self.disk_guests = [guest["name"] for guest in self.meta["guests"] if guest["kind"] == "disk"]
        self.tasks = self._tasks(directory)
        self.lines = {}
        for row in read_table(directory / "guests.csv"):
            self._add(row, row["guest"], row.keys() - {"t_us", "guest"})
        for row in read_table(directory / "cpu.csv"):
            self._add(row, row["what"], ["cpu_us"])
        absent = [guest for guest in self.guests if not self.line(guest, "actual_kib").times]
        if absent:
            raise Bad(f"{directory}: no samples of {absent[0]}")

    def _add(self, row, what, names):
        for name in names:
            if row[name] is not None:
                self.lines.setdefault((what, name), Line()).add(row["t_us"], row[name])

    def _tasks(self, directory):
        tasks = {}
        for row in read_table(directory / "tasks.csv"):
            end_us = self.end_us if row["end_us"] is None else min(row["end_us"], self.end_us)
            tasks[row["guest"], row["task"]] = Task(row["guest"], row["kind"], row["start_us"], end_us)
        rows = [row for row in read_table(directory / "iterations.csv") if row["end_us"] <= self.end_us]
        for row in sorted(rows, key=lambda row: row["end_us"]):
            if (row["guest"], row["task"]) not in tasks:
                raise Bad(f"{directory}: an iteration of task {row['task']} of {row['guest']}, "
                          "which isn't in tasks.csv")
            tasks[row["guest"], row["task"]].add(row["start_us"], row["end_us"])
        return list(tasks.values())

    def line(self, what, name):
        """A figure of a guest or process over time; without samples where there are none."""
        return self.lines.get((what, name), Line())

    def durations(self, guests, kind, from_us=0, to_us=None):
        """Of completed iterations that ended in between, µs."""
        to_us = self.end_us if to_us is None else to_us
        return [end - start for task in self.tasks if task.guest in guests and task.kind == kind
                for start, end in zip(task.starts, task.ends) if from_us < end <= to_us]

    def sample_times(self):
        """Each 3 s, from the first such on to the end."""
        return range(SAMPLE_US, self.end_us + 1, SAMPLE_US)

    def running(self, guest, t_us):
        """(the mean age in s, how long they take in the end) of the iterations of memory tasks that run just before a
        time; None each without any."""
        found = [task.running(t_us - 1) for task in self.tasks if task.guest == guest and task.kind == "memory"]
        found = [times for times in found if times is not None]
        return seconds([t_us - start for start, _ in found]), seconds([takes for _, takes in found])

    def operations(self, names, from_us, to_us):
        """Requests a second of all guests; None where they weren't counted."""
        grown = [self.line(guest, name).grown(from_us, to_us) for guest in self.guests for name in names]
        return None if None in grown else sum(grown) * 1e6 / (to_us - from_us)

    def processors(self, prefix):
        """CPU time of the processes of a name or with a prefix, permille of one core; none: an empty list."""
        return [line.grown(0, self.end_us) * 1000 / self.end_us for (what, name), line in self.lines.items()
                if name == "cpu_us" and (what == prefix or what.startswith(prefix + ":"))]


def seconds(values):
    """The mean of times in µs."""
    return statistics.fmean(values) / 1e6 if values else None


def total(values):
    """None where one of them, or all, are missing."""
    values = list(values)
    return None if not values or None in values else sum(values)


DISK_OPS = ("rd_ops", "wr_ops")
SWAP_OPS = ("swap_rd_ops", "swap_wr_ops")


def progress(run):
    """The geometric mean of what tasks, of all kinds, have completed, and one: twice as much for one counts as much as
    twice as much for another, so that many that stand still aren't made up for by few that have the processor for
    themselves (proportional fairness; Kelly 1997)."""
    return math.exp(statistics.fmean(math.log1p(len(task.ends)) for task in run.tasks))


def figures(run):
    """What the report compares, by name; None where it isn't known."""
    said = {"iterations": len(run.durations(run.guests, "memory")), "progress": progress(run)}
    # The disk guest's memory task has its memory with most contestants: how fast the machine was just then.
    pace = seconds(run.durations(run.disk_guests, "memory", run.end_us // 2))
    for guest in run.memory_guests:
        ages = [age for age, _ in (run.running(guest, t_us) for t_us in run.sample_times()) if age is not None]
        said[f"iterations_{guest}"] = len(run.durations([guest], "memory"))
        said[f"residence_{guest}_s"] = seconds(run.durations([guest], "memory"))
        # Slow iterations are few: over all stages they hardly count beside those of the first ones, with few tasks.
        said[f"residence_loaded_{guest}_s"] = seconds(run.durations([guest], "memory", run.end_us // 2))
        loaded = said[f"residence_loaded_{guest}_s"]
        said[f"slowdown_{guest}"] = loaded / pace if loaded and pace else None
        takes = [takes for _, takes in (run.running(guest, t_us) for t_us in run.sample_times()
                                        if t_us > run.end_us // 2) if takes is not None]
        said[f"takes_loaded_{guest}_s"] = statistics.fmean(takes) if takes else None
        said[f"age_{guest}_s"] = statistics.fmean(ages) if ages else None
    done = sum(task.done() for task in run.tasks if task.guest in run.disk_guests and task.kind == "disk")
    said["disk_mib_s"] = done * DISK_ITERATION_MIB * 1e6 / run.end_us
    for name in ("swap_in", "swap_out"):
        grown = total(run.line(guest, f"{name}_kib").grown(0, run.end_us) for guest in run.guests)
        said[f"{name}_mib"] = None if grown is None else grown / MIB_KIB
    for guest in run.guests:
        stalled = run.line(guest, "psi_full_us").grown(0, run.end_us)
        said[f"stalled_{guest}_permille"] = None if stalled is None else stalled * 1000 / run.end_us
    said["swap_iops"] = run.operations(SWAP_OPS, 0, run.end_us)
    said["disk_iops"] = run.operations(DISK_OPS, 0, run.end_us)
    sizes = {guest: run.line(guest, "actual_kib").within(0, run.end_us) for guest in run.guests}
    said["moved_mib"] = sum(abs(b - a) for values in sizes.values() for a, b in zip(values, values[1:])) / MIB_KIB
    said["above_guarantee_mib"] = min(min(sizes[guest["name"]]) - guest["guarantee_kib"]
                                      for guest in run.meta["guests"]) / MIB_KIB
    there_is_kib = run.meta["host_kib"] - reserve_kib(run.meta)
    beyond = [max(0, sum(run.line(guest, "actual_kib").last(t_us) for guest in run.guests) - there_is_kib)
              for t_us in run.line(run.guests[0], "actual_kib").times if 0 <= t_us <= run.end_us]
    said["beyond_mib"] = max(beyond, default=0) / MIB_KIB
    own = run.processors("cagmad") + run.processors("contestant")
    said["own_cpu_permille"] = sum(own) if own else None
    for name, what in (("libvirtd", "libvirtd"), ("qemu", "qemu")):
        said[f"{name}_cpu_permille"] = total(run.processors(what))
    said["agent_cpu_permille"] = max(run.processors("agent"), default=None)
    return said


def reserve_kib(meta):
    """Of the host, what is nobody's."""
    reserve = meta.get("reserve_kib", 0)
    return reserve if isinstance(reserve, (int, float)) else 0


def series(run):
    """Rows for each 3 s: the figures at their end, or in them."""
    for t_us in run.sample_times():
        row = {"t_s": t_us // 1_000_000}
        for guest in run.guests:
            row[f"{guest}_mib"] = run.line(guest, "actual_kib").last(t_us) / MIB_KIB
        for guest in run.memory_guests:
            row[f"{guest}_age_s"], row[f"{guest}_takes_s"] = run.running(guest, t_us)
        row["disk_iops"] = run.operations(DISK_OPS, t_us - SAMPLE_US, t_us)
        row["swap_iops"] = run.operations(SWAP_OPS, t_us - SAMPLE_US, t_us)
        yield row


def stages(run):
    """Rows for each stage and guest: what was completed in it."""
    length = run.end_us // run.meta["stages"]
    for stage in range(run.meta["stages"]):
        for guest in run.guests:
            for kind in ("memory", "disk"):
                took = run.durations([guest], kind, stage * length, (stage + 1) * length)
                if took:
                    yield {"stage": stage + 1, "guest": guest, "kind": kind, "iterations": len(took),
                           "mean_s": seconds(took), "median_s": statistics.median(took) / 1e6, "max_s": max(took) / 1e6}


def read_all(out):
    """(the runs, ordered, what was left out and why)."""
    runs, left_out = [], []
    for path in sorted(out.glob("*/*/*/meta.json")):
        name = path.parent.relative_to(out)
        if name.parts[0] == SEARCH:
            continue
        try:
            run = Run(path.parent)
        except Bad as error:
            left_out.append(str(error).replace(f"{out}/", ""))
            continue
        # One that isn't complete, or is somebody's trial, has another name.
        if name.parts == (run.regime, run.contestant, str(run.seed)):
            runs.append(run)
        else:
            left_out.append(f"{name}: is the run {run.regime}/{run.contestant}/{run.seed}")
    return sorted(runs, key=lambda run: (run.regime, run.contestant, run.seed)), left_out
