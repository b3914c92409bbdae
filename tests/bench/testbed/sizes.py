# SPDX-License-Identifier: LGPL-2.1-or-later
"""The experiment of CAGMA's authors, scaled: sizes of host, guests and tasks, and when each task runs.

Theirs: a host of 4096 MiB; three guests that start at 512 MiB and may have 1500; tasks of 48 MiB, 85733 steps each
time; six stages of 60 s."""

from dataclasses import dataclass

KIB_PER_MIB = 1024
STAGES = 6

HOST_MIB = 4096
START_MIB = 512
MAXIMUM_MIB = 1500
TASK_MIB = 48
STEPS = 85733
# 85733 steps take less than 1 ms on today's processors, which would measure the guest's scheduler. An iteration is as
# many times that as last so long undisturbed: ten tasks on one processor then need a second and more for theirs.
ITERATION_US = 100_000
FILE_MIB = 1000
TRANSFER_KIB = 2048  # one read or write of a disk task: not scaled, no more than the disk's figures

# What a guest's kernel and base system take doesn't scale: an idle guest here uses some 90 MiB, theirs at a quarter
# would have had some 25. Each guest, and the host for each, has the difference on top of its scaled size.
OWN_MIB = 64
# No guest may be made smaller: Debian's kernel and the tasks' parent need that much to be heard of.
GUARANTEE_MIB = 96
SWAP_MIB = 512
# What must stay free of the host at every time, the same for all contestants.
RESERVE_MIB = 16
# The demands of all in the short regime, permille of what there is.
SHORT_PERMILLE = 1150

REGIMES = ("ample", "short")

# Memory tasks in each stage, and disk tasks throughout.
MEMORY_TASKS = {"vm1": (2, 2, 2, 10, 10, 10), "vm2": (2, 2, 2, 9, 9, 9), "vm3": (1, 1, 1, 1, 1, 1)}
DISK_TASKS = {"vm1": 0, "vm2": 0, "vm3": 15}


@dataclass(frozen=True)
class Guest:
    name: str
    kind: str  # of most of its tasks
    start_kib: int
    max_kib: int
    guarantee_kib: int
    swap_kib: int
    demand_kib: int  # measured: what it uses in the last three stages at its maximum; 0 while that isn't known


@dataclass(frozen=True)
class Task:
    number: int
    kind: str
    start_us: int
    size_kib: int


@dataclass(frozen=True)
class Sizes:
    host_kib: int
    reserve_kib: int
    guests: tuple[Guest, ...]


def scaled_kib(mib: int, factor: int) -> int:
    """Whole pages."""
    return mib * KIB_PER_MIB // factor // 4 * 4


def sizes(regime: str, factor: int, demands_kib: dict[str, int]) -> Sizes:
    """Of the regime; demands_kib by guest's name, empty while unknown (which will do for "ample")."""
    own_kib = OWN_MIB * KIB_PER_MIB
    reserve_kib = RESERVE_MIB * KIB_PER_MIB
    host_kib = scaled_kib(HOST_MIB, factor) + len(MEMORY_TASKS) * own_kib
    if regime == "short":
        host_kib = sum(demands_kib.values()) * 1000 // SHORT_PERMILLE // 4 * 4 + reserve_kib
    share_kib = (host_kib - reserve_kib) // len(MEMORY_TASKS) // 4 * 4
    return Sizes(host_kib, reserve_kib, tuple(
        Guest(name=name, kind="disk" if DISK_TASKS[name] else "memory",
              start_kib=min(scaled_kib(START_MIB, factor) + own_kib, share_kib),
              max_kib=scaled_kib(MAXIMUM_MIB, factor) + own_kib,
              guarantee_kib=GUARANTEE_MIB * KIB_PER_MIB,
              swap_kib=SWAP_MIB * KIB_PER_MIB,
              demand_kib=demands_kib.get(name, 0))
        for name in MEMORY_TASKS))


def data_mib(name: str, factor: int) -> int:
    return max(FILE_MIB // factor, 3 * TRANSFER_KIB // KIB_PER_MIB) if DISK_TASKS[name] else 0


def tasks(name: str, factor: int, stage_us: int) -> list[Task]:
    """The guest's tasks; each runs from its start to the end of the last stage."""
    first, last = MEMORY_TASKS[name][0], MEMORY_TASKS[name][-1]
    memory = [Task(n, "memory", MEMORY_TASKS[name].index(first if n < first else last) * stage_us,
                   scaled_kib(TASK_MIB, factor)) for n in range(last)]
    disk = [Task(last + n, "disk", 0, TRANSFER_KIB) for n in range(DISK_TASKS[name])]
    return memory + disk
