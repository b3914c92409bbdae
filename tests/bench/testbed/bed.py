# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bed: a private libvirtd, one slow disk, three guests and their tasks.

A contestant uses what has no underscore; `with Bed(…) as bed` ends everything that was started, by its id."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import libvirt

from port import Log, Ports
from sizes import KIB_PER_MIB, STAGES, Sizes, data_mib, tasks

HERE = Path(__file__).resolve().parent
LAB = HERE.parent.parent / "lab" / "lab"

# The shared disk. One request at a time; the delay, whole ms, and nbdkit's own time make some 150 a second of small
# ones (calibrate.py measures it). The rate is that of a disk of the authors' time, read or written in order.
DELAY_MS = 6
RATE_BYTES_S = 80_000_000
DISK_NICE = "-15"  # a disk doesn't wait for processors

BEDS = Path("/dev/shm")  # memory: images and logs are never to wait for the machine's own disk
PREFIX = "cagma-tb."
TASK_PORT = "org.cagma.bench.0"

BOOT_TIMEOUT_S = 120
BALLOON_TIMEOUT_S = 60
END_TIMEOUT_S = 60  # of tasks that wait for the disk
STOP_TIMEOUT_S = 10
CPU_PERIOD_S = 1
BALLOON_SLACK_KIB = 256  # the balloon moves by blocks of pages, and QEMU aligns


class BedError(Exception):
    """Something that should work doesn't; the text says what."""


def _output(argv: list[str], what: str) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
    if done.returncode != 0:
        raise BedError(f"{what}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def build_image(build: Path, cache: Path) -> None:
    """The guest's kernel and root, with the tasks and our agent."""
    cache.mkdir(parents=True, exist_ok=True)
    program = cache / "tasks"
    sources = sorted(str(source) for source in (HERE / "guest").glob("*.c"))
    _output(["gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-static", "-s", "-o", str(program), *sources],
            "the guest's program")
    agent = build / "qga-ext" / "cagma-guest-agent"
    _output([str(LAB), "image", str(cache), "--add", f"{program}:/usr/bin/tasks",
             "--add", f"{agent}:/usr/bin/cagma-guest-agent"], "the guest's image")


def end_orphans() -> None:
    """Beds of a runner that was killed: those whose lock nobody holds any more."""
    for directory in BEDS.glob(PREFIX + "*"):
        try:
            with open(directory / "owner", "r+", encoding="ascii") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (directory / "run").is_dir():
                    subprocess.run([str(LAB), "down", str(directory)], stdout=subprocess.DEVNULL, check=True)
                shutil.rmtree(directory)
        except (BlockingIOError, FileNotFoundError):
            continue  # in use, or just removed


class Bed:
    def __init__(self, build: Path, cache: Path, regime: str, sizes: Sizes, factor: int, stage_s: float, seed: int,
                 steps: int, agent: bool, log: Path):
        self.build, self.regime, self.seed, self.log = build, regime, seed, log
        self.host_kib, self.reserve_kib, self.guests = sizes.host_kib, sizes.reserve_kib, sizes.guests
        self.notes: list[str] = []
        self.dir = Path()
        self.uri = ""
        self.go_realtime_us = 0
        self.cpu: list[tuple[int, str, int]] = []  # t_us, what, µs
        self._cache, self._factor, self._stage_s, self._steps, self._agent = cache, factor, stage_s, steps, agent
        self._spawned: list[subprocess.Popen] = []
        self._disk: subprocess.Popen | None = None
        self._ports: Ports | None = None
        self._qemu: dict[str, int] = {}
        self._libvirtd = 0

    # Start and end.

    def __enter__(self) -> "Bed":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="new." + PREFIX, dir=BEDS))
        self._owner = open(self.dir / "owner", "w", encoding="ascii")
        fcntl.flock(self._owner, fcntl.LOCK_EX)
        self.dir = self.dir.rename(BEDS / self.dir.name.removeprefix("new."))  # never seen without its lock
        self.uri = _output([str(LAB), "up", str(self.dir), "--cache", str(self._cache)], "libvirtd")
        self._libvirtd = int(_output([str(LAB), "pid", str(self.dir)], "libvirtd"))
        documents = [self._domain(guest) for guest in self.guests]
        self._serve_disk()
        self._connection = self.connect()
        for document in documents:
            self._connection.createXML(document)
        for guest in self.guests:
            self._qemu[guest.name] = int(_output([str(LAB), "pid", str(self.dir), guest.name], guest.name))
        self._ports = Ports({guest.name: str(self.dir / f"{guest.name}.port") for guest in self.guests})
        self._await_boot()

    def _domain(self, guest) -> str:
        """Its XML; makes its disks too."""
        programs = "cagma.qga=off cagma.run=/usr/bin/tasks,/dev/virtio-ports/" + TASK_PORT
        if self._agent:
            programs += " cagma.run=/usr/bin/cagma-guest-agent"
        mib = {key: str(kib // KIB_PER_MIB) for key, kib in
               (("guarantee", guest.guarantee_kib), ("swap", guest.swap_kib))}
        document = _output(
            [str(LAB), "domain", str(self.dir), guest.name, "--current", "1", "--memory", "2",
             "--guarantee", mib["guarantee"], "--swap", mib["swap"], "--data", str(data_mib(guest.name, self._factor)),
             "--channel", "--nbd", str(self.dir / "disk"), "--port", f"{TASK_PORT}={self.dir}/{guest.name}.port",
             "--append", programs], guest.name)
        # The lab takes whole MiB; sizes here are of pages.
        return (document.replace("<memory unit='MiB'>2<", f"<memory unit='KiB'>{guest.max_kib}<")
                .replace("<currentMemory unit='MiB'>1<", f"<currentMemory unit='KiB'>{guest.start_kib}<"))

    def _serve_disk(self) -> None:
        socket = self.dir / "disk"
        self._disk = self.spawn(
            ["nice", "-n", DISK_NICE, "nbdkit", "--foreground", "--exit-with-parent", "--unix", str(socket),
             "--filter=noparallel", "--filter=delay", "--filter=rate", "file", f"dir={self.dir}/disks",
             "serialize=all-requests", f"delay-read={DELAY_MS}ms", f"delay-write={DELAY_MS}ms",
             f"rate={RATE_BYTES_S * 8}"])
        self.await_(socket.exists, STOP_TIMEOUT_S, "nbdkit")

    def _await_boot(self) -> None:
        for name, port in self._ports.ports.items():
            self.await_(port.ready.is_set, BOOT_TIMEOUT_S, f"{name} boots")
        for guest in self.guests:
            self.await_(lambda guest=guest: self._is_at(guest, guest.start_kib), BALLOON_TIMEOUT_S,
                        f"{guest.name} comes to {guest.start_kib} KiB")

    def __exit__(self, *_) -> None:
        """Not to be interrupted: what is left running would disturb all that follows."""
        old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._stop()
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        if self._ports is not None:
            self._ports.close()
            self._ports = None
        if (self.dir / "run").is_dir():
            subprocess.run([str(LAB), "down", str(self.dir)], stdout=subprocess.DEVNULL, start_new_session=True)
        for process in reversed(self._spawned):
            self.end(process)
        if self.dir != Path():
            shutil.rmtree(self.dir)
            self._owner.close()
            self.dir = Path()

    # For contestants.

    def connect(self) -> libvirt.virConnect:
        """A connection of one's own."""
        return libvirt.open(self.uri)

    def spawn(self, argv: list[str], **options) -> subprocess.Popen:
        """A process that the bed ends at last, unless somebody else does. It writes to the log, where no other
        stdout or stderr is given."""
        with open(self.log, "ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True} | options
            process = subprocess.Popen(argv, **options)
        self._spawned.append(process)
        return process

    @staticmethod
    def end(process: subprocess.Popen) -> None:
        if process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @staticmethod
    def await_(predicate, seconds: float, what: str) -> None:
        """Until predicate is true; BedError after that time."""
        deadline = time.monotonic() + seconds
        while not predicate():
            if time.monotonic() > deadline:
                raise BedError(f"{what}: not within {seconds} s")
            time.sleep(0.05)

    def guest(self, name: str):
        return next(guest for guest in self.guests if guest.name == name)

    def actual_kib(self, name: str) -> int:
        """The balloon, as the guest itself saw it at most half a second ago; nobody else is asked."""
        sample = self._ports.ports[name].latest
        return actual_kib(self.guest(name), sample) if sample else 0

    def usable_kib(self, name: str) -> int:
        sample = self._ports.ports[name].latest
        return sample.available_kib if sample else 0

    def set_memory(self, name: str, kib: int) -> None:
        """Sets a balloon and waits until it is there."""
        self._connection.lookupByName(name).setMemoryFlags(kib, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        self.await_(lambda: self._is_at(self.guest(name), kib), BALLOON_TIMEOUT_S, f"{name} comes to {kib} KiB")

    def _is_at(self, guest, kib: int) -> bool:
        return abs(self.actual_kib(guest.name) - kib) <= BALLOON_SLACK_KIB

    # The stages.

    def run_stages(self, pids=dict) -> dict[str, Log]:
        """All six; pids() tells the contestant's processes by what they are."""
        stage_us = round(self._stage_s * 1e6)
        return self.run_tasks({guest.name: tasks(guest.name, self._factor, stage_us) for guest in self.guests},
                              STAGES * stage_us, pids)

    def run_tasks(self, schedules: dict, end_us: int, pids=dict) -> dict[str, Log]:
        ports = self._ports.ports
        for number, (name, schedule) in enumerate(schedules.items()):
            ports[name].send(f"steps {self._steps}", f"seed {self.seed * len(ports) + number}",
                             *(f"task {task.number} {task.kind} {task.start_us} {task.size_kib}" for task in schedule))
        self.go_realtime_us = time.time_ns() // 1000
        for name in schedules:
            ports[name].go(end_us)
        done = threading.Event()
        sampler = threading.Thread(target=self._sample_cpu, args=(done, pids), name="cpu")
        sampler.start()
        try:
            for name in schedules:
                left_s = end_us / 1e6 + END_TIMEOUT_S - (time.time_ns() // 1000 - self.go_realtime_us) / 1e6
                self.await_(lambda name=name: ports[name].done.is_set() or ports[name].closed, left_s,
                            f"{name} ends its tasks")
                if ports[name].closed:
                    raise BedError(f"{name} is gone")
            if self._disk.poll() is not None:
                raise BedError(f"the disk is gone: nbdkit has ended with {self._disk.returncode}")
        finally:
            done.set()
            sampler.join()
        return {name: ports[name].log for name in schedules}

    def _sample_cpu(self, done: threading.Event, pids) -> None:
        fixed = {"libvirtd": self._libvirtd} | {f"qemu:{name}": pid for name, pid in self._qemu.items()}
        while True:
            last = done.is_set()
            t_us = time.time_ns() // 1000 - self.go_realtime_us
            for what, pid in (fixed | pids()).items():
                cpu_us = process_cpu_us(pid)
                if cpu_us is not None:
                    self.cpu.append((t_us, what, cpu_us))
            if last:
                return
            done.wait(CPU_PERIOD_S)


def actual_kib(guest, sample) -> int:
    return guest.max_kib - 4 * (sample.inflated_pages - sample.deflated_pages)


def process_cpu_us(pid: int) -> int | None:
    """User and system time of a process, fields 14 and 15 of /proc/PID/stat; None where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(fields[11]) + int(fields[12])) * 1_000_000 // os.sysconf("SC_CLK_TCK")
