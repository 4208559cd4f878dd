#!/usr/bin/env python3
"""Disks that fail and disks that fill up: what is answered, what goes on, what comes back."""
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

import fixture

PRODUCT = fixture.orders("text: {number: 2, type: string}")
RECORDS = "/v1/products/sales/orders/orders/records"
MIB = 1 << 20
DISK, RESERVE = 320 * MIB, 32 * MIB
BACK_WITHIN_S = 10  # the promise, P6


def put(m, keys, text="x"):
    return m.load("sales", "orders/orders", [{"k": k, "text": text} for k in keys])


def keys_of(m):
    rows = m.sheaf("read", "sales/orders", "--as", "sales", "--limit", "0", "--select", "k",
                   "-o", "ndjson").lines()
    return {row["k"] for row in rows}


def metric(node, name):
    text = node.call("GET", "/metrics").body.decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


def faults(m, node):
    control = m.directory / "faults"
    node.environment = m.environment | {
        "LD_PRELOAD": str(m.programs["disk_faults"]), "DISK_FAULTS": str(control),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    return control


def test_a_failed_sync_makes_the_leaf_read_only(m):
    """A failed fdatasync is never tried again; the leaf answers, reads, and says that it is read-only"""
    sales = m.leaves["sales"]
    faults(m, sales)
    m.apply("sales", PRODUCT)
    sales.end(signal.SIGTERM)
    sales.start()
    assert put(m, ["a", "b"]).status == 200
    fail_a_sync(m, sales, ["c"], "x")
    assert {"a", "b"} <= keys_of(m) <= {"a", "b", "c"}
    assert put(m, ["e"]).status == 200


def fail_a_sync(m, sales, keys, text):
    """Puts @keys while the log cannot be synced; the leaf has been killed and started again then."""
    control = m.directory / "faults"
    calls = pathlib.Path(f"{control}.calls")
    before, begun = keys_of(m), len(calls.read_text().splitlines())
    control.write_text("/store/db/")
    failed = put(m, keys, text)
    assert failed.problem() == (500, "SHEAF-E0604"), failed
    control.unlink()
    lines = calls.read_text().splitlines()
    assert sum(line.endswith(".log failed") for line in lines[begun:]) == 1
    for _ in range(3):
        again = put(m, ["d"])
        assert again.problem() == (500, "SHEAF-E0604"), again
    later = [line for line in calls.read_text().splitlines()[len(lines):] if "/store/db/" in line]
    assert later == [], later
    assert sales.call("GET", "/livez").status == 200
    assert sales.call("GET", "/readyz").problem() == (500, "SHEAF-E0604")
    assert metric(sales, "sheaf_store_failed") == 1
    assert keys_of(m) == before
    sales.end(signal.SIGKILL)
    sales.start()


def test_rows_of_a_large_commit_whose_sync_failed_are_not_shown(m):
    """A large commit, whose rows go to memory while its log is synced, shows none when that fails"""
    sales = m.leaves["sales"]
    many = [f"many-{i}" for i in range(500)]
    before = keys_of(m)
    fail_a_sync(m, sales, many, "x" * 1000)
    after = keys_of(m)
    assert after in (before, before | set(many)), len(after)


def test_a_store_that_failed_for_want_of_space_is_opened_again(m):
    """A store that failed for want of space is opened again by its process when there is some"""
    sales = m.leaves["sales"]
    control, pid = m.directory / "faults", sales.process.pid
    control.write_text("full /store/db/")
    failed = put(m, ["no"])
    assert failed.problem() == (507, "SHEAF-E0601"), failed
    control.unlink()
    took = within(lambda: put_or_wait(m, "again"), "records are taken again")
    print(f"# resumed after {took:.2f} s")
    assert sales.process.poll() is None and sales.process.pid == pid
    assert "leaf.starts_again" in sales.log.read_text()
    assert {"a", "b", "e", "again"} <= keys_of(m)
    sales.end(signal.SIGTERM)
    sales.environment = None
    sales.start()


def put_or_wait(m, key):
    answer = put(m, [key])
    assert answer.status in (200, 507), answer
    return answer.status == 200


class Small:
    """A small file system, with a file that fills it."""

    def __init__(self, path):
        self.path, self.filler = path, path / "filler"

    def mount(self):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", self.path],
                              capture_output=True, check=False).returncode == 0

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], capture_output=True, check=False)

    def free(self):
        st = os.statvfs(self.path)
        return st.f_bavail * st.f_frsize

    def fill(self, leave):
        with open(self.filler, "ab") as f:
            while self.free() > leave:
                try:
                    f.write(b"\0" * min(MIB, max(4096, self.free() - leave)))
                    f.flush()
                except OSError:
                    break

    def clear(self):
        self.filler.unlink(missing_ok=True)


def on_small_disk(m):
    """A leaf of its own on a small disk; None when we may not mount one."""
    path = m.directory / "small"
    path.mkdir()
    small = Small(path)
    if not small.mount():
        return None
    sales = m.leaves["sales"]
    sales.end(signal.SIGTERM)
    subprocess.run(["cp", "-a", f"{sales.data}/.", path], check=True)
    sales.data = path
    sales.extra = ["--disk-reserve", str(RESERVE), "--write-buffer", str(24 * MIB)]
    sales.start()
    m.write_context()
    return small


def within(condition, what, within_s=BACK_WITHIN_S):
    began = time.monotonic()
    fixture.until(condition, what, within_s)
    return time.monotonic() - began


def accepted(m, key):
    answer = put(m, [key])
    assert answer.status in (200, 507, 500), answer
    return answer.status == 200


def test_below_the_reserve_records_are_refused_before_the_disk_is_full(m):
    """Below the disk reserve ingest answers E0601, reads go on, and writing resumes by itself"""
    m.small = on_small_disk(m)
    if m.small is None:
        return "no right to mount"
    assert put(m, ["f"]).status == 200
    m.small.fill(RESERVE - MIB)
    assert put(m, ["g"]).problem() == (507, "SHEAF-E0601")
    assert "f" in keys_of(m) and "g" not in keys_of(m)
    disk = {of: metric(m.leaves["sales"], f'sheaf_limit_{of}{{limit="disk_bytes"}}') for of in ("used", "max", "refused_total")}
    assert disk["used"] >= disk["max"] > 0 and disk["refused_total"] >= 1, disk
    assert m.leaves["sales"].is_ready()
    assert metric(m.leaves["sales"], "sheaf_store_failed") == 0
    m.small.clear()
    took = within(lambda: accepted(m, "g"), "records are taken again")
    assert metric(m.leaves["sales"], 'sheaf_limit_used{limit="disk_bytes"}') < disk["max"]
    print(f"# resumed after {took:.2f} s")
    return None


def test_a_disk_that_is_filled_up_under_load(m):
    """A disk filled to the last byte under load loses nothing acked, and writing resumes by itself"""
    if m.small is None:
        return "no right to mount"
    sales, acked, text = m.leaves["sales"], set(), "y" * 5000
    pid = sales.process.pid
    for turn in range(3):
        for i in range(400):
            if i == 100 + 40 * turn:
                m.small.fill(0)
            keys = [f"t{turn}-{i}-{n}" for n in range(20)]
            try:
                answer = put(m, keys, text)
            except OSError:
                continue
            if answer.status == 200:
                acked.update(keys)
            elif i > 300:
                break
        select.select([], [], [], 1.5)
        m.small.clear()
        print(f"# turn {turn}: {m.small.free() // MIB} MiB free")
        took = within(lambda t=turn: accepted(m, f"after-{t}"), "records are taken again")
        print(f"# turn {turn}: {len(acked)} acked, resumed after {took:.2f} s")
        acked.add(f"after-{turn}")
        m.sheaf("product", "ls", "--as", "sales")
        assert sales.process.poll() is None and sales.process.pid == pid, "one process throughout"
        missing = acked - keys_of(m)
        assert not missing, (len(missing), sorted(missing)[:5])
    found = m.sheaf("leaf", "check", "--as", "sales", "-o", "json").json()
    assert found["damages"] == 0, found
    return None


def test_a_start_on_a_full_disk(m):
    """A leaf that starts on a full disk waits, without ending again and again, until there is space"""
    if m.small is None:
        return "no right to mount"
    sales = m.leaves["sales"]
    sales.end(signal.SIGKILL)
    try:
        start_on_full_disk(m, sales)
    finally:
        if sales.process.poll() is None:
            sales.end(signal.SIGKILL)
        m.small.unmount()
    return None


def start_on_full_disk(m, sales):
    m.small.fill(0)
    before = sales.log.read_text().count("leaf.waits_for_space")
    sales.start(wait=False)
    fixture.until(lambda: sales.log.read_text().count("leaf.waits_for_space") > before, "it waits")
    select.select([], [], [], 1.0)
    assert sales.process.poll() is None
    m.small.clear()
    took = within(sales.is_ready, "it is ready", fixture.WITHIN_S)  # as long as any start
    print(f"# ready after {took:.2f} s")
    assert put(m, ["h"]).status == 200


if __name__ == "__main__":
    sys.exit(fixture.run([
        test_a_failed_sync_makes_the_leaf_read_only,
        test_a_store_that_failed_for_want_of_space_is_opened_again,
        test_below_the_reserve_records_are_refused_before_the_disk_is_full,
        test_a_disk_that_is_filled_up_under_load, test_a_start_on_a_full_disk], ["sales"]))
