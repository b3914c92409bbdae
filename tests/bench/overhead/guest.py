# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the agent costs its guest: a real one, which is emulated, and beside it the same program on this machine."""

import json
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bed import LAB, Bed, BedError, await_, cpu_ns, output

HERE = Path(__file__).resolve().parent
NAME = "real"
MEMORY_MIB, SWAP_IOPS = 256, 300
SWAPPING_MIB_S, SWAPPING_BEYOND_S = 20, 20  # it takes up so much more a second, until that long after a measurement
SLEEPERS = 100  # processes that do nothing but be looked at
ARMED = {"resource": "memory", "level": "some", "stall": 25000, "window": 500000}  # as the agent is from its start

BOOT_TIMEOUT_S = 120
ANSWER_TIMEOUT_S = 30
PRESSED_TIMEOUT_S = 60
LEAD_S = 2
RECEIVE_BYTES = 65536


class Asker:
    """The host's end of the agent's channel. A thread reads; events are counted, answers wait for who asks."""

    def __init__(self, path: Path):
        self.n_events = 0
        self.watch = ""
        self._answered = threading.Event()
        self._answer: dict = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._thread = threading.Thread(target=self._read, name="asker")
        self._thread.start()

    def _read(self) -> None:
        rest = b""
        while data := self._socket.recv(RECEIVE_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for said in lines:
                self._take(json.loads(said.lstrip(b"\xff")))

    def _take(self, message: dict) -> None:
        if "event" in message:
            self.n_events += 1
        else:
            self._answer = message
            self._answered.set()

    def ask(self, command: str, before: bytes = b"", **arguments):
        """Its answer."""
        self._answered.clear()
        self._socket.sendall(before + json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        if not self._answered.wait(ANSWER_TIMEOUT_S):
            raise BedError(f"the agent does not answer {command}")
        if "return" not in self._answer:
            raise BedError(f"{command}: {self._answer}")
        return self._answer["return"]

    def sync(self) -> None:
        number = time.time_ns() & 0x7FFFFFFF
        if self.ask("guest-sync-delimited", b"\xff", id=number) != number:
            raise BedError("the agent is out of step")

    def arm(self, **trigger) -> None:
        self.watch = self.ask("guest-set-pressure-trigger", **trigger)["watch"]

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


@dataclass
class Cost:
    """Of the agent, in one case."""
    permille: float
    n: int = 0  # answers or events
    each_us: float = 0


@dataclass
class Found:
    watch: str = ""
    native_watch: str = ""
    costs: dict[str, Cost] = field(default_factory=dict)
    read_us: float = 0  # the reference, in the guest …
    loop_us: float = 0
    host_read_us: float = 0  # … and on this machine
    host_loop_us: float = 0
    processes: int = 0
    more_processes: int = 0
    native_processes: int = 0

    @property
    def slower(self) -> float:
        """How much longer emulation makes the reference take."""
        return self.read_us / self.host_read_us


def measure(used_ns, seconds: float, asker: Asker, asks: bool) -> Cost:
    """used_ns() is the agent's CPU time so far."""
    events, before, started = asker.n_events, used_ns(), time.monotonic()
    n = 0
    while (left := started + seconds - time.monotonic()) > 0:
        if asks:
            asker.ask("guest-get-memory-stats")
            n += 1
        time.sleep(max(0, min(left, started + n - time.monotonic()) if asks else left))
    cost_ns, took_ns = used_ns() - before, (time.monotonic() - started) * 1e9
    n = n if asks else asker.n_events - events
    return Cost(1000 * cost_ns / took_ns, n, cost_ns / n / 1000 if n else 0)


def reference(text: str) -> tuple[float, float]:
    read_ns, loop_ns = text.split()
    return int(read_ns) / 1000, int(loop_ns) / 1000


def await_processes(asker: Asker, least: int) -> int:
    """How many the agent's guest has, once it has looked at all of them and there are so many."""
    def look() -> int:
        scan = asker.ask("guest-get-memory-stats")["process-scan"]
        return 0 if scan["truncated"] or scan["processes"] < least else scan["processes"]
    return await_(look, ANSWER_TIMEOUT_S, f"{least} processes in the guest")


def await_pressure(asker: Asker) -> None:
    events = asker.n_events
    try:
        await_(lambda: asker.n_events > events + 1, PRESSED_TIMEOUT_S, "pressure in the guest")
    except BedError as error:
        raise BedError(f"{error}: {asker.ask('guest-get-memory-stats')}, "
                       f"{asker.ask('guest-get-pressure')}") from error


def in_guest(bed: Bed, found: Found, seconds: int) -> None:
    port, swapping_mib = bed.dir / "port", MEMORY_MIB + SWAPPING_MIB_S * (seconds + SWAPPING_BEYOND_S)
    xml = bed.dir / "real.xml"
    xml.write_text(output([LAB / "lab", "domain", bed.dir, NAME, "--current", MEMORY_MIB, "--memory", MEMORY_MIB,
                           "--swap", swapping_mib, "--iops", SWAP_IOPS, "--port", f"org.cagma.guest.0={port}"], NAME),
                   encoding="utf-8")
    output(["virsh", "-q", "-c", bed.uri, "create", xml], NAME)
    asker = Asker(port)
    try:
        bed.guest(NAME, "wait-agent", BOOT_TIMEOUT_S)
        agent = bed.guest(NAME, "exec", "/usr/bin/cagma-guest-agent").strip()
        asker.sync()
        found.read_us, found.loop_us = reference(bed.guest(NAME, "run", "/usr/bin/reference"))

        def cost(name: str, asks: bool = False) -> None:
            time.sleep(LEAD_S)
            found.costs[name] = measure(
                lambda: int(bed.guest(NAME, "cat", f"/proc/{agent}/schedstat").split()[0]), seconds, asker, asks)

        found.processes = await_processes(asker, 1)
        asker.arm(stall=0)
        cost("idle")
        asker.arm(**ARMED)
        found.watch = asker.watch
        cost("armed")
        cost("asked", asks=True)
        bed.guest(NAME, "exec", "/bin/sh", "-c", f"for i in $(seq {SLEEPERS}); do sleep 1000 & done; wait")
        found.more_processes = await_processes(asker, found.processes + SLEEPERS)
        cost("asked-more", asks=True)
        bed.guest(NAME, "exec", "/bin/work", "--mem", swapping_mib, "--ramp", SWAPPING_MIB_S, "--pace", 1)
        await_pressure(asker)
        cost("pressed")
        if found.costs["pressed"].n < seconds:
            raise BedError(f"only {found.costs['pressed'].n} events in {seconds} s")
    finally:
        asker.close()


def child_of(pid: int) -> int | None:
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(words[0]) if words else None


def is_agent(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").startswith("cagma-guest")


def native(bed: Bed, build: Path, found: Found, seconds: int) -> None:
    """In a process namespace of its own, with as many processes as in the guest."""
    path = bed.dir / "agent"
    script = f'for i in $(seq {SLEEPERS}); do sleep 1000 & done; exec "$0" "$@"'
    program = build / "qga-ext/cagma-guest-agent"
    unshare = bed.spawn(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, program,
                         "--method", "unix-listen", "--path", path], "agent.out")
    await_(path.exists, ANSWER_TIMEOUT_S, "the agent on this machine")
    pid = child_of(unshare.pid)
    if pid is None or not is_agent(pid):
        raise BedError("the agent on this machine is gone")
    asker = Asker(path)
    try:
        asker.sync()
        asker.arm(**ARMED)
        found.native_watch = asker.watch
        time.sleep(LEAD_S)
        found.costs["native"] = measure(lambda: cpu_ns(pid), seconds, asker, True)
        found.native_processes = await_processes(asker, SLEEPERS)
    finally:
        asker.close()
        os.kill(pid, signal.SIGTERM)  # unshare itself heeds none
        bed.end(unshare)


def run(build: Path, cache: Path, seconds: int) -> Found:
    found = Found()
    program = cache / "reference"
    cache.mkdir(parents=True, exist_ok=True)
    output(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-static", "-s", "-o", program, HERE / "reference.c"],
           "the reference")
    output([LAB / "lab", "image", cache, "--add", f"{program}:/usr/bin/reference",
            "--add", f"{build}/qga-ext/cagma-guest-agent:/usr/bin/cagma-guest-agent"], "the guest's image")
    with Bed(cache) as bed:
        in_guest(bed, found, seconds)
        native(bed, build, found, seconds)
    found.host_read_us, found.host_loop_us = reference(output([program], "the reference"))
    return found
