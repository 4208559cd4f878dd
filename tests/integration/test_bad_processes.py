#!/usr/bin/env python3
"""Ports, directories and nats-servers that cannot be used; hub down; leaf down."""
import signal
import sys

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
"""
RECORDS = "/v1/products/sales/orders/orders/records"


def ids(answer):
    assert answer.status == 200, answer
    return [item["order_id"] for item in answer.json()["items"]]


def refused(m, argv, status, code, *parts):
    """The program ends by itself with @status, and says @code, the parts and what to do next."""
    log = m.directory / "refused.log"
    log.unlink(missing_ok=True)
    ended = m.spawn(argv, log).wait(fixture.WITHIN_S)
    text = log.read_text()
    assert ended == status, (ended, text)
    for part in (f"error[{code}]: ", "\n  next: ", *map(str, parts)):
        assert part in text, (part, text)
    assert "Sanitizer" not in text, text


def leaf_argv(m, data, http=None, nats=None, domain="sales", more=()):
    return [m.programs["leaf"], "--data", data, "--domain", domain, "--http",
            f"127.0.0.1:{http or m.ports.take()}", "--nats-port", nats or m.ports.take(), *more]


def hub_argv(m, data, http=None, nats=None, leafnode=None, more=()):
    return [m.programs["hub"], "--data", data, "--http", f"127.0.0.1:{http or m.ports.take()}",
            "--nats-port", nats or m.ports.take(), "--leafnode-port", leafnode or m.ports.take(),
            *more]


def test_ports_in_use(m):
    """A port in use is named, for HTTP and NATS, of leaf and hub, and the user of it goes on"""
    m.apply("sales", PRODUCT)
    m.load("sales", "orders/orders", [{"order_id": "A"}])
    http, nats = m.leaves["sales"].http, m.leaves["sales"].nats
    new = m.directory / "new"
    refused(m, leaf_argv(m, new, http=http), 6, "SHEAF-E0701", http)
    refused(m, leaf_argv(m, new, nats=nats), 6, "SHEAF-E0701", nats)
    new = m.directory / "new-hub"
    refused(m, hub_argv(m, new, http=http), 6, "SHEAF-E0701", http)
    refused(m, hub_argv(m, new, nats=nats), 6, "SHEAF-E0701", nats)
    refused(m, hub_argv(m, new, leafnode=nats), 6, "SHEAF-E0701", nats)
    assert m.leaves["sales"].is_ready()


def test_directories(m):
    """A data directory in use, of another domain or of another version is left alone"""
    sales, marketing = m.leaves["sales"], m.leaves["marketing"]
    refused(m, leaf_argv(m, sales.data), 6, "SHEAF-E0606", sales.data)
    refused(m, hub_argv(m, m.hub.data), 6, "SHEAF-E0606", m.hub.data)
    assert sales.is_ready() and m.hub.is_ready()
    marketing.end(signal.SIGTERM)
    refused(m, leaf_argv(m, marketing.data, domain="sales"), 6, "SHEAF-E0608",
            "belongs to domain 'marketing', not 'sales'")
    form = marketing.data / "store" / "FORMAT"
    text = form.read_text()
    form.write_text("sheaf store 99\n")
    refused(m, leaf_argv(m, marketing.data, domain="marketing"), 6, "SHEAF-E0607", marketing.data)
    assert form.read_text() == "sheaf store 99\n"
    form.write_text(text)
    marketing.start()


def test_keys(m):
    """A key that is gone is named, and no other is made in its place"""
    for node, names in ((m.leaves["sales"], ("domain", "leaf")),
                        (m.hub, ("operator", "signing", "hub", "accounts"))):
        node.end(signal.SIGTERM)
        for name in names:
            key = node.data / "keys" / f"{name}.seed"
            kept = key.rename(m.directory / "kept")
            refused(m, node.argv(), 1, "SHEAF-E0605", f"'{key}' is missing")
            assert not key.exists()
            kept.rename(key)
        node.start()


def test_nats_server(m):
    """A nats-server that is missing or too old is named, with what is needed"""
    missing = ("--nats-server", m.directory / "no-such-server")
    old = m.directory / "old-nats-server"
    old.write_text("#!/bin/sh\necho 'nats-server: v2.9.10'\n")
    old.chmod(0o755)
    refused(m, leaf_argv(m, m.directory / "n1", more=missing), 7, "SHEAF-E0702", missing[1])
    refused(m, hub_argv(m, m.directory / "n2", more=missing), 7, "SHEAF-E0702", missing[1])
    needed = "nats-server is version 2.9.10; version 2.15.1 or newer is needed"
    refused(m, leaf_argv(m, m.directory / "n3", more=("--nats-server", old)), 7, "SHEAF-E0703", needed)
    refused(m, hub_argv(m, m.directory / "n4", more=("--nats-server", old)), 7, "SHEAF-E0703", needed)
    ran = m.sheaf("dev", "--leaf", "a", "-d", "--data", m.directory / "dev", "--port", m.ports.take(),
                  "--nats-port", m.ports.take(), environment={"SHEAF_NATS_SERVER": str(old)},
                  status=7)
    assert "error[SHEAF-E0703]" in ran.err and needed in ran.err and "next:" in ran.err, ran


def test_leaf_down(m):
    """A leaf that is down is named by the hub, and its consumers are told long before they give up"""
    sales, marketing = m.leaves["sales"], m.leaves["marketing"]
    m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "p", "--for", "1d")
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    fixture.until(lambda: m.sheaf("read", "sales/orders", "--as", "marketing", status=None).status == 0, "granted")
    sales.end()
    answer = marketing.call("GET", RECORDS, token=m.token("marketing"))
    assert answer.problem() == (503, "SHEAF-E0705"), answer
    ran = m.sheaf("read", "sales/orders", "--as", "marketing", status=7)
    assert "error[SHEAF-E0705]" in ran.err and "next: see 'sheaf status'" in ran.err, ran
    fixture.until(lambda: m.state_of("sales") == "down", "the hub says that sales is down")
    states = {r["name"]: r["state"] for r in m.sheaf("status", "-o", "ndjson", status=8).lines()}
    assert states["sales"] == "down" and states["marketing"] == "up", states
    ran = m.sheaf("read", "sales/orders", "--as", "sales", status=7)
    assert "error[SHEAF-E0705]" in ran.err, ran
    sales.start()
    fixture.until(lambda: m.state_of("sales") == "up", "sales is up again")
    m.sheaf("read", "sales/orders", "--as", "marketing")


def test_hub_down(m):
    """Without the hub a leaf starts, takes in, reads and streams its own; contracts wait"""
    sales = m.leaves["sales"]
    m.hub.end()
    sales.end(signal.SIGTERM)
    sales.start()
    client = Client(sales.nats, sales.data / "keys" / "app.nk")
    client.subscribe("own.orders.orders.v1.>")
    assert m.load("sales", "orders/orders", [{"order_id": "B"}]).json()["accepted"] == 1
    row = client.wait_for(lambda p: b'"B"' in p.data, "the row on the owner's stream")
    assert row.subject == "own.orders.orders.v1.0" and "Sheaf-Sig" in row.headers, row
    client.close()
    assert ids(sales.call("GET", RECORDS, token=m.token("sales"))) == ["A", "B"]
    rows = m.sheaf("sub", "sales/orders", "--as", "sales", "--since", "all", "--count", "2")
    assert len(rows.lines()) == 2, rows
    answer = sales.call("PUT", "/v1/products/sales/orders", PRODUCT.replace("1.0.0", "1.1.0"),
                        m.token("sales"))
    assert answer.problem() == (503, "SHEAF-E0704"), answer
    for argv in (["product", "apply", m.directory / "product.yaml", "--as", "sales"],
                 ["access", "ls", "--as", "sales"], ["audit", "verify", "--as", "sales"]):
        ran = m.sheaf(*argv, status=7)
        assert "error[SHEAF-E0704]" in ran.err and "next: " in ran.err, ran
    states = {r["name"]: r["state"] for r in m.sheaf("status", "-o", "ndjson", status=8).lines()}
    assert states["sales"] == "up", states
    form = m.hub.data / "FORMAT"
    text = form.read_text()
    form.write_text("sheaf-hub 99\n")
    refused(m, m.hub.argv(), 6, "SHEAF-E0607", m.hub.data)
    form.write_text(text)
    m.hub.start()
    fixture.until(lambda: m.state_of("sales") == "up", "sales has found the hub again")
    m.apply("sales", PRODUCT.replace("1.0.0", "1.1.0"))
    rows = m.sheaf("read", "sales/orders", "--as", "marketing", "-o", "ndjson").lines()
    assert [r["order_id"] for r in rows] == ["A", "B"], rows
    m.sheaf("audit", "verify", "--as", "sales")


if __name__ == "__main__":
    sys.exit(fixture.run([test_ports_in_use, test_directories, test_keys, test_nats_server,
                          test_leaf_down, test_hub_down], ["sales", "marketing"]))
