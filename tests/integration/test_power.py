#!/usr/bin/env python3
"""Power cuts at the files below the store: what was not synced is lost, or a part of it.

A library in front of the leaf writes down what was synced (disk_journal.c). The leaf is killed under
load; then every file loses what no sync covers: its end is cut somewhere, and a new file whose
directory was not synced may be gone. In the log of the store and in its MANIFEST there may also be
zeros, noise or what the disk held before, from any byte on that no sync covers. A rename counts at once.
TEST_POWER_ROUNDS and TEST_POWER_SEED set how often and what.
"""
import os
import pathlib
import random
import signal
import sys
import threading

import fixture

PRODUCT = fixture.orders("n: {number: 2, type: int64, required: true}", "pad: {number: 3, type: string}")
ROUNDS = int(os.environ.get("TEST_POWER_ROUNDS", "6"))
SEED = int(os.environ.get("TEST_POWER_SEED", "0")) or random.randrange(1, 1 << 32)
RANDOM = random.Random(SEED)
KEYS = 40
BULK = 600  # rows of a commit that is synced beside its rows, while the next one is built
PAD = "x" * 300


class Disk:
    """What is there for good, file by file."""

    def __init__(self, root, journal, boot):
        self.root, self.journal, self.boot = pathlib.Path(root).resolve(), journal, boot
        self.boots = 0

    def begin(self):
        """The machine starts; from now on: all that is there is there for good."""
        self.boots += 1
        self.boot.write_text(f"boot-{self.boots}\n")
        self.journal.write_text("")
        self.synced = {str(p): p.stat().st_size for p in self.root.rglob("*") if p.is_file()}
        self.fresh = set()

    def read(self, with_syncs=True):
        for line in self.journal.read_text(errors="replace").splitlines():
            what, rest = line[0], line[2:]
            if what == "S" and with_syncs:
                size, path = rest.split(" ", 1)
                self.synced[path] = int(size)
            elif what == "D" and with_syncs:
                self.fresh = {p for p in self.fresh if os.path.dirname(p) != rest}
            elif what == "C":
                self.synced[rest] = 0
                self.fresh.add(rest)
            elif what == "R":
                old, new = rest.split("\t")
                self.synced[new] = self.synced.pop(old, 0)
                self.fresh = {new if p == old else p for p in self.fresh}
            elif what == "U":
                self.synced.pop(rest, None)
                self.fresh.discard(rest)

    def cut(self, wholly=False):
        """How many files have lost something: a part by chance, or @wholly what no sync covers."""
        lost = 0
        for name, size in sorted(self.synced.items()):
            path = pathlib.Path(name)
            if self.root not in path.parents or not path.is_file() or path.stat().st_size < size:
                continue
            there = path.stat().st_size
            if name in self.fresh and (wholly or RANDOM.random() < 0.5):
                path.unlink()
                lost += 1
            elif there > size:
                lost += 1
                if wholly:
                    os.truncate(path, size)
                elif (path.suffix == ".log" or path.name.startswith("MANIFEST")) and (self.boots == 1 or RANDOM.random() < 0.7):
                    spoil(path, RANDOM.choice([size, RANDOM.randrange(size, there)]))
                else:
                    os.truncate(path, RANDOM.choice([size, RANDOM.randint(size, there)]))
        self.boots += 1
        self.boot.write_text(f"boot-{self.boots}\n")
        return lost


def spoil(path, at):
    """The end of a file from @at on, as file systems may leave it: sectors of it, or all."""
    data = bytearray(path.read_bytes())
    rest = len(data) - at
    old = bytes(data[:at]) or b"\0"
    fill = RANDOM.choice([bytes(rest), RANDOM.randbytes(rest), (old * (rest // len(old) + 1))[:rest]])
    for begin in range(at, len(data), 512):
        if begin == at or RANDOM.random() < 0.8:
            data[begin:begin + 512] = fill[begin - at:begin - at + 512]
    path.write_bytes(data[:RANDOM.choice([len(data), RANDOM.randint(at + 1, len(data))])])


class Writer(threading.Thread):
    """Writes keys again and again, with a number that rises, until nobody answers."""

    def __init__(self, m, n, is_bulk=False):
        super().__init__(daemon=True)
        self.mesh, self.n, self.is_bulk, self.enough = m, n, is_bulk, threading.Event()
        self.sent, self.acked, self.answers = {}, {}, 0

    def keys(self):
        if self.is_bulk:
            return [f"b{i}" for i in range(BULK)]
        return [f"k{RANDOM.randrange(KEYS)}" for _ in range(RANDOM.choice([1, 1, 5, 20]))]

    def run(self):
        pad = {"pad": PAD} if self.is_bulk else {}
        while True:
            self.n += 1
            rows = {key: self.n for key in self.keys()}
            for key in rows:
                self.sent.setdefault(key, set()).add(self.n)
            try:
                answer = self.mesh.load("sales", "orders/orders", [{"k": k, "n": n} | pad for k, n in rows.items()])
            except OSError:
                return
            assert answer.status == 200, answer
            self.acked.update(rows)
            self.answers += 1
            if self.answers == 20:
                self.enough.set()


def rows_of(m):
    lines = m.sheaf("read", "sales/orders", "--as", "sales", "--limit", "0", "-o", "ndjson").lines()
    return {row["k"]: int(row["n"]) for row in lines}


def explain(found, acked, sent):
    """Every key has what was acknowledged last, or what was sent after that and not answered."""
    for key, n in acked.items():
        assert key in found and found[key] >= n, f"seed {SEED}: {key}: {n} acked, {found.get(key)} there"
    for key, n in found.items():
        assert n in sent.get(key, ()), f"seed {SEED}: {key}: {n} was never sent"


def begin(m):
    sales, journal, boot = m.leaves["sales"], m.directory / "disk.journal", m.directory / "disk.boot"
    boot.write_text("boot-0\n")
    sales.environment = m.environment | {
        "LD_PRELOAD": str(m.programs["disk_journal"]), "DISK_JOURNAL": str(journal),
        "DISK_BOOT": str(boot),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    return sales, Disk(sales.data / "store", journal, boot)


def turn(m, sales, disk, writer, bulk):
    """A life of the leaf under load, up to the moment when the power fails: any, or before a sync."""
    before_sync = disk.boots == 1 or RANDOM.random() < 0.7
    sales.environment["DISK_DIES"] = str(RANDOM.randrange(60, 100) if before_sync else 0)
    sales.start()
    writer.start()
    bulk.start()
    if before_sync:
        sales.process.wait(60)
    else:
        assert writer.enough.wait(60), "20 answers"
        threading.Event().wait(RANDOM.random() / 2)
    sales.end(signal.SIGKILL)
    writer.join(60)
    bulk.join(60)
    sales.environment["DISK_DIES"] = "0"


def test_power_cuts(m):
    """What was acknowledged is there after each power cut, and nothing that was not sent"""
    sales, disk = begin(m)
    m.apply("sales", PRODUCT)
    sales.end(signal.SIGTERM)
    acked, sent, n, lost, bulks = {}, {}, 0, 0, 0
    for _ in range(ROUNDS):
        disk.begin()
        writers = Writer(m, n), Writer(m, n, is_bulk=True)
        turn(m, sales, disk, *writers)
        n = max(w.n for w in writers)
        bulks += writers[1].answers
        for w in writers:
            acked.update(w.acked)
            for key, numbers in w.sent.items():
                sent.setdefault(key, set()).update(numbers)
        disk.read()
        lost += disk.cut()
        sales.start()
        found = rows_of(m)
        explain(found, acked, sent)
        acked = {key: found[key] for key in acked}  # a later one may have come through
        sales.end(signal.SIGTERM)
    torn = (m.directory / "leaf-sales.log").read_text(errors="replace").count("store.log_cut")
    print(f"# {lost} files lost something in {ROUNDS} rounds, {n} writes, {bulks} in bulk, {torn} logs were cut off, seed {SEED}")
    assert lost > 0 and torn > 0, "no cut took anything"
    assert bulks > 0


def test_a_disk_that_lies(m):
    """The same with syncs that were none: something is lost, or the leaf says so - or this test is blind"""
    sales, disk = begin(m)
    disk.begin()
    writer = Writer(m, 1 << 32)
    turn(m, sales, disk, writer, Writer(m, 1 << 32, is_bulk=True))
    disk.read(with_syncs=False)
    assert disk.cut(wholly=True) > 0
    sales.start(wait=False)
    try:
        fixture.until(sales.is_ready, "the leaf is ready")
    except AssertionError as refusal:
        assert "ended with" in str(refusal), refusal
        return
    found = rows_of(m)
    assert any(found.get(key, 0) < n for key, n in writer.acked.items()), "nothing was lost"


if __name__ == "__main__":
    sys.exit(fixture.run([test_power_cuts, test_a_disk_that_lies], ["sales"]))
