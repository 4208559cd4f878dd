#!/usr/bin/env python3
"""Overload: memory stays under its cap, everything bounded stays within its limit, the leaf goes on.

The leaf runs with a cap on its memory while clients send large bodies, send hardly anything, read
hardly anything, and ask for more than fits. Built with a sanitizer a process takes several times its
memory, so resident memory is looked at in builds without one.
"""
import json
import re
import socket
import sys
import threading

import fixture
from fixture import until

PRODUCT = """sheaf: product/v1
product: sales/notes
version: 1.0.0
owner: team@example.org
description: Notes.
tables:
  notes:
    kind: event
    fields:
      text: {number: 1, type: string, required: true}
      n:    {number: 2, type: int64}
"""
RECORDS = "/v1/products/sales/notes/notes/records"
TEXT = "x" * 8000
MIB = 1024 * 1024
MEMORY_MIB = 320
LIMITED = ("http_body_bytes", "ingest_bytes", "commit_queue_bytes", "commit_queue_writes", "queries", "feeds")


def metrics_of(m):
    text = m.leaves["sales"].call("GET", "/metrics").body.decode()
    found = re.findall(r'^sheaf_limit_(used|max|refused_total)\{limit="(\w+)"\} (\d+)$', text, re.M)
    return {(limit, what): int(value) for what, limit, value in found}


def is_sanitized(m):
    return b"__asan_init" in m.programs["leaf"].read_bytes()


def resident(m):
    status = open(f"/proc/{m.leaves['sales'].process.pid}/status").read()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) * 1024


def raw(m, head, body=b""):
    s = socket.create_connection(("127.0.0.1", m.leaves["sales"].http), timeout=30)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall((head + f"Host: x\r\nAuthorization: Bearer {m.token('sales')}\r\n\r\n").encode() + body)
    return s


class Watch(threading.Thread):
    """Looks again and again, until it is told to stop, and keeps the highest it saw."""

    def __init__(self, m):
        super().__init__(daemon=True)
        self.mesh, self.ended = m, threading.Event()
        self.highest, self.resident, self.looks, self.error = {}, 0, 0, None

    def run(self):
        try:
            while not self.ended.wait(0.05):
                for key, value in metrics_of(self.mesh).items():
                    self.highest[key] = max(value, self.highest.get(key, 0))
                self.resident = max(self.resident, resident(self.mesh))
                assert self.mesh.leaves["sales"].call("GET", "/livez").status == 200
                self.looks += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def end(self):
        self.ended.set()
        self.join(60)
        assert self.error is None and self.looks > 0, (self.error, self.looks)
        return self.highest


def in_threads(work, count):
    """Runs work(number) in @count threads; their answers."""
    answers, errors = [], []

    def run(number):
        try:
            answers.append(work(number))
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)
    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(240)
    assert not errors, errors
    return answers


def post(m, rows):
    body = "".join(json.dumps({"text": TEXT, "n": i}) + "\n" for i in range(rows))
    return m.leaves["sales"].call("POST", RECORDS, body, m.token("sales"),
                                  {"Content-Type": "application/x-ndjson"})


def test_a_slow_client_costs_the_others_nothing(m):
    """Clients that read nothing or hardly send: the others are all answered, and nothing is refused"""
    leaf = m.leaves["sales"]
    leaf.end()
    leaf.extra = ["--memory", "1GiB" if is_sanitized(m) else f"{MEMORY_MIB}MiB"]
    leaf.start()
    m.apply("sales", PRODUCT)
    for _ in range(8):
        assert post(m, 250).status == 200
    before = metrics_of(m)
    slow = [raw(m, f"GET {RECORDS}?limit=60 HTTP/1.1\r\n") for _ in range(10)]
    slow += [raw(m, f"POST {RECORDS} HTTP/1.1\r\nContent-Length: 100000\r\n", b"{") for _ in range(10)]
    until(lambda: metrics_of(m)[("http_body_bytes", "used")] >= 1000000, "the slow ones are there")
    for i in range(150):
        answer = leaf.call("GET", f"{RECORDS}?limit=1", token=m.token("sales"))
        assert answer.status == 200, answer
        if i % 10 == 0:
            assert post(m, 1).status == 200
    after = metrics_of(m)
    refused = {k: v for k, v in after.items() if k[1] == "refused_total" and v != before[k]}
    assert not refused, refused
    until(lambda: metrics_of(m)[("queries", "used")] == 0, "none of the slow readers holds a place")
    assert after[("http_answer_bytes", "used")] <= 11 * MIB, after
    for s in slow:
        s.close()
    until(lambda: metrics_of(m)[("http_body_bytes", "used")] == 0, "their room is free again")


def test_overload_stays_within_the_limits(m):
    """Many connections, large bodies, slow senders and readers, many queries: all bounded, and alive"""
    leaf = m.leaves["sales"]
    limits = metrics_of(m)
    body_max = 4 * MIB
    watch = Watch(m)
    watch.start()
    m.patience_s = 240  # what is let in is answered; how soon is the machine's affair
    held = [raw(m, f"POST {RECORDS} HTTP/1.1\r\nContent-Length: {body_max}\r\n", b'{"text":"' + b"y" * 60000)
            for _ in range(60)]
    held += [raw(m, f"GET {RECORDS}?limit=100 HTTP/1.1\r\n") for _ in range(100)]

    def write(_):
        return [post(m, 400).status for _ in range(6)]

    def ask(_):
        return [leaf.call("GET", f"{RECORDS}?limit=100", token=m.token("sales")).status
                for _ in range(12)]
    statuses = set(sum(in_threads(lambda n: (write if n < 8 else ask)(n), 32), []))
    for s in held:
        s.close()
    small = "".join(json.dumps({"text": "", "n": i}) + "\n" for i in range(60000))

    def write_small(_):
        return [leaf.call("POST", RECORDS, small, m.token("sales"),
                          {"Content-Type": "application/x-ndjson"}).status for _ in range(5)]
    statuses |= set(sum(in_threads(lambda n: (write if n < 8 else write_small)(n), 20), []))
    highest = watch.end()
    m.patience_s = fixture.WITHIN_S
    assert statuses == {200, 429}, statuses
    for name in LIMITED:
        assert highest[(name, "used")] <= highest[(name, "max")], (name, highest)
    room = highest[("queries", "max")] * MIB  # pages of requests that were let in before it was full
    assert highest[("http_answer_bytes", "used")] <= highest[("http_answer_bytes", "max")] + room
    refused = sum(v for k, v in highest.items() if k[1] == "refused_total")
    assert refused > 0, "there was no overload"
    print(f"# resident {watch.resident // MIB} MiB, refused {refused}, statuses {statuses}")
    if not is_sanitized(m):
        assert watch.resident <= MEMORY_MIB * MIB, f"{watch.resident // MIB} MiB"
    until(lambda: post(m, 1).status == 200, "what others kept busy is taken again")
    until(lambda: metrics_of(m)[("http_body_bytes", "used")] == 0, "bodies are gone")
    until(lambda: metrics_of(m)[("http_answer_bytes", "used")] == 0, "answers are gone")
    assert metrics_of(m)[("queries", "max")] == limits[("queries", "max")]


def test_a_full_leaf_says_when_to_come_again(m):
    """A body that finds no room is answered 429 with Retry-After and SHEAF-E0602; one too large 413"""
    leaf = m.leaves["sales"]
    room = metrics_of(m)[("http_body_bytes", "max")]
    body_max = int(next(s["value"] for s in leaf.call("GET", "/v1/settings", token=m.token("sales"))
                        .json()["items"] if s["name"] == "body-max")[:-3]) * MIB
    held = [raw(m, f"POST {RECORDS} HTTP/1.1\r\nContent-Length: {body_max}\r\n", b"{")
            for _ in range(room // body_max)]
    until(lambda: metrics_of(m)[("http_body_bytes", "used")] >= len(held) * body_max, "bodies are begun")
    answer = leaf.call("POST", RECORDS, b"x" * (body_max - 1), m.token("sales"))
    assert answer.problem() == (429, "SHEAF-E0602") and answer.headers["Retry-After"] == "1", answer
    answer = leaf.call("POST", RECORDS, b"x" * (body_max + 1), m.token("sales"))
    assert answer.problem() == (413, "SHEAF-E0603"), answer
    for s in held:
        s.close()
    until(lambda: metrics_of(m)[("http_body_bytes", "used")] == 0, "bodies are gone")
    assert post(m, 1).status == 200


if __name__ == "__main__":
    sys.exit(fixture.run([
        test_a_slow_client_costs_the_others_nothing,
        test_overload_stays_within_the_limits,
        test_a_full_leaf_says_when_to_come_again,
    ], ["sales"]))
