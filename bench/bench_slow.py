#!/usr/bin/env python3
"""What slow clients cost the others: percentiles with and without them, in one run.

    bench_slow.py BUILD_DIR [--seconds S] [--rounds N] [--out FILE]

Every round measures single records over one connection, and gets of one row over another, without
slow clients and with six of them: two read a large answer at 1 KB/s, two follow the changes and read
nothing, two send a body at 1 KB/s. Which of the two comes first changes from round to round. Goal:
the others' p99 grows by at most 20 %.
"""
import argparse
import http.client
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse

from mesh import Mesh

GOAL = 1.2


class Slow:
    """Six slow clients, until the block ends."""

    def __init__(self, m):
        self.mesh, self.ended, self.sockets = m, threading.Event(), []
        self.thread = threading.Thread(target=self.trickle, daemon=True)

    def open(self, method, path, headers="", body=b""):
        url = urllib.parse.urlparse(self.mesh.url)
        s = socket.create_connection((url.hostname, url.port))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        token = self.mesh.token.read_text().strip()
        s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                  f"{headers}\r\n".encode() + body)
        self.sockets.append(s)
        return s

    def __enter__(self):
        table = "/v1/products/bench/orders/orders"
        self.readers = [self.open("GET", f"{table}/records?limit=2000") for _ in range(2)]
        for _ in range(2):
            self.open("GET", f"{table}/changes?after=1:0&follow=true")
        self.writers = [self.open("POST", f"{table}/records", "Content-Length: 1000000\r\n"
                                  "Content-Type: application/x-ndjson\r\n", b"{") for _ in range(2)]
        self.thread.start()
        return self

    def trickle(self):
        while not self.ended.wait(0.1):
            try:
                for s in self.readers:
                    s.recv(100)
                for s in self.writers:
                    s.sendall(b" " * 100)
            except OSError:
                return

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        for s in self.sockets:
            s.close()


def gets(m, seconds):
    """p50 and p99 in microseconds of gets of one row over one connection."""
    url = urllib.parse.urlparse(m.url)
    headers = {"Authorization": "Bearer " + m.token.read_text().strip()}
    connection = http.client.HTTPConnection(url.hostname, url.port)
    path = "/v1/products/bench/orders/orders/records?limit=1"
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1e6)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
    times.sort()
    return {"p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100]}


def measure(m, seconds, first):
    single = m.load(m.table("orders"), 1, 1, seconds, "rising", first)
    got = gets(m, seconds)
    return {"single": {k: single[k] for k in ("p50_us", "p99_us")}, "get": got}


def run(m, rounds, seconds):
    samples = {"without": [], "with": []}
    m.load(m.table("orders"), 4, 1000, 1, "rising", 1)
    for n in range(rounds):
        print(f"round {n + 1} of {rounds}", file=sys.stderr, flush=True)
        for what in (("without", "with") if n % 2 == 0 else ("with", "without")):
            first = 10_000_000 * (2 * n + (what == "with") + 1)
            if what == "with":
                with Slow(m):
                    samples[what].append(measure(m, seconds, first))
            else:
                samples[what].append(measure(m, seconds, first))
    return samples


def report(samples):
    result = {}
    print("          without     with   ratio   (medians of rounds, us; goal for p99: 1.20)")
    for kind in ("single", "get"):
        for key in ("p50_us", "p99_us"):
            a, b = (statistics.median(s[kind][key] for s in samples[w]) for w in ("without", "with"))
            result[f"{kind}_{key}"] = {"without": round(a, 1), "with": round(b, 1), "ratio": round(b / a, 3)}
            print(f"{kind:6} {key[:3]} {a:9.0f} {b:8.0f}   {b / a:5.2f}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-") as scratch:
        with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as m:
            samples = run(m, args.rounds, args.seconds)
    result = report(samples)
    result["machine"] = {"cpus": os.cpu_count(), "kernel": platform.release(),
                         "load": os.getloadavg()[0]}
    result["samples"] = samples
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")
    p99 = max(result[k]["ratio"] for k in ("single_p99_us", "get_p99_us"))
    print(f"goal: {GOAL}, worst p99 ratio {p99}: {'reached' if p99 <= GOAL else 'not reached'}")


if __name__ == "__main__":
    main()
