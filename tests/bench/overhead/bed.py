# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private libvirtd, what runs beside it, and the kernel's account of it all.

`with Bed(…) as bed` ends everything that was started, by its id."""

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent.parent / "lab"

BEDS = Path("/dev/shm")  # memory: sockets and logs are never to wait for a disk
PREFIX = "cagma-ov."  # short: sockets lie deep below it
POLL_S = 0.1
STOP_TIMEOUT_S = 10

CPUCLOCK_SCHED = 2  # the kernel's number, see cpu_ns()


class BedError(Exception):
    """Something that should work doesn't; the text says what."""


def output(argv: list, what: str) -> str:
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          start_new_session=True, check=False)
    if done.returncode != 0:
        raise BedError(f"{what}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def await_(predicate, seconds: float, what: str):
    """What predicate returns as soon as that is true; BedError after that time."""
    deadline = time.monotonic() + seconds
    while not (result := predicate()):
        if time.monotonic() > deadline:
            raise BedError(f"{what}: not within {seconds} s")
        time.sleep(POLL_S)
    return result


def cpu_ns(pid: int) -> int:
    """CPU time of a process, of all its threads, those that have ended too: its clock as clock_getcpuclockid(3) makes
    it, which is the sum of what the scheduler gave them (sum_exec_runtime, that of schedstat), not of ticks."""
    try:
        return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
    except OSError as error:
        raise BedError(f"process {pid} is gone") from error


class Bed:
    def __init__(self, cache: Path):
        self.dir = Path()
        self.uri = ""
        self._cache = cache
        self._spawned: list[subprocess.Popen] = []

    def __enter__(self) -> "Bed":
        self.dir = Path(tempfile.mkdtemp(prefix=PREFIX, dir=BEDS))
        try:
            # Logging each call would be most of what libvirtd does.
            self.uri = output([LAB / "lab", "up", self.dir, "--cache", self._cache, "--log-filters", ""],
                              "libvirtd").strip()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        """Not to be interrupted: what is left running would disturb all that follows."""
        old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for process in reversed(self._spawned):
                self.end(process)
            if (self.dir / "run").is_dir():
                subprocess.run([str(LAB / "lab"), "down", str(self.dir)], stdout=subprocess.DEVNULL,
                               start_new_session=True, check=False)
            shutil.rmtree(self.dir)
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def spawn(self, argv: list, log: str) -> subprocess.Popen:
        """A process that the bed ends at last, unless somebody else does."""
        with open(self.dir / log, "ab") as out:
            process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True)
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

    def pid(self, *name: str) -> int:
        """Of a domain's QEMU; without name, of libvirtd."""
        return int(output([LAB / "lab", "pid", self.dir, *name], "process id"))

    def guest(self, name: str, *words) -> str:
        return output([LAB / "guestctl", self.uri, name, *words], f"guest {name}: {' '.join(map(str, words))}")
