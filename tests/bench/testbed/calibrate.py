# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured once for each OUT, and holds for all its runs: how long an iteration is, what the guests demand,
what the disk can do."""

import json
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from bed import Bed, BedError, actual_kib
from sizes import ITERATION_US, STAGES, STEPS, TASK_MIB, Task, scaled_kib, sizes

PROBE_US = 2_000_000
IOPS_REQUESTS = 300
PROBE_STAGE_S = 3


@dataclass(frozen=True)
class Calibration:
    factor: int
    repeats: int  # of 85733 steps in an iteration
    iteration_us: int  # undisturbed, as measured
    demands_kib: dict[str, int]
    idle_kib: dict[str, int]  # used with no task running, at the maximum
    iops: float  # of requests of 4 KiB, one guest's disk
    iops_each_of_two: float  # two guests' disks at once


def load(path: Path, factor: int) -> Calibration | None:
    if not path.exists():
        return None
    try:
        known = Calibration(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise BedError(f"{path}: {error}") from error
    if known.factor != factor:
        raise BedError(f"{path} is of factor {known.factor}: give another --out for factor {factor}")
    return known


def save(path: Path, calibration: Calibration) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(calibration), indent=1) + "\n", encoding="utf-8")
    new.rename(path)


def measure(build: Path, cache: Path, factor: int, log: Path) -> Calibration:
    with Bed(build, cache, "ample", sizes("ample", factor, {}), factor, PROBE_STAGE_S, 1, STEPS, False, log) as bed:
        step_runs_us = _undisturbed_us(bed, factor)
        for guest in bed.guests:
            bed.set_memory(guest.name, guest.max_kib)
        idle_kib = {guest.name: guest.max_kib - bed.usable_kib(guest.name) for guest in bed.guests}
        demands_kib = _demands_kib(bed)
        iops = _iops(bed, ["vm1"])[0]
        both = _iops(bed, ["vm1", "vm2"])
    repeats = max(1, round(ITERATION_US / step_runs_us))
    return Calibration(factor, repeats, round(repeats * step_runs_us), demands_kib, idle_kib, round(iops, 1),
                       round(sum(both) / 2, 1))


def _undisturbed_us(bed: Bed, factor: int) -> float:
    """Of 85733 steps: the fastest tenth of many, since the machine always disturbs some."""
    task = Task(0, "memory", 0, scaled_kib(TASK_MIB, factor))
    log = bed.run_tasks({"vm1": [task]}, PROBE_US)["vm1"]
    lengths = sorted(end - start for _, start, end in log.iterations)
    if not lengths:
        raise BedError("no iteration within 2 s: " + "; ".join(log.errors))
    return lengths[len(lengths) // 10]


def _demands_kib(bed: Bed) -> dict[str, int]:
    """The most that is in use in the last three stages, all guests at their maximum."""
    logs = bed.run_stages()
    begin_us = STAGES // 2 * PROBE_STAGE_S * 1_000_000
    return {guest.name: max(actual_kib(guest, sample) - sample.available_kib
                            for sample in logs[guest.name].samples if sample.t_us > begin_us)
            for guest in bed.guests}


def _iops(bed: Bed, names: list[str]) -> list[float]:
    """Of each guest's swap disk, all at once, with one request of each under way."""
    readers = [subprocess.Popen(["qemu-img", "bench", "-f", "raw", "-c", str(IOPS_REQUESTS), "-d", "1", "-s", "4096",
                                 f"nbd+unix:///{name}.swap?socket={bed.dir}/disk"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for name in names]
    figures = []
    for reader in readers:
        said = reader.communicate()[0]
        took = re.search(r"completed in ([0-9.]+) seconds", said)
        if took is None:
            raise BedError(f"qemu-img bench: {said.strip()[-300:]}")
        figures.append(IOPS_REQUESTS / float(took[1]))
    return figures
