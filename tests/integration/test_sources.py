#!/usr/bin/env python3
"""JetStream streams as sources of records, with a nats-server of their own: each message is stored
once, in order, also across kill -9 of the leaf and of that server."""
import json
import signal
import sys

import fixture
from nats import (ACCOUNT, OPERATOR, USER, Client, creds, jwt, nkey_public, nkey_seed,
                  nkey_seed_text, nkey_user)

PRODUCT = """sheaf: product/v1
product: sales/orders
version: 1.0.0
owner: orders@example.org
description: Orders.
tables:
  orders:
    kind: state
    key: [order_id]
    fields:
      order_id: {number: 1, type: string, required: true}
      note:     {number: 2, type: string}
  clicks:
    kind: event
    fields:
      page: {number: 1, type: string, required: true}
"""
SOURCES = """sheaf: sources/v1
sources:
  clicks:
    into: orders.clicks
    stream: SHOP
    filter: shop.clicks.>
    url: nats://127.0.0.1:%d
    max_ack_pending: 300
  both:
    into: orders
    stream: SHOP
    filter: shop.all
    format: json
    url: nats://127.0.0.1:%d
"""
SEED = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"


class Shop:
    """A nats-server with JetStream and the stream SHOP, which no leaf is part of."""

    def __init__(self, m):
        self.mesh, self.port = m, m.ports.take()
        self.directory = m.directory / "shop"
        self.directory.mkdir()
        self.seed = self.directory / "app.nk"
        self.seed.write_text(SEED)
        (self.directory / "server.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self.directory}/js" }}\n'
            'authorization { users: [ { user: leaf, password: x }, '
            f'{{ nkey: {nkey_user(nkey_seed(SEED))} }} ] }}\nno_auth_user: leaf\n')
        self.start()
        self.api("STREAM.CREATE.SHOP", {"name": "SHOP", "subjects": ["shop.>"],
                                        "storage": "file", "retention": "limits"})

    def start(self):
        self.process = self.mesh.spawn([self.mesh.programs["nats_server"], "-c",
                                        self.directory / "server.conf"],
                                       self.mesh.directory / "shop.log")
        fixture.until(self.connect, "the shop's server is up")

    def connect(self):
        self.app = Client(self.port, self.seed)
        answer = json.loads(self.app.request("$JS.API.INFO", b"").data)
        return "error" not in answer

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        fixture.until(lambda: fixture.is_free(self.port), "the shop's port is free")

    def api(self, what, body=None):
        answer = self.app.request(f"$JS.API.{what}", json.dumps(body) if body else b"")
        answer = json.loads(answer.data)
        assert "error" not in answer, answer
        return answer

    def publish(self, subject, *messages, headers=None):
        for data in messages:
            self.app.publish(subject, data, "", headers)
        self.app.flush()

    def consumer(self, name):
        return self.api(f"CONSUMER.INFO.SHOP.sheaf-sales-{name}")


SHOP = {}


def pages(m):
    return [row["page"] for row in m.rows("sales", "orders/clicks")]


def source(m, name="clicks"):
    status = m.leaves["sales"].call("GET", "/v1/status", token=m.token("sales")).json()
    return next(s for s in status["sources"] if s["name"] == name)


def clicks(first, count):
    return [json.dumps({"page": f"/{i}"}) for i in range(first, first + count)]


def settled(m, count, name="clicks"):
    """All is stored and acknowledged."""
    fixture.until(lambda: len(pages(m)) == count, f"{count} pages are there")
    fixture.until(lambda: SHOP["shop"].consumer(name)["num_ack_pending"] == 0, "all is acked")
    assert SHOP["shop"].consumer(name)["num_pending"] == 0


def test_not_there_yet(m):
    """Without product, stream or server the source waits and says for what"""
    leaf = m.leaves["sales"]
    leaf.end(signal.SIGTERM)
    port = m.ports.take()
    (m.directory / "sources.yaml").write_text(SOURCES % (port, port))
    leaf.extra = ["--sources", m.directory / "sources.yaml"]
    leaf.start()
    fixture.until(lambda: source(m)["error"] == "not connected", "it says so")
    leaf.end(signal.SIGTERM)
    SHOP["shop"] = Shop(m)
    (m.directory / "sources.yaml").write_text(SOURCES % (SHOP["shop"].port, SHOP["shop"].port))
    SHOP["shop"].publish("shop.clicks.a", *clicks(0, 3))
    leaf.start()
    fixture.until(lambda: "product" in source(m)["error"], "it waits for the product")
    m.apply("sales", PRODUCT)
    settled(m, 3)
    fixture.until(lambda: source(m)["state"] == "running", "it runs")
    assert pages(m) == ["/0", "/1", "/2"]


def test_forms_and_poison(m):
    """Messages have their own form; one that cannot be taken goes to quarantine and is acked"""
    shop = SHOP["shop"]
    shop.publish("shop.clicks.a", "page\n/c1\n/c2\n", headers={"Content-Type": "text/csv"})
    shop.publish("shop.clicks.a", '{"page":"/x1"}\n{"page":7}\n')
    shop.publish("shop.clicks.a", "whatever", headers={"Content-Type": "image/png"})
    shop.publish("shop.clicks.a", "page\n\"", headers={"Content-Type": "text/csv"})
    shop.publish("shop.clicks.a", '{"page":"/x2"}')
    settled(m, 7)
    assert pages(m)[3:] == ["/c1", "/c2", "/x1", "/x2"]
    answer = m.leaves["sales"].call("GET", "/v1/products/sales/orders/clicks/quarantine", None,
                                    m.token("sales")).json()
    assert [(i["line"], i["codes"][0]) for i in answer["items"]] == [
        (5, "SHEAF-E0204"), (6, "SHEAF-E0210"), (7, "SHEAF-E0201")], answer
    assert source(m)["poison"] == 2, source(m)


def test_several_tables(m):
    """A source of a product takes records that name their table, those of a message in one commit"""
    SHOP["shop"].publish("shop.all", json.dumps(
        [{"table": "orders", "row": {"order_id": "S"}}, {"table": "clicks", "row": {"page": "/s"}}]))
    settled(m, 8)
    fixture.until(lambda: SHOP["shop"].consumer("both")["num_ack_pending"] == 0, "it is acked")
    last = [m.leaves["sales"].call("GET", f"/v1/products/sales/orders/{table}/changes", None, m.token("sales"),
                                   {"Accept": "application/x-ndjson"}).lines()[-1] for table in ("orders", "clicks")]
    assert [change["row"] for change in last] == [{"order_id": "S", "note": None}, {"page": "/s"}], last
    assert last[0]["ts"] == last[1]["ts"], last


def test_killed(m):
    """kill -9 of the leaf while messages are being taken: none is lost, none comes twice, in order"""
    before = len(pages(m))
    leaf, shop = m.leaves["sales"], SHOP["shop"]
    for round_ in range(2):
        shop.publish("shop.clicks.k", *clicks(10000 * (round_ + 1), 3000))
        fixture.until(lambda: len(pages(m)) > before + 3000 * round_ + 200, "some are stored",
                      every_s=0.001)
        leaf.end()
        leaf.start()
    settled(m, before + 6000)
    want = [f"/{i}" for r in range(2) for i in range(10000 * (r + 1), 10000 * (r + 1) + 3000)]
    assert pages(m)[before:] == want
    assert source(m)["last_seq"] == SHOP["shop"].api("STREAM.INFO.SHOP")["state"]["last_seq"]


def test_server_killed(m):
    """kill -9 of the stream's server: the source comes back and goes on"""
    before = len(pages(m))
    shop = SHOP["shop"]
    shop.publish("shop.clicks.s", *clicks(50000, 2000))
    settled(m, before + 2000)
    shop.end()
    fixture.until(lambda: source(m)["state"] == "off", "it is off")
    shop.start()
    shop.publish("shop.clicks.s", *clicks(60000, 10))
    settled(m, before + 2010)
    fixture.until(lambda: source(m)["state"] == "running", "it runs again")
    assert pages(m)[before:] == [f"/{i}" for i in range(50000, 52000)] + [
        f"/{i}" for i in range(60000, 60010)]


def test_consumer_deleted(m):
    """A consumer that was deleted is made again where the store stands"""
    before = len(pages(m))
    SHOP["shop"].api("CONSUMER.DELETE.SHOP.sheaf-sales-clicks")
    SHOP["shop"].publish("shop.clicks.d", *clicks(70000, 5))
    fixture.until(lambda: len(pages(m)) == before + 5, "the five are there", within_s=60)
    assert pages(m)[before:] == [f"/{i}" for i in range(70000, 70005)]


def test_busy(m):
    """While the leaf refuses to store, what is not acknowledged stays within max_ack_pending"""
    leaf, shop, before = m.leaves["sales"], SHOP["shop"], len(pages(m))
    leaf.end()
    leaf.extra = leaf.extra + ["--disk-reserve", str(1 << 49)]
    leaf.start()
    shop.publish("shop.clicks.b", *clicks(80000, 1000))
    fixture.until(lambda: "reserve" in source(m)["error"], "it says why")
    assert 0 < shop.consumer("clicks")["num_ack_pending"] <= 300
    leaf.end()
    leaf.extra = leaf.extra[:-2]
    leaf.start()
    settled(m, before + 1000)
    assert pages(m)[before:] == [f"/{i}" for i in range(80000, 81000)]


def sources_file(m, text):
    """SIGHUP with another file of sources."""
    (m.directory / "sources.yaml").write_text(text)
    m.leaves["sales"].process.send_signal(signal.SIGHUP)


def said(m, event):
    return m.leaves["sales"].log.read_text().count(f"event={event}")


def names(m):
    status = m.leaves["sales"].call("GET", "/v1/status", token=m.token("sales")).json()
    return {s["name"]: s["state"] for s in status["sources"]}


ENTRY = """  %s:
    into: orders.clicks
    stream: SHOP
    filter: %s
    url: nats://127.0.0.1:%d
"""


def test_reload(m):
    """SIGHUP: sources that are new begin, those that are gone end, changed ones go on where they were"""
    shop, before = SHOP["shop"], len(pages(m))
    port = shop.port
    old = SOURCES % (port, port)
    text = "sheaf: sources/v1\nsources:\n" + ENTRY % ("clicks", "shop.clicks.>", port) + \
        "    max_ack_pending: 300\n"
    extra = text + ENTRY % ("more", "shop.more", port)
    sources_file(m, extra)
    fixture.until(lambda: names(m) == {"clicks": "running", "more": "running"}, "more runs, both is gone")
    shop.publish("shop.more", *clicks(90000, 2))
    fixture.until(lambda: len(pages(m)) == before + 2, "what is new is taken")
    # A changed one, while messages flow: each comes once, in order.
    for i in range(3):
        shop.publish("shop.clicks.r", *clicks(91000 + 100 * i, 100))
        changed = extra.replace("into: orders.clicks", f"into: orders{'@1' if i % 2 else ''}.clicks", 1)
        sources_file(m, changed)
        fixture.until(lambda n=i: len(pages(m)) == before + 2 + 100 * (n + 1), "they are there", within_s=60)
    fixture.until(lambda: names(m) == {"clicks": "running", "more": "running"}, "both run")
    assert pages(m)[before + 2:] == [f"/{i}" for i in range(91000, 91300)]
    # Mistakes change nothing.
    refused = said(m, "leaf.sources_refused")
    for bad in (text + "    stream: TWICE\n", extra + "    creds: /nowhere/x.creds\n",
                "sheaf: sources/v2\n"):
        sources_file(m, bad)
        refused += 1
        fixture.until(lambda: said(m, "leaf.sources_refused") == refused, "it says so")
    assert names(m) == {"clicks": "running", "more": "running"}
    shop.publish("shop.more", *clicks(92000, 1))
    fixture.until(lambda: len(pages(m)) == before + 303, "they go on")
    sources_file(m, "sheaf: sources/v1\n")
    fixture.until(lambda: names(m) == {}, "none is left")
    shop.publish("shop.more", *clicks(93000, 1))
    sources_file(m, old + ENTRY % ("more", "shop.more", port))
    fixture.until(lambda: len(pages(m)) == before + 304, "it goes on where it was")
    assert pages(m)[-1] == "/93000"


class Operator:
    """A nats-server in operator mode: an account with JetStream, a user with no more than it needs."""

    def __init__(self, m):
        self.mesh, self.port = m, m.ports.take()
        self.directory = m.directory / "operator"
        self.directory.mkdir()
        operator, account, system, self.admin, self.user = (bytes([n]) * 32 for n in range(1, 6))
        self.account = account
        account_id, system_id = nkey_public(account, ACCOUNT), nkey_public(system, ACCOUNT)
        unlimited = {k: -1 for k in ("subs", "data", "payload", "imports", "exports", "conn", "leaf",
                                     "mem_storage", "disk_storage", "streams", "consumer")}
        preload = "\n".join(
            f"{who}: {jwt(operator, OPERATOR, who, name, {'type': 'account', 'limits': limits})}"
            for who, name, limits in ((account_id, "shop", unlimited | {"wildcards": True}),
                                      (system_id, "system", {k: v for k, v in unlimited.items()
                                                             if "storage" not in k})))
        trust = jwt(operator, OPERATOR, nkey_public(operator, OPERATOR), "operator",
                    {"type": "operator", "system_account": system_id})
        (self.directory / "server.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\noperator: {trust}\nsystem_account: {system_id}\n'
            f'jetstream {{ store_dir: "{self.directory}/js" }}\n'
            f'resolver: MEMORY\nresolver_preload: {{\n{preload}\n}}\n')
        self.process = m.spawn([m.programs["nats_server"], "-c", self.directory / "server.conf"],
                               m.directory / "operator.log")
        (self.directory / "admin.nk").write_text(nkey_seed_text(self.admin, USER))
        fixture.until(self.connect, "the server in operator mode is up")

    def connect(self):
        self.app = Client(self.port, self.directory / "admin.nk", self.user_jwt(self.admin))
        return "error" not in json.loads(self.app.request("$JS.API.INFO", b"").data)

    def user_jwt(self, seed, permissions=None):
        return jwt(self.account, ACCOUNT, nkey_user(seed), "leaf", {
            "type": "user", "subs": -1, "data": -1, "payload": -1} | (permissions or {}))

    def api(self, what, body=None):
        answer = json.loads(self.app.request(f"$JS.API.{what}", json.dumps(body) if body else b"").data)
        assert "error" not in answer, answer
        return answer


def test_creds(m):
    """A source with a credentials file, whose user may do no more than the docs say; renewed by SIGHUP"""
    server, before = Operator(m), len(pages(m))
    server.api("STREAM.CREATE.SHOP", {"name": "SHOP", "subjects": ["shop.>"], "storage": "file"})
    consumer = "SHOP.sheaf-sales-kept"
    allowed = ["$JS.API.STREAM.INFO.SHOP", f"$JS.API.CONSUMER.*.{consumer}", f"$JS.API.CONSUMER.CREATE.{consumer}.>",
               f"$JS.API.CONSUMER.MSG.NEXT.{consumer}", f"$JS.ACK.{consumer}.>"]
    path = m.directory / "kept.creds"
    path.write_text(creds(server.user_jwt(server.user), server.user))
    entry = ENTRY % ("kept", "shop.kept", server.port) + f"    creds: {path}\n"
    sources_file(m, "sheaf: sources/v1\nsources:\n" + entry)
    server.app.publish("shop.kept", '{"page":"/kept1"}')
    fixture.until(lambda: len(pages(m)) == before + 1, "it is taken")
    path.write_text(creds(server.user_jwt(server.user, {
        "pub": {"allow": allowed}, "sub": {"allow": ["_INBOX.>"]}}), server.user))
    sources_file(m, "sheaf: sources/v1\nsources:\n" + entry)  # same text, other credentials
    fixture.until(lambda: said(m, "source.running source=kept") == 2, "it runs anew")
    server.api(f"CONSUMER.DELETE.{consumer}")
    server.app.publish("shop.kept", '{"page":"/kept2"}')
    fixture.until(lambda: len(pages(m)) == before + 2, "it makes its consumer, takes and acks", within_s=60)
    fixture.until(lambda: server.api(f"CONSUMER.INFO.{consumer}")["num_ack_pending"] == 0, "it is acked")
    assert pages(m)[before:] == ["/kept1", "/kept2"]
    path.write_text("nothing")
    refused = said(m, "leaf.sources_refused")
    sources_file(m, "sheaf: sources/v1\nsources:\n" + entry)
    fixture.until(lambda: said(m, "leaf.sources_refused") == refused + 1, "bad credentials are refused")
    assert names(m) == {"kept": "running"}
    sources_file(m, "sheaf: sources/v1\n")
    fixture.until(lambda: names(m) == {}, "it ends")


def test_own_account(m):
    """A stream of the leaf's own server, in the account of the domain"""
    leaf, before = m.leaves["sales"], len(pages(m))
    leaf.end(signal.SIGTERM)
    leaf.extra = leaf.extra + ["--jetstream-max", "1GiB"]
    leaf.start()
    app = Client(leaf.nats, leaf.data / "keys" / "app.nk")
    answer = json.loads(app.request("$JS.API.STREAM.CREATE.OWN", json.dumps(
        {"name": "OWN", "subjects": ["mine.>"], "storage": "file"})).data)
    assert "error" not in answer, answer
    app.publish("mine.a", '{"page":"/own1"}\n{"page":"/own2"}')
    sources_file(m, "sheaf: sources/v1\nsources:\n  own:\n    into: orders.clicks\n    stream: OWN\n")
    fixture.until(lambda: len(pages(m)) == before + 2, "they are taken")
    leaf.end(signal.SIGTERM)
    leaf.start()
    app = Client(leaf.nats, leaf.data / "keys" / "app.nk")
    app.publish("mine.a", '{"page":"/own3"}')
    fixture.until(lambda: len(pages(m)) == before + 3, "it goes on after a restart", within_s=60)
    assert pages(m)[before:] == ["/own1", "/own2", "/own3"]
    assert names(m) == {"own": "running"}


def test_bad_file(m):
    """A file of sources with mistakes is refused with their places"""
    leaf = m.leaves["sales"]
    leaf.end(signal.SIGTERM)
    (m.directory / "sources.yaml").write_text(
        "sheaf: sources/v1\nsources:\n  a:\n    into: Orders!\n    stream: S.T\n    fromat: csv\n")
    process = m.spawn(leaf.argv(), m.directory / "bad.log")
    assert process.wait(20) != 0
    said = (m.directory / "bad.log").read_text()
    assert "sources.yaml:6:5" in said and "did you mean 'format'" in said, said
    assert "sources.yaml:4:11" in said and "sources.yaml:5:13" in said, said


TESTS = [test_not_there_yet, test_forms_and_poison, test_several_tables, test_killed,
         test_server_killed, test_consumer_deleted, test_busy, test_reload, test_creds, test_own_account,
         test_bad_file]

if __name__ == "__main__":
    sys.exit(fixture.run(TESTS, ["sales"]))
