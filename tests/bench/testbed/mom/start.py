#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""start.py --tree TREE --meminfo FILE --decided FILE [--guest NAME=PID=MINIMUM-KIB]… -- MOMD-OPTIONS

oVirt's MOM from its source tree, which stays as it is, on a host whose /proc/meminfo is FILE. README.md says what is
put in place of what, and why."""

import argparse
import ctypes
import os
import runpy
import sys
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000


def options():
    parser = argparse.ArgumentParser(prog="mom/start.py")
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--meminfo", type=Path, required=True)
    parser.add_argument("--decided", type=Path, required=True)
    parser.add_argument("--guest", action="append", default=[])
    parser.add_argument("momd", nargs="*")
    return parser.parse_args()


def mount(source, target, flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source, target, None, ctypes.c_ulong(flags), None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount {os.fsdecode(target)}: {os.strerror(error)}")


def give_meminfo(file):
    """Only this process sees it: what it mounts is in a namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"unshare: {os.strerror(error)}")
    mount(b"none", b"/", MS_REC | MS_PRIVATE)
    mount(os.fsencode(file.resolve()), b"/proc/meminfo", MS_BIND)


def replace_lookups(guests):
    """guests: name → (process id, minimum in KiB)."""
    from mom.HypervisorInterfaces import libvirtInterface

    def process_id(interface, uuid):
        return guests[interface.conn.lookupByUUIDString(uuid).name()][0]

    def guaranteed(_interface, domain):
        return guests[domain.name()][1]

    libvirtInterface.libvirtInterface._domainGetPid = process_id
    libvirtInterface.libvirtInterface._getGuaranteedMemory = guaranteed


def tell_first_round(file, guests):
    """MOM says nothing where it changes nothing, so that nobody could tell when it is at work."""
    from mom.PolicyEngine import PolicyEngine

    do_controls = PolicyEngine.do_controls

    def do_and_tell(engine):
        seen = len(engine.properties["guest_manager"].interrogate())
        do_controls(engine)
        if seen >= guests:
            file.touch()

    PolicyEngine.do_controls = do_and_tell


def main():
    given = options()
    guests = {}
    for text in given.guest:
        name, pid, minimum_kib = text.rsplit("=", 2)
        guests[name] = int(pid), int(minimum_kib)
    give_meminfo(given.meminfo)
    sys.path.insert(0, str(given.tree))
    replace_lookups(guests)
    tell_first_round(given.decided, len(guests))
    momd = given.tree / "momd.in"
    sys.argv = [str(momd), *given.momd]
    runpy.run_path(str(momd), run_name="__main__")


if __name__ == "__main__":
    main()
