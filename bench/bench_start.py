#!/usr/bin/env python3
"""What a leaf that does nothing costs, and how soon one that starts is ready.

    bench_start.py BUILD_DIR [--rows N] [--rounds N] [--dir DIR] [--out FILE]

Idle memory: of the leaf alone, without its nats-server, two seconds after the mesh is up. Ready: from
the start of the process to its word that it serves, on a store with one product; rounds. After kill
-9: the same with N rows loaded over HTTP, killed in the middle of loading.
"""
import argparse
import json
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from mesh import Leaf, Mesh, tool

GOALS = {"idle_rss_mb": 25, "ready_ms": 300, "after_kill_ms": 2000}


def resident_mb(pid, what="Rss"):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(n) for n in re.findall(rf"^{what}:\s+(\d+) kB", text, re.M)) / 1024


def load(build, leaf, token, rows):
    """Loads @rows records, then goes on loading until the leaf is gone."""
    url = f"{leaf.url}/v1/products/bench/orders/orders/records"
    first = 1
    while first < rows:
        r = tool(build / "bench/http_load", url, token, 8, 1000, 2, "rising", first)
        first = r["next"]
        print(f"  {first:,} rows", file=sys.stderr, flush=True)
    return url, first


def killed(build, command, token, rows, log):
    leaf = Leaf(command, log)
    url, first = load(build, leaf, token, rows)
    more = [str(build / "bench/http_load"), url, str(token), "8", "1000", "5", "rising", str(first)]
    loading = subprocess.Popen(more, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    threading.Event().wait(2)  # so that it dies at work
    leaf.end(signal.SIGKILL)
    loading.wait()
    leaf = Leaf(command, log)
    try:
        return leaf.ready_ms
    finally:
        leaf.end(signal.SIGTERM)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dir", help="where to write data; by default the build directory")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    with tempfile.TemporaryDirectory(dir=args.dir or build, prefix="bench-") as scratch:
        with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as mesh, \
                open(pathlib.Path(scratch) / "leaf.log", "w") as log:
            time.sleep(2)
            result = {"idle_rss_mb": round(resident_mb(mesh.pid), 1),
                      "idle_private_mb": round(resident_mb(mesh.pid, "Private_Dirty"), 1)}
            command = mesh.leaf_command()
            mesh.stop()
            ready = []
            for _ in range(args.rounds):
                leaf = Leaf(command, log)
                ready.append(leaf.ready_ms)
                leaf.end(signal.SIGTERM)
            result["ready_ms"] = round(statistics.median(ready))
            result["after_kill_ms"] = round(killed(build, command, mesh.token, args.rows, log))
            result["rows"] = args.rows
    for name, value in result.items():
        print(f"{name:16} {value:>10,}   {'goal ' + str(GOALS[name]) if name in GOALS else ''}")
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
