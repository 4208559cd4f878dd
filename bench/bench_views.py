#!/usr/bin/env python3
"""What a view that somebody reads costs the leaf that is written to.

    bench_views.py BUILD_DIR [--rounds N] [--seconds S] [--out FILE]

Records of the benchmark into a leaf, 8 connections, 500 in a body; meanwhile another domain reads
the stream of changes (`sheaf sub`), each round in turn: nobody; all that no policy hides, as it is;
one value hashed; one masked by its domain; three masked and a filter. Counted are the CPU seconds
of the leaf, with what it does until all is read, per million records: other work on the machine
disturbs them least. RocksDB's own threads are left out: their flushes fall now into one, now into
another; what a mask adds is counted on the query threads, which do it. What a masked view costs more than one that nothing is masked in is the price of
the mask; what any costs more than nobody is that of a reader. The goal is 15 % of what ingest costs
for what a view adds to a stream that is read. The floor is what nats.c takes to send as many bytes in
messages of 192 KiB (bench_publish), in the same run.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from bench_effect import Pair
from bench_growth import wait_until_quiet
from mesh import tool

GOAL = 0.15
MASK = "---\nsheaf: policy/v1\nname: NAME\nmatch: {field: FIELD}\nmask: MASK\n"
FILTER = "---\nsheaf: policy/v1\nname: rows\nmatch: all\nfilter: quantity >= 0\n"


def masks(**by_field):
    return "".join(MASK.replace("NAME", f.replace("_", "-")).replace("FIELD", f).replace("MASK", m)
                   for f, m in by_field.items())


VIEWS = {
    "nobody": None,
    "as it is": "",
    "one hash": masks(customer_id="hash"),
    "keep_domain": masks(email="keep_domain"),
    "hash, keep_domain, bucket, filter": masks(customer_id="hash", email="keep_domain",
                                               amount="bucket(10)") + FILTER,
}
NAMES = ("customer-id", "email", "amount", "rows")


MESSAGE_BYTES = 192 * 1024
MESSAGES = 4000


class Server:
    """A nats-server for whoever comes."""

    def __init__(self, directory):
        self.process = subprocess.Popen(
            ["nats-server", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(directory)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.ports = directory / f"nats-server_{self.process.pid}.ports"

    def __enter__(self):
        while not self.ports.exists() or not self.ports.read_text():
            time.sleep(0.01)
        return json.loads(self.ports.read_text())["nats"][0]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def floor_per_byte(build, url):
    r = tool(build / "bench/bench_publish", url, MESSAGE_BYTES, MESSAGES)
    return r["cpu_s"] / r["messages"] / r["bytes"]


def published_bytes(mesh):
    with urllib.request.urlopen(f"{mesh.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[1]) for line in lines
               if line.startswith("sheaf_publish_bytes_total"))


class Reader:
    def __init__(self, mesh):
        self.process = subprocess.Popen(
            [mesh.cli, "sub", "bench/orders.orders", "--as", "marketing", "-o", "ndjson"], env=mesh.env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def set_policies(mesh, text):
    in_force = json.loads(mesh.run("policy", "ls", "-o", "json"))["items"]
    old = [p["name"] for p in in_force if p["name"] in NAMES]
    if old:
        mesh.run("policy", "rm", *old, "-q", "-y", "--as", "platform")
    if text:
        path = mesh.dir / "policy.yaml"
        path.write_text(text)
        mesh.run("policy", "apply", str(path), "-q", "--as", "platform")


def cpu_s(mesh):
    """Of all threads but RocksDB's, and of those that make messages."""
    ticks = {"all": 0, "query": 0}
    for task in pathlib.Path(f"/proc/{mesh.pid}/task").iterdir():
        name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        spent = sum(int(f) for f in fields.split()[11:13])
        if not name.startswith("rocksdb"):
            ticks["all"] += spent
        if name == "sf-query":
            ticks["query"] += spent
    return {kind: n / os.sysconf("SC_CLK_TCK") for kind, n in ticks.items()}


def load(mesh, seconds, first):
    before, sent = cpu_s(mesh), published_bytes(mesh)
    r = mesh.load(mesh.table("orders"), 8, 500, seconds, "rising", first)
    wait_until_quiet(mesh)
    after = cpu_s(mesh)
    result = {kind: (after[kind] - before[kind]) / r["accepted"] * 1e6 for kind in after}
    result["bytes"] = (published_bytes(mesh) - sent) / r["accepted"]
    return r["next"], result


def measure(mesh, url, rounds, seconds):
    samples, first = {name: [] for name in VIEWS}, 1
    floors = []
    mesh.grant()
    for n in range(rounds):
        print(f"round {n + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, policies in sorted(VIEWS.items(), key=lambda _: random.random()):
            set_policies(mesh, policies)
            wait_until_quiet(mesh)
            if policies is None:
                first, r = load(mesh, seconds, first)
            else:
                with Reader(mesh):
                    wait_until_quiet(mesh)
                    first, r = load(mesh, seconds, first)
            samples[name].append(r)
        floors.append(floor_per_byte(mesh.build, url))
    return samples, floors


def report(samples, floors):
    middle = {name: {kind: statistics.median(r[kind] for r in runs)
                     for kind in ("all", "query", "bytes")}
              for name, runs in samples.items()}
    nobody, plain = middle["nobody"]["all"], middle["as it is"]["query"]
    print("\nCPU-s/M  beside nobody  the mask, of nobody's   (goal 15 %)")
    for name, value in middle.items():
        mask = "" if name in ("nobody", "as it is") else f"{(value['query'] - plain) / nobody:+.1%}"
        print(f"{value['all']:7.2f}  {value['all'] / nobody - 1:+13.0%}  {mask:>21}   {name}")
    floor = statistics.median(floors) * middle["as it is"]["bytes"] * 1e6
    reader = middle["as it is"]["all"] - nobody
    print(f"\na reader {reader:.2f}, {reader / floor:.1f} of nats.c alone: {floor:.2f} for "
          f"{middle['as it is']['bytes']:.0f} bytes a record")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-") as scratch:
        with Pair(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as mesh, \
                Server(pathlib.Path(scratch)) as url:
            samples, floors = measure(mesh, url, args.rounds, args.seconds)
    report(samples, floors)
    if args.out:
        args.out.write_text(json.dumps(samples, indent=1) + "\n")


if __name__ == "__main__":
    main()
