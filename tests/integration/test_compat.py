#!/usr/bin/env python3
"""A contract that changes: what is refused, what old and new rows read as."""
import sys

import fixture

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
      amount:   {number: 2, type: "decimal(12,2)", max: 1000}
      country:  {number: 3, type: string}
  visits:
    kind: event
    fields:
      page: {number: 1, type: string}
"""
NEW_FIELD = "      country:  {number: 3, type: string}\n      note:     {number: 4, type: string}\n"
OLD_FIELD = "      country:  {number: 3, type: string}\n"


def version_of(m):
    return m.sheaf("product", "show", "sales/orders", "--as", "sales", "-o", "json").json()["version"]


def rows(m, who="sales"):
    return m.sheaf("read", "sales/orders.orders", "--as", who, "-o", "ndjson").lines()


def events(m):
    return len(m.sheaf("audit", "ls", "--as", "platform", "-o", "ndjson").lines())


def test_same_file(m):
    """The same file again changes nothing; the same version with other bytes is refused"""
    m.apply("sales", PRODUCT)
    m.load("sales", "orders/orders", [{"order_id": "A", "amount": "1", "country": "NO"}])
    before = events(m)
    m.apply("sales", PRODUCT)
    m.apply("sales", PRODUCT)
    assert events(m) == before
    ran = m.apply("sales", PRODUCT.replace("Orders.", "Other words."), status=6)
    assert "SHEAF-E0111" in ran.err and "next: " in ran.err and "1.0.0" in ran.err, ran
    assert events(m) == before and version_of(m) == "1.0.0"


def test_breaking_changes(m):
    """Breaking changes within a major are refused, every one of them named, and nothing happens"""
    bad = PRODUCT.replace("1.0.0", "1.1.0")
    for old, new in [
            ('type: "decimal(12,2)", max: 1000', 'type: int64'),
            ("country:  {number: 3, type: string}", "land:     {number: 3, type: string, required: true}"),
            ("page: {number: 1, type: string}", "page: {number: 2, type: string}\n      must: {number: 3, type: string, required: true}"),
            ("key: [order_id]", "key: [order_id, land]")]:
        assert old in bad
        bad = bad.replace(old, new)
    before = events(m)
    ran = m.apply("sales", bad, status=6)
    for word in "amount", "country", "page", "must", "key":
        assert any("SHEAF-E0110" in line and word in line for line in ran.err.splitlines()), (word, ran)
    answer = m.leaves["sales"].call("PUT", "/v1/products/sales/orders", bad, m.token("sales"))
    assert answer.problem() == (409, "SHEAF-E0110"), answer
    one = PRODUCT.replace("1.0.0", "1.1.0").replace("max: 1000", "max: 10")
    ran = m.apply("sales", one, status=6)
    assert "SHEAF-E0110" in ran.err and "amount" in ran.err, ran
    gone = PRODUCT.replace("1.0.0", "1.1.0")[:PRODUCT.index("  visits:")]
    ran = m.apply("sales", gone, status=6)
    assert "SHEAF-E0110" in ran.err and "visits" in ran.err, ran
    assert events(m) == before and version_of(m) == "1.0.0"
    assert rows(m) == [{"order_id": "A", "amount": "1.00", "country": "NO"}]
    answer = m.load("sales", "orders/orders", [{"order_id": "B", "amount": "2"}])
    assert answer.json()["accepted"] == 1, answer


def test_optional_field(m):
    """An optional field may come: rows of before read with null, a consumer sees it, a subscriber too"""
    m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "p", "--for", "1d")
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    early = m.load("sales", "orders/orders", [{"order_id": "C", "note": "too early"}])
    assert early.json()["errors"][0]["code"] == "SHEAF-E0203", early
    new = PRODUCT.replace("1.0.0", "1.1.0").replace(OLD_FIELD, NEW_FIELD)
    m.apply("sales", new)
    assert version_of(m) == "1.1.0"
    m.load("sales", "orders/orders", [{"order_id": "C", "amount": "3", "country": "DK", "note": "new"}])
    wanted = [{"order_id": "A", "amount": "1.00", "country": "NO", "note": None},
              {"order_id": "B", "amount": "2.00", "country": None, "note": None},
              {"order_id": "C", "amount": "3.00", "country": "DK", "note": "new"}]
    assert rows(m) == wanted and rows(m, "marketing") == wanted
    changes = m.sheaf("sub", "sales/orders.orders", "--as", "marketing", "--since", "all", "--count", "3").lines()
    assert [c["row"] for c in changes] == wanted, changes
    assert [c["seq"] for c in changes] == [1, 2, 3], changes
    # After a restart the same.
    sales = m.leaves["sales"]
    sales.end()
    sales.start()
    assert rows(m) == wanted and version_of(m) == "1.1.0"


def test_lower_version(m):
    """A version that is not higher is refused"""
    before = events(m)
    new = PRODUCT.replace(OLD_FIELD, NEW_FIELD)
    for lower in "1.0.0", "1.0.9":
        ran = m.apply("sales", new.replace("1.0.0", lower), status=6)
        assert "SHEAF-E0111" in ran.err and "next: raise the version" in ran.err, ran
    ran = m.apply("sales", PRODUCT, status=None)  # what stood before
    assert ran.status == 6 and "SHEAF-E0111" in ran.err, ran
    assert events(m) == before and version_of(m) == "1.1.0"


def test_dry_run(m):
    """A dry run says what would happen, and nothing happens"""
    before = events(m)
    new = PRODUCT.replace("1.0.0", "1.2.0").replace(OLD_FIELD, NEW_FIELD).replace("Orders.", "More orders.")
    answer = m.leaves["sales"].call("PUT", "/v1/products/sales/orders?dry_run=1", new, m.token("sales"))
    assert answer.status == 200, answer
    assert events(m) == before and version_of(m) == "1.1.0"


def test_next_major(m):
    """The next major may break, and lives beside the one before"""
    two = PRODUCT.replace("1.0.0", "2.0.0").replace('type: "decimal(12,2)", max: 1000', "type: int64")
    m.apply("sales", two)
    leaf, token = m.leaves["sales"], m.token("sales")
    answer = leaf.call("POST", "/v1/products/sales/orders@2/orders/records", '{"order_id":"Z","amount":5}\n',
                       token, {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200 and answer.json()["accepted"] == 1, answer
    first = leaf.call("GET", "/v1/products/sales/orders@1/orders/records", token=token).json()["items"]
    second = leaf.call("GET", "/v1/products/sales/orders@2/orders/records", token=token).json()["items"]
    assert [r["order_id"] for r in first] == ["A", "B", "C"], first
    assert second == [{"order_id": "Z", "amount": 5, "country": None}], second
    assert m.sheaf("read", "sales/orders@2.orders", "--as", "marketing", status=5)
    m.sheaf("audit", "verify", "--as", "platform")


if __name__ == "__main__":
    sys.exit(fixture.run([test_same_file, test_breaking_changes, test_optional_field, test_lower_version, test_dry_run,
                          test_next_major], ["sales", "marketing"]))
