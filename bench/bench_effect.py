#!/usr/bin/env python3
"""How long it takes until what was decided holds where another domain reads.

    bench_effect.py BUILD_DIR [--rounds N] [--out FILE]

A hub and two leaves. Records are written all the time; the other domain reads them as they come
(`sheaf sub`) and asks for one over its own leaf's HTTP again and again.

Policy: `sheaf policy apply` changes a mask to and fro. Measured is the end of what was seen last by
the old policy, on either way, from the start of the command and from its answer.

Revoke: `sheaf access revoke`. Measured is the last byte of the product, the same two times. Each
round begins with a request, an approval and records that come.

A time behind the answer that is below zero: nothing of before came behind the answer. The goal is
that of the promise, 2 s (p99) behind the receipt; what matters beside it is the time that a person
waits for the command.
"""
import argparse
import http.client
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from mesh import Mesh

GOAL_S = 2
WATCH_S = 1.0  # how long it is watched behind an answer that nothing follows
WRITE_EVERY_S = 0.004
MASKS = ("redact", "keep_domain")
POLICY = "sheaf: policy/v1\nname: mail\nmatch: {class: pii}\nmask: MASK\n"


class Seen:
    """The last moment at which something was there, and whether it was."""

    def __init__(self):
        self.at, self.count = 0.0, 0

    def note(self, at):
        self.at, self.count = max(self.at, at), self.count + 1


class Worker(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.ending = threading.Event()

    def end(self):
        self.ending.set()
        self.join()


class Writer(Worker):
    """One record after the other, each under another key."""

    def __init__(self, mesh):
        super().__init__()
        self.url, self.token = urllib.parse.urlparse(mesh.url), mesh.token.read_text().strip()
        self.start()

    def run(self):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port)
        n = 0
        while not self.ending.wait(WRITE_EVERY_S):
            n += 1
            row = {"order_id": f"O-{n:010}", "customer_id": "C-1", "email": "ada@example.com",
                   "country": "NO", "amount": 1, "quantity": 1, "ordered_at": "2026-01-01T00:00:00Z"}
            connection.request("POST", "/v1/products/bench/orders/orders/records", json.dumps(row), {
                "Authorization": "Bearer " + self.token, "Content-Type": "application/x-ndjson"})
            connection.getresponse().read()


class Gets(Worker):
    """A row over HTTP at the consumer's leaf, again and again."""

    def __init__(self, url, token, on_row):
        super().__init__()
        self.url, self.token, self.on_row = urllib.parse.urlparse(url), token, on_row
        self.start()

    def run(self):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port)
        while not self.ending.wait(0.001):
            connection.request("GET", "/v1/products/bench/orders/orders/records?limit=1",
                               headers={"Authorization": "Bearer " + self.token})
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status == 200 and "order_id" in text:
                self.on_row(text, time.monotonic())


class Stream(Worker):
    """`sheaf sub`, line by line."""

    def __init__(self, mesh, on_row):
        super().__init__()
        self.on_row = on_row
        self.process = subprocess.Popen(
            [mesh.cli, "sub", "bench/orders.orders", "--as", "marketing", "-o", "ndjson"], env=mesh.env,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.start()

    def run(self):
        for line in self.process.stdout:
            if "order_id" in line:
                self.on_row(line, time.monotonic())

    def end(self):
        self.process.terminate()
        self.process.wait()
        super().end()


class Pair(Mesh):
    """The mesh of the benchmarks, with a domain that reads."""

    leaves = ("bench", "marketing")

    def __enter__(self):
        super().__enter__()
        self.consumer_token = self.run("token", "create", "--as", "marketing").strip()
        leaves = json.loads((self.dir / "mesh" / "dev.json").read_text())["leaves"]
        self.consumer_url = next(l["http"] for l in leaves if l["domain"] == "marketing")
        return self

    def grant(self):
        asked = json.loads(self.run("access", "request", "bench/orders", "--as", "marketing", "--purpose",
                                    "bench", "--for", "1d", "-o", "json"))
        done = json.loads(self.run("access", "approve", asked["id"], "--as", "bench", "-o", "json"))
        return done["grant"]["id"]


def wait_for(condition, what):
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"not within a minute: {what}")
        time.sleep(0.002)


def timed(mesh, *command):
    began = time.monotonic()
    mesh.run(*command)
    return began, time.monotonic()


def sample(began, answered, ways):
    last = {name: s.at for name, s in ways.items()}
    return {"command_s": answered - began,
            "from_start_s": {n: at - began for n, at in last.items()},
            "behind_answer_s": {n: at - answered for n, at in last.items()}}


def policies(mesh, rounds):
    """The last row by the old mask, of each round."""
    samples, path = [], mesh.dir / "policy.yaml"
    state = {"old": None, "ways": {}, "new": {}}

    def way(name):
        def on_row(text, at):
            is_old = state["old"] is not None and state["old"](text)
            (state["ways"] if is_old else state["new"]).setdefault(name, Seen()).note(at)
        return on_row

    def apply(mask):
        path.write_text(POLICY.replace("MASK", mask))
        return timed(mesh, "policy", "apply", str(path), "-q", "--as", "platform")

    mesh.grant()
    apply(MASKS[0])
    gets = Gets(mesh.consumer_url, mesh.consumer_token, way("get"))
    stream = Stream(mesh, way("stream"))
    for n in range(rounds):
        old_is_redacted = MASKS[n % 2] == "redact"
        state.update(old=lambda text, r=old_is_redacted: ("***@" not in text) == r, ways={}, new={})
        wait_for(lambda: len(state["ways"]) == 2, "rows by the old policy")
        times = apply(MASKS[(n + 1) % 2])
        wait_for(lambda: len(state["new"]) == 2, "rows by the new policy")
        time.sleep(WATCH_S / 4)
        samples.append(sample(*times, state["ways"]))
        say("policy", n, rounds)
    stream.end()
    gets.end()
    return samples


def revocations(mesh, rounds):
    samples = []
    ways = {}

    def way(name):
        return lambda text, at: ways.setdefault(name, Seen()).note(at)

    gets = Gets(mesh.consumer_url, mesh.consumer_token, way("get"))
    for n in range(rounds):
        grant = mesh.grant()
        ways.clear()
        stream = Stream(mesh, way("stream"))
        wait_for(lambda: len(ways) == 2, "rows behind a grant")
        times = timed(mesh, "access", "revoke", grant, "--as", "bench", "-q", "-y")
        time.sleep(WATCH_S)
        samples.append(sample(*times, ways))
        stream.end()
        say("revoke", n, rounds)
    gets.end()
    return samples


def say(what, n, rounds):
    if (n + 1) % 10 == 0:
        print(f"{what}: {n + 1} of {rounds}", file=sys.stderr, flush=True)


def ms(values):
    values = sorted(values)
    return values[len(values) // 2] * 1e3, values[min(len(values) * 99 // 100, len(values) - 1)] * 1e3


def report(by_kind):
    print(f"\n{'':18} p50 ms   p99 ms   (goal: {GOAL_S * 1000} ms behind the answer, p99)")
    for kind, samples in by_kind.items():
        rows = {"command": [s["command_s"] for s in samples]}
        for name in ("get", "stream"):
            rows[f"{name}, from start"] = [s["from_start_s"][name] for s in samples]
            rows[f"{name}, behind it"] = [s["behind_answer_s"][name] for s in samples]
        print(kind)
        for name, values in rows.items():
            print("  {:16} {:6.1f}   {:6.1f}".format(name, *ms(values)))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    samples = {}
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-") as scratch:
        for kind, measure in (("policy", policies), ("revoke", revocations)):
            with Pair(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as mesh:
                writer = Writer(mesh)
                samples[kind] = measure(mesh, args.rounds)
                writer.end()
    report(samples)
    if args.out:
        args.out.write_text(json.dumps(samples, indent=1) + "\n")


if __name__ == "__main__":
    main()
