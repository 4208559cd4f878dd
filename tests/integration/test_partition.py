#!/usr/bin/env python3
"""A leaf without its hub serves other domains until its bundle ends, on no port longer, and takes records all the time.

The hub's process stands still while its nats-server carries everything, so that consumers reach the owner's leaf by each port
there is; or no byte passes between leaf and hub while all connections stay open, and what leaves the leaf is heard at its own
nats-server. What a row says of the moment it was written shows what left too late, however busy the machine is.
"""
import datetime
import json
import re
import select
import signal
import socket
import sys
import threading
import time

import fixture
import nats

LIFE_S = 10  # of a bundle
BEHIND_S = 2.5  # looked for so long behind its end
PAGE_S = 0.5
SILENCE_S = 7  # heartbeats come every five: who hears nothing asks again
PRODUCT = fixture.orders("n: {number: 2, type: int64}", "pad: {number: 3, type: string}")
TABLE = "/v1/products/sales/orders/orders"
OLD = 400  # rows of which a replay has many pages
NUMBER = re.compile(rb'"n":(\d+)')


class Proxy(threading.Thread):
    """Between leaf and hub. Cut, nothing passes, and nothing is closed: who connects is not even greeted."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.peers = {}  # socket -> the one on the other side
        self.wake = socket.socketpair()
        self.passing = threading.Lock()  # held while something passes
        self.is_cut = False
        self.start()

    def set_cut(self, is_cut):
        with self.passing:
            self.is_cut = is_cut
        self.wake[0].send(b"x")

    def join_two(self):
        near, _ = self.listener.accept()
        far = socket.create_connection(("127.0.0.1", self.to))
        self.peers |= {near: far, far: near}

    def take(self, s):
        try:
            data = s.recv(1 << 16)
            self.peers[s].sendall(data)
        except OSError:
            data = b""
        if not data:
            for end in (s, self.peers.pop(s)):
                self.peers.pop(end, None)
                end.close()

    def run(self):
        while True:
            wanted = [] if self.is_cut else [self.listener, *self.peers]
            for s in select.select([self.wake[1], *wanted], [], [])[0]:
                if s is self.wake[1]:
                    s.recv(1 << 10)
                    continue
                with self.passing:
                    if not self.is_cut:
                        self.let_pass(s)

    def let_pass(self, s):
        if s is self.listener:
            self.join_two()
        elif s in self.peers:
            self.take(s)


# --- what is written, and what comes of it --------------------------------------------------------


class Writer:
    """Rows with rising numbers, and when each was asked to be written."""

    def __init__(self, m):
        self.m = m
        self.at = {0: 0.0}
        self.position = None  # of the newest

    def turn(self):
        n = len(self.at)
        self.at[n] = time.time()
        answer = self.m.load("sales", "orders/orders", [{"k": f"k{n % 5}", "n": n, "pad": ""}])
        assert answer.status == 200 and answer.json()["accepted"] == 1, answer
        self.position = f"{answer.json()['epoch']}:{answer.json()['last_seq']}"


class Seen:
    """What came by which port: the rows of a stream by their number, answers by when they were asked for. For several threads."""

    def __init__(self, writer):
        self.writer = writer
        self.lock = threading.Lock()
        self.of = {}  # port -> moments of what it gave
        self.what = {}

    def add(self, port, moments):
        with self.lock:
            self.of.setdefault(port, set()).update(moments)

    def moments(self, port):
        with self.lock:
            return sorted(self.of.get(port, ()))

    def rows(self, port, data):
        self.add(port, [self.writer.at[int(n)] for n in NUMBER.findall(data)])

    def answer(self, port, asked, data):
        self.what[port, asked] = data[:300]
        self.add(port, [asked])

    def check(self, ports, begin, end):
        """Each port gave something of behind @begin, and nothing of behind @end."""
        for port in ports:
            moments = self.moments(port)
            assert any(begin < at < end for at in moments), f"{port} did not serve between {begin} and {end}: {moments[-5:]}"
            late = [(at - end, self.what.get((port, at))) for at in moments if at >= end]
            assert not late, f"{port} gave what was written or asked for behind the end: {max(late)}"


class NatsPorts:
    """Live stream, follow, replay on credit and requests, of a client for whom requests begin with @ask."""

    def __init__(self, client, seen, ask, live):
        self.client, self.seen, self.prefix = client, seen, ask
        client.subscribe(live)
        client.subscribe("_INBOX.part.>")
        self.asked = {}  # subject -> (port, when)
        self.credits = []  # (when, body)
        self.errors = {}  # port -> number of the last
        self.next = 0
        self.inbox = {}  # of the follow, and of the replay
        self.heard = {}  # port -> when

    def ask(self, port, op, **body):
        self.next += 1
        inbox = f"_INBOX.part.{self.next}"
        if port == "replay":
            body["flow"] = f"abcdefghijklmnop-{self.next}"
        self.asked[inbox] = port, time.time()
        self.client.publish(f"{self.prefix}.{op}", json.dumps(body), inbox)
        return inbox

    def turn(self):
        self.ask("get", "get", key=["k1"])  # the same again and again: its answer stands ready
        self.ask("scan", "scan", limit=2)
        self.ask("describe", "describe")
        now = time.time()
        for port, body in (("follow", {"follow": True, "after": self.seen.writer.position, "seconds": 60}),
                           ("replay", {"snapshot": True, "window": 1})):
            if port not in self.inbox or now - self.heard[port] > SILENCE_S:
                self.inbox[port], self.heard[port] = self.ask(port, "changes", **body), now
        self.client.poll(0.02)
        for p in self.client.messages:
            self.took(p)
        self.client.messages.clear()
        self.give_credit()

    def give_credit(self):
        """Once all that has come is taken: the next page counts as asked for now."""
        now = time.time()
        while self.credits and self.credits[0][0] < now:
            _, inbox, body = self.credits.pop(0)
            self.asked[inbox] = "replay", now
            self.client.publish(f"{self.prefix}.taken", json.dumps(body))

    def took(self, p):
        if p.subject.startswith("dp."):
            self.seen.rows("live", p.data)
            return
        port, asked = self.asked[p.subject]
        if "Sheaf-Error" in p.headers or p.headers.get("Status"):
            self.errors[port] = p.headers.get("Sheaf-Error")
        elif port == "follow":
            self.seen.rows(port, p.data)
        elif p.data:
            self.seen.answer(port, asked, p.data)
        if port == "replay" and "Sheaf-Flow" in p.headers and p.data:
            self.credits.append((time.time() + PAGE_S, p.subject, {
                "flow": f"abcdefghijklmnop-{p.subject.rsplit('.', 1)[1]}", "taken": int(p.headers["Sheaf-Flow"])}))
        if p.subject == self.inbox.get(port):
            self.heard[port] = time.time()
            if not p.data and p.headers.get("Sheaf-Event") != "heartbeat":  # its end, or an error
                del self.inbox[port]


class HttpPorts(threading.Thread):
    """Requests or streams at the consumer's own leaf, which relays, and for some seconds asks a leaf again that has no bundle."""

    def __init__(self, m, domain, seen, is_streams):
        super().__init__(daemon=True)
        self.do = self.read_streams if is_streams else self.requests
        self.ending = threading.Event()
        self.error = None
        self.leaf, self.seen = m.leaves[domain], seen
        self.token = m.token(domain)
        self.streams = {}  # socket -> port
        self.errors = {}

    def get(self, port, path):
        asked = time.time()
        answer = self.leaf.call("GET", path, token=self.token)
        if answer.status == 200:
            self.seen.answer(port, asked, answer.body)
        else:
            self.errors[port] = answer.problem()

    def open(self, port, kind):
        s = socket.create_connection(("127.0.0.1", self.leaf.http), 10)
        s.sendall((f"GET {TABLE}/changes?after={self.seen.writer.position}&follow&seconds=60 HTTP/1.1\r\nHost: leaf\r\nAccept: {kind}\r\n"
                   f"Authorization: Bearer {self.token}\r\nConnection: close\r\n\r\n").encode())
        self.streams[s] = port

    def run(self):  # begun by the first turn
        try:
            while not self.ending.is_set():
                self.do()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def turn(self):
        if self.ident is None:
            self.start()
        assert self.error is None, self.error

    def requests(self):
        self.get("http get", f"{TABLE}/records/k1")
        self.get("http scan", f"{TABLE}/records?limit=2")
        self.get("http product", "/v1/products/sales/orders")

    def read_streams(self):
        for port, kind in (("http follow", "application/x-ndjson"), ("http events", "text/event-stream")):
            if port not in self.streams.values():
                self.open(port, kind)
        for s in select.select(list(self.streams), [], [], 0.02)[0]:
            data = s.recv(1 << 20)
            self.seen.rows(self.streams[s], data)
            if not data:
                s.close()
                del self.streams[s]


NATS_PORTS = ("live", "follow", "replay", "get", "scan", "describe")
HTTP_PORTS = ("http get", "http scan", "http product", "http follow", "http events")


# --- the leaf and its hub -------------------------------------------------------------------------


def hub_of(m):
    return m.leaves["sales"].call("GET", "/v1/status", token=m.token("sales")).json()["hub"]


def end_of_bundle(m):
    return datetime.datetime.fromisoformat(hub_of(m)["bundle_until"].replace("Z", "+00:00")).timestamp()


def work_until(turns, done, what):
    def turn():
        for t in turns:
            t.turn()
        return done()
    fixture.until(turn, what, 2 * LIFE_S + fixture.WITHIN_S, 0)


def serve_until_the_end(m, turns, seen, ports, cut):
    """Works on behind the end of the bundle that was in force at @cut; checks, and returns that end."""
    work_until(turns, lambda: time.time() > end_of_bundle(m) + BEHIND_S, "the bundle has ended")
    end = end_of_bundle(m)
    assert cut < end <= cut + LIFE_S, (cut, end)
    assert not hub_of(m)["bundle_in_force"]
    seen.check(ports, cut, end)
    return end


def until_served(turns, seen, ports, since):
    def missing():
        return [port for port in ports if max(seen.moments(port), default=0) <= since]
    try:
        work_until(turns, lambda: not missing(), "all ports serve")
    except AssertionError as error:
        raise AssertionError(f"{error}; these do not: {missing()}") from error


def grant(m, consumer):
    request = m.sheaf("access", "request", "sales/orders", "--as", consumer, "--purpose", "test", "--for", "1d", "-o", "json")
    return m.sheaf("access", "approve", request.json()["id"], "--as", "sales", "-o", "json").json()["grant"]["id"]


def consumer(m, domain, writer):
    client = nats.Client(m.leaves[domain].nats, m.leaves[domain].data / "keys" / "app.nk")
    return NatsPorts(client, Seen(writer), "q.sales.orders", "dp.sales.>")


def test_set_up(m):
    """A hub whose bundles last ten seconds, and two consumers"""
    m.hub.end(signal.SIGTERM)
    m.hub.extra = ["--bundle-life", f"{LIFE_S}s"]
    m.hub.start()
    for domain in m.leaves:
        fixture.until(lambda d=domain: m.state_of(d) == "up", f"{domain} is up")
    m.apply("sales", PRODUCT)
    m.load("sales", "orders/orders", [{"k": f"old{i}", "n": 0, "pad": "x" * 20000} for i in range(OLD)])
    m.grants = {consumer: grant(m, consumer) for consumer in ("marketing", "support")}
    fixture.until(lambda: 0 < end_of_bundle(m) - time.time() <= LIFE_S, "a bundle of ten seconds is in force")


def test_a_hub_that_stands_still(m):
    """While the hub stands still, others are served on every port until the bundle ends, and on none behind it"""
    writer = Writer(m)
    ports = consumer(m, "marketing", writer)
    seen = ports.seen
    web, streams = (HttpPorts(m, "marketing", seen, is_streams) for is_streams in (False, True))
    turns, all_ports = (writer, ports, web, streams), NATS_PORTS + HTTP_PORTS
    until_served(turns, seen, all_ports, 0.5)
    m.hub.process.send_signal(signal.SIGSTOP)
    try:
        serve_until_the_end(m, turns, seen, all_ports, time.time())
        work_until(turns, lambda: len(web.errors) == 3, "HTTP says why")
        assert ports.errors == {port: "SHEAF-E0707" for port in NATS_PORTS[1:]}, ports.errors
        assert web.errors == {port: (503, "SHEAF-E0707") for port in HTTP_PORTS[:3]}, web.errors
    finally:
        m.hub.process.send_signal(signal.SIGCONT)
    began = time.time()
    until_served(turns, seen, all_ports, began)
    for t in web, streams:
        t.ending.set()
        t.join()


def move_link(m, url):
    """The leaf of sales reaches the hub at @url from now on."""
    sales = m.leaves["sales"]
    path = sales.data / "identity.json"
    sales.end(signal.SIGTERM)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"leafnode_url": url}))
    sales.start()
    fixture.until(lambda: m.state_of("sales") == "up", "sales is up")


def inside(m, name):
    """A client in the account that the leaf of sales serves others from, at its own nats-server."""
    path = m.directory / f"{name}.nk"
    path.write_text(nats.nkey_seed_text(m.seed("sales", "process-serve"), nats.USER))
    return nats.Client(m.leaves["sales"].nats, path)


def account(m, domain):
    return json.loads((m.leaves[domain].data / "identity.json").read_text())["account"]


def since(seen, moment):
    """Ports that gave something of @moment or later."""
    return [port for port in NATS_PORTS if max(seen.moments(port), default=0) >= moment]


def test_a_link_that_is_cut(m):
    """While nothing passes to the hub, nothing leaves the leaf behind the end of its bundle, and nothing revoked behind the cut's"""
    proxy = Proxy(m.hub.leafnode)
    move_link(m, f"nats-leaf://127.0.0.1:{proxy.port}")
    writer = Writer(m)
    seen = Seen(writer)
    ports = NatsPorts(inside(m, "spy"), seen, f"dpq.sales.{account(m, 'marketing')}.orders", "dp.sales.>")
    far, revoked = (consumer(m, domain, writer) for domain in ("support", "marketing"))
    turns = (writer, ports, far, revoked)
    for each in ports, far, revoked:
        until_served(turns, each.seen, NATS_PORTS, 0.5)
    proxy.set_cut(True)
    for each in turns:
        each.turn()
    cut = time.time()
    answer = m.hub.call("POST", f"/v1/access/grants/{m.grants['marketing']}/revoke", {"reason": "test"}, m.token("platform"))
    assert answer.status == 200 and answer.json()["laggards"] == ["leaf of sales"], answer
    serve_until_the_end(m, turns, seen, NATS_PORTS, cut)
    assert not since(far.seen, cut), "support got something behind the cut"
    fixture.until(lambda: m.state_of("sales") == "down", "the hub misses the leaf of sales")
    fixture.until(lambda: "event=hub.answers_cut domain=sales" in m.hub.log.read_text(), "what is still on its way is dropped")
    proxy.set_cut(False)
    healed = time.time()
    until_served((writer, far), far.seen, NATS_PORTS, healed)
    work_until(turns, lambda: ports.errors == {port: "SHEAF-E0401" for port in NATS_PORTS[1:]}, "what was revoked is refused")
    served = [port for port in since(seen, healed) if port != "live"]  # which is that of support
    assert not served, f"marketing was served again: {served}"
    assert not since(revoked.seen, cut), f"marketing got what was written or asked for behind the cut: {since(revoked.seen, cut)}"


TESTS = [test_set_up, test_a_hub_that_stands_still, test_a_link_that_is_cut]

if __name__ == "__main__":
    sys.exit(fixture.run(TESTS, ["sales", "marketing", "support"]))
