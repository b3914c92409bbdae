# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables, and what they mean."""

import os
import statistics
import subprocess
from pathlib import Path

import guest
import host
from played import ANSWERS, EVENTS, QUIET

AIM_PERMILLE = 10  # of a core

SAYS = {host.ALONE: "no cagmad", QUIET: "agents answer each period", ANSWERS: "and push figures each second",
        EVENTS: "and push an event each second"}
DOES = {"idle": "idle: no trigger, not asked", "armed": "trigger armed",
        "asked": "asked each second, {processes} processes",
        "asked-more": "asked each second, {more_processes} processes",
        "pressed": "trigger fires {events:.1f} times a second",
        "native": "asked each second, {native_processes} processes"}


def _said_by(*argv: str) -> str:
    words = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()
    return words[-1] if words else "?"


def machine() -> str:
    rows = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((row.split(":")[1].strip() for row in rows if row.startswith("model name")), "?")
    return (f"Machine: {os.cpu_count()} × {model}, Linux {os.uname().release}, "
            f"libvirt {_said_by('libvirtd', '--version')}, GLib {_said_by('pkg-config', '--modversion', 'glib-2.0')}, "
            f"load {load()} at the start")


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _verdict(permille: float) -> str:
    return "met" if permille < AIM_PERMILLE else "missed"


def _percent(permilles: list[float]) -> str:
    """Median and range."""
    values = sorted(permille / 10 for permille in permilles)
    return f"{statistics.median(values):.2f} ({values[0]:.2f}–{values[-1]:.2f})" if values else "–"


def _host_row(name: str, case: host.Case, quiet: host.Case) -> str:
    said, cagmad, libvirtd = case.medians() if case.cagmad else (0, 0, statistics.median(case.libvirtd))
    row = f"{SAYS[name]:30}{said:8.1f}  {_percent(case.cagmad):17} {_percent(case.libvirtd):17}"
    if not case.cagmad:
        return row.rstrip()
    row += f" {100 * cagmad / (cagmad + libvirtd):4.0f} %"
    said_0, cagmad_0, libvirtd_0 = quiet.medians()
    more = ""
    if case is not quiet:
        more = "".join(f"{1000 * extra / (said - said_0):9.0f}" for extra in (cagmad - cagmad_0, libvirtd - libvirtd_0))
    return f"{row}{more:18}   {_verdict(cagmad)}"


def print_host(cases: dict[str, host.Case], guests: int, rounds: int, seconds: int) -> None:
    print(f"""
The host: {guests} guests, {rounds} rounds of {seconds} s each, in turn; percent of a core, median (range)
                                                                    cagmad's  a line more, µs   aim
                               lines/s  cagmad            libvirtd      part  cagmad libvirtd   {AIM_PERMILLE / 10:g} %""")
    for name, case in cases.items():
        print(_host_row(name, case, cases[QUIET]))
    print(f"""
cagmad at its default period of {host.PERIOD_S} s, enforcing; what it decides is to leave all as it is, which is checked after each
measurement. Real domains behind a real libvirtd: each QEMU's machine has {host.MEMORY_MIB} MiB and executes one hlt. Their channels
are sockets that QEMU, and libvirtd for virDomainOpenChannel, connect to; the agents are played there (played.py),
{host.AVAILABLE_MIB} of {host.TOTAL_MIB} MiB available in each, and take turns. lines/s: what they said, answers to cagmad's own questions
included. A line more: than where agents answer only. CPU: the processes' own clocks (clock_getcpuclockid), all
threads; libvirtd logs no calls. No balloon driver ever reports; libvirtd asks QEMU for its statistics all the same.""")


def _guest_row(name: str, cost: guest.Cost, found: guest.Found, seconds: int) -> str:
    native = name == "native"
    what = DOES[name].format(**vars(found), events=cost.n / seconds)
    times = cost.each_us / (found.host_read_us if native else found.read_us)
    each = f"{cost.each_us:8.0f} {times:7.1f}" if cost.n else ""
    without = "" if native else f"{cost.permille / 10 / found.slower:.3f}"
    return f"  {what:39} {cost.permille / 10:6.3f}  {cost.n:3} {each:16}  {without:>9}      {_verdict(cost.permille)}"


def print_guest(found: guest.Found, seconds: int) -> None:
    print(f"""
The agent: {seconds} s each; percent of a core, as its kernel accounts for it
                                                                 each    without
                                              CPU    n     µs × ref.  emulation      aim
In a real guest, emulated                                                 about      {AIM_PERMILLE / 10:g} %""")
    for name, cost in found.costs.items():
        if name == "native":
            print("The same program on this machine itself")
        print(_guest_row(name, cost, found, seconds))
    read_us, host_read_us, loop = found.read_us, found.host_read_us, found.loop_us / found.host_loop_us
    print(f"""
ref.: opening, reading and closing /proc/meminfo and /proc/vmstat once takes {read_us:.0f} µs of CPU in the guest, {host_read_us:.0f} µs
here: {found.slower:.1f} times as long by emulation (TCG), which is what "without emulation" takes off. A loop without the
kernel takes {loop:.1f} times as long. The guest has {guest.MEMORY_MIB} MiB; schedstat of its kernel. Its agent watches by
{found.watch}, on this machine by {found.native_watch}. For an answer, and after an event, it looks through the processes, up to 1024
or 10 ms of them: the cost goes by their number. Firing, with {found.more_processes} processes: a program takes up {guest.SWAPPING_MIB_S} MiB a
second more than there is; two events a second is the most that the agent's own trigger lets through. What others
take of this machine meanwhile, the guest's kernel takes for the agent's time: only a quiet machine's figures count.

Load at the end: {load()}.""")
