#!/usr/bin/env python3
"""Grants are revoked at random moments while every way out is in use: live streams, replays and follows under way, reads
page by page, rows asked for again and again, over NATS and HTTP. Behind the receipt no byte of the product comes any more.

    TEST_REVOCATIONS   how many (240)
    TEST_SEED          of the moments (1)
"""
import base64
import concurrent.futures
import heapq
import http.client
import json
import os
import random
import select
import socket
import sys
import threading
import time

import ed25519
import fixture
from nats import Client
from test_governance import decision, revocation, signed

PRODUCTS, ROWS = 60, 10
LARGE, LARGE_ROWS = 8, 300  # of these products a replay has six pages, and takes its time
PAGE_S = 0.6
CONSUMERS = ("marketing", "support")
# What is promised behind the receipt, and how long a revoked grant is watched.
SOON_S, LATEST_S = 2, 5
WATCH_S = 2.5
COUNT, SEED = (int(os.environ.get(name, default)) for name, default in (("TEST_REVOCATIONS", "240"), ("TEST_SEED", "1")))
PRODUCT = """sheaf: product/v1
product: sales/NAME
version: 1.0.0
owner: orders@example.org
description: Orders.
tables:
  t:
    kind: state
    key: [id]
    fields:
      id:   {number: 1, type: string, required: true}
      n:    {number: 2, type: int64}
      note: {number: 3, type: string}
"""
PAD = "x" * 20000
RECEIVED_MAX = 16 << 20  # more than a socket holds, so that nothing is left in it


def name_of(i):
    return f"p{i:02}"


class Grant:
    """One product to one consumer, again and again; all that comes of it is told here."""

    def __init__(self, consumer, product):
        self.consumer, self.product = consumer, product
        self.id = None
        self.is_open = False
        self.receipt = None  # when the last one came, until it is granted again
        self.late_s = 0.0  # the last byte behind it
        self.late_by = None

    def came(self, port, since, seen):
        """A byte of @port that was not there at @since yet."""
        receipt = self.receipt
        if receipt is None:
            seen[port] = seen.get(port, 0) + self.is_open
        elif since - receipt > self.late_s:
            self.late_s, self.late_by = since - receipt, port


class Watcher(threading.Thread):
    """The ports of one consumer; ends with what went wrong."""

    def __init__(self, m, consumer, grants):
        super().__init__()
        self.m, self.grants = m, grants
        self.leaf = m.leaves[consumer]
        self.token = m.token(consumer)
        self.random = random.Random(f"{SEED} {consumer} {type(self).__name__}")
        self.seen = {}  # port -> what came while it was granted
        self.ending = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.ending.is_set():
                self.turn()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def turn(self):
        raise NotImplementedError


class NatsPorts(Watcher):
    """The stream of each product; and of some at a time a follow, a replay, and requests."""

    def __init__(self, m, consumer, grants):
        super().__init__(m, consumer, grants)
        self.client = Client(self.leaf.nats, self.leaf.data / "keys" / "app.nk")
        self.client.subscribe("dp.>")
        self.client.subscribe("_INBOX.race.>")
        self.asked = 0
        self.looked = time.monotonic()  # there was nothing more to read
        self.credits = []  # (when, subject, body): what is told of replays

    def ask(self, grant, port, op, **body):
        self.asked += 1
        self.client.publish(f"q.sales.{grant.product}.{op}", json.dumps(body),
                            f"_INBOX.race.{self.asked}.{self.grants.index(grant)}.{port}")

    def ask_some(self):
        grant = self.random.choice(self.grants)
        port = self.random.choice(("get", "get", "scan", "cursor", "changes", "profile", "describe", "follow", "replay", "snapshot"))
        if port == "get":
            self.ask(grant, port, port, key=[f"k{self.random.randrange(3)}"])
        elif port in ("scan", "cursor"):
            self.ask(grant, port, "scan", limit=2)
        elif port == "changes":
            self.ask(grant, port, port, after="1:0", limit=5)
        elif port == "follow":
            self.ask(grant, port, "changes", snapshot=True, follow=True, seconds=20)
        elif port == "snapshot":
            self.ask(self.grants[self.random.randrange(LARGE)], port, "changes", snapshot=True,
                     flow=f"abcdefghijklmnop-{self.asked + 1}", window=1)
        elif port == "replay":
            self.ask(grant, port, "scan", limit=1000, pages=1000)
        else:
            self.ask(grant, port, port)

    def took(self, p):
        if p.subject.startswith("dp."):
            found = next((g for g in self.grants if g.product == p.subject.split(".")[2]), None)
            port = "live"
        else:
            _, _, number, index, port = p.subject.split(".")
            found = self.grants[int(index)]
        if found is None or "Sheaf-Error" in p.headers or p.headers.get("Status") or not p.headers:
            return
        found.came(port, self.looked, self.seen)
        if port == "snapshot" and "Sheaf-Flow" in p.headers:
            self.credits.append((time.monotonic() + PAGE_S, f"q.sales.{found.product}.taken", {
                "flow": f"abcdefghijklmnop-{number}", "taken": int(p.headers["Sheaf-Flow"])}))
        if port == "cursor" and "Sheaf-Cursor" in p.headers:
            self.ask(found, port, "scan", limit=2, cursor=p.headers["Sheaf-Cursor"])

    def turn(self):
        self.ask_some()
        before = time.monotonic()
        while self.credits and self.credits[0][0] < before:
            _, subject, body = self.credits.pop(0)
            self.client.publish(subject, json.dumps(body))
        self.client.poll(0.02)
        for p in self.client.messages:
            self.took(p)
        self.client.messages.clear()
        self.looked = before


class HttpRequests(Watcher):
    """Requests at the consumer's own leaf, each from its begin on."""

    def turn(self):
        grant = self.random.choice(self.grants)
        table = f"/v1/products/sales/{grant.product}/t"
        port, path = self.random.choice((
            ("http get", f"{table}/records/k{self.random.randrange(3)}"), ("http scan", f"{table}/records?limit=3"),
            ("http changes", f"{table}/changes?after=1:0&limit=3"), ("http stats", f"{table}/profile"),
            ("http product", f"/v1/products/sales/{grant.product}")))
        began = time.monotonic()
        try:
            answer = self.leaf.call("GET", path, token=self.token)
            if answer.status == 200:
                grant.came(port, began, self.seen)
            cursor = answer.headers.get("Sheaf-Cursor")
            if port == "http scan" and cursor and self.leaf.call("GET", f"{path}&cursor={cursor}", token=self.token).status == 200:
                grant.came("http cursor", began, self.seen)
        except OSError:  # cut in the middle: that is what a revocation may do
            return


class HttpFollows(Watcher):
    """Follows over HTTP that are always open: when one ends, another product is followed."""

    def __init__(self, m, consumer, grants):
        super().__init__(m, consumer, grants)
        self.follows = {}  # socket -> (grant, port)
        self.looked = time.monotonic()  # there was nothing more to read

    def open_one(self):
        grant = self.random.choice(self.grants)
        port, kind = self.random.choice((("http follow", "application/x-ndjson"), ("http events", "text/event-stream")))
        s = socket.create_connection(("127.0.0.1", self.leaf.http), 10)
        s.sendall((f"GET /v1/products/sales/{grant.product}/t/changes?snapshot&follow&seconds=20 HTTP/1.1\r\nHost: leaf\r\n"
                   f"Accept: {kind}\r\nAuthorization: Bearer {self.token}\r\nConnection: close\r\n\r\n").encode())
        self.follows[s] = (grant, port)

    def turn(self):
        if len(self.follows) < 8:
            self.open_one()
        before = time.monotonic()
        for s in select.select(list(self.follows), [], [], 0.05)[0]:
            try:
                data = s.recv(RECEIVED_MAX)
            except OSError:
                data = b""
            grant, port = self.follows[s]
            if PAD[:100].encode() in data:
                grant.came(port, self.looked, self.seen)
            if not data:
                s.close()
                del self.follows[s]
        self.looked = before


class Writer(Watcher):
    """Changes rows of all products, one after the other."""

    def __init__(self, m):
        super().__init__(m, "sales", [])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.leaf.http, timeout=30)
        self.written = 0

    def turn(self):
        line = json.dumps({"id": f"k{self.written % 3}", "n": self.written, "note": PAD[:100]})
        self.connection.request("POST", f"/v1/products/sales/{name_of(self.written % PRODUCTS)}/t/records", line, {
            "Authorization": f"Bearer {self.token}", "Content-Type": "application/x-ndjson"})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (answer.status, text)
        self.written += 1
        self.ending.wait(0.01)


class Race:
    def __init__(self, m, grants):
        self.m, self.grants = m, grants
        self.random = random.Random(SEED)
        self.seed = m.seed("sales")
        self.tokens = {d: m.token(d) for d in (*CONSUMERS, "sales", "platform")}
        self.lates = []  # (seconds, port) of each revocation
        self.laggards = 0

    def hub(self, who, path, body):
        answer = self.m.hub.call("POST", path, body, self.tokens[who])
        assert answer.status in (200, 201), answer
        return answer.json()

    def signed(self, context, payload):
        return base64.b64encode(signed(self.seed, context, payload, ed25519.public_key(self.seed))).decode()

    def open(self, g):
        """Grants; returns how long it is to last."""
        if g.receipt is not None:
            self.lates.append((g.late_s, g.late_by))
        g.receipt, g.late_s, g.late_by = None, 0.0, None
        asked = self.hub(g.consumer, "/v1/access/requests", {
            "product": f"sales/{g.product}", "purpose": "test", "duration_us": 86400 * 1000000})
        words = decision(self.m, asked["id"], product=g.product, consumer=g.consumer)
        done = self.hub("sales", f"/v1/access/requests/{asked['id']}/decision", {
            "decision": self.signed("sheaf.v1.decision", words)})
        g.id, g.is_open = done["grant"]["id"], True
        return self.random.uniform(0.1, 2)

    def close(self, g):
        """Revokes; returns how long it is to be watched."""
        if self.random.randrange(4) == 0:
            done = self.hub("platform", f"/v1/access/grants/{g.id}/revoke", {"reason": "test"})
        else:
            done = self.hub("sales", f"/v1/access/grants/{g.id}/revoke", {
                "revocation": self.signed("sheaf.v1.revocation", revocation(self.m, g.id))})
        g.receipt, g.is_open = time.monotonic(), False
        self.laggards += bool(done["laggards"])
        return LATEST_S + 0.5 if self.random.randrange(20) == 0 else WATCH_S

    def run(self):
        """COUNT revocations, and the time behind the last one."""
        due = [(time.monotonic() + self.random.uniform(0, 2), i) for i in range(len(self.grants))]
        heapq.heapify(due)
        running, begun = {}, 0
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            while due or running:
                now = time.monotonic()
                while due and due[0][0] <= now:
                    _, i = heapq.heappop(due)
                    g = self.grants[i]
                    if g.is_open:
                        running[pool.submit(self.close, g)] = i
                    elif begun < COUNT:
                        begun += 1
                        running[pool.submit(self.open, g)] = i
                if not running:
                    select.select([], [], [], 0.02)
                for f in concurrent.futures.wait(running, 0.02).done:
                    heapq.heappush(due, (time.monotonic() + f.result(), running.pop(f)))
        self.lates += [(g.late_s, g.late_by) for g in self.grants if g.receipt is not None]


def set_up(m):
    sales, token = m.leaves["sales"], m.token("sales")
    for i in range(PRODUCTS):
        answer = sales.call("PUT", f"/v1/products/sales/{name_of(i)}", PRODUCT.replace("NAME", name_of(i)), token,
                            {"Content-Type": "application/yaml"})
        assert answer.status == 200, answer
        rows = [{"id": f"k{n}", "n": n, "note": PAD} for n in range(LARGE_ROWS if i < LARGE else ROWS)]
        assert m.load("sales", f"{name_of(i)}/t", rows).json()["accepted"] == len(rows)


def test_revocations(m):
    """Behind the receipt of a revocation no port gives another byte: 2 s for 99 of 100, 5 s for all"""
    set_up(m)
    grants = [Grant(c, name_of(i)) for i in range(PRODUCTS) for c in CONSUMERS]
    threads = [kind(m, c, [g for g in grants if g.consumer == c]) for c in CONSUMERS for kind in (NatsPorts, HttpRequests, HttpFollows)]
    threads.append(Writer(m))
    race = Race(m, grants)
    for t in threads:
        t.start()
    try:
        race.run()
    finally:
        for t in threads:
            t.ending.set()
        for t in threads:
            t.join()
    errors = [t.error for t in threads if t.error]
    assert not errors, errors
    seen = {}
    for t in threads:
        for port, count in t.seen.items():
            seen[port] = seen.get(port, 0) + count
    lates = sorted(race.lates, key=lambda late: late[0])
    over = [late for late in lates if late[0] > SOON_S]
    print(f"# {len(lates)} revocations, {race.laggards} with laggards; what came behind the receipt: p50 {lates[len(lates) // 2][0]:.3f} s, "
          f"p99 {lates[len(lates) * 99 // 100][0]:.3f} s, most {lates[-1]}; {threads[-1].written} rows; seen {seen}")
    assert len(lates) == COUNT, len(lates)
    assert len(over) <= COUNT // 100 and lates[-1][0] <= LATEST_S, over
    wanted = {"live", "get", "scan", "cursor", "changes", "profile", "describe", "follow", "replay", "snapshot", "http get",
              "http scan", "http cursor", "http changes", "http stats", "http product", "http follow", "http events"}
    assert wanted <= {port for port, count in seen.items() if count}, seen
    m.sheaf("audit", "verify")


if __name__ == "__main__":
    sys.exit(fixture.run([test_revocations], ["sales", *CONSUMERS]))
