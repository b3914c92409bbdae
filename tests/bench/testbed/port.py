# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's end of the guests' task ports: guest/tasks.c says what is spoken there."""

import selectors
import socket
import threading
import time
from dataclasses import dataclass, field

LINE_BYTES_MAX = 65536
SAMPLE_FIELDS = 16


@dataclass
class Sample:
    t_us: int
    available_kib: int
    swap_in_pages: int
    swap_out_pages: int
    inflated_pages: int
    deflated_pages: int
    stalled_us: int
    agent_us: int
    swap: tuple[int, int, int, int]  # reads, sectors, writes, sectors
    data: tuple[int, int, int, int]
    lag_us: int = 0  # host's clock at arrival less t_us, from "go" on


@dataclass
class Log:
    """What a guest said of one schedule."""
    iterations: list[tuple[int, int, int]] = field(default_factory=list)  # task, start, end
    starts: dict[int, int] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lost: int = 0


class Port:
    """One guest's. Written by the thread of Ports; read when the events say so."""

    def __init__(self, name: str, path: str):
        self.name = name
        self.ready, self.going, self.done = threading.Event(), threading.Event(), threading.Event()
        self.log = Log()
        self.latest: Sample | None = None
        self.closed = False
        self._go_us = 0
        self._rest = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)

    def send(self, *lines: str) -> None:
        self.socket.sendall("".join(line + "\n" for line in lines).encode())

    def go(self, end_us: int) -> None:
        self.log = Log()
        self.going.clear()
        self.done.clear()
        self._go_us = time.monotonic_ns() // 1000
        self.send(f"go {end_us}")

    def receive(self) -> None:
        data = self.socket.recv(LINE_BYTES_MAX)
        self.closed = not data
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()[:LINE_BYTES_MAX]
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        kind, *words = line.split()or [""]
        try:
            self._record(kind, words, line)
        except ValueError:
            self.log.errors.append(f"not understood: {line[:80]!r}")

    def _record(self, kind: str, words: list[str], line: str) -> None:
        log = self.log
        if kind == "E":
            log.errors.append(line[2:])
            return
        numbers = [int(word) for word in words]
        if kind == "I" and len(numbers) == 3:
            log.iterations.append((numbers[0], numbers[1], numbers[2]))
        elif kind == "S" and len(numbers) == SAMPLE_FIELDS:
            sample = Sample(*numbers[:8], swap=tuple(numbers[8:12]), data=tuple(numbers[12:]))
            self.latest = sample
            if self.going.is_set() and not self.done.is_set():
                sample.lag_us = time.monotonic_ns() // 1000 - self._go_us - sample.t_us
                log.samples.append(sample)
        elif kind == "T" and len(numbers) == 2:
            log.starts[numbers[0]] = numbers[1]
        elif kind == "X" and len(numbers) == 2:
            log.deaths[numbers[0]] = numbers[1]
        elif kind == "D" and len(numbers) == 1:
            log.lost = numbers[0]
            self.done.set()
        elif kind == "G":
            self.going.set()
        elif kind == "R":
            self.ready.set()
        else:
            raise ValueError(line)


class Ports:
    """All guests' ports, read by one thread until close()."""

    def __init__(self, paths: dict[str, str]):
        self._selector = selectors.DefaultSelector()
        self._closing, self._wake = socket.socketpair()
        self._selector.register(self._closing, selectors.EVENT_READ)
        self.ports = {name: Port(name, path) for name, path in paths.items()}
        for port in self.ports.values():
            self._selector.register(port.socket, selectors.EVENT_READ, port)
        self._thread = threading.Thread(target=self._read, name="ports")
        self._thread.start()

    def _read(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                try:
                    key.data.receive()
                except OSError:
                    key.data.closed = True
                if key.data.closed:
                    self._selector.unregister(key.fileobj)

    def close(self) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for port in self.ports.values():
            port.socket.close()
        self._closing.close()
        self._wake.close()
        self._selector.close()
