# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many agents, played: what a host gets from them is what docs/agent-protocol.md says, line by line."""

import json
import selectors
import socket
import threading
import time

PAGE_BYTES = 4096
MIB = 1 << 20
SWAP_BYTES = 512 * MIB
RECEIVE_BYTES = 65536

QUIET, ANSWERS, EVENTS = "quiet", "answers", "events"


class Agent:
    """Of one guest, which has enough. It is asked on one of several connections: QEMU is at another, and silent."""

    def __init__(self, total_bytes: int, available_bytes: int):
        self.asked_by: socket.socket | None = None
        self._total, self._available = total_bytes, available_bytes
        self._swapped_pages = 0

    def stats(self) -> dict:
        swap_free = SWAP_BYTES - self._swapped_pages * PAGE_BYTES
        return {
            "total": self._total, "free": self._available // 2, "available": self._available,
            "cached": self._available // 2, "committed": self._total // 3, "swap-total": SWAP_BYTES,
            "swap-free": swap_free, "swap-cached": 0, "page-size": PAGE_BYTES, "pages-swapped-in": 0,
            "pages-swapped-out": self._swapped_pages, "major-faults": 712, "refaults-anon": 0, "refaults-file": 0,
            "oom-kills": 0, "vcpus": 1, "largest-process": {"pid": 108, "rss": self._total // 4, "swap": 0},
            "process-scan": {"processes": 112, "truncated": False, "age": 1000000}}

    def event(self) -> bytes:
        """A page more was swapped out: without any, its events would be taken for idle talk (policy/domain.h)."""
        self._swapped_pages += 1
        seconds, ns = divmod(time.time_ns(), 10**9)
        return line({"event": "GUEST_MEMORY_PRESSURE",
                     "timestamp": {"seconds": seconds, "microseconds": ns // 1000}, "data": self.stats()})

    def answer(self, request: dict) -> bytes:
        name, arguments = request["execute"], request.get("arguments", {})
        if name == "guest-sync-delimited":
            return b"\xff" + line({"return": arguments["id"]})
        if name == "guest-get-memory-stats":
            return line({"return": self.stats()})
        if name == "guest-get-load":
            return line({"return": {"load1m": 0.1, "load5m": 0.1, "load15m": 0.1}})
        if name == "guest-set-pressure-trigger":
            return line({"return": {"watch": "psi"} | arguments})
        return line({"error": {"class": "CommandNotFound", "desc": f"The command {name} has not been found"}})


def line(value: dict) -> bytes:
    return json.dumps(value).encode() + b"\n"


class PlayedAgents:
    """One for each path, a socket that is listened on; a thread plays them all until close().

    Whatever `mode` is, they answer when they are asked. With ANSWERS each also says its figures once a second
    unasked, in the words of an answer; with EVENTS it says them in a pressure event instead. They take turns, so
    that what they say is spread over the second."""

    def __init__(self, paths: list[str], total_bytes: int, available_bytes: int):
        self.mode = QUIET
        self.n_said = 0
        self.error = ""
        self._agents = [Agent(total_bytes, available_bytes) for _ in paths]
        self._sockets: list[socket.socket] = []
        self._rests: dict[socket.socket, bytes] = {}
        self._selector = selectors.DefaultSelector()
        for agent, path in zip(self._agents, paths):
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(path)
            listening.listen()
            self._add(listening, (self._accept, agent))
        self._closing, self._wake = socket.socketpair()
        self._sockets += [self._closing, self._wake]
        self._selector.register(self._closing, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="agents")
        self._thread.start()

    def _add(self, one: socket.socket, data: tuple) -> None:
        self._sockets.append(one)
        self._selector.register(one, selectors.EVENT_READ, data)

    def _run(self) -> None:
        try:
            self._play()
        except Exception as error:  # whoever measures looks at it
            self.error = f"{type(error).__name__}: {error}"

    def _play(self) -> None:
        turn, started = 0, time.monotonic()
        while True:
            for key, _ in self._selector.select(started + turn / len(self._agents) - time.monotonic()):
                if key.data is None:
                    return
                handle, agent = key.data
                handle(key.fileobj, agent)
            while started + turn / len(self._agents) <= time.monotonic():
                self._take_turn(self._agents[turn % len(self._agents)])
                turn += 1

    def _take_turn(self, agent: Agent) -> None:
        if self.mode != QUIET and agent.asked_by is not None:
            self._say(agent, line({"return": agent.stats()}) if self.mode == ANSWERS else agent.event())

    def _say(self, agent: Agent, data: bytes) -> None:
        agent.asked_by.sendall(data)
        self.n_said += 1

    def _accept(self, listening: socket.socket, agent: Agent) -> None:
        connection, _ = listening.accept()
        self._rests[connection] = b""
        self._add(connection, (self._receive, agent))

    def _receive(self, connection: socket.socket, agent: Agent) -> None:
        data = connection.recv(RECEIVE_BYTES)
        if not data:
            self._drop(connection, agent)
            return
        *lines, self._rests[connection] = (self._rests[connection] + data).split(b"\n")
        for request in lines:
            agent.asked_by = connection
            self._say(agent, agent.answer(json.loads(request.lstrip(b"\xff"))))

    def _drop(self, connection: socket.socket, agent: Agent) -> None:
        self._selector.unregister(connection)
        self._sockets.remove(connection)
        del self._rests[connection]
        connection.close()
        if agent.asked_by is connection:
            agent.asked_by = None

    def close(self) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for one in self._sockets:
            one.close()
        self._selector.close()
