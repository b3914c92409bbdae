# SPDX-License-Identifier: LGPL-2.1-or-later
"""Those who share out the testbed's memory.

All have the same rights: the same host less the same reserve, and for each guest the same guarantee and maximum. Those
that balance have all been at work for the same time when the stages begin."""

import configparser
import json
import subprocess
import sys
import time
from pathlib import Path

from bed import BedError
from hostview import HostView
from sizes import KIB_PER_MIB, REGIMES

HERE = Path(__file__).resolve().parent

START_TIMEOUT_S = 60
HEAD_START_S = 20
ASK_TIMEOUT_S = 10
END_TIMEOUT_S = 5
STATUS_PERIOD_S = 0.5  # cagmactl costs some 20 ms of CPU
PAGE_KIB = 4


def last_lines(path, n=5):
    return " | ".join(path.read_text(errors="replace").splitlines()[-n:])


class Fixed:
    """Sizes that stay."""

    agent = False
    regimes = REGIMES

    def __init__(self, options):
        self.options = options

    def start(self, bed):
        split = self.split(bed)
        bed.notes.append(f"{self.name}: " + ", ".join(f"{name} {kib} KiB" for name, kib in split.items()))
        for name, kib in split.items():
            bed.set_memory(name, kib)

    def stop(self):
        """Nothing runs."""

    def pids(self):
        return {}


class Static(Fixed):
    """What everybody does without any of this."""

    name = "static"

    @staticmethod
    def split(bed):
        """What a guest's maximum leaves of its part is nobody's: dealing it out would be a decision."""
        part = (bed.host_kib - bed.reserve_kib) // len(bed.guests) // PAGE_KIB * PAGE_KIB
        return {guest.name: min(part, guest.max_kib) for guest in bed.guests}


class Unmoved(Fixed):
    """What CAGMA's authors compare theirs with: the sizes that the guests start with, though the host has more. Where
    memory is short, these are static's."""

    name = "unmoved"
    regimes = ("ample",)

    @staticmethod
    def split(bed):
        return {guest.name: guest.start_kib for guest in bed.guests}


class Oracle(Fixed):
    """It knows what comes: everything at its maximum where memory is enough, the best fixed split where it isn't
    (oracle.py finds it)."""

    name = "oracle"

    def __init__(self, options, given=None):
        super().__init__(options)
        self.given = given

    def split(self, bed):
        if self.given is not None:
            return self.given
        if bed.regime != "ample":
            raise BedError("oracle: it was given no split")
        return {guest.name: guest.max_kib for guest in bed.guests}


class Program:
    """A contestant that is a process of its own, and decides all the time."""

    agent = False
    regimes = REGIMES

    def __init__(self, options):
        self.options = options
        self.process = None

    def stop(self):
        """Safe at any time, also where start() has failed. Raises where it had ended by itself: the run is none."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is not None:
            raise BedError(f"{self.name} has ended by itself, with {process.returncode}")
        process.terminate()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def pids(self):
        return {} if self.process is None else {"contestant": self.process.pid}

    def launch(self, bed, *command):
        self.process = bed.spawn([str(word) for word in command])

    def check(self, bed):
        if self.process.poll() is not None:
            raise BedError(f"{self.name} has ended: {last_lines(bed.log)}")

    def await_work(self, bed, what, is_so):
        """Until it is at work, and has had the same time for it as all others."""
        began = time.monotonic()

        def is_so_or_ended():
            self.check(bed)
            return is_so()

        bed.await_(is_so_or_ended, START_TIMEOUT_S, f"{self.name}: {what}")
        bed.await_(lambda: self.check(bed) or time.monotonic() >= began + HEAD_START_S, 2 * HEAD_START_S,
                   f"{self.name}: its head start")


class Cagma(Program):
    """cagmad with its defaults but for the host's size, and what the variant says."""

    name = "cagma"
    agent = True
    policy = "cagma"
    extra = ()
    # The states of a domain that is in the policy's hands.
    MANAGED = ("steady", "growing", "shrinking", "emergency", "over")

    def start(self, bed):
        conf, run_dir = bed.dir / "cagmad.conf", bed.dir / "cagma"
        conf.write_text("\n".join(["[host]", f"uri={bed.uri}", f"budget={bed.host_kib}KiB",
                                   f"reserve={bed.reserve_kib}KiB", f"policy={self.policy}", *self.extra, ""]))
        self.launch(bed, bed.build / "plugin/cagmad", "--config", conf, "--run-dir", run_dir)
        ask = [str(bed.build / "plugin/cagmactl"), "--run-dir", str(run_dir), "--json", "status"]
        self.await_work(bed, "managing all guests", lambda: self.manages_all(ask, bed.guests))

    def manages_all(self, ask, guests):
        time.sleep(STATUS_PERIOD_S)
        try:
            answer = subprocess.run(ask, stdin=subprocess.DEVNULL, capture_output=True, check=True,
                                    timeout=ASK_TIMEOUT_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        domains = {domain["name"]: domain for domain in json.loads(answer.stdout)["domains"]}
        return all(self.manages(domains.get(guest.name, {})) for guest in guests)

    def manages(self, domain):
        """What it was asked to be is known only once its balloon has stood still."""
        source = "cagma-channel" if self.agent else "balloon-stats"
        return domain.get("source") == source and "target-kib" in domain and domain.get("state") in self.MANAGED

    def pids(self):
        return {} if self.process is None else {"cagmad": self.process.pid}


class CagmaBalloon(Cagma):
    """Ours without an agent in the guests."""

    name = "cagma-balloon"
    agent = False


class CagmaClassic(Cagma):
    """What the original does, without its defects."""

    name = "cagma-classic"
    policy = "cagma-classic"


class CagmaUnforeseen(Cagma):
    """Ours, waiting for shortage instead of foreseeing it."""

    name = "cagma-unforeseen"
    extra = ("without=foreseen",)


class CagmaUnread(Cagma):
    """Ours, leaving what was swapped out to come back page by page."""

    name = "cagma-unread"
    extra = ("read-back=no",)


# Of the host's memory, MOM and Proxmox' rule both want that much free.
THEIR_RESERVE_PERMILLE = 200


def whole_host_kib(guests_kib):
    """The host whose guests may have so much by those rules: they are to have what all others have."""
    return guests_kib * 1000 // (1000 - THEIR_RESERVE_PERMILLE)


class Onlooker(Program):
    """One that reads the host's figures in /proc/meminfo."""

    def __init__(self, options):
        super().__init__(options)
        self.view = None
        self.notes = []

    def show_host(self, bed):
        """Returns the file it is to read in place of /proc/meminfo."""
        file = bed.dir / "meminfo"
        self.notes = bed.notes
        self.view = HostView(file, whole_host_kib(bed.host_kib - bed.reserve_kib),
                             lambda: sum(bed.actual_kib(guest.name) for guest in bed.guests))
        return file

    def stop(self):
        view, self.view = self.view, None
        try:
            super().stop()
        finally:
            if view is not None:
                view.end()
                self.notes.append(f"{self.name}: guests had up to {view.most_kib // KIB_PER_MIB} MiB of the host's "
                                  f"{view.total_kib // KIB_PER_MIB}")


class Proxmox(Onlooker):
    """Proxmox VE's rule, by drive.c."""

    name = "proxmox"

    def start(self, bed):
        self.launch(bed, bed.build / "tests/bench/testbed/drive", "--connect", bed.uri,
                    "--meminfo", self.show_host(bed), *(f"{guest.name}={guest.guarantee_kib}" for guest in bed.guests))
        self.await_work(bed, "its first round", lambda: "guests free/size" in bed.log.read_text(errors="replace"))


class Mom(Onlooker):
    """oVirt's MOM itself, from its source tree (mom/README.md)."""

    name = "mom"

    def start(self, bed):
        tree = self.options.mom
        if tree is None:
            raise BedError("mom: its source tree isn't given (--mom PATH, a checkout of https://github.com/oVirt/mom)")
        tree = Path(tree).resolve()
        decided = bed.dir / "mom-decided"
        bed.notes.append(f"mom: oVirt/mom {self.version(tree)}, stock balloon.rules")
        guests = [f"--guest={guest.name}={self.qemu_pid(bed, guest)}={guest.guarantee_kib}" for guest in bed.guests]
        self.launch(bed, sys.executable, "-B", HERE / "mom/start.py", "--tree", tree, "--decided", decided,
                    "--meminfo", self.show_host(bed), *guests, "--", "--config-file", self.configure(bed, tree),
                    "--rules-file", tree / "doc/balloon.rules")
        self.await_work(bed, "its first round", decided.exists)

    @staticmethod
    def qemu_pid(bed, guest):
        return int((bed.dir / "run/qemu" / f"{guest.name}.pid").read_text(encoding="ascii"))

    @staticmethod
    def configure(bed, tree):
        """Its own configuration, but for the connection."""
        config = configparser.ConfigParser(interpolation=None)
        stock, conf = tree / "doc/mom-balloon.conf", bed.dir / "mom.conf"
        if not config.read(stock):
            raise BedError(f"mom: no {stock}: --mom is to be a checkout of https://github.com/oVirt/mom")
        config["main"]["libvirt-hypervisor-uri"] = bed.uri
        with open(conf, "w", encoding="utf-8") as out:
            config.write(out)
        return conf

    @staticmethod
    def version(tree):
        told = subprocess.run(["git", "-C", str(tree), "describe", "--tags", "--always", "--dirty"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return told.stdout.strip() or "of unknown version"


CONTESTANTS = {kind.name: kind for kind in (Static, Unmoved, Cagma, CagmaBalloon, CagmaClassic, Mom, Proxmox, Oracle,
                                            CagmaUnforeseen, CagmaUnread)}
