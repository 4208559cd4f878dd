#!/usr/bin/env python3
"""Large answers across leaves: they flow as fast as they are read, and no faster."""
import http.client
import json
import os
import select
import socket
import subprocess
import sys

import fixture
import nats

PRODUCT = """sheaf: product/v1
product: sales/notes
version: 1.0.0
owner: notes@example.org
description: Notes.
tables:
  notes:
    kind: state
    key: [id]
    fields:
      id:   {number: 1, type: int64, required: true}
      note: {number: 2, type: string}
"""
ROWS, ROW_BYTES, POST = 900, 64 * 1024, 180
LATE = 5  # rows that are written while the snapshot is read
PATH = "/v1/products/sales/notes@1/notes/changes?snapshot=true"


def note(i):
    return (f"{i:06d}-" * (ROW_BYTES // 7 + 1))[:ROW_BYTES]


def load(m, ids):
    answer = m.load("sales", "notes/notes", [{"id": i, "note": note(i)} for i in ids])
    assert answer.status == 200 and answer.json()["accepted"] == len(ids), answer


def check(lines):
    """All rows and changes, each once; and what they mean in the end."""
    seqs = [line["seq"] for line in lines if "seq" in line]
    assert sorted(seqs) == list(range(1, ROWS + LATE + 1)), (len(seqs), len(set(seqs)))
    held = {line["key"]["id"]: line["row"]["note"] for line in lines if "seq" in line}
    assert held == {i: note(i) for i in range(ROWS + LATE)}
    kinds = [line["event"] for line in lines if "event" in line]
    assert kinds == ["snapshot", "position", "end"], kinds


def test_grant(m):
    """55 MiB of rows are granted to another domain"""
    m.apply("sales", PRODUCT)
    asked = m.sheaf("access", "request", "sales/notes", "--as", "marketing", "--purpose", "test", "--for", "90d",
                    "-o", "json").json()
    m.sheaf("access", "approve", asked["id"], "--as", "sales")
    for first in range(0, ROWS, POST):
        load(m, range(first, first + POST))
    assert ROWS * ROW_BYTES > 55 << 20


def request(m, path):
    """A socket that has asked, with room for little that is not read."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
    s.settimeout(30)
    s.connect(("127.0.0.1", m.leaves["marketing"].http))
    s.sendall((f"GET {path} HTTP/1.1\r\nHost: leaf\r\nConnection: close\r\n"
               f"Authorization: Bearer {m.token('marketing')}\r\n\r\n").encode())
    return s


def rss(process):
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def test_slow_http(m):
    """A snapshot of 55 MiB of another domain, read slowly, comes whole; rows written meanwhile follow"""
    leaf = m.leaves["marketing"]
    s = request(m, PATH)
    answer = http.client.HTTPResponse(s)
    answer.begin()
    assert answer.status == 200
    before = rss(leaf.process)
    body = bytearray(answer.read(1 << 20))
    load(m, range(ROWS, ROWS + LATE))
    most = 0
    while piece := answer.read(256 * 1024):
        body += piece
        most = max(most, rss(leaf.process))
        select.select([], [], [], 0.02)
    s.close()
    check([json.loads(line) for line in body.splitlines()])
    assert most - before < 24 << 20, f"memory grew by {(most - before) >> 20} MiB"


def test_nats_credit(m):
    """Over NATS an asker with a window gets no page beyond it, and all of them in the end"""
    c = nats.Client(m.leaves["marketing"].nats, m.leaves["marketing"].data / "keys" / "app.nk")
    c.subscribe("_INBOX.credit")
    flow = {"flow": "abcdefghijklmnopqrst", "window": 3}
    c.publish("q.sales.notes.changes", json.dumps({"snapshot": True} | flow), "_INBOX.credit")
    fixture.until(lambda: c.poll(0.05) or len(c.messages) >= 3, "the window is full")
    for _ in range(5):  # whatever is not held back would have come with these
        c.request("q.sales.notes.describe", "{}")
    assert len([m for m in c.messages if m.subject == "_INBOX.credit"]) == 3, c.messages
    lines, taken = [], 0
    while True:
        page = c.wait_for(lambda m: m.subject == "_INBOX.credit", "the next page")
        if not page.headers:
            break
        taken += 1
        assert page.headers["Sheaf-Flow"] == str(taken), page
        lines += page.lines()
        c.publish("q.sales.notes.taken", json.dumps({"flow": flow["flow"], "taken": taken}))
    check(lines)
    c.close()


def test_slow_sub(m):
    """'sheaf sub --since snapshot' into a slow pipe prints all of it once"""
    process = subprocess.Popen(
        [m.programs["sheaf"], "sub", "sales/notes", "--as", "marketing", "--since", "snapshot",
         "--count", str(ROWS + LATE)], stdout=subprocess.PIPE, cwd=m.directory,
        env=m.environment | {"SHEAF_DEV_DIR": str(m.directory)},
        preexec_fn=fixture.die_with_parent)
    m.processes.append(process)
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if len(lines) % 10 == 0:
            select.select([], [], [], 0.05)
    assert process.wait(fixture.WITHIN_S) == 0
    rows = [line["key"]["id"] for line in lines if "seq" in line]
    assert sorted(rows) == list(range(ROWS + LATE)), len(rows)
    assert [line["event"] for line in lines if "event" in line] == ["snapshot"], lines[-1]


TESTS = [test_grant, test_slow_http, test_nats_credit, test_slow_sub]

if __name__ == "__main__":
    # What was freed is not kept to find uses of it: the memory of a leaf says what it holds.
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    sys.exit(fixture.run(TESTS, ["sales", "marketing"]))
