#!/usr/bin/env python3
"""Products that live: versions beside each other, renamed fields, deprecated, retired, removed, back."""
import re
import sys
import time

import fixture

PRODUCT = fixture.orders("country: {number: 3, type: string}", key="order_id").replace(
    "version: 1.0.0\n", "version: 1.0.0   # raised by hand\n")
RENAMED = "      land: {number: 3, type: string, source: country}\n      note: {number: 4, type: string}\n"
OLD_FIELD = "      country: {number: 3, type: string}\n"


def rows(m, product="sales/orders", who="sales"):
    return m.sheaf("read", product, "--as", who, "-o", "ndjson").lines()


def show(m, product="sales/orders", who="sales"):
    return m.sheaf("product", "show", product, "--as", who, "-o", "json").json()


def listed(m, who, *flags):
    return [p["product"] for p in m.sheaf("product", "ls", "--as", who, "-o", "ndjson", *flags).lines()]


def test_renamed_field(m):
    """A rename is refused by default, allowed by backward, and old rows show under the new name"""
    m.apply("sales", PRODUCT)
    m.load("sales", "orders/orders", [{"order_id": "A", "country": "NO"}])
    new = PRODUCT.replace("1.0.0", "1.1.0").replace(OLD_FIELD, RENAMED)
    ran = m.apply("sales", new, status=6)
    assert "SHEAF-E0110" in ran.err and "orders.country" in ran.err and "land" in ran.err, ran
    ran = m.sheaf("product", "diff", "product.yaml", "--as", "sales", "-o", "ndjson", status=6)
    assert [(n["path"], n["change"], n["verdict"]) for n in ran.lines()] == [
        ("orders.country", "name", "breaking"), ("orders.note", "field added", "ok")], ran
    assert "SHEAF-E0110" in ran.err, ran
    ran = m.apply("sales", new.replace("owner:", "compatibility: backward\nowner:"))
    assert "warning[SHEAF-E0110]" in ran.err and "consumers of older versions" in ran.err, ran
    answer = m.load("sales", "orders/orders", [{"order_id": "B", "country": "SE", "note": "n"}])
    assert answer.json()["accepted"] == 1, answer
    assert rows(m) == [{"order_id": "A", "land": "NO", "note": None},
                       {"order_id": "B", "land": "SE", "note": "n"}]
    ran = m.apply("sales", new.replace("1.1.0", "1.2.0").replace("owner:", "compatibility: none\nowner:")
                  .replace("{number: 4, type: string}", "{number: 4, type: int64}"), status=6)
    assert "SHEAF-E0110" in ran.err and "orders.note" in ran.err, ran


def test_majors(m):
    """Two majors live side by side; the highest active one is meant when none is named"""
    two = PRODUCT.replace("1.0.0", "2.0.0").replace("country", "region")
    m.apply("sales", two.replace("status: active", "status: draft"))
    assert show(m)["version"] == "1.1.0"
    assert "sales/orders" in listed(m, "marketing")
    ran = m.sheaf("product", "show", "sales/orders@2", "--as", "marketing", status=4)
    assert "SHEAF-E0302" in ran.err, ran
    m.sheaf("product", "activate", "sales/orders@2", "--as", "sales")
    assert show(m, who="marketing")["version"] == "2.0.1"
    m.load("sales", "orders@2/orders", [{"order_id": "A", "region": "north"}])
    assert rows(m) == [{"order_id": "A", "region": "north"}]
    assert [r["land"] for r in rows(m, "sales/orders@1")] == ["NO", "SE"]


def test_deprecate_and_retire(m):
    """A deprecated version works on and says so; a retired one takes no records and no readers"""
    m.sheaf("access", "request", "sales/orders@1", "--as", "marketing", "--purpose", "p", "--for", "1d")
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    m.sheaf("product", "deprecate", "sales/orders@1", "--as", "sales", "--sunset", "2027-03-01",
            "--successor", "sales/orders@2", "--note", "region replaces land")
    p = show(m, "sales/orders@1", "marketing")
    assert (p["status"], p["sunset"], p["successor"], p["deprecation_note"], p["version"]) == (
        "deprecated", "2027-03-01", "sales/orders@2", "region replaces land", "1.1.1"), p
    text = m.sheaf("product", "export", "sales/orders@1", "yaml", "--as", "sales").out
    assert "version: 1.1.1   # raised by hand\n" in text, text
    assert m.load("sales", "orders@1/orders", [{"order_id": "C", "country": "DK"}]).status == 200
    m.sheaf("product", "retire", "sales/orders@1", "--as", "sales")
    answer = m.load("sales", "orders@1/orders", [{"order_id": "D", "country": "DK"}])
    assert answer.problem() == (409, "SHEAF-E0404"), answer
    assert show(m, "sales/orders@1")["sunset"] == "2027-03-01"
    ran = m.sheaf("access", "request", "sales/orders@1", "--as", "billing", "--purpose", "p",
                  "--for", "1d", status=5)
    assert "retired" in ran.err, ran
    assert len(rows(m, "sales/orders@1", "marketing")) == 3
    history = m.sheaf("product", "history", "sales/orders", "--as", "sales", "-o", "ndjson").lines()
    assert [(v["version"], v["status"]) for v in history] == [
        ("1.0.0", "active"), ("1.1.0", "active"), ("2.0.0", "draft"), ("2.0.1", "active"),
        ("1.1.1", "deprecated"), ("1.1.2", "retired")], history


def test_deprecation_is_told(m):
    """Every answer about a version on its way out says so, over HTTP and NATS, and so do commands"""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    path = "/v1/products/sales/orders@1"
    for product, leaf in ((path, "sales"), (path, "marketing")):
        for tail in "", "/orders/records", "/orders/records/A", "/orders/changes", "/orders/stats":
            answer = m.leaves[leaf].call("GET", product + tail, None, m.token(leaf))
            assert answer.status == 200, (tail, answer)
            told = {k: answer.headers[k] for k in ("Deprecation", "Sunset", "Link", "Sheaf-Deprecated")}
            assert re.fullmatch(r"@\d+", told["Deprecation"] or ""), (leaf, tail, told)
            assert int(told["Deprecation"][1:]) % 86400 == 0 and \
                abs(int(told["Deprecation"][1:]) - time.time()) < 2 * 86400, told
            assert told["Sunset"] == "Mon, 01 Mar 2027 23:59:59 GMT", told
            assert told["Link"] == '</v1/products/sales/orders@2>; rel="successor-version"', told
            assert told["Sheaf-Deprecated"] == (f"status=retired; since={today}; sunset=2027-03-01; "
                                                "successor=sales/orders@2"), told
    answer = m.leaves["sales"].call("GET", "/v1/products/sales/orders@2/orders/records", None, m.token("sales"))
    assert answer.headers["Deprecation"] is None and answer.headers["Link"] is None, answer
    p = m.leaves["marketing"].call("GET", path, None, m.token("marketing")).json()
    assert (p["deprecated_since"], p["sunset"], p["successor"]) == (today, "2027-03-01", "sales/orders@2"), p
    note = "sales/orders@1 is retired until 2027-03-01; read sales/orders@2"
    for who in "sales", "marketing":
        ran = m.sheaf("read", "sales/orders@1", "--as", who, "-o", "ndjson")
        assert note in ran.err and note not in ran.out, ran
        ran = m.sheaf("sub", "sales/orders@1", "--as", who, "--since", "all", "--count", "1")
        assert note in ran.err, ran
    assert "is retired" not in m.sheaf("read", "sales/orders@2", "--as", "sales").err
    ran = m.sheaf("access", "request", "sales/orders@1", "--as", "billing", "--purpose", "p", "--for",
                  "1d", status=5)
    assert note in ran.err, ran


def test_remove_and_restore(m):
    """A removed version is gone for everybody, a restart keeps it so, and it can be brought back"""
    ran = m.sheaf("product", "rm", "sales/orders@2", "--as", "sales", "--yes", status=6)
    assert "SHEAF-E0409" in ran.err and "active" in ran.err, ran
    ran = m.sheaf("product", "rm", "sales/orders@1", "--as", "sales", "--yes", status=6)
    assert "SHEAF-E0410" in ran.err and "G-1" in ran.err, ran
    m.sheaf("access", "revoke", "G-1", "--as", "sales", "--yes")
    ran = m.sheaf("product", "rm", "sales/orders@1", "--as", "sales", "--yes", "--keep", "7d",
                  "--note", "replaced by 2")
    assert "restore sales/orders@1" in ran.err, ran
    m.sheaf("product", "rm", "sales/orders@1", "--as", "sales", "--yes")  # it is so already
    for who in "sales", "marketing":
        assert "SHEAF-E0302" in m.sheaf("read", "sales/orders@1", "--as", who, status=4).err
    assert "SHEAF-E0302" in m.sheaf("product", "show", "sales/orders@1", "--as", "marketing", status=4).err
    p = show(m, "sales/orders@1")
    assert p["status"] == "removed" and p["reason"] == "replaced by 2", p
    ran = m.apply("sales", PRODUCT.replace("1.0.0", "1.9.0"), status=6)
    assert "SHEAF-E0411" in ran.err, ran
    m.leaves["sales"].end()
    m.hub.end()
    m.hub.start()
    m.leaves["sales"].start()
    assert "SHEAF-E0302" in m.sheaf("read", "sales/orders@1", "--as", "sales", status=4).err
    m.sheaf("product", "restore", "sales/orders@1", "--as", "sales")
    m.sheaf("product", "restore", "sales/orders@1", "--as", "sales")
    assert [r["order_id"] for r in rows(m, "sales/orders@1")] == ["A", "B", "C"]
    ran = m.sheaf("read", "sales/orders@1", "--as", "marketing", status=5)
    assert "SHEAF-E0401" in ran.err, ran  # the grant has not come back
    log = m.sheaf("audit", "ls", "--as", "platform", "-o", "csv").out
    assert log.count("product_removed") == 1 and log.count("product_restored") == 1, log


def test_nobody_else(m):
    """Only the owner changes the life of its product"""
    token = m.token("marketing")
    leaf = m.leaves["marketing"]
    for method, path in ("DELETE", "/v1/products/sales/orders@2"), ("POST", "/v1/products/sales/orders@2/restore"):
        assert leaf.call(method, path, None, token).problem() == (403, "SHEAF-E0405")
    leaf, token = m.leaves["sales"], m.token("sales")
    assert leaf.call("DELETE", "/v1/products/sales/orders", None, token).problem() == (400, "SHEAF-E0301")
    assert leaf.call("DELETE", "/v1/products/sales/orders@9", None, token).problem() == (404, "SHEAF-E0302")
    answer = leaf.call("DELETE", "/v1/products/sales/orders@2?keep=soon", None, token)
    assert answer.problem() == (400, "SHEAF-E0301"), answer
    assert leaf.call("GET", "/v1/products/sales/orders@2/restore", None, token).problem() == (405, "SHEAF-E0307")
    assert leaf.call("POST", "/v1/products/sales/orders@2/other", None, token).problem() == (404, "SHEAF-E0306")
    assert len(rows(m)) == 1


if __name__ == "__main__":
    sys.exit(fixture.run([test_renamed_field, test_majors, test_deprecate_and_retire, test_deprecation_is_told,
                          test_remove_and_restore,
                          test_nobody_else], ["sales", "marketing", "billing"]))
