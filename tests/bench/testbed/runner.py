# SPDX-License-Identifier: LGPL-2.1-or-later
"""One run: a contestant, a regime and a seed; and the files it leaves, which README.md describes."""

import csv
import datetime
import hashlib
import json
import math
import os
import platform
import re
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bed import DELAY_MS, RATE_BYTES_S, Bed, BedError, actual_kib
from calibrate import Calibration
from port import Log
from sizes import STAGES, STEPS, sizes, tasks

SECTOR_BYTES = 512
SPEED_BYTES, SPEED_TRIES = 32 << 20, 8
PAGE_KIB = 4
# libvirtd's line about a call, in UTC (tests/lab/README.md).
SET_MEMORY = re.compile(r"^(\S+ \S+)\+0000: .* virDomainSetMemory(?:Flags)?:\d+ :.*\(VM: name=([^,]+),.* memory=(\d+)")


@dataclass(frozen=True)
class Settings:
    build: Path
    out: Path
    cache: Path
    factor: int
    stage_s: float
    calibration: Calibration


def run_once(settings: Settings, regime: str, contestant, seed: int, directory: Path, number: int = 1) -> None:
    """Leaves a complete directory, or none. The contestant is an object of contestants.py."""
    new = directory.with_name(directory.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    started, load, before = datetime.datetime.now(datetime.timezone.utc), os.getloadavg()[0], speed_mib_s()
    begun_s = time.monotonic()
    calibration = settings.calibration
    size = sizes(regime, settings.factor, calibration.demands_kib)
    with Bed(settings.build, settings.cache, regime, size, settings.factor, settings.stage_s, seed,
             STEPS * calibration.repeats, contestant.agent, new / "decisions.log") as bed:
        bed.log.touch()
        try:
            contestant.start(bed)
            logs = bed.run_stages(contestant.pids)
        finally:
            contestant.stop()
        targets = _targets((bed.dir / "log" / "libvirtd.log"), bed)
    _check(logs, bed)
    _write_tables(new, bed, settings, logs, targets)
    meta = {
        "regime": regime, "contestant": contestant.name, "seed": seed, "round": number, "factor": settings.factor,
        "stage_s": settings.stage_s, "stages": STAGES, "host_kib": bed.host_kib, "reserve_kib": bed.reserve_kib,
        "guests": [asdict(guest) for guest in bed.guests],
        "disk": {"delay_us": DELAY_MS * 1000, "rate_bytes_s": RATE_BYTES_S, "iops": calibration.iops,
                 "iops_each_of_two": calibration.iops_each_of_two},
        "steps": STEPS * calibration.repeats, "iteration_us": calibration.iteration_us,
        "started": started.isoformat(timespec="seconds"), "took_s": round(time.monotonic() - begun_s, 1),
        "go_us": bed.go_realtime_us, "machine": machine() | {"load_before": load, "sha256_mib_s_before": before,
                                                         "sha256_mib_s_after": speed_mib_s()}, "notes": bed.notes}
    (new / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    if directory.exists():
        shutil.rmtree(directory)
    new.rename(directory)


def _check(logs: dict[str, Log], bed: Bed) -> None:
    """What makes a run worthless raises; what is only worth knowing is noted."""
    for name, log in logs.items():
        if len(log.samples) < 2:
            raise BedError(f"{name}: no figures from the guest")
        bed.notes += [f"{name}: {error}" for error in log.errors]
        bed.notes += [f"{name}: task {task} died after {end_us / 1e6:.1f} s" for task, end_us in log.deaths.items()]
        if log.lost:
            bed.notes.append(f"{name}: {log.lost} lines lost")
        lags = sorted(sample.lag_us / 1000 for sample in log.samples)
        bed.notes.append(f"{name}: its time 0 is at most {lags[0]:.1f} ms after ours; its figures were heard "
                         f"{lags[len(lags) // 2] - lags[0]:.1f} ms later (median), {lags[-1] - lags[0]:.1f} at most")


def _targets(log: Path, bed: Bed) -> dict[str, list[tuple[int, int]]]:
    """What each guest was asked to be, and when, from libvirtd's log: the last before the stages, and all since."""
    targets: dict[str, list[tuple[int, int]]] = {guest.name: [] for guest in bed.guests}
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            call = SET_MEMORY.match(line)
            if call is None or call[2] not in targets:
                continue
            at = datetime.datetime.strptime(call[1], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=datetime.timezone.utc)
            targets[call[2]].append((round(at.timestamp() * 1e6) - bed.go_realtime_us, int(call[3])))
    return targets


def _write_tables(directory: Path, bed: Bed, settings: Settings, logs: dict[str, Log], targets) -> None:
    stage_us = round(settings.stage_s * 1e6)
    kinds = {guest.name: {task.number: task.kind for task in tasks(guest.name, settings.factor, stage_us)}
             for guest in bed.guests}
    _write(directory / "iterations.csv", "guest task kind stage_started start_us end_us",
           ((name, task, kinds[name][task], min(start // stage_us, STAGES - 1) + 1, start, end)
            for name, log in logs.items() for task, start, end in log.iterations))
    _write(directory / "tasks.csv", "guest task kind start_us end_us",
           ((name, task, kinds[name][task], start, log.deaths.get(task, ""))
            for name, log in logs.items() for task, start in log.starts.items()))
    _write(directory / "guests.csv", "t_us guest actual_kib target_kib usable_kib swap_in_kib swap_out_kib rd_ops "
           "wr_ops rd_bytes wr_bytes psi_full_us swap_rd_ops swap_wr_ops", _guest_rows(bed, logs, targets))
    cpu = bed.cpu + [(sample.t_us, f"agent:{name}", sample.agent_us)
                     for name, log in logs.items() for sample in log.samples if sample.agent_us]
    _write(directory / "cpu.csv", "t_us what cpu_us", sorted(cpu))


def _guest_rows(bed: Bed, logs: dict[str, Log], targets):
    for guest in bed.guests:
        calls = iter([*targets[guest.name], (1 << 62, 0)])
        target, upcoming = "", next(calls)
        for sample in logs[guest.name].samples:
            while upcoming[0] <= sample.t_us:
                target, upcoming = upcoming[1], next(calls)
            swap, data = sample.swap, sample.data
            yield (sample.t_us, guest.name, actual_kib(guest, sample), target, sample.available_kib,
                   sample.swap_in_pages * PAGE_KIB, sample.swap_out_pages * PAGE_KIB, swap[0] + data[0],
                   swap[2] + data[2], (swap[1] + data[1]) * SECTOR_BYTES, (swap[3] + data[3]) * SECTOR_BYTES,
                   sample.stalled_us, swap[0], swap[2])


def _write(path: Path, columns: str, rows) -> None:
    with open(path, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns.split())
        writer.writerows(rows)


def _said(*argv: str) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else "unknown"


def speed_mib_s() -> float:
    """How fast the machine is just now: virtual ones lose up to half of it to neighbours, unseen. The best of a few."""
    block, best_s = bytes(SPEED_BYTES), math.inf
    for _ in range(SPEED_TRIES):
        begun_s = time.perf_counter()
        hashlib.sha256(block).digest()
        best_s = min(best_s, time.perf_counter() - begun_s)
    return round(SPEED_BYTES / 2**20 / best_s, 1)


def machine() -> dict:
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    top = str(Path(__file__).resolve().parent)
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "qemu": _said("qemu-system-x86_64", "--version"), "libvirt": _said("libvirtd", "--version"),
            "nbdkit": _said("nbdkit", "--version"),
            "commit": _said("git", "-C", top, "describe", "--always", "--dirty")}
