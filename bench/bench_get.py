#!/usr/bin/env python3
"""Reads of single rows against an echo, over HTTP and over NATS, in one run.

    bench_get.py BUILD_DIR [--rows N] [--seconds S] [--rounds N] [--connections C] [--out FILE]

The echo (bench_echo) is made of the leaf's own libraries and answers the same bytes without looking:
over HTTP as a server beside the leaf, over NATS on the same nats-server. Rounds alternate leaf and
echo; the medians of the rates are compared.
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
        self.http = "http://127.0.0.1:" + self.process.stdout.readline().split("http=")[1].strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()


def measure(mesh, args):
    get = mesh.build / "bench/get_load"
    leaf = json.loads((mesh.dir / "mesh" / "dev.json").read_text())["leaves"][0]
    seed = pathlib.Path(leaf["data"]) / "keys/app.nk"
    path = "/v1/products/bench/orders/orders/records"
    load = [args.connections, args.seconds, args.rows]

    def http(base):
        return tool(get, "http", base + path, mesh.token, *load)

    def nats(subject):
        return tool(get, "nats", leaf["nats"], seed, subject, *load)

    rows = 0
    while rows < args.rows:
        rows += mesh.load(mesh.table("orders"), 4, 1000, 1, "rising", rows + 1)["accepted"]
    sizes = {"http": http(mesh.url)["bytes"], "nats": nats("q.bench.orders.get")["bytes"]}
    samples = {}
    for n in range(args.rounds):
        print(f"round {n + 1} of {args.rounds}", file=sys.stderr, flush=True)
        for way in ("http", "nats"):
            with Echo(mesh.build, sizes[way], leaf["nats"], seed) as echo:
                pairs = (("leaf", mesh.url, "q.bench.orders.get"), ("echo", echo.http, "echo.bench"))
                for who, base, subject in pairs:
                    r = http(base) if way == "http" else nats(subject)
                    samples.setdefault(f"{way} {who}", []).append(r)
    return sizes, samples


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--dir", help="where to write data; by default the build directory")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    with tempfile.TemporaryDirectory(dir=args.dir or build, prefix="bench-") as scratch:
        with Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch))) as mesh:
            sizes, samples = measure(mesh, args)
    result = {"rows": args.rows, "connections": args.connections, "bytes": sizes, "samples": samples}
    print("\nway    leaf/s  p50 us  p99 us    echo/s  p50 us  p99 us  ratio  goal")
    for way in ("http", "nats"):
        mid = {who: {k: statistics.median(r[k] for r in samples[f"{way} {who}"])
                     for k in ("per_s", "p50_us", "p99_us")} for who in ("leaf", "echo")}
        ratio = statistics.median(a["per_s"] / b["per_s"] for a, b in
                                  zip(samples[f"{way} leaf"], samples[f"{way} echo"]))
        result[way] = {**mid, "ratio": round(ratio, 2)}
        print(f"{way}  {mid['leaf']['per_s']:8,.0f} {mid['leaf']['p50_us']:7.0f} "
              f"{mid['leaf']['p99_us']:7.0f}  {mid['echo']['per_s']:8,.0f} "
              f"{mid['echo']['p50_us']:7.0f} {mid['echo']['p99_us']:7.0f}   {ratio:4.2f}  {GOAL}")
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
