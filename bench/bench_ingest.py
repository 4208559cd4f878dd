#!/usr/bin/env python3
"""Durable ingest over HTTP against the raw limit, in one run.

    bench_ingest.py BUILD_DIR [--seconds S] [--rounds N] [--out FILE]

Every round measures, one after the other: fdatasync, a bare RocksDB sync batch writer of the same
keys with the 250-byte record as value (batches of 500, 1,000, 4,000), and the leaf over HTTP (8
connections, 500 records a body, nobody subscribed), for rising keys, random keys, updates of a
million keys that both hold already, and an event table; then single records over 1, 8 and 64 connections. Medians are compared: the leaf's
against the best batch of the bare writer. All of the leaf runs: contract, token, quarantine, log,
rows, publisher, bus. Each measurement of the leaf starts with a leaf of its own.
"""
import argparse
import json
import os
import pathlib
import platform
import signal
import statistics
import sys
import tempfile

from mesh import Mesh, tool

BATCHES = (500, 1000, 4000)
KEYS = 1_000_000  # what updates choose from
GOALS = {"rising": 0.7, "events": 0.8, "updates": 0.5}  # of the raw limit


def raw(build, pattern, batch, seconds, scratch):
    with tempfile.TemporaryDirectory(dir=scratch) as d:
        first = KEYS if pattern == "updates" else 1
        return tool(build / "bench/bench_raw", d, seconds, batch, pattern, first)


def leaf(build, pattern, seconds, scratch):
    with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as m:
        load = build / "bench/http_load"
        table, keys = ("events", "rising") if pattern == "events" else ("orders", pattern)
        first = 1
        if pattern == "updates":  # fill first, as the bare writer does: updates find a row
            at = 0
            while at < KEYS:
                at = tool(load, m.table("orders"), m.token, 4, 1000, 0.5, "rising", at)["next"]
            first = KEYS
        cpu, syncs = m.cpu_s(), m.syncs()
        r = tool(load, m.table(table), m.token, 8, 500, seconds, keys, first)
        r["cpu_s_per_million"] = (m.cpu_s() - cpu) / r["accepted"] * 1e6
        r["syncs_per_thousand"] = (m.syncs() - syncs) / r["accepted"] * 1e3
        return r


def single(build, connections, seconds, scratch):
    with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as m:
        return tool(build / "bench/http_load", m.table("orders"), m.token, connections, 1, seconds,
                    "rising", 1)


def measure(build, rounds, seconds, scratch):
    """All samples: name -> list, interleaved over rounds."""
    samples = {}

    def keep(name, value):
        samples.setdefault(name, []).append(value)

    for n in range(rounds):
        print(f"round {n + 1} of {rounds}", file=sys.stderr, flush=True)
        keep("fdatasync", tool(build / "bench/bench_fdatasync", scratch, 2)["p50_us"])
        for pattern in ("rising", "random", "updates"):
            for batch in BATCHES:
                keep(f"raw {pattern} {batch}", raw(build, pattern, batch, seconds, scratch))
            keep(f"leaf {pattern}", leaf(build, pattern, seconds, scratch))
        keep("leaf events", leaf(build, "events", seconds, scratch))
        for connections in (1, 8, 64):
            keep(f"single {connections}", single(build, connections, seconds, scratch))
    return samples


def median(values, key=None):
    return statistics.median(v[key] if key else v for v in values)


def report(samples):
    fsync = median(samples["fdatasync"])
    result = {"fdatasync_p50_us": round(fsync, 1), "ingest": {}, "single": {}}
    print(f"\nfdatasync p50 {fsync:.0f} us\n")
    print("table    raw rec/s (batch)   leaf rec/s   ratio  goal   CPU-s/M  raw   ratio  syncs/1000")
    for pattern in ("rising", "random", "updates", "events"):
        raw_pattern = "rising" if pattern == "events" else pattern
        best = max(BATCHES,
                   key=lambda b: median(samples[f"raw {raw_pattern} {b}"], "records_per_s"))
        limit = median(samples[f"raw {raw_pattern} {best}"], "records_per_s")
        raw_cpu = median(samples[f"raw {raw_pattern} {best}"], "cpu_s_per_million")
        runs = samples[f"leaf {pattern}"]
        rate = median(runs, "records_per_s")
        row = {"raw_records_per_s": round(limit), "raw_batch": best,
               "leaf_records_per_s": round(rate), "ratio": round(rate / limit, 3),
               "cpu_s_per_million": round(median(runs, "cpu_s_per_million"), 2),
               "raw_cpu_s_per_million": round(raw_cpu, 2),
               "syncs_per_thousand": round(median(runs, "syncs_per_thousand"), 2)}
        result["ingest"][pattern] = row
        print(f"{pattern:8} {limit:9,.0f} ({best:4})  {rate:11,.0f}   {row['ratio']:5.2f}  "
              f"{GOALS.get(pattern, ''):<5}  {row['cpu_s_per_million']:7.2f}  {raw_cpu:4.2f}  "
              f"{row['cpu_s_per_million'] / raw_cpu:6.2f}  {row['syncs_per_thousand']:10.2f}")
    print("\nsingle records: connections, commits/s, p50 us, p99 us, p50 / (1.15 fdatasync + 60 us)")
    for connections in (1, 8, 64):
        runs = samples[f"single {connections}"]
        row = {k: round(median(runs, k), 1) for k in ("records_per_s", "p50_us", "p99_us")}
        row["of_goal"] = round(row["p50_us"] / (1.15 * fsync + 60), 2)
        result["single"][str(connections)] = row
        print(f"{connections:3}  {row['records_per_s']:9,.0f}  {row['p50_us']:8.0f}  "
              f"{row['p99_us']:8.0f}  {row['of_goal']:5.2f}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where to write data; by default the build directory")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(dir=args.dir or build, prefix="bench-") as scratch:
        samples = measure(build, args.rounds, args.seconds, scratch)
    result = report(samples)
    result["machine"] = {"cpus": os.cpu_count(), "kernel": platform.release(),
                         "load": os.getloadavg()[0]}
    result["samples"] = samples
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
