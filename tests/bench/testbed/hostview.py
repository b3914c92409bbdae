# SPDX-License-Identifier: LGPL-2.1-or-later
"""The testbed's host as its kernel would show it: a /proc/meminfo for those who read one (MOM, Proxmox' rule).

MemTotal is what it was made with (contestants.py). MemFree is that less what the guests' balloons leave them: all of it counts
as touched, as it is once guests have been up for long enough to have filled it with page cache. A guest that has just
booted has touched less; but the machine has more memory than the testbed's host, so that who promised what isn't
there would have it. The host has no cache or swap of its own, and QEMU's own memory isn't counted for anybody."""

import os
import threading

PERIOD_S = 0.5  # as often as the bed hears of its guests

TEMPLATE = """MemTotal:       {total:>12} kB
MemFree:        {free:>12} kB
MemAvailable:   {free:>12} kB
Buffers:        {zero:>12} kB
Cached:         {zero:>12} kB
SwapCached:     {zero:>12} kB
AnonPages:      {used:>12} kB
SwapTotal:      {zero:>12} kB
SwapFree:       {zero:>12} kB
"""


class HostView:
    """Keeps `file` up to date in place, in one write of always the same length: readers hold it open, and what is
    mounted over another file can't be replaced."""

    def __init__(self, file, total_kib, used_kib):
        """used_kib() tells what the guests have."""
        self.total_kib, self.used_kib = total_kib, used_kib
        self.most_kib = 0
        self.file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self.ended = threading.Event()
        self.write()
        self.thread = threading.Thread(target=self._keep, name="hostview")
        self.thread.start()

    def write(self):
        used = self.used_kib()
        self.most_kib = max(self.most_kib, used)
        text = TEMPLATE.format(total=self.total_kib, free=max(0, self.total_kib - used), used=used, zero=0)
        os.pwrite(self.file, text.encode("ascii"), 0)

    def _keep(self):
        while not self.ended.wait(PERIOD_S):
            self.write()

    def end(self):
        self.ended.set()
        self.thread.join()
        os.close(self.file)
