#!/usr/bin/env python3
"""Rows of older versions, read in every way by the newest; versions applied while records stream in."""
import sys
import threading

import fixture

PRODUCT = """sheaf: product/v1
product: sales/orders
version: 1.0.0
status: active
owner: orders@example.org
description: Orders.
compatibility: none
tables:
  orders:
    kind: state
    key: [id]
    fields:
      id: {number: 1, type: string, required: true}
      country: {number: 2, type: string}
      gone: {number: 3, type: string}
      n: {number: 4, type: int32}
      amount: {number: 5, type: "decimal(12,2)"}
      lines: {number: 6, type: "list<struct>", fields: {sku: {number: 1, type: string}, old: {number: 2, type: string}}}
"""
NEW = (PRODUCT.replace("1.0.0", "1.1.0").replace("country: {number: 2, type: string}",
                                                 "land: {number: 2, type: string, source: country}")
       .replace("      gone: {number: 3, type: string}\n", "").replace("int32", "int64").replace("(12,2)", "(14,2)")
       .replace(", old: {number: 2, type: string}}", "}, reserved: [2, old]").replace("    key: [id]\n", "    key: [id]\n    reserved: [3, gone]\n") + "      note: {number: 7, type: string}\n")
TABLE = "/v1/products/sales/orders/orders"
BEFORE = {"id": "A", "country": "NO", "gone": "secret", "n": 7, "amount": "1.50",
          "lines": [{"sku": "s1", "old": "secret"}]}
AFTER = {"id": "A", "land": "NO", "n": 7, "amount": "1.50", "lines": [{"sku": "s1"}], "note": None}
VERSIONS, FOLLOWERS = 20, 2


def get(m, path, who="sales", **headers):
    answer = m.leaves[who].call("GET", TABLE + path, None, m.token(who), headers)
    assert answer.status == 200, answer
    return answer


def grant(m, product):
    asked = m.sheaf("access", "request", product, "--as", "marketing", "--purpose", "p", "--for", "1d",
                    "-o", "json").json()
    m.sheaf("access", "approve", asked["id"], "--as", "sales")


def test_old_rows_are_read_by_the_newest_version(m):
    """Removed, renamed, widened and added fields of old rows: get, scan, where, select, as_of, changes"""
    m.apply("sales", PRODUCT)
    assert m.load("sales", "orders/orders", [BEFORE, BEFORE | {"id": "B", "n": -1}]).status == 200
    first = get(m, "/records").headers["Sheaf-Position"]
    refused = m.load("sales", "orders/orders", [{"id": "Q", "n": "x", "note": "kept"}])
    assert refused.json()["quarantined"] == 1, refused
    m.apply("sales", NEW)
    m.load("sales", "orders/orders", [{"id": "C", "country": "SE", "n": 1 << 40, "amount": "123456789012.25"}])
    new = {"id": "C", "land": "SE", "n": 1 << 40, "amount": "123456789012.25", "lines": [], "note": None}
    for who in "sales", "marketing":
        if who == "marketing":
            grant(m, "sales/orders")
        assert get(m, "/records/A", who).json() == AFTER
        assert get(m, "/records", who).json()["items"] == [AFTER, AFTER | {"id": "B", "n": -1}, new]
        assert [r["id"] for r in get(m, "/records?where=n+%3E+0+and+land+%3D+%27NO%27", who).json()["items"]] == ["A"]
        assert [r["id"] for r in get(m, "/records?where=amount+%3E+100.00+or+lines%5B1%5D.sku+%3D+%27s1%27",
                                     who).json()["items"]] == ["A", "B", "C"]
        assert get(m, "/records?select=id,land&limit=1", who).json()["items"] == [{"id": "A", "land": "NO"}]
        assert get(m, f"/records?as_of={first}", who).json()["items"] == [AFTER, AFTER | {"id": "B", "n": -1}]
        changes = get(m, "/changes", who).json()["items"]
        assert [c["row"] for c in changes] == [AFTER, AFTER | {"id": "B", "n": -1}, new], changes
        follow = m.sheaf("sub", "sales/orders", "--as", who, "--since", "all", "--count", "3", "-o", "ndjson")
        assert [c["row"] for c in follow.lines()] == [AFTER, AFTER | {"id": "B", "n": -1}, new], follow
        assert "secret" not in follow.out
        answer = m.leaves[who].call("GET", TABLE + "/records?where=gone+%3D+%27x%27", None, m.token(who))
        assert answer.problem() == (422, "SHEAF-E0107"), answer


def test_a_patch_on_an_old_row_leaves_out_what_was_removed(m):
    """A patch on a row of an older version keeps what the newest has, and nothing of what it has not"""
    answer = m.load("sales", "orders/orders", [{"op": "patch", "row": {"id": "A", "note": "new"}}],
                    query="?envelope=change")
    assert answer.status == 200 and answer.json()["accepted"] == 1, answer
    assert get(m, "/records/A").json() == AFTER | {"note": "new"}
    rows = m.sheaf("product", "quarantine", "ls", "sales/orders", "--as", "sales", "-o", "ndjson").lines()
    assert len(rows) == 1, rows
    leaf = m.leaves["sales"]
    leaf.end()
    stored = fixture.subprocess.run(
        [m.programs["rows_of_store"], leaf.data / "store", "sales/orders", "1", "orders"],
        stdout=fixture.subprocess.PIPE, text=True, check=True).stdout.split()
    leaf.start()
    holds = [b"secret" in bytes.fromhex(row) for row in stored]
    assert holds == [False, True, False], holds


def test_quarantine_of_an_older_version_is_replayed_by_the_newest(m):
    """A record that an older version refused is read by the newest: its field came later"""
    q = m.sheaf("product", "quarantine", "ls", "sales/orders", "--as", "sales", "-o", "ndjson").lines()[0]
    wide = NEW.replace("1.1.0", "1.2.0").replace("n: {number: 4, type: int64}",
                                                 "n: {number: 4, type: int64, missing: [x]}")
    m.apply("sales", wide)
    m.sheaf("product", "quarantine", "replay", "sales/orders", "--all",
            "--as", "sales")
    assert q and get(m, "/records/Q").json() == {"id": "Q", "land": None, "n": None, "amount": None, "lines": [],
                                                 "note": "kept"}


def follow(m, who, total, found, failures):
    try:
        ran = m.sheaf("sub", "sales/busy", "--as", who, "--since", "all", "--count", str(total), "-o", "ndjson")
        found.extend(ran.lines())
    except Exception as error:  # pylint: disable=broad-exception-caught
        failures.append(error)


def test_versions_while_records_stream_in(m):
    """20 versions during a load with followers: nothing is lost, every row reads right"""
    base = """sheaf: product/v1
product: sales/busy
version: 1.0.0
status: active
owner: o@example.org
description: Busy.
tables:
  busy:
    kind: state
    key: [id]
    fields:
      id: {number: 1, type: int64, required: true}
      f0: {number: 2, type: int64}
"""
    m.apply("sales", base)
    grant(m, "sales/busy")
    sent, acked, failures, stop = [], [], [], threading.Event()

    def write():
        try:
            while not stop.is_set():
                rows = [{"id": len(sent) + i, "f0": len(sent) + i} for i in range(50)]
                sent.extend(r["id"] for r in rows)
                answer = m.load("sales", "busy/busy", rows)
                assert answer.status == 200 and answer.json()["accepted"] == 50, answer
                acked.extend(r["id"] for r in rows)
        except Exception as error:  # pylint: disable=broad-exception-caught
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    text = base
    for v in range(1, VERSIONS + 1):
        text = text.replace(f"version: 1.{v - 1}.0", f"version: 1.{v}.0") + f"      f{v}: {{number: {v + 2}, type: int64}}\n"
        m.apply("sales", text)
        answer = m.load("sales", "busy/busy", [{"id": -v, f"f{v}": v}])
        assert answer.json()["accepted"] == 1, answer
    stop.set()
    writer.join()
    assert not failures and acked == sent and len(acked) >= 50, failures
    total = len(acked) + VERSIONS
    found = [[] for _ in range(FOLLOWERS)]
    threads = [threading.Thread(target=follow, args=(m, who, total, found[i], failures))
               for i, who in enumerate(("sales", "marketing"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures
    want = {i: {"id": i, "f0": i} for i in acked} | {-v: {"id": -v, f"f{v}": v} for v in range(1, VERSIONS + 1)}
    for rows in ([c["row"] for c in found[0]], [c["row"] for c in found[1]],
                 m.sheaf("read", "sales/busy", "--as", "sales", "--limit", "0", "-o", "ndjson").lines()):
        assert len(rows) == total, (len(rows), total)
        for row in rows:
            assert {k: v for k, v in row.items() if v is not None} == want[row["id"]], row
            assert len(row) == VERSIONS + 2, row


if __name__ == "__main__":
    sys.exit(fixture.run([test_old_rows_are_read_by_the_newest_version,
                          test_a_patch_on_an_old_row_leaves_out_what_was_removed,
                          test_quarantine_of_an_older_version_is_replayed_by_the_newest,
                          test_versions_while_records_stream_in], ["sales", "marketing"]))
