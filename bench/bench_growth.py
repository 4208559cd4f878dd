#!/usr/bin/env python3
"""How the rate of durable ingest holds when products and keys become many, in one run.

    bench_growth.py BUILD_DIR [--products N] [--keys N] [--patterns P,P] [--seconds S] [--rounds N]
                    [--dir DIR] [--out FILE]

Products: bodies of 100 records over 8 connections into two leaves in turn, one with a single
product, one with N of which each body goes to another; for keys that rise and for random ones. A
leaf is measured when what it had to do since its last turn is done, and the CPU seconds of what it
does afterwards (statistics, moving files) are counted too. A bare RocksDB (bench_raw) stands beside,
with one sequence of keys and with N: what it loses a store of sequences side by side loses anyhow.

Keys: a table of a leaf and a bare RocksDB (bench_raw, batches of 1,000) are filled in turn from 1
million keys to N. At 1, 2, 5, 10, 20 million the rate over S seconds is taken, and the CPU seconds
per million of all that was written since the step before.

The goals are 0.9 and 0.7 of the rate at the start. CPU seconds stand beside, which other work on the
machine disturbs less.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time
import urllib.request

from mesh import Mesh, product, tool

MILLION = 1_000_000
STEPS = (1, 2, 5, 10, 20, 50, 100)
QUIET_CPU_S = 0.03  # in a second: a leaf with nothing to do and 1,000 products takes half of that
QUIET_MAX_S = 120


def say(*text):
    print(*text, file=sys.stderr, flush=True)


def apply_all(mesh, count):
    for i in range(count):
        body = product(f"orders{i}").encode()
        request = urllib.request.Request(
            f"{mesh.url}/v1/products/bench/orders{i}", data=body, method="PUT",
            headers={"Authorization": "Bearer " + mesh.token.read_text().strip(),
                     "Content-Type": "application/yaml"})
        urllib.request.urlopen(request).read()


def wait_until_quiet(mesh):
    end = time.monotonic() + QUIET_MAX_S
    while time.monotonic() < end:
        before = mesh.cpu_s()
        time.sleep(1)
        if mesh.cpu_s() - before <= QUIET_CPU_S:
            return
    say("the leaf does not come to rest: what it does now is counted with what comes next")


def taken(mesh, *load):
    cpu = mesh.cpu_s()
    r = tool(mesh.build / "bench/http_load", *load)
    return {"records_per_s": r["records_per_s"], "next": r["next"], "accepted": r["accepted"],
            "cpu_s": mesh.cpu_s() - cpu,
            "cpu_s_per_million": (mesh.cpu_s() - cpu) / r["accepted"] * 1e6}


# --- products ---------------------------------------------------------------------------------


class RawProducts:
    """As many sequences of keys in a bare RocksDB."""

    def __init__(self, build, scratch, pattern, count):
        self.tool, self.pattern, self.count, self.at = build / "bench/bench_raw", pattern, count, 1
        self.dir = tempfile.mkdtemp(dir=scratch)

    def write(self, seconds):
        r = tool(self.tool, self.dir, seconds, 1000, self.pattern, self.at, "lz4", self.count)
        self.at += r["records"]
        return r


def products(build, scratch, args, pattern):
    counts = (1, args.products)
    samples = {count: [] for count in counts}
    raw = {count: RawProducts(build, scratch, pattern, count) for count in counts}
    first = {count: 1 for count in counts}
    with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as one, \
            Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as many:
        meshes = dict(zip(counts, (one, many)))
        for count, mesh in meshes.items():
            apply_all(mesh, count)
        for n in range(args.rounds):
            say(f"products, {pattern} keys: round {n + 1} of {args.rounds}")
            for count, mesh in meshes.items():
                wait_until_quiet(mesh)
                cpu = mesh.cpu_s()
                r = taken(mesh, mesh.table("orders", "orders{}"), mesh.token, 8, 100, args.seconds,
                          pattern, first[count], count)
                wait_until_quiet(mesh)
                r["all_cpu_s_per_million"] = (mesh.cpu_s() - cpu) / r["accepted"] * 1e6
                first[count] = r["next"]
                r["raw"] = raw[count].write(args.seconds)
                samples[count].append(r)
    return samples


# --- keys -------------------------------------------------------------------------------------


class LeafTable:
    """Slices of records into a table of a leaf, each behind the one before."""

    def __init__(self, mesh, pattern):
        self.mesh, self.pattern, self.at = mesh, pattern, 1

    def write(self, seconds):
        r = taken(self.mesh, self.mesh.table("orders"), self.mesh.token, 8, 1000, seconds,
                  self.pattern, self.at)
        self.at = r["next"]
        return r


class RawTable:
    def __init__(self, build, directory, pattern):
        self.tool, self.dir, self.pattern, self.at = build / "bench/bench_raw", directory, pattern, 1

    def write(self, seconds):
        r = tool(self.tool, self.dir, seconds, 1000, self.pattern, self.at)
        self.at += r["records"]
        return {"records_per_s": r["records_per_s"], "accepted": r["records"],
                "cpu_s": r["cpu_s_per_million"] * r["records"] / 1e6}


def fill(table, keys, seconds):
    cpu, written = 0, 0
    while table.at < keys or written == 0:
        r = table.write(min(2, seconds))
        cpu, written = cpu + r["cpu_s"], written + r["accepted"]
    r = table.write(seconds)
    return {"keys": table.at, "records_per_s": r["records_per_s"],
            "cpu_s_per_million": (cpu + r["cpu_s"]) / (written + r["accepted"]) * 1e6}


def keys(build, scratch, args, pattern):
    samples = {"leaf": {}, "raw": {}}
    with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as mesh, \
            tempfile.TemporaryDirectory(dir=scratch) as directory:
        tables = {"leaf": LeafTable(mesh, pattern), "raw": RawTable(build, directory, pattern)}
        for step in [s for s in STEPS if s * MILLION <= args.keys]:
            for name, table in tables.items():
                samples[name][step] = fill(table, step * MILLION, args.seconds)
                say(f"keys, {pattern}: {name}, {table.at:,}: "
                    f"{samples[name][step]['records_per_s']:,.0f} records/s, "
                    f"{samples[name][step]['cpu_s_per_million']:.2f} CPU-s per million")
    return samples


# --- report -----------------------------------------------------------------------------------


def middle(runs, key):
    return statistics.median(r[key] for r in runs)


def show_products(by_pattern):
    print("\nkeys    products   records/s  of 1  CPU-s/M  with the rest  (goal 0.9)"
          "   bare writer  of 1  CPU-s/M")
    for pattern, by_count in by_pattern.items():
        one = by_count[1]
        bare = {count: [r["raw"] for r in runs] for count, runs in by_count.items()}
        for count, runs in by_count.items():
            rate, raw = (middle(r, "records_per_s") for r in (runs, bare[count]))
            print(f"{pattern:7} {count:8,}  {rate:10,.0f}  "
                  f"{rate / middle(one, 'records_per_s'):4.2f}  "
                  f"{middle(runs, 'cpu_s_per_million'):7.2f}  "
                  f"{middle(runs, 'all_cpu_s_per_million'):13.2f}  "
                  f"{raw:23,.0f}  {raw / middle(bare[1], 'records_per_s'):4.2f}  "
                  f"{middle(bare[count], 'cpu_s_per_million'):7.2f}")


def show_keys(by_pattern):
    print("\nkeys    million  what  records/s  of 1  CPU-s/M  (goal 0.7 at 20)")
    for pattern, tables in by_pattern.items():
        for name, by_step in tables.items():
            for step, r in by_step.items():
                print(f"{pattern:7} {step:7}  {name:4}  {r['records_per_s']:9,.0f}  "
                      f"{r['records_per_s'] / by_step[1]['records_per_s']:4.2f}  "
                      f"{r['cpu_s_per_million']:7.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--products", type=int, default=1000, help="0: without")
    parser.add_argument("--keys", type=int, default=20 * MILLION, help="0: without")
    parser.add_argument("--patterns", default="rising,random")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where to write data; by default the build directory")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    patterns = args.patterns.split(",")
    by_products, by_keys = {}, {}
    with tempfile.TemporaryDirectory(dir=args.dir or build, prefix="bench-") as scratch:
        for pattern in patterns if args.products > 1 else []:
            by_products[pattern] = products(build, scratch, args, pattern)
        for pattern in patterns if args.keys >= MILLION else []:
            by_keys[pattern] = keys(build, scratch, args, pattern)
    show_products(by_products)
    show_keys(by_keys)
    if args.out:
        args.out.write_text(json.dumps({"products": by_products, "keys": by_keys}, indent=1) + "\n")


if __name__ == "__main__":
    main()
