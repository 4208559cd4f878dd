#!/usr/bin/env python3
"""How the rate of durable ingest holds when products and keys become many, in one run.

    bench_growth.py BUILD_DIR [--products N] [--keys N] [--seconds S] [--rounds N] [--out FILE]

Products: bodies of 100 records with rising keys over 8 connections, all into one product, then each
body into another of N products, in rounds, on one leaf. Keys: a table with random keys is filled from 1
million to N; at 1, 2, 5, 10, 20 million the rate over S seconds is taken. The goals are 0.9 and 0.7
of the rate at the start. CPU seconds per million records stand beside, which other work on the
machine disturbs less.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import urllib.request

from mesh import Mesh, product, tool

MILLION = 1_000_000
STEPS = (1, 2, 5, 10, 20, 50, 100)


def apply_all(mesh, count):
    for i in range(count):
        body = product(f"orders{i}").encode()
        request = urllib.request.Request(
            f"{mesh.url}/v1/products/bench/orders{i}", data=body, method="PUT",
            headers={"Authorization": "Bearer " + mesh.token.read_text().strip(),
                     "Content-Type": "application/yaml"})
        urllib.request.urlopen(request).read()


def taken(mesh, *load):
    cpu = mesh.cpu_s()
    r = tool(mesh.build / "bench/http_load", *load)
    return {"records_per_s": r["records_per_s"], "next": r["next"],
            "cpu_s_per_million": (mesh.cpu_s() - cpu) / r["accepted"] * 1e6}


def products(mesh, args):
    samples = {1: [], args.products: []}
    first = 1
    apply_all(mesh, args.products)
    table = mesh.table("orders", "orders{}")
    for n in range(args.rounds):
        print(f"products: round {n + 1} of {args.rounds}", file=sys.stderr, flush=True)
        for count in samples:
            r = taken(mesh, table, mesh.token, 8, 100, args.seconds, "rising", first, count)
            first = r["next"]
            samples[count].append(r)
    return samples


def keys(mesh, args):
    samples = {}
    at = 1
    for step in [s for s in STEPS if s * MILLION <= args.keys]:
        while at < step * MILLION:
            r = taken(mesh, mesh.table("orders"), mesh.token, 8, 1000, 2, "random", at)
            at = r["next"]
        r = taken(mesh, mesh.table("orders"), mesh.token, 8, 500, args.seconds, "random", at)
        at = r["next"]
        samples[step] = r
        print(f"keys: {at:,}, {r['records_per_s']:,.0f} records/s", file=sys.stderr, flush=True)
    return samples


def middle(runs, key):
    return statistics.median(r[key] for r in runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--products", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=20 * MILLION)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where to write data; by default the build directory")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    with tempfile.TemporaryDirectory(dir=args.dir or build, prefix="bench-") as scratch:
        with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as mesh:
            by_products = products(mesh, args)
        with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as mesh:
            by_keys = keys(mesh, args)
    print("\nproducts   records/s  of 1  CPU-s/M  (goal 0.9)")
    for count, runs in by_products.items():
        rate = middle(runs, "records_per_s")
        print(f"{count:8,}  {rate:10,.0f}  {rate / middle(by_products[1], 'records_per_s'):4.2f}  "
              f"{middle(runs, 'cpu_s_per_million'):7.2f}")
    print("\nmillion keys  records/s  of 1  CPU-s/M  (goal 0.7 at 20)")
    for step, r in by_keys.items():
        print(f"{step:12}  {r['records_per_s']:9,.0f}  "
              f"{r['records_per_s'] / by_keys[1]['records_per_s']:4.2f}  "
              f"{r['cpu_s_per_million']:7.2f}")
    if args.out:
        args.out.write_text(json.dumps({"products": by_products, "keys": by_keys}, indent=1) + "\n")


if __name__ == "__main__":
    main()
