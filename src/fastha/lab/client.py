"""The client of the laboratory: keeps asking the service address over HTTP and tells what came of each request.

Requests start at a fixed pace whether or not earlier ones were answered (an open loop): many are in flight during an
outage, so one that is stuck does not hide the others, and the first that gets through ends the gap. Each has a
connection of its own and one second at most. Everything runs in one epoll loop; times are CLOCK_MONOTONIC, which all
processes of the machine share, taken when the last byte of an answer was read.

Standard output is JSON lines, one every 50 ms:
`{"now": ns, "in_flight": n, "late_ms": ms, "skipped": n, "done": [[start_ns, end_ns, outcome, server], ...]}` where
`late_ms` is how late the client itself started a request since the last line (a gap of that size may be its own), and
`skipped` counts requests not sent because too many were in flight.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass

from fastha.lab.measure import MS, OK

REPORT_NS = 50 * MS
CATCH_UP_NS = 50 * MS
MOST_IN_FLIGHT = 2000
REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
}


@dataclass(slots=True, eq=False)
class Flight:
    """One request in flight."""

    sock: socket.socket
    start_ns: int
    connected: bool = False
    answer: bytes = b""
    over: bool = False


def parse(answer: bytes, closed: bool) -> tuple[str, str] | None:
    """(outcome, server's name) of an answer read so far; None while more must come."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    if not blank:
        return ("truncated", "") if closed else None
    lines = head.split(b"\r\n")
    length = next((line.partition(b":")[2] for line in lines if line.lower().startswith(b"content-length:")), b"")
    if not length.strip().isdigit():
        return "bad", ""
    if len(body) < int(length):
        return ("truncated", "") if closed else None
    if lines[0].split(b" ")[1:2] != [b"200"]:
        return "bad", ""
    return OK, body.decode("ascii", "replace").strip()


class Client:
    """The loop. `run` returns on SIGTERM, SIGINT or when nobody reads its output any more."""

    def __init__(self, ip: str, port: int, rate: float, timeout_s: float) -> None:
        self.target = (ip, port)
        self.request = f"GET / HTTP/1.1\r\nHost: {ip}:{port}\r\nConnection: close\r\n\r\n".encode()
        self.interval_ns = int(1e9 / rate)
        self.timeout_ns = int(timeout_s * 1e9)
        self.epoll = select.epoll()
        self.flights: dict[int, Flight] = {}
        self.deadlines: deque[Flight] = deque()  # all have the same timeout, so they expire in order of their start
        self.done: list[tuple[int, int, str, str]] = []
        self.late_ns = 0
        self.skipped = 0
        self.stopped = False

    def stop(self, *_: object) -> None:
        self.stopped = True

    def run(self) -> None:
        now = time.monotonic_ns()
        next_start, next_report = now, now + REPORT_NS
        while not self.stopped:
            wake = min(
                next_start,
                next_report,
                self.deadlines[0].start_ns + self.timeout_ns if self.deadlines else now + MS * 1000,
            )
            for fd, _ in self.epoll.poll(max(0, wake - time.monotonic_ns()) / 1e9):
                if flight := self.flights.get(fd):
                    self.advance(flight)
            now = time.monotonic_ns()
            while self.deadlines and (self.deadlines[0].over or self.deadlines[0].start_ns + self.timeout_ns <= now):
                flight = self.deadlines.popleft()
                if not flight.over:
                    self.finish(flight, "timeout")
            # A client that was held up catches up on what it owes, but not on more than CATCH_UP_NS: a burst after a
            # long stall would only distort the counts.
            self.late_ns = max(self.late_ns, now - next_start)
            next_start = max(next_start, now - CATCH_UP_NS)
            while next_start <= now:
                self.start()
                next_start += self.interval_ns
            if next_report <= now:
                self.report()
                next_report = now + REPORT_NS
        for flight in list(self.flights.values()):
            flight.sock.close()
        self.epoll.close()

    def start(self) -> None:
        if len(self.flights) >= MOST_IN_FLIGHT:
            self.skipped += 1
            return
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        flight = Flight(sock, time.monotonic_ns())
        self.flights[sock.fileno()] = flight
        self.deadlines.append(flight)
        self.epoll.register(sock, select.EPOLLOUT)
        error = sock.connect_ex(self.target)
        if error not in (0, errno.EINPROGRESS):
            self.finish(flight, REASONS.get(error, errno.errorcode.get(error, str(error))))

    def advance(self, flight: Flight) -> None:
        try:
            if not flight.connected:
                if error := flight.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(error, os.strerror(error))
                flight.sock.send(self.request)  # far smaller than the send buffer of a new connection
                flight.connected = True
                self.epoll.modify(flight.sock, select.EPOLLIN)
                return
            chunk = flight.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            number = error.errno or 0
            self.finish(flight, REASONS.get(number, errno.errorcode.get(number, str(number))))
            return
        flight.answer += chunk
        if verdict := parse(flight.answer, closed=not chunk):
            self.finish(flight, *verdict)

    def finish(self, flight: Flight, outcome: str, server: str = "") -> None:
        now = time.monotonic_ns()
        if now - flight.start_ns > self.timeout_ns:  # an answer to the kernel's second SYN, after one second
            outcome, server = "timeout", ""
        self.done.append((flight.start_ns, now, outcome, server))
        flight.over = True
        del self.flights[flight.sock.fileno()]
        flight.sock.close()  # also takes it out of the epoll

    def report(self) -> None:
        line = {
            "now": time.monotonic_ns(),
            "in_flight": len(self.flights),
            "late_ms": round(self.late_ns / MS, 1),
            "skipped": self.skipped,
            "done": self.done,
        }
        try:
            print(json.dumps(line, separators=(",", ":")), flush=True)
        except BrokenPipeError:
            self.stopped = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        self.done, self.late_ns = [], 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fastha.lab.client", description="HTTP requests at a fixed pace")
    parser.add_argument("ip")
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, default=200.0, help="requests started per second")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds until a request counts as lost")
    options = parser.parse_args()
    client = Client(options.ip, options.port, options.rate, options.timeout)
    signal.signal(signal.SIGTERM, client.stop)
    signal.signal(signal.SIGINT, client.stop)
    client.run()


if __name__ == "__main__":
    main()
