#!/usr/bin/env python3
"""Reads of single rows against an echo, over HTTP and over NATS, in one run.

    bench_get.py BUILD_DIR [--rows N] [--hot N] [--seconds S] [--rounds N] [--connections C] [--out FILE]

The echo (bench_echo) is made of the leaf's own libraries and answers the same bytes without looking:
over HTTP as a server beside the leaf, over NATS on the same nats-server. Keys are drawn evenly from
the first --hot rows ("hot": their answers fit the leaf's cache) and from all --rows ("all": they do
not, nor do the rows fit the cache of the store). Rounds alternate leaf and echo; the medians of the
rates are compared. CPU is that of the process, all its threads, for one answer: unlike rates it
means something on a busy machine.
"""
import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

from mesh import Mesh, tool

GOAL = 0.85


class Echo:
    def __init__(self, build, size, nats, seed):
        self.process = subprocess.Popen([build / "bench/bench_echo", str(size), nats, seed,
                                         "echo.bench"], stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.http = "http://127.0.0.1:" + self.process.stdout.readline().split("http=")[1].strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()


def cpu_ns(pid):
    """Of all threads that there are now; they do not end while a load runs."""
    return sum(int((t / "schedstat").read_text().split()[0])
               for t in pathlib.Path(f"/proc/{pid}/task").iterdir())


def measure(mesh, args):
    get = mesh.build / "bench/get_load"
    leaf = json.loads((mesh.dir / "mesh" / "dev.json").read_text())["leaves"][0]
    seed = pathlib.Path(leaf["data"]) / "keys/app.nk"
    path = "/v1/products/bench/orders/orders/records"

    def load(way, to, keys, pid=None):
        before = cpu_ns(pid) if pid else 0
        if way == "http":
            r = tool(get, "http", to + path, mesh.token, args.connections, args.seconds, keys)
        else:
            r = tool(get, "nats", leaf["nats"], seed, to, args.connections, args.seconds, keys)
        r["cpu_us"] = (cpu_ns(pid) - before) / 1e3 / (r["per_s"] * args.seconds) if pid else 0
        return r

    rows = 0
    while rows < args.rows:
        rows += mesh.load(mesh.table("orders"), 4, 1000, 1, "rising", rows + 1)["accepted"]
    samples = {}
    for way, to in (("http", mesh.url), ("nats", "q.bench.orders.get")):
        size = load(way, to, args.hot)["bytes"]  # also puts the rows into the caches
        with Echo(mesh.build, size, leaf["nats"], seed) as echo:
            echo_to = echo.http if way == "http" else "echo.bench"
            for keys, count in (("hot", args.hot), ("all", args.rows)):
                print(f"{way}, {keys} keys", file=sys.stderr, flush=True)
                load(way, to, count)
                for _ in range(args.rounds):
                    for who, place, pid in (("leaf", to, mesh.pid), ("echo", echo_to, echo.pid)):
                        samples.setdefault(f"{way} {keys} {who}", []).append(
                            load(way, place, count, pid))
    return samples


def compare(samples, way, keys):
    leaf, echo = (samples[f"{way} {keys} {who}"] for who in ("leaf", "echo"))
    mid = {who: {k: round(statistics.median(r[k] for r in rows), 1)
                 for k in ("per_s", "p50_us", "p99_us", "cpu_us")}
           for who, rows in (("leaf", leaf), ("echo", echo))}
    return {**mid,
            "ratio": round(statistics.median(a["per_s"] / b["per_s"] for a, b in zip(leaf, echo)), 2),
            "cpu_ratio": round(statistics.median(b["cpu_us"] / a["cpu_us"]
                                                 for a, b in zip(leaf, echo)), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--hot", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--dir", help="where to write data; by default the build directory")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    with tempfile.TemporaryDirectory(dir=args.dir or build, prefix="bench-") as scratch:
        with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as mesh:
            samples = measure(mesh, args)
    result = {"rows": args.rows, "hot": args.hot, "connections": args.connections,
              "samples": samples}
    print("\nway   keys   leaf/s  p50 us  p99 us  CPU us    echo/s  p50 us  p99 us  CPU us  ratio"
          "  of CPU  goal")
    for way in ("http", "nats"):
        for keys in ("hot", "all"):
            r = result[f"{way} {keys}"] = compare(samples, way, keys)
            print(f"{way}  {keys}  " + "  ".join(
                f"{r[who]['per_s']:8,.0f} {r[who]['p50_us']:7.0f} {r[who]['p99_us']:7.0f} "
                f"{r[who]['cpu_us']:7.1f}" for who in ("leaf", "echo"))
                + f"   {r['ratio']:4.2f}    {r['cpu_ratio']:4.2f}  {GOAL}")
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
