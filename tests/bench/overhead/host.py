# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cagmad costs the host with many guests that speak, and what it makes libvirtd do."""

import json
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from bed import Bed, BedError, await_, cpu_ns, output
from played import ANSWERS, EVENTS, MIB, QUIET, PlayedAgents

MEMORY_MIB = 256
TOTAL_MIB, AVAILABLE_MIB = 230, 140  # as such a guest's kernel tells; critical is 64 MiB
BUDGET_MIB_EACH = 2 * MEMORY_MIB  # nobody can grow, nobody must shrink

PERIOD_S = 3  # cagmad's default
VIRSHES = 4  # libvirtd starts some domains at a time
DOMAIN_TIMEOUT_S = 3
STEADY_TIMEOUT_S = 60
STATUS_S = 12  # a changed status is written again after 10 s; none is to be when it is measured
LEAD_S = PERIOD_S  # after a change of what the agents say

# The machine's only program: no interrupts, and waiting for one. At the reset vector, the last 16 of 64 KiB.
ROM_BYTES, RESET_VECTOR = 65536, 65520
CLI_HLT_LOOP = bytes((0xFA, 0xF4, 0xEB, 0xFC))

PRESSED = "its guest reports pressure, but has"  # the reason that cagmad gives for doing nothing

ALONE = "alone"  # no daemon there
CASES = (QUIET, ANSWERS, EVENTS)


@dataclass
class Case:
    """Each figure of one round; permille of a core."""
    cagmad: list[float] = field(default_factory=list)
    libvirtd: list[float] = field(default_factory=list)
    said_per_s: list[float] = field(default_factory=list)

    def medians(self) -> tuple[float, float, float]:
        """Lines a second, cagmad, libvirtd."""
        return statistics.median(self.said_per_s), statistics.median(self.cagmad), statistics.median(self.libvirtd)


def domain_xml(bed: Bed, number: int) -> str:
    return f"""<domain type='qemu'>
  <name>vm-{number}</name>
  <metadata>
    <cagma:memory xmlns:cagma='urn:cagma:memory:1'><cagma:guarantee unit='MiB'>64</cagma:guarantee></cagma:memory>
  </metadata>
  <memory unit='MiB'>{MEMORY_MIB}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <loader readonly='yes' type='rom'>{bed.dir}/rom</loader>
  </os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <channel type='unix'>
      <source mode='connect' path='{bed.dir}/agents/{number}'/>
      <target type='virtio' name='org.cagma.guest.0'/>
    </channel>
    <memballoon model='virtio'><stats period='1'/></memballoon>
  </devices>
</domain>
"""


def start_domains(bed: Bed, n: int) -> None:
    rom = bytearray(b"\xff" * ROM_BYTES)
    rom[RESET_VECTOR:RESET_VECTOR + len(CLI_HLT_LOOP)] = CLI_HLT_LOOP
    (bed.dir / "rom").write_bytes(rom)
    commands = [[] for _ in range(VIRSHES)]
    for number in range(n):
        xml = bed.dir / f"vm-{number}.xml"
        xml.write_text(domain_xml(bed, number), encoding="ascii")
        commands[number % VIRSHES].append(f"create {xml}")
    virshes = [bed.spawn(["virsh", "-q", "-c", bed.uri, "; ".join(some)], f"virsh-{i}.out")
               for i, some in enumerate(commands) if some]
    for virsh in virshes:
        try:
            virsh.wait(n * DOMAIN_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise BedError("the domains do not start") from error
    running = output(["virsh", "-q", "-c", bed.uri, "list", "--name"], "domains").split()
    if len(running) != n:
        raise BedError(f"{len(running)} of {n} domains run: {(bed.dir / 'virsh-0.out').read_text()[-500:]}")


class Daemon:
    def __init__(self, bed: Bed, build: Path, n: int):
        conf = bed.dir / "cagmad.conf"
        conf.write_text(f"[host]\nuri={bed.uri}\nbudget={n * BUDGET_MIB_EACH}MiB\nreserve=0\n", encoding="ascii")
        self._ctl = [build / "plugin/cagmactl", "--run-dir", bed.dir / "cagma", "--json", "status"]
        self._n, self._bed = n, bed
        self.process = bed.spawn([build / "plugin/cagmad", "--config", conf, "--run-dir", bed.dir / "cagma"],
                                 "cagmad.out")

    def unsteady(self, pressed: bool = False) -> str:
        """What keeps a domain from being steady, heard and where it was; empty if nothing does. pressed: its pressure
        events are heard too."""
        if self.process.poll() is not None:
            raise BedError(f"cagmad has ended: {(self._bed.dir / 'cagmad.out').read_text()[-500:]}")
        try:
            domains = json.loads(output(self._ctl, "cagmactl"))["domains"]
        except BedError as error:
            return str(error)
        if len(domains) != self._n:
            return f"{len(domains)} domains are known"
        for domain in domains:
            if (domain["state"] != "steady" or domain.get("source") != "cagma-channel" or
                    domain.get("target-kib") != MEMORY_MIB * 1024 or
                    (pressed and not domain["reason"].startswith(PRESSED))):
                return json.dumps(domain)
        return ""

    def await_steady(self) -> None:
        try:
            await_(lambda: not self.unsteady(), STEADY_TIMEOUT_S, "all domains are steady")
        except BedError as error:
            raise BedError(f"{error}: {self.unsteady()}") from error


def measure(case: Case, seconds: float, libvirtd: int, daemon: Daemon | None, agents: PlayedAgents) -> None:
    pids = [libvirtd] + ([daemon.process.pid] if daemon else [])
    said, started = agents.n_said, time.monotonic_ns()
    before = [cpu_ns(pid) for pid in pids]
    time.sleep(seconds)
    cost = [cpu_ns(pid) - ns for pid, ns in zip(pids, before)]
    took_ns = time.monotonic_ns() - started
    case.libvirtd.append(1000 * cost[0] / took_ns)
    case.said_per_s.append((agents.n_said - said) * 1e9 / took_ns)
    if daemon:
        case.cagmad.append(1000 * cost[1] / took_ns)
    if agents.error:
        raise BedError(f"the played agents: {agents.error}")


def run(build: Path, cache: Path, n: int, rounds: int, seconds: int) -> dict[str, Case]:
    """By CASES and ALONE. Every other round goes the other way."""
    cases = {name: Case() for name in (ALONE, *CASES)}
    with Bed(cache) as bed:
        (bed.dir / "agents").mkdir()
        agents = PlayedAgents([str(bed.dir / "agents" / str(i)) for i in range(n)], TOTAL_MIB * MIB,
                              AVAILABLE_MIB * MIB)
        try:
            start_domains(bed, n)
            libvirtd = bed.pid()
            time.sleep(LEAD_S)
            measure(cases[ALONE], seconds, libvirtd, None, agents)
            daemon = Daemon(bed, build, n)
            daemon.await_steady()
            time.sleep(STATUS_S)
            for number in range(rounds):
                for name in CASES[::-1] if number % 2 else CASES:
                    agents.mode = name
                    time.sleep(LEAD_S)
                    measure(cases[name], seconds, libvirtd, daemon, agents)
                    if unsteady := daemon.unsteady(name == EVENTS):
                        raise BedError(f"{name}: not as it should be: {unsteady}")
        finally:
            agents.close()
    return cases
