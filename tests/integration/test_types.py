#!/usr/bin/env python3
"""A product with every type: in by JSON, CSV and protobuf, out by JSON, CSV and the stream."""
import json
import pathlib
import shutil
import subprocess
import sys

import fixture

PRODUCT = """sheaf: product/v1
product: sales/shop
version: 1.0.0
owner: shop@example.org
description: Every type there is.
tables:
  orders:
    kind: state
    key: [id, part]
    fields:
      id:     {number: 1, type: string, required: true}
      part:   {number: 2, type: "decimal(20,0)", required: true}
      flag:   {number: 3, type: bool}
      small:  {number: 4, type: int32}
      big:    {number: 5, type: int64}
      ratio:  {number: 6, type: float}
      double: {number: 7, type: double}
      price:  {number: 8, type: "decimal(12,2)"}
      wide:   {number: 9, type: "decimal(38,10)"}
      note:   {number: 10, type: string}
      blob:   {number: 11, type: bytes}
      day:    {number: 12, type: date}
      moment: {number: 13, type: timestamp}
      uid:    {number: 14, type: uuid}
      doc:    {number: 15, type: json}
      tags:   {number: 16, type: list<string>, pattern: "[a-z]+"}
      nums:   {number: 17, type: list<int64>, max_items: 3}
      to:     {number: 18, type: struct, fields: {
                 city: {number: 1, type: string, required: true},
                 at: {number: 2, type: struct, fields: {lat: {number: 1, type: double}, lon: {number: 2, type: double}}}}}
      lines:  {number: 19, type: list<struct>, reserved: [9], fields: {
                 sku: {number: 1, type: string, required: true},
                 qty: {number: 2, type: int32, required: true, min: 1},
                 days: {number: 3, type: list<date>},
                 sum: {number: 4, type: "decimal(30,3)"}}}
      who:    {number: 20, type: struct, fields: {mail: {number: 1, type: string, class: pii}}}
"""
FULL = {
    "id": "A", "part": "12345678901234567890", "flag": True, "small": -1, "big": 9007199254740993,
    "ratio": 0.1, "double": -2.5e-7, "price": "59.90", "wide": "-1234567890123456789012345678.0123456789",
    "note": "blå, \"x\"\n", "blob": "AP8=", "day": "2026-11-20", "moment": "2026-11-20T08:01:12.345678Z",
    "uid": "123e4567-e89b-12d3-a456-426614174000", "doc": {"a": [1, None, 1.5, "x"], "b": {}},
    "tags": ["gift", "express"], "nums": [1, -1, 300], "to": {"city": "Oslo", "at": {"lat": 59.9, "lon": None}},
    "lines": [{"sku": "AB", "qty": 2, "days": ["1970-01-02"], "sum": "1.000"},
              {"sku": "", "qty": 1, "days": [], "sum": None}],
    "who": {"mail": "a@b.no"}}
BARE = {name: None for name in FULL} | {"id": "B", "part": "-1", "tags": [], "nums": [], "lines": []}
PATH = "/v1/products/sales/shop/orders/records"


def rows(m, *options, who="sales"):
    return m.sheaf("read", "sales/shop", "--as", who, "-o", "ndjson", *options).lines()


def post(m, body, kind, query=""):
    return m.leaves["sales"].call("POST", PATH + query, body, m.token("sales"), {"Content-Type": kind})


def test_json(m):
    """Rows of JSON come back as they went in, lists never null; the stream and one row say the same"""
    m.apply("sales", PRODUCT)
    body = json.dumps(FULL) + "\n" + json.dumps({"id": "B", "part": "-1"}) + "\n"
    answer = post(m, body, "application/x-ndjson")
    assert answer.json()["accepted"] == 2, answer
    assert rows(m) == [FULL, BARE]
    changes = m.sheaf("sub", "sales/shop", "--as", "sales", "--since", "all", "--count", "2").lines()
    assert [c["row"] for c in changes] == [FULL, BARE], changes
    assert changes[0]["key"] == {"id": "A", "part": FULL["part"]}, changes
    one = m.leaves["sales"].call("GET", f"{PATH}/A,{FULL['part']}", token=m.token("sales"))
    assert one.json()["row"] == FULL if "row" in one.json() else one.json() == FULL, one


def test_json_array(m):
    """The same as an array, with other spelling of the same values, changes nothing"""
    again = dict(reversed(FULL.items())) | {"doc": {"b": {}, "a": [1.0, None, 15e-1, "x"]}}
    answer = post(m, json.dumps([again]), "application/json")
    assert answer.json()["accepted"] == 1, answer
    assert rows(m) == [FULL, BARE]


def test_whole(m):
    """Filters know whether a struct or json is there; a list always is"""
    for where, wanted in [("doc IS NOT NULL", ["A"]), ("doc IS NULL", ["B"]),
                          ('"to" IS NULL AND lines IS NOT NULL', ["B"]),
                          ('"to" IS NOT NULL OR tags IS NULL', ["A"])]:
        found = m.sheaf("read", "sales/shop", "--as", "sales", "--where", where, "-o", "ndjson")
        assert [row["id"] for row in found.lines()] == wanted, (where, found)


def test_csv(m):
    """CSV has lists, structs and json as JSON text, and reads back as the same rows"""
    text = m.sheaf("read", "sales/shop", "--as", "sales", "-o", "csv").out
    assert '"[""gift"",""express""]"' in text and "[]" in text, text
    m.apply("sales", PRODUCT.replace("sales/shop", "sales/copy"))
    answer = m.leaves["sales"].call("POST", PATH.replace("shop", "copy"), text.encode(), m.token("sales"),
                                    {"Content-Type": "text/csv"})
    assert answer.json()["accepted"] == 2, answer
    copied = m.sheaf("read", "sales/copy", "--as", "sales", "-o", "ndjson").lines()
    assert copied == [FULL, BARE], copied


def test_protobuf(m):
    """Messages that Google's protobuf writes from the exported .proto become the same rows"""
    if shutil.which("protoc") is None:
        return "no protoc"
    proto = m.sheaf("product", "export", "sales/shop", "proto", "--as", "sales").out
    pathlib.Path(m.directory, "shop.proto").write_text(proto)
    text = """lines { qty: 4 sku: "X" days: [2, 3] } tags: "b" tags: "a" id: "C"
        nums: [1, 2] to { at { lat: 1.5 } city: "Oslo" } doc: "{ \\"b\\" : 1.0 }" price: 150
        part: "\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\007" """
    message = subprocess.run(["protoc", "--encode=sheaf.sales.shop.v1.Orders", "shop.proto"],
                             input=text.encode(), stdout=subprocess.PIPE, cwd=m.directory, check=True).stdout
    assert len(message) < 128
    unknown = b"\x0a\x01D\xf8\x07\x01"
    body = bytes([len(message)]) + message + bytes([len(unknown)]) + unknown
    answer = post(m, body, "application/protobuf").json()
    assert (answer["accepted"], answer["quarantined"]) == (1, 1), answer
    assert answer["errors"][0]["index"] == 2 and answer["errors"][0]["code"] == "SHEAF-E0203", answer
    assert rows(m)[2] == BARE | {
        "id": "C", "part": "7", "price": "1.50", "doc": {"b": 1}, "tags": ["b", "a"], "nums": [1, 2],
        "to": {"city": "Oslo", "at": {"lat": 1.5, "lon": None}},
        "lines": [{"sku": "X", "qty": 4, "days": ["1970-01-03", "1970-01-04"], "sum": None}]}
    assert post(m, body[:5], "application/protobuf").problem() == (400, "SHEAF-E0201")
    assert post(m, body, "application/protobuf", "?envelope=change").problem() == (415, "SHEAF-E0210")


def test_violations(m):
    """What is wrong inside is named by its path, in answers and in the quarantine"""
    bad = FULL | {"id": "bad", "lines": [FULL["lines"][0], {"sku": "X", "qty": 0}]}
    answer = post(m, json.dumps(bad), "application/x-ndjson").json()
    assert answer["errors"] == [{"line": 1, "code": "SHEAF-E0205", "field": "lines[1].qty",
                                 "detail": "'lines[1].qty' is below its min"}], answer
    listed = m.sheaf("product", "quarantine", "ls", "sales/shop", "--as", "sales", "-o", "ndjson").out
    assert "lines[1].qty" in listed, listed
    bad = FULL | {"nums": [1, 2, 3, 4]}
    assert post(m, json.dumps(bad), "application/x-ndjson", "?on_invalid=reject").problem() == (422, "SHEAF-E0202")


def test_patch(m):
    """A patch replaces a list or struct as a whole, and leaves the others"""
    change = {"op": "patch", "row": {"id": "A", "part": FULL["part"], "tags": ["x"], "to": None}}
    answer = post(m, json.dumps(change), "application/x-ndjson", "?envelope=change")
    assert answer.json()["accepted"] == 1, answer
    assert rows(m)[0] == FULL | {"tags": ["x"], "to": None}


def test_classes(m):
    """A struct with a field of class pii leaves its domain as little as the field would"""
    m.sheaf("access", "request", "sales/shop", "--as", "marketing", "--purpose", "p", "--for", "1d")
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    seen = rows(m, who="marketing")
    assert [r["id"] for r in seen] == ["A", "B", "C"] and all("who" not in r for r in seen), seen
    assert seen[0]["lines"] == FULL["lines"], seen
    refused = m.sheaf("access", "request", "sales/shop", "--as", "marketing", "--purpose", "p", "--for",
                      "1d", "--columns", "who", status=None)
    assert refused.status != 0, refused


def test_versions(m):
    """A breaking change inside a struct is named with its path; an optional field may come"""
    bad = PRODUCT.replace("1.0.0", "1.1.0").replace("qty: {number: 2, type: int32", "qty: {number: 2, type: string")
    ran = m.apply("sales", bad.replace(", min: 1", ""), status=6)
    assert "orders.lines.qty" in ran.err and "SHEAF-E0110" in ran.err, ran
    new = PRODUCT.replace("1.0.0", "1.1.0").replace(
        "sku: {number: 1", "gift: {number: 5, type: bool},\n                 sku: {number: 1")
    m.apply("sales", new)
    assert rows(m)[0]["lines"][0] == FULL["lines"][0] | {"gift": None}


def test_publish(m):
    """publish makes structs, lists and json of nested JSON, and takes every row"""
    data = [{"id": "a", "to": {"city": "Oslo"}, "tags": ["x"], "any": 1, "lines": [{"sku": "A", "n": 1}]},
            {"id": "b", "to": {"city": "Bodo", "zip": "8001"}, "tags": [], "any": {"x": [1]}, "lines": []}]
    pathlib.Path(m.directory, "nested.json").write_text(json.dumps(data))
    m.sheaf("publish", m.directory / "nested.json", "--as", "sales/nested")
    read = m.sheaf("read", "sales/nested", "--as", "sales", "-o", "ndjson").lines()
    data[0]["to"]["zip"] = None
    assert read == data, read


def test_show(m):
    """product show has the fields inside structs by their path, describe has them nested"""
    listed = m.sheaf("product", "show", "sales/shop", "--as", "sales").out
    assert "to.at.lat" in listed and "lines.qty" in listed, listed
    fields = m.leaves["sales"].call("GET", "/v1/products/sales/shop", token=m.token("sales")).json()["tables"][0]["fields"]
    lines = next(f for f in fields if f["name"] == "lines")
    assert lines["type"] == "list<struct>" and [f["name"] for f in lines["fields"]][:2] == ["sku", "qty"], lines


def test_example(m):
    """The example with nested types takes its rows, and filters look inside them"""
    examples = pathlib.Path(__file__).resolve().parents[2] / "examples"
    m.apply("sales", (examples / "baskets.yaml").read_text().replace("shop/baskets", "sales/baskets"))
    answer = m.load("sales", "baskets/baskets", [json.loads(line) for line in
                                                 (examples / "baskets.ndjson").read_text().splitlines()])
    assert answer.json()["accepted"] == 4, answer
    for where, wanted in (("lines[1].price > 50", ["B-3"]), ("len(labels) = 2", ["B-2"]),
                          ("ship_to.city = 'Oslo' OR ship_to.city IS NULL", ["B-1", "B-4"]),
                          ("total >= '100.25' AND lines[2].qty IS NULL", ["B-3"])):
        read = m.sheaf("read", "sales/baskets", "--as", "sales", "--where", where, "-o", "ndjson").lines()
        assert [r["basket_id"] for r in read] == wanted, (where, read)


sys.exit(fixture.run(
    [test_json, test_json_array, test_whole, test_csv, test_protobuf, test_violations, test_patch, test_classes,
     test_versions, test_publish, test_show, test_example], ["sales", "marketing"]))
