#!/usr/bin/env python3
"""Statistics kept as rows arrive, checks of the contract, freshness: over HTTP, NATS and the command line."""
import json
import sys
import time

import fixture
import nats

PRODUCT = """sheaf: product/v1
product: sales/orders
version: 1.0.0
owner: orders@example.org
description: Orders.
tables:
  orders:
    kind: state
    key: [order_id]
    event_time: at
    checks: [rows >= 2, nulls(amount) <= 50%, "duplicates(country) = 0", max(amount) < 100]
    fields:
      order_id: {number: 1, type: string, required: true}
      country:  {number: 2, type: string}
      amount:   {number: 3, type: "decimal(12,2)"}
      email:    {number: 4, type: string, class: pii}
      at:       {number: 5, type: timestamp}
slo: {freshness: 1h}
"""
TABLE = "/v1/products/sales/orders/orders"


def get(m, what, domain="sales"):
    answer = m.leaves[domain].call("GET", f"{TABLE}/{what}", token=m.token(domain))
    assert answer.status == 200, answer
    return answer.json()


def field(stats, name):
    return next(f for f in stats["fields"] if f["name"] == name)


def at(age_s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age_s))


def test_statistics(m):
    """Statistics follow inserts, updates and deletes, and say which position they show"""
    m.apply("sales", PRODUCT)
    m.load("sales", "orders/orders", [
        {"order_id": "A", "country": "NO", "amount": "10", "email": "a@b.c", "at": at(60)},
        {"order_id": "B", "country": "NO", "amount": "20", "at": at(120)},
        {"order_id": "C", "country": "SE", "amount": "30", "at": at(180)}])
    stats = get(m, "stats")
    assert (stats["rows"], stats["position"], stats["head"], stats["loose"]) == (3, "1:3", "1:3", False), stats
    amount = field(stats, "amount")
    assert (amount["values"], amount["nulls"], amount["min"], amount["max"]) == (3, 0, "10.00", "30.00"), amount
    assert amount["mean"] == 20 and abs(amount["deviation"] - 8.16496580927726) < 1e-9, amount
    assert field(stats, "country")["distinct"] == 2
    assert field(stats, "country")["top"][0] == {"value": "NO", "count": 2, "over": 0}
    assert field(stats, "email")["nulls"] == 2
    assert 50e6 < stats["freshness"]["event_age_us"] < 200e6, stats["freshness"]
    m.load("sales", "orders/orders", [{"op": "delete", "row": {"order_id": "C"}},
                                      {"op": "upsert", "row": {"order_id": "A", "amount": "12"}}],
           query="?envelope=change")
    stats = get(m, "stats")
    assert (stats["rows"], stats["loose"]) == (2, True), stats
    assert field(stats, "amount")["mean"] == 16 and field(stats, "amount")["max"] == "30.00"
    assert field(stats, "country")["nulls"] == 1
    exact = get(m, "profile")
    assert exact["loose"] is False and field(exact, "amount")["max"] == "20.00", exact
    ran = m.sheaf("product", "stats", "sales/orders", "--as", "sales", "-o", "ndjson")
    assert [f["name"] for f in ran.lines()] == ["order_id", "country", "amount", "email", "at"], ran


def test_restart(m):
    """Statistics are there after kill -9"""
    m.leaves["sales"].end()
    m.leaves["sales"].start()
    stats = get(m, "stats")
    assert stats["rows"] == 2 and field(stats, "amount")["mean"] == 16, stats


def test_other_domain(m):
    """Another domain gets the fields of its view, over HTTP and NATS, and nothing without a grant"""
    answer = m.leaves["marketing"].call("GET", f"{TABLE}/stats", token=m.token("marketing"))
    assert answer.problem() == (403, "SHEAF-E0401"), answer
    m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "p", "--for", "1d")
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    for what in "stats", "profile":
        stats = get(m, what, "marketing")
        assert [f["name"] for f in stats["fields"]] == ["order_id", "country", "amount", "at"], stats
        assert "a@b.c" not in json.dumps(stats)
    answer = m.leaves["marketing"].call("GET", f"{TABLE}/checks", token=m.token("marketing"))
    assert answer.problem() == (403, "SHEAF-E0405"), answer
    answer = m.leaves["marketing"].call("POST", f"{TABLE}/checks", token=m.token("marketing"))
    assert answer.problem() == (403, "SHEAF-E0405"), answer


def test_checks(m):
    """product test judges every row: exit 3 and the verdicts; checks are judged as rows arrive, too"""
    ran = m.sheaf("product", "test", "sales/orders", "--as", "sales", "-o", "ndjson")
    verdicts = {v["check"]: v["status"] for v in ran.lines()}
    assert verdicts == {"rows >= 2": "pass", "nulls(amount) <= 50%": "pass",
                        "duplicates(country) = 0": "pass", "max(amount) < 100": "pass",
                        "freshness <= 1h": "pass"}, ran
    m.load("sales", "orders/orders", [{"order_id": "D", "country": "NO", "amount": "500", "at": at(30)}])
    ran = m.sheaf("product", "test", "sales/orders", "--as", "sales", "-o", "ndjson", status=3)
    verdicts = {v["check"]: v["status"] for v in ran.lines()}
    assert verdicts["max(amount) < 100"] == "fail" and verdicts["duplicates(country) = 0"] == "fail", ran
    m.load("sales", "orders/orders", [{"op": "delete", "row": {"order_id": "D"}}], query="?envelope=change")
    ran = m.sheaf("product", "test", "sales/orders", "--as", "sales", "-o", "ndjson")
    verdicts = {v["check"]: v["status"] for v in ran.lines()}
    assert verdicts["max(amount) < 100"] == "pass", ran
    events = m.sheaf("product", "checks", "sales/orders", "--as", "sales", "--history", "-o", "ndjson").lines()
    told = [(e["status"], e["before"]) for e in events if e["check"] == "max(amount) < 100"]
    assert told[:3] == [("pass", "fail"), ("fail", "pass"), ("pass", told[2][1])], events


def test_freshness(m):
    """What is older than promised is known, told to the domain and shown by the hub"""
    m.sheaf("access", "revoke", "G-1", "--as", "sales", "--yes")
    leaf = m.leaves["sales"]
    client = nats.Client(leaf.nats, leaf.data / "keys" / "app.nk")
    client.subscribe("own.orders.orders.v1.quality")
    m.apply("sales", PRODUCT.replace("1.0.0", "1.0.1").replace("freshness: 1h", "freshness: 1s"))
    event = json.loads(client.wait_for(lambda x: b"freshness <= 1s" in x.data, "the breach is told", 60).data)
    assert event["specversion"] == "1.0" and event["type"] == "sheaf.quality.check", event
    assert event["source"] == "sales/orders@1.orders" and event["data"]["status"] == "fail", event
    client.close()
    fixture.until(lambda: "stale" in m.sheaf("status").out, "the hub knows", 30)
    metrics = leaf.call("GET", "/metrics").body.decode()
    assert "sheaf_quality_tables_stale 1\n" in metrics, metrics


if __name__ == "__main__":
    sys.exit(fixture.run([test_statistics, test_restart, test_other_domain, test_checks, test_freshness],
                         ["sales", "marketing"]))
