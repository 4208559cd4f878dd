#!/usr/bin/env python3
"""Ways into a leaf: forms of a body and what they are told, against running processes."""
import gzip
import json
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


TESTS = [test_contract_stands, test_json, test_compressed]

if __name__ == "__main__":
    sys.exit(fixture.run(TESTS, ["sales"]))
