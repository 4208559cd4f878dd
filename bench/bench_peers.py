#!/usr/bin/env python3
"""A leaf beside PostgreSQL and Redis at the same durability, in one run.

    bench_peers.py BUILD_DIR [--rows N] [--seconds S] [--rounds N] [--dir DIR] [--out FILE]

All three answer after fdatasync: PostgreSQL with synchronous_commit = on, Redis with appendfsync
always. Each round measures, of one after the other: inserts in batches of 1,000 over 8 connections,
single inserts over 1 and 64, and reads of single rows of N over 8. The load on PostgreSQL comes from
psql (COPY) and pgbench (prepared statements), that on Redis from redis-benchmark; README.md says what
each does for a row, which is not the same. The median of the ratios of a round is compared.

A peer that is not installed is left out and named: apt-get install postgresql, or redis-server. They
run on loopback with data of their own, and are ended with this program.
"""
import argparse
import contextlib
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import statistics
import string
import subprocess
import sys
import tempfile
import time

from mesh import Mesh, tool

BATCH = 1000
CONNECTIONS = 8
TICKS = os.sysconf("SC_CLK_TCK")
WAIT_S = 30
KINDS = {"batches of 1,000": lambda who, s: who.batches(s),
         "single, 1 connection": lambda who, s: who.single(1, s),
         "single, 64 connections": lambda who, s: who.single(64, s),
         "gets, 8 connections": lambda who, s: who.gets(s)}


def say(*text):
    print(*text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(args, **more):
    return subprocess.run([str(a) for a in args], check=True, text=True, stdout=subprocess.PIPE,
                          **more).stdout


def tree_cpu_s(pid):
    """CPU seconds of a process, of its children that have ended, and of those that run."""
    total = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(stat.parent.name) == pid:
                total += sum(int(n) for n in fields[11:15])
            elif int(fields[1]) == pid:
                total += int(fields[11]) + int(fields[12])
    return total / TICKS


class Server:
    """A peer's process; ended with the block."""

    def start(self, args, log, **more):
        self.process = subprocess.Popen([str(a) for a in args], stdout=log, stderr=log, **more)

    def wait_until(self, answers):
        end = time.monotonic() + WAIT_S
        while not answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not start: see its log")
            time.sleep(0.05)

    def cpu_s(self):
        time.sleep(0.2)  # children that have just ended are counted once they were waited for
        return tree_cpu_s(self.process.pid)

    def end(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait()


class Leaf:
    name = "leaf"

    def __init__(self, mesh, rows):
        self.mesh, self.rows, self.at = mesh, rows, 1
        while self.at <= rows:
            self.load(4, BATCH, 1)

    def load(self, connections, records, seconds):
        r = self.mesh.load(self.mesh.table("orders"), connections, records, seconds, "rising", self.at)
        self.at = r["next"]
        return {"count": r["accepted"], "per_s": r["records_per_s"]}

    def batches(self, seconds):
        return self.load(CONNECTIONS, BATCH, seconds)

    def single(self, connections, seconds):
        return self.load(connections, 1, seconds)

    def gets(self, seconds):
        url = f"{self.mesh.url}/v1/products/bench/orders/orders/records"
        r = tool(self.mesh.build / "bench/get_load", "http", url, self.mesh.token, CONNECTIONS, seconds,
                 self.rows)
        return {"count": r["per_s"] * seconds, "per_s": r["per_s"]}

    def cpu_s(self):
        return self.mesh.cpu_s()

    def about(self):
        return "HTTP, JSON, a token, a contract"


class Postgres(Server):
    name = "PostgreSQL"
    SETTINGS = {"synchronous_commit": "on", "fsync": "on", "shared_buffers": "1GB",
                "max_wal_size": "8GB", "max_connections": "100", "listen_addresses": "127.0.0.1"}
    TABLE = """CREATE SEQUENCE ids START 5000000000;
        CREATE TABLE orders (
            order_id text PRIMARY KEY DEFAULT 'O-' || nextval('ids'),
            customer_id text NOT NULL,
            email text CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
            country text NOT NULL CHECK (country IN ('NO', 'SE', 'DK')),
            amount numeric(12,2) NOT NULL CHECK (amount >= 0),
            quantity int NOT NULL,
            ordered_at timestamptz NOT NULL,
            note text)"""

    @staticmethod
    def home():
        found = [p.parent for p in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")]
        if shutil.which("initdb"):
            found.append(pathlib.Path(shutil.which("initdb")).resolve().parent)
        found = [p for p in found if (p / "postgres").exists() and (p / "pgbench").exists()]
        return max(found, key=lambda p: [int(n) for n in re.findall(r"\d+", str(p))], default=None)

    def __init__(self, directory, rows):
        self.bin, self.dir, self.rows, self.at = self.home(), directory, rows, 1
        self.port = free_port()
        as_user = self.user()
        (directory / "data").mkdir()
        if as_user:  # PostgreSQL refuses to run as root.
            shutil.chown(directory / "data", as_user["user"])
            directory.chmod(0o755)
        with open(directory / "log", "w") as log:
            subprocess.run([self.bin / "initdb", "-D", directory / "data", "-U", "bench", "-A", "trust"],
                           check=True, stdout=log, stderr=log, cwd="/", **as_user)
            flags = [f for k, v in self.SETTINGS.items() for f in ("-c", f"{k}={v}")]
            self.start([self.bin / "postgres", "-D", directory / "data", "-p", self.port,
                        "-k", directory / "data", *flags], log, cwd="/", **as_user)
        try:
            self.fill()
        except BaseException:
            self.end()
            raise

    @staticmethod
    def user():
        if os.geteuid() != 0:
            return {}
        pwd.getpwnam("postgres")
        return {"user": "postgres", "group": "postgres", "extra_groups": []}

    def address(self):
        return ["-h", "127.0.0.1", "-p", self.port, "-U", "bench"]

    def psql(self, *args):
        return run([self.bin / "psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1",
                    *self.address(), "-d", "postgres", *args], stderr=subprocess.STDOUT)

    def answers(self):
        ready = subprocess.run([self.bin / "pg_isready", "-q", *map(str, self.address())], check=False)
        return ready.returncode == 0

    def fill(self):
        self.wait_until(self.answers)
        self.psql("-c", self.TABLE)
        self.copy([self.file_of_copies(0, self.rows // BATCH)])
        self.psql("-c", "VACUUM ANALYZE orders", "-c", "CHECKPOINT")
        if self.psql("-c", "SHOW synchronous_commit", "-c", "SHOW fsync").split() != ["on", "on"]:
            raise RuntimeError("PostgreSQL is not as durable as it must be")

    def file_of_copies(self, n, batches):
        path = self.dir / f"copies.{n}"
        notes = ["".join(random.choices(string.ascii_lowercase, k=60)) for _ in range(BATCH)]
        with open(path, "w") as f:
            for _ in range(batches):
                f.write("COPY orders FROM STDIN;\n")
                for i in range(BATCH):
                    f.write(f"O-{self.at:010}\tC-{self.at % 9999991:07}\tuser{i:07}@example.com\tNO\t"
                            f"{i}.{i % 90 + 10}\t{i % 90 + 10}\t2026-03-{i % 28 + 1:02}T11:12:13.{i:06}Z\t"
                            f"{notes[i]}\n")
                    self.at += 1
                f.write("\\.\n")
        return path

    def copy(self, paths):
        started = time.monotonic()
        loads = [subprocess.Popen([self.bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1",
                                   *map(str, self.address()), "-d", "postgres", "-f", p]) for p in paths]
        if any(load.wait() != 0 for load in loads):
            raise RuntimeError("COPY failed")
        return time.monotonic() - started

    def batches(self, seconds):
        each = max(1, round(seconds * 12))  # as many as take about that long
        paths = [self.file_of_copies(n, each) for n in range(CONNECTIONS)]
        took = self.copy(paths)
        count = each * BATCH * CONNECTIONS
        return {"count": count, "per_s": count / took}

    def pgbench(self, script, connections, seconds):
        path = self.dir / "script.sql"
        path.write_text(script)
        text = run([self.bin / "pgbench", "-n", "-M", "prepared", "-c", connections,
                    "-j", min(2, connections), "-T", max(2, round(seconds)), "-f", path,
                    *self.address(), "postgres"])
        count = int(re.search(r"actually processed: (\d+)", text).group(1))
        per_s = re.search(r"tps = ([\d.]+) \(without", text)
        if count == 0 or per_s is None:
            raise RuntimeError(f"pgbench did not come to work, make --seconds longer: {text}")
        return {"count": count, "per_s": float(per_s.group(1))}

    def single(self, connections, seconds):
        return self.pgbench("INSERT INTO orders (customer_id, email, country, amount, quantity, "
                            "ordered_at, note) VALUES ('C-0012345', 'user0012345@example.com', 'NO', "
                            "1234.56, 12, '2026-03-04T11:12:13.141592Z', "
                            f"'{'abcdefghij' * 6}');\n", connections, seconds)

    def gets(self, seconds):
        return self.pgbench(f"\\set k random(1, {self.rows})\n"
                            "SELECT * FROM orders WHERE order_id = 'O-' || lpad(:k::text, 10, '0');\n",
                            CONNECTIONS, seconds)

    def about(self):
        return (run([self.bin / "postgres", "--version"]).strip() + ", "
                + ", ".join(f"{k} {v}" for k, v in self.SETTINGS.items()))


class Redis(Server):
    name = "Redis"
    SETTINGS = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                "--auto-aof-rewrite-percentage", "0"]

    @staticmethod
    def home():
        found = shutil.which("redis-server")
        return found if shutil.which("redis-benchmark") and shutil.which("redis-cli") else None

    def __init__(self, directory, rows):
        self.rows, self.port = rows, free_port()
        with open(directory / "log", "w") as log:
            self.start(["redis-server", "--port", self.port, "--dir", directory, *self.SETTINGS], log)
        try:
            self.wait_until(lambda: subprocess.run(["redis-cli", "-p", str(self.port), "ping"],
                                                   check=False, capture_output=True).stdout == b"PONG\n")
            self.fill()
        except BaseException:
            self.end()
            raise

    def fill(self):
        value = b"x" * 250
        with subprocess.Popen(["redis-cli", "-p", str(self.port), "--pipe"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL) as pipe:
            for i in range(self.rows):
                pipe.stdin.write(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$250\r\n%s\r\n" % (i, value))
        if run(["redis-cli", "-p", self.port, "CONFIG", "GET", "appendfsync"]).split()[-1] != "always":
            raise RuntimeError("Redis is not as durable as it must be")

    def load(self, seconds, *args):
        """redis-benchmark knows no time, only a number of requests: a short run tells how many."""
        for n in (None, 1):
            count = 10 * BATCH if n is None else max(BATCH, int(rate * seconds))
            text = run(["redis-benchmark", "-h", "127.0.0.1", "-p", self.port, "-d", 250, "-n", count,
                        "--csv", *args], stderr=subprocess.DEVNULL)
            if n is None:
                self.spent_s = self.cpu_s()  # what is measured begins here
            rate = float(text.splitlines()[-1].split(",")[1].strip('"'))
        return {"count": count, "per_s": rate, "cpu_s": self.cpu_s() - self.spent_s}

    def batches(self, seconds):
        return self.load(seconds, "-t", "set", "-c", CONNECTIONS, "-P", BATCH, "-r", 10**10)

    def single(self, connections, seconds):
        return self.load(seconds, "-t", "set", "-c", connections, "-r", 10**10)

    def gets(self, seconds):
        return self.load(seconds, "-t", "get", "-c", CONNECTIONS, "-r", self.rows)

    def about(self):
        return run(["redis-server", "--version"]).split(" sha")[0] + ", " + " ".join(self.SETTINGS)


def measure(servers, args):
    samples = {}
    for n in range(args.rounds):
        say(f"round {n + 1} of {args.rounds}")
        for kind, do in KINDS.items():
            for who in servers:
                cpu = who.cpu_s()
                r = do(who, args.seconds)
                r["cpu_s_per_million"] = r.pop("cpu_s", who.cpu_s() - cpu) / r["count"] * 1e6
                samples.setdefault(kind, {}).setdefault(who.name, []).append(r)
    return samples


def show(samples):
    print(f"\n{'what':24} {'who':12} {'per s':>10} {'leaf/who':>9} {'CPU-s/M':>8} {'leaf/who':>9}")
    for kind, by_name in samples.items():
        for name, runs in by_name.items():
            line = f"{kind:24} {name:12} {statistics.median(r['per_s'] for r in runs):10,.0f}"
            for key, width in (("per_s", 0), ("cpu_s_per_million", 8)):
                ratio = statistics.median(a[key] / b[key] for a, b in zip(by_name["leaf"], runs))
                if width:
                    line += f" {statistics.median(r[key] for r in runs):{width}.2f}"
                line += f" {ratio:9.2f}"
            print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where to write data; by default the build directory")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    build = args.build.resolve()
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(dir=args.dir or build, prefix="bench-")))
        scratch.chmod(0o755)
        servers = [Leaf(stack.enter_context(Mesh(build, pathlib.Path(tempfile.mkdtemp(dir=scratch)))),
                        args.rows)]
        for peer in (Postgres, Redis):
            if peer.home() is None:
                print(f"{peer.name} is not installed: left out")
                continue
            directory = scratch / peer.name
            directory.mkdir()
            say(f"{peer.name}: {args.rows:,} rows")
            servers.append(peer(directory, args.rows))
            stack.callback(servers[-1].end)
        abouts = {who.name: who.about() for who in servers}
        samples = measure(servers, args)
    for name, about in abouts.items():
        print(f"{name}: {about}")
    show(samples)
    if args.out:
        args.out.write_text(json.dumps({"rows": args.rows, "servers": abouts, "samples": samples},
                                       indent=1) + "\n")


if __name__ == "__main__":
    main()
