#!/usr/bin/env python3
"""Ways into a leaf: forms of a body and what they are told, against running processes."""
import concurrent.futures
import gzip
import json
import subprocess
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
      amount:   {number: 2, type: "decimal(12,2)", max: 1000}
      note:     {number: 3, type: string}
  clicks:
    kind: event
    fields:
      page: {number: 1, type: string, required: true}
"""
INFLATED_MAX = 64 * 1024 * 1024


def zstd_frame(data):
    """A frame of raw blocks (RFC 8878 3.1.1), as no library for it is in Python here."""
    out = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    blocks = [data[i:i + 100000] for i in range(0, len(data), 100000)]
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        out += (int(last) | len(block) << 3).to_bytes(3, "little") + block
    return out


def post(m, body, table="orders", query="", **headers):
    headers = {"Content-Type": "application/x-ndjson"} | {
        name.replace("_", "-"): value for name, value in headers.items()}
    return m.leaves["sales"].call("POST", f"/v1/products/sales/orders/{table}/records{query}", body,
                                  m.token("sales"), headers)


def rows(m, table="orders"):
    answer = m.leaves["sales"].call("GET", f"/v1/products/sales/orders/{table}/records", None,
                                    m.token("sales"), {"Accept": "application/x-ndjson"})
    return [json.loads(line) for line in answer.body.splitlines()]


def test_contract_stands(m):
    """The product comes into force"""
    m.apply("sales", PRODUCT)


def test_json(m):
    """A JSON array or one object is taken, and errors name records by index"""
    answer = post(m, '[{"order_id":"A","amount":1},\n {"order_id":7}, {"order_id":"B"}]',
                  Content_Type="application/json")
    assert answer.status == 200, answer
    said = answer.json()
    assert (said["accepted"], said["quarantined"]) == (2, 1), said
    assert said["errors"] == [{"index": 2, "code": "SHEAF-E0204", "field": "order_id",
                               "detail": "'order_id' must be a string"}], said
    answer = post(m, '{\n "order_id": "C"\n}\n', Content_Type="application/json; charset=utf-8")
    assert answer.status == 200 and answer.json()["accepted"] == 1, answer
    answer = post(m, '[{"order_id":"D"}', Content_Type="application/json")
    assert answer.problem() == (400, "SHEAF-E0201"), answer
    assert [row["order_id"] for row in rows(m)] == ["A", "B", "C"]


def test_compressed(m):
    """gzip and zstd are inflated; damaged, too large and unknown bodies store nothing"""
    text = "".join('{"order_id":"Z%05d","note":"%s"}\n' % (i, "x" * 100) for i in range(5000)).encode()
    for packed, coding in ((gzip.compress(text), "gzip"), (zstd_frame(text), "zstd")):
        answer = post(m, packed, Content_Encoding=coding)
        assert answer.status == 200 and answer.json()["accepted"] == 5000, answer
        answer = post(m, packed[:-3], Content_Encoding=coding)
        assert answer.problem() == (400, "SHEAF-E0201"), answer
        assert answer.json()["detail"] == f"{coding} body is cut off", answer
    before = rows(m)
    answer = post(m, gzip.compress(b"\n" * (INFLATED_MAX + 1)), Content_Encoding="gzip")
    assert answer.problem() == (413, "SHEAF-E0603"), answer
    answer = post(m, gzip.compress(b"\n" * INFLATED_MAX), Content_Encoding="gzip")
    assert answer.status == 200 and answer.json()["accepted"] == 0, answer
    answer = post(m, text, Content_Encoding="br")
    assert answer.problem() == (415, "SHEAF-E0210"), answer
    assert rows(m) == before


def test_idempotency(m):
    """A repeated Idempotency-Key gets the same answer, also after kill -9; another body is refused"""
    body = '{"page":"/a"}\n{"page":7}\n'
    first = post(m, body, "clicks", Idempotency_Key="order-7")
    assert first.status == 200 and "Idempotency-Replayed" not in first.headers, first
    for _ in range(2):
        again = post(m, body, "clicks", Idempotency_Key="order-7")
        assert again.status == 200 and again.headers["Idempotency-Replayed"] == "true", again
        assert again.json() == first.json(), again
        m.leaves["sales"].end()
        m.leaves["sales"].start()
    for other, query in (('{"page":"/b"}\n', ""), (body, "?on_invalid=reject")):
        answer = post(m, other, "clicks", query, Idempotency_Key="order-7")
        assert answer.problem() == (422, "SHEAF-E0310"), answer
    answer = post(m, body, "clicks", Idempotency_Key="x" * 256)
    assert answer.problem() == (400, "SHEAF-E0301"), answer
    assert [row["page"] for row in rows(m, "clicks")] == ["/a"]


def test_expectations(m):
    """expected_seq and If-Match: where the table or a row is not as expected, nothing is stored"""
    said = post(m, '{"order_id":"E1"}\n').json()
    at, tag = said["last_seq"], f'"{said["epoch"]}:{said["last_seq"]}"'
    answer = post(m, '{"order_id":"E2"}\n', query=f"?expected_seq={at - 1}")
    assert answer.problem() == (409, "SHEAF-E0312"), answer
    assert answer.json()["detail"] == f"table 'orders' is at 1:{at}", answer
    assert post(m, '{"order_id":"E2"}\n', query=f"?expected_seq={at}").status == 200
    answer = post(m, '{"order_id":"E3"}\n', If_Match=tag)
    assert answer.problem() == (412, "SHEAF-E0313"), answer
    change = '{"op":"upsert","row":{"order_id":"E3"}}\n{"op":"delete","row":{"order_id":"E1"},"expected_seq":%d}\n'
    answer = post(m, change % (at + 1), query="?envelope=change")
    assert answer.problem() == (409, "SHEAF-E0312"), answer
    assert answer.json()["detail"] == f"the row of record 2 is at seq {at}, not at {at + 1}", answer
    assert post(m, change % at, query="?envelope=change").status == 200
    assert [r["order_id"] for r in rows(m) if r["order_id"] < "F" and r["order_id"] > "E"] == ["E2", "E3"]
    row = m.leaves["sales"].call("GET", "/v1/products/sales/orders/orders/records/E3", token=m.token("sales"))
    assert post(m, '{"order_id":"E4"}\n').status == 200  # another row: E3 is as it was read
    change = '{"op":"patch","row":{"order_id":"E3","note":"%s"},"if_match":"' + row.headers["Sheaf-Position"] + '"}\n'
    assert post(m, change % "mine", query="?envelope=change").status == 200
    answer = post(m, change % "again", query="?envelope=change")
    assert answer.problem() == (412, "SHEAF-E0313"), answer
    answer = post(m, '{"order_id":"E3"}\n', If_Match=row.headers["ETag"])  # the table has moved on
    assert answer.problem() == (412, "SHEAF-E0313"), answer
    assert next(r for r in rows(m) if r["order_id"] == "E3")["note"] == "mine"


def test_patch(m):
    """Patches change the fields they name; ten senders at once lose nothing"""
    assert post(m, '{"order_id":"P","amount":1,"note":"n"}\n').status == 200
    patch = '{"op":"patch","row":{"order_id":"P","amount":%d}}\n'
    answer = post(m, patch % 2, query="?envelope=change")
    assert answer.status == 200 and answer.json()["accepted"] == 1, answer
    answer = post(m, '{"op":"patch","row":{"order_id":"nobody"}}\n', query="?envelope=change")
    assert [e["code"] for e in answer.json()["errors"]] == ["SHEAF-E0305"], answer
    before = post(m, "").json()["last_seq"]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        field = '{"op":"patch","row":{"order_id":"P","%s":%s}}\n'
        bodies = [field % (("note", f'"{i}"') if i % 2 else ("amount", i)) for i in range(20)]
        statuses = list(pool.map(lambda b: post(m, b, query="?envelope=change").status, bodies))
    assert set(statuses) <= {200, 429} and 200 in statuses, statuses
    row = next(r for r in rows(m) if r["order_id"] == "P")
    assert post(m, "").json()["last_seq"] == before + statuses.count(200)
    sent = {str(i) for i in range(20) if statuses[i] == 200}
    assert row["note"] in sent | {"n"} and row["amount"].removesuffix(".00") in sent | {"2"}, row


def test_nats(m):
    """in.<product>.<table>.v<major> takes the bodies of HTTP, and answers and refuses as HTTP does"""
    leaf = m.leaves["sales"]
    app = Client(leaf.nats, leaf.data / "keys" / "app.nk")
    answer = app.request("in.orders.clicks.v1", '{"page":"/n1"}\n{"page":7}\n')
    said = json.loads(answer.data)
    assert (said["accepted"], said["quarantined"], said["errors"][0]["line"]) == (1, 1, 2), answer
    assert answer.headers["Content-Type"] == "application/json", answer
    body, headers = gzip.compress(b'[{"page":"/n2"}]'), {
        "Content-Type": "application/json", "Content-Encoding": "gzip", "Idempotency-Key": "n-1"}
    first = app.request("in.orders.clicks.v1", body, headers)
    again = app.request("in.orders.clicks.v1", body, headers)
    assert first.data == again.data and json.loads(first.data)["accepted"] == 1, (first, again)
    assert "Idempotency-Replayed" not in first.headers, first
    assert again.headers["Idempotency-Replayed"] == "true", again
    for subject, body, headers, status, code in [
            ("in.orders.nothing.v1", b"", {}, "404", "SHEAF-E0303"),
            ("in.orders.clicks.v9", b"", {}, "404", "SHEAF-E0302"),
            ("in.orders.clicks.v1", b"[", {"Content-Type": "application/json"}, "400", "SHEAF-E0201"),
            ("in.orders.clicks.v1", b"", {"Content-Type": "text/plain"}, "415", "SHEAF-E0210"),
            ("in.orders.clicks.v1", b"{}", {"Sheaf-On-Invalid": "reject"}, "422", "SHEAF-E0202"),
            ("in.orders.clicks.v1", b"x", {"Idempotency-Key": "n-1"}, "422", "SHEAF-E0310"),
            ("in.orders.clicks.v1", b"", {"Sheaf-Expected-Seq": "0"}, "409", "SHEAF-E0312")]:
        refused = app.request(subject, body, headers)
        assert refused.headers["Nats-Service-Error-Code"] == status, refused
        assert refused.headers["Sheaf-Error"] == code, refused
        assert json.loads(refused.data)["code"] == code, refused
    app.close()
    assert [row["page"] for row in rows(m, "clicks")] == ["/a", "/n1", "/n2"]


def test_several_tables(m):
    """Records that name their table are stored under one commit or not at all, over HTTP and NATS"""
    def send(body, query="", **headers):
        return m.leaves["sales"].call(
            "POST", f"/v1/products/sales/orders/records{query}", body, m.token("sales"),
            {"Content-Type": "application/x-ndjson"} | headers)

    body = '{"table":"orders","row":{"order_id":"S1"}}\n{"table":"clicks","row":{"page":"/s1"}}\n'
    answer = send(body)
    assert answer.status == 200, answer
    said = answer.json()
    assert [t["table"] for t in said["tables"]] == ["orders", "clicks"], said
    at = {t["table"]: t["last_seq"] for t in said["tables"]}
    answer = send(body + '{"table":"clicks","row":{}}\n', "?on_invalid=reject")
    assert answer.problem() == (422, "SHEAF-E0202"), answer
    answer = send(body, f"?expected_seq=orders:{at['orders']},clicks:{at['clicks'] - 1}")
    assert answer.problem() == (409, "SHEAF-E0312"), answer
    answer = send(body, f"?expected_seq=orders:{at['orders']},clicks:{at['clicks']}")
    assert answer.status == 200, answer
    app = Client(m.leaves["sales"].nats, m.leaves["sales"].data / "keys" / "app.nk")
    first = app.request("in.orders.v1", body, {"Idempotency-Key": "s-1"})
    again = app.request("in.orders.v1", body, {"Idempotency-Key": "s-1"})
    app.close()
    assert first.data == again.data and json.loads(first.data)["accepted"] == 2, (first, again)
    assert [r["page"] for r in rows(m, "clicks")].count("/s1") == 3


def test_changes_are_no_messages(m):
    """Envelopes and records of several tables as protobuf are refused, with what to send instead"""
    leaf = m.leaves["sales"]
    before = post(m, "").json()["last_seq"]
    protobuf = {"Content-Type": "application/protobuf"}
    app = Client(leaf.nats, leaf.data / "keys" / "app.nk")
    for table, subject, query, headers in [
            ("/orders", "in.orders.orders.v1", "?envelope=change", {"Sheaf-Envelope": "change"}),
            ("", "in.orders.v1", "", {})]:
        answer = leaf.call("POST", f"/v1/products/sales/orders{table}/records{query}", b"\x03\x0a\x01M",
                           m.token("sales"), protobuf)
        assert answer.problem() == (415, "SHEAF-E0210"), answer
        problem = answer.json()
        assert "must be application/x-ndjson or application/json, not application/protobuf" in problem["detail"], problem
        assert "changes in NDJSON or JSON" in problem["next"], problem
        refused = app.request(subject, b"\x03\x0a\x01M", protobuf | headers)
        assert refused.headers["Sheaf-Error"] == "SHEAF-E0210", refused
        assert json.loads(refused.data) == problem, refused
    app.close()
    assert post(m, "").json()["last_seq"] == before


def test_nats_req(m):
    """nats-req of the NATS project sends a record and shows its answer"""
    if not m.programs["nats_req"].exists():
        return "skip: nats-req is not there; './dev setup test' brings it"
    leaf = m.leaves["sales"]
    done = subprocess.run(
        [m.programs["nats_req"], "-s", f"nats://127.0.0.1:{leaf.nats}", "-nkey",
         leaf.data / "keys" / "app.nk", "in.orders.clicks.v1", '{"page":"/go"}'],
        capture_output=True, text=True, timeout=20, check=True)
    assert '"accepted":1,"quarantined":0,"errors":[]}' in done.stdout + done.stderr, done
    assert rows(m, "clicks")[-1]["page"] == "/go"
    return None


TESTS = [test_contract_stands, test_json, test_compressed, test_idempotency, test_expectations,
         test_patch, test_nats, test_several_tables, test_changes_are_no_messages, test_nats_req]

if __name__ == "__main__":
    sys.exit(fixture.run(TESTS, ["sales"]))
