#!/usr/bin/env python3
"""Who may decide, and what a grant opens and closes on a mesh that runs."""
import base64
import os
import signal
import sys
import time

import ed25519
import fixture
from nats import Client

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
      amount:   {number: 2, type: "decimal(12,2)"}
      email:    {number: 3, type: string, class: pii}
      country:  {number: 4, type: string}
      token:    {number: 5, type: string, class: secret}
"""
RECORDS = "/v1/products/sales/orders/orders/records"
LIVE = "dp.sales.orders.orders.v1.>"
DAY_US = 86400 * 1000000
FULL = {"order_id", "amount", "email", "country", "token"}
OPEN = {"order_id", "amount", "country"}


def row(key, **more):
    return {"order_id": key, "amount": "1.50", "email": "secret@x.y", "country": "NO",
            "token": "t0k3n"} | more


# --- signed messages, made by hand: proto/sheaf/v1/control.proto ----------------------------------


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(int(value))


def signed(seed, context, payload, key=None):
    signature = ed25519.sign(seed, context.encode() + b"\0" + payload)
    return (field(1, payload) + field(2, signature)
            + field(3, key or ed25519.public_key(seed)))


def decision(m, request_id, **changed):
    now = int(time.time() * 1000000)
    d = {"mesh": m.id, "request": request_id, "owner": "sales", "product": "orders", "major": 1,
         "consumer": "marketing", "approved": True, "columns": (), "until": now + DAY_US} | changed
    return (field(1, d["mesh"]) + field(2, d["request"]) + field(3, d["owner"])
            + field(4, d["product"]) + field(5, d["major"]) + field(6, d["consumer"])
            + field(7, d["approved"]) + b"".join(field(8, c) for c in d["columns"])
            + field(9, d["until"]) + field(12, "tester") + field(13, now))


def revocation(m, grant, mesh_id=None):
    return (field(1, mesh_id or m.id) + field(2, grant) + field(3, "test") + field(4, "tester")
            + field(5, int(time.time() * 1000000)))


def post(m, domain, path, name, message):
    return m.hub.call("POST", path, {name: base64.b64encode(message).decode()}, m.token(domain))


def decide(m, request, message, domain="sales"):
    return post(m, domain, f"/v1/access/requests/{request}/decision", "decision", message)


def revoke(m, grant, message, domain="sales"):
    return post(m, domain, f"/v1/access/grants/{grant}/revoke", "revocation", message)


def state(m, what):
    return m.sheaf("access", "show", what, "--as", "sales", "-o", "json").json()["state"]


def ask(m, consumer, *flags):
    return m.sheaf("access", "request", "sales/orders", "--as", consumer, "--purpose", "test",
                   "--for", "1d", *flags, "-o", "json").json()["id"]


def grant(m, consumer, *flags):
    request = ask(m, consumer, *flags)
    return m.sheaf("access", "approve", request, "--as", "sales", "-o", "json").json()["grant"]["id"]


def client_of(m, domain):
    leaf = m.leaves[domain]
    return Client(leaf.nats, leaf.data / "keys" / "app.nk")


def reads(m, consumer, *flags):
    ran = m.sheaf("read", "sales/orders", "--as", consumer, "-o", "ndjson", *flags, status=None)
    return ran.lines() if ran.status == 0 else ran.status


# --- tests ----------------------------------------------------------------------------------------


def test_only_the_owner_decides(m):
    """A decision that the owner's key did not sign for this request and mesh changes nothing"""
    m.apply("sales", PRODUCT)
    m.load("sales", "orders/orders", [row("A"), row("B")])
    request = ask(m, "marketing")
    owner = m.seed("sales")
    good = signed(owner, "sheaf.v1.decision", decision(m, request))
    def make(seed=owner, context="sheaf.v1.decision", key=None, **changed):
        return signed(seed, context, decision(m, request, **changed), key)
    hub_key = fixture.load_seed(m.hub.data / "keys" / "hub.seed")
    other = signed(owner, "sheaf.v1.decision", decision(m, request, approved=False))
    for what, message, code in [
            ("by the consumer", make(m.seed("marketing")), "SHEAF-E0407"),
            ("by the consumer, under the owner's key",
             make(m.seed("marketing"), key=ed25519.public_key(owner)), "SHEAF-E0407"),
            ("by the hub", make(hub_key), "SHEAF-E0407"),
            ("by the platform", make(m.seed("platform")), "SHEAF-E0407"),
            ("by the leaf of the owner", make(m.seed("sales", "leaf")), "SHEAF-E0407"),
            ("by a third domain", make(m.seed("support")), "SHEAF-E0407"),
            ("for another purpose", make(context="sheaf.v1.revocation"), "SHEAF-E0407"),
            ("in another mesh", make(mesh="mother"), "SHEAF-E0407"),
            ("bent", good[:20] + bytes([good[20] ^ 1]) + good[21:], "SHEAF-E0407"),
            ("payload of one, signature of another",
             field(1, decision(m, request)) + other[len(field(1, decision(m, request, approved=False))):],
             "SHEAF-E0407"),
            ("of another request", make(request="AR-77"), "SHEAF-E0301"),
            ("of another consumer", make(consumer="support"), "SHEAF-E0301"),
            ("of another product", make(product="other"), "SHEAF-E0301"),
            ("of another major", make(major=2), "SHEAF-E0301"),
            ("in the past", make(until=1), "SHEAF-E0301"),
            ("with a pii column", make(columns=("order_id", "email")), "SHEAF-E0416"),
            ("with a secret column", make(columns=("token",)), "SHEAF-E0416"),
            ("with an unknown column", make(columns=("nix",)), "SHEAF-E0304"),
            ("not signed at all", decision(m, request), None), ("no message", b"\xff\xff", None)]:
        for domain in "sales", "marketing", "platform":
            answer = decide(m, request, message, domain)
            status, got = answer.problem()
            assert status // 100 == 4 and (code is None or got in (code, "SHEAF-E0405")), (what, domain, answer)
            assert domain != "sales" or code is None or got == code, (what, answer)
    assert state(m, request) == "pending"
    assert reads(m, "marketing") == 5
    # The true one, brought by its owner, opens; a second time is refused.
    assert decide(m, request, good).status == 200
    assert decide(m, request, good).problem() == (409, "SHEAF-E0404")
    assert [set(r) for r in reads(m, "marketing")] == [OPEN, OPEN]


def test_only_the_owner_revokes(m):
    """A revocation that the owner's key did not sign for this grant and mesh changes nothing"""
    owner = m.seed("sales")
    hub_key = fixture.load_seed(m.hub.data / "keys" / "hub.seed")
    def make(seed=owner, context="sheaf.v1.revocation", grant_id="G-1", mesh_id=None):
        return signed(seed, context, revocation(m, grant_id, mesh_id))
    for what, message, code in [
            ("by the consumer", make(m.seed("marketing")), "SHEAF-E0407"),
            ("by the hub", make(hub_key), "SHEAF-E0407"),
            ("in another mesh", make(mesh_id="mother"), "SHEAF-E0407"),
            ("as a decision", make(context="sheaf.v1.decision"), "SHEAF-E0407"),
            ("of another grant", make(grant_id="G-7"), "SHEAF-E0301")]:
        answer = revoke(m, "G-1", message)
        assert answer.problem()[1] == code, (what, answer)
    answer = revoke(m, "G-1", make(m.seed("marketing")), "marketing")
    assert answer.problem()[1] in ("SHEAF-E0405", "SHEAF-E0407"), answer
    assert state(m, "G-1") == "active" and len(reads(m, "marketing")) == 2
    assert revoke(m, "G-1", make()).status == 200
    assert revoke(m, "G-1", make()).problem() == (409, "SHEAF-E0404")
    assert reads(m, "marketing") == 5


def test_denied(m):
    """A request that is denied opens nothing, and can be made again"""
    request = ask(m, "marketing")
    m.sheaf("access", "deny", request, "--as", "sales", "--note", "no")
    assert state(m, request) == "denied" and reads(m, "marketing") == 5
    assert "SHEAF-E0404" in m.sheaf("access", "approve", request, "--as", "sales", status=6).err
    again = ask(m, "marketing")
    assert again != request
    m.sheaf("access", "deny", again, "--as", "sales")


def test_columns(m):
    """A column list holds in get, scan, changes, describe and the stream; two consumers differ"""
    narrow = grant(m, "support", "--columns", "order_id,country")
    wide = grant(m, "marketing")
    for consumer, wanted in ("support", {"order_id", "country"}), ("marketing", OPEN):
        client = client_of(m, consumer)
        client.subscribe(LIVE)
        (page,) = client.ask("q.sales.orders.describe")
        (table,) = page.lines()[0]["tables"]
        assert {f["name"] for f in table["fields"]} == wanted, table
        (page,) = client.ask("q.sales.orders.get", {"table": "orders", "key": ["A"]})
        assert set(page.lines()[0]) == wanted, page
        (page,) = client.ask("q.sales.orders.scan", {"table": "orders", "limit": 2})
        assert [set(r) for r in page.lines()] == [wanted, wanted], page
        (page,) = client.ask("q.sales.orders.scan", {"table": "orders", "limit": 2, "select": list(wanted)})
        assert [set(r) for r in page.lines()] == [wanted, wanted], page
        (page,) = client.ask("q.sales.orders.scan", {"table": "orders", "limit": 2, "select": list(FULL)})
        assert page.headers["Sheaf-Error"] == "SHEAF-E0304", page  # what is hidden is unknown
        (page,) = client.ask("q.sales.orders.scan", {"table": "orders", "format": "csv"})
        assert set(page.data.decode().splitlines()[0].split(",")) == wanted, page
        (page,) = client.ask("q.sales.orders.changes", {"table": "orders", "after": "1:0"})
        assert b"secret@x.y" not in page.data and b"t0k3n" not in page.data, page
        answer = m.leaves[consumer].call("GET", RECORDS + "?limit=2", token=m.token(consumer))
        assert [set(r) for r in answer.json()["items"]] == [wanted, wanted], answer
        m.load("sales", "orders/orders", [row(f"live-{consumer}")])
        message = client.wait_for(lambda p: p.subject.startswith("dp.") and f"live-{consumer}".encode() in p.data,
                                  "the live row")
        assert message.subject == "dp.sales.orders.orders.v1.0", message
        for word in (b"secret@x.y", b"t0k3n", b"email"):
            assert word not in message.data, message
        assert (b"amount" in message.data) == ("amount" in wanted), message
        client.close()
    for g in narrow, wide:
        m.sheaf("access", "revoke", g, "--as", "sales", "-y")


def test_same_connection(m):
    """Grant and revoke start and stop a stream on a connection that stays, seen by one consumer only"""
    client, other, own = client_of(m, "marketing"), client_of(m, "support"), client_of(m, "sales")
    for c in client, other:
        c.subscribe("dp.>")
        c.subscribe("own.>")
    own.subscribe("own.orders.orders.v1.>")
    links = {n.name: n.links() for n in (m.hub, *m.leaves.values())}
    def load(key):
        assert m.load("sales", "orders/orders", [row(key)]).status == 200
        message = own.wait_for(lambda p: key.encode() in p.data, f"{key} on the owner's stream")
        assert b"secret@x.y" in message.data and message.subject == "own.orders.orders.v1.0"
    def load_until_live(c, key):
        """Loads rows until one arrives: interest takes its way from server to server first."""
        def arrived():
            load(key)
            c.poll(0.05)
            return next((p for p in c.messages if key.encode() in p.data), None)
        return fixture.until(arrived, f"row {key} has arrived")
    for turn in range(3):
        given = grant(m, "marketing")
        message = load_until_live(client, f"during-{turn}-")
        assert b"secret@x.y" not in message.data
        (page,) = client.ask("q.sales.orders.get", {"table": "orders", "key": ["A"]})
        assert set(page.lines()[0]) == OPEN
        m.sheaf("access", "revoke", given, "--as", "sales", "-y")
        client.flush()  # what came before the receipt may still wait to be read
        client.messages.clear()
        load(f"after-{turn}-")
        assert reads(m, "marketing") == 5
        # By the time another consumer has the row, this one would have it too.
        witness = grant(m, "support")
        load_until_live(other, f"witness-{turn}-")
        m.sheaf("access", "revoke", witness, "--as", "sales", "-y")
        client.flush()
        assert not [p for p in client.messages if p.data], client.messages
        # The next grant makes up for it, as the rows are to be seen again.
    other.flush()
    other.messages.clear()
    given = grant(m, "marketing")
    load_until_live(client, "last-")
    other.flush()
    assert not [p for p in other.messages if p.subject.startswith("own.") or p.data], other.messages
    assert not [p for p in client.messages if p.subject.startswith("own.")], client.messages
    assert links == {n.name: n.links() for n in (m.hub, *m.leaves.values())}, "a link was cut"
    m.sheaf("access", "revoke", given, "--as", "sales", "-y")
    for c in client, other, own:
        assert not c.errors, c.errors
        c.close()


def test_scan_in_flight(m):
    """A scan that runs when its grant is revoked stops before its end"""
    pad = os.urandom(2000).hex()
    for batch in range(12):
        rows = [row(f"big-{batch}-{i:06}", country=pad) for i in range(1250)]
        assert m.load("sales", "orders/orders", rows).json()["accepted"] == len(rows)
    given = grant(m, "marketing")
    stop = signed(m.seed("sales"), "sheaf.v1.revocation", revocation(m, given))
    client = client_of(m, "marketing")
    client.subscribe("_INBOX.scan")
    client.publish("q.sales.orders.scan", b'{"table":"orders","limit":1000000,"pages":1000}', "_INBOX.scan")
    client.wait_for(lambda p: p.subject == "_INBOX.scan", "first page")
    sales = m.leaves["sales"].process
    sales.send_signal(signal.SIGSTOP)  # so that it has not ended by the time the hub has decided
    try:
        answer = revoke(m, given, stop)
    finally:
        sales.send_signal(signal.SIGCONT)
    assert answer.status == 200 and answer.json()["laggards"] == ["leaf of sales"], answer
    end = client.wait_for(lambda p: p.subject == "_INBOX.scan" and "Sheaf-Error" in p.headers,
                          "the scan is cut")
    assert end.headers["Sheaf-Error"] == "SHEAF-E0401", end
    client.flush()
    pages = [p for p in client.messages if p.subject == "_INBOX.scan" and p.data]
    assert sum(len(p.lines()) for p in pages) < 15000, "the scan came to its end"
    assert not [p for p in pages if "Sheaf-Count" in p.headers], pages
    client.close()


def test_dead_hub(m):
    """Without the hub, a leaf that starts again has its bundle, and its grants hold when the hub is back"""
    given = grant(m, "marketing")
    sales = m.leaves["sales"]
    before = sales.call("GET", "/v1/status", token=m.token("sales")).json()["hub"]
    assert before["bundle_in_force"] and before["grants"] == 1, before
    m.hub.end()
    sales.end()
    sales.start()
    after = sales.call("GET", "/v1/status", token=m.token("sales")).json()["hub"]
    assert after["grants"] == 1 and after["bundle"] >= before["bundle"], (before, after)
    m.hub.start()
    fixture.until(lambda: isinstance(reads(m, "marketing", "--limit", "2"), list), "marketing reads again")
    m.sheaf("access", "revoke", given, "--as", "sales", "-y")
    assert reads(m, "marketing") == 5
    m.sheaf("audit", "verify", "--as", "platform")


if __name__ == "__main__":
    sys.exit(fixture.run([test_only_the_owner_decides, test_only_the_owner_revokes, test_denied,
                          test_columns, test_same_connection, test_scan_in_flight, test_dead_hub],
                         ["sales", "marketing", "support"]))
