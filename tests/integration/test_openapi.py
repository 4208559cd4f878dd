#!/usr/bin/env python3
"""/openapi.json of a leaf against the leaf: every documented answer is seen, and no other one."""
import http.client
import json
import re
import sys

import fixture

ORDERS = """sheaf: product/v1
product: sales/orders
version: {version}
owner: orders@example.org
description: Orders.
status: {status}
tables:
  orders:
    kind: state
    key: [order_id]
    fields:
      order_id: {{number: 1, type: string, required: true}}
      amount:   {{number: 2, type: "decimal(12,2)"}}
"""


def orders(version, status="active"):
    return ORDERS.format(version=version, status=status)


P, T = "/v1/products/{domain}/{product}", "/v1/products/{domain}/{product}/{table}"
ROW = json.dumps({"order_id": "a", "amount": "1.5"})
# What a server may always answer: "default" of the document.
ANY_TIME = {413, 429, 500, 503, 507}
OWN = {"domain": "sales", "product": "orders", "table": "orders", "key": "a", "entry": "1"}
NDJSON = {"Content-Type": "application/x-ndjson"}


class Server:
    """Calls by operation, and remembers the statuses."""

    def __init__(self, m):
        self.m, self.leaf, self.token = m, m.leaves["sales"], m.token("sales")
        self.document = self.leaf.call("GET", "/openapi.json").json()
        self.seen = {}

    def call(self, method, template, body=None, headers=None, token=None, query="", **parts):
        path = re.sub(r"\{(\w+)\}", lambda at: str((OWN | parts)[at[1]]), template)
        answer = self.leaf.call(method, path + query, body, token if token is not None else self.token, headers)
        operation = self.document["paths"][template][method.lower()]
        documented = {s for s in operation["responses"] if s != "default"}
        assert str(answer.status) in documented or answer.status in ANY_TIME, (
            f"{method} {template}{query} answers {answer.status}, which is not documented: {answer}")
        self.check(operation, answer)
        self.seen.setdefault((method.lower(), template), set()).add(str(answer.status))
        return answer

    def check(self, operation, answer):
        kind = (answer.headers["Content-Type"] or "").split(";")[0]
        if answer.status >= 400:
            answer.problem()
        elif answer.status == 304:
            assert answer.body == b"" and answer.headers["ETag"], answer
        else:
            assert kind in operation["responses"][str(answer.status)]["content"], answer
            if kind == "application/json":
                answer.json()


def every_operation(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def test_document(m):
    """the document is complete: operations have names, parameters types, paths their parameters"""
    d = m.leaves["sales"].call("GET", "/openapi.json").json()
    assert d["openapi"].startswith("3.1"), d["openapi"]
    names = [o["operationId"] for _, _, o in every_operation(d)]
    assert len(names) == len(set(names)) > 15, names
    for method, path, o in every_operation(d):
        inside = {p["name"] for p in o["parameters"] if p["in"] == "path"}
        assert inside == set(re.findall(r"\{(\w+)\}", path)), path
        assert all(p["schema"]["type"] in ("string", "integer", "boolean") and (p["in"] == "path" or p["description"])
                   for p in o["parameters"]), path
        assert o["summary"] and "default" in o["responses"], path
        assert method in ("get", "put", "post", "delete"), method
    problem = d["components"]["schemas"]["Problem"]
    refusal = m.leaves["sales"].call("GET", "/v1/status").json()
    assert set(problem["required"]) <= set(refusal) and re.match(problem["properties"]["code"]["pattern"], refusal["code"])


def test_routes(m):
    """paths that are not there are 404, other methods 405 with Allow, unknown parameters 400 with a suggestion"""
    leaf, token = m.leaves["sales"], m.token("sales")
    assert leaf.call("GET", "/v1/nothing", token=token).problem() == (404, "SHEAF-E0306")
    for path, operations in leaf.call("GET", "/openapi.json").json()["paths"].items():
        answer = leaf.call("PATCH", re.sub(r"\{(\w+)\}", lambda at: OWN[at[1]], path), token=token)
        assert answer.problem() == (405, "SHEAF-E0307"), answer
        allowed = {o.upper() for o in operations} | ({"HEAD"} if "get" in operations else set())
        assert set(answer.headers["Allow"].split(", ")) == allowed, answer
    answer = leaf.call("GET", "/v1/products/sales/orders/orders/records?limt=1", token=token)
    assert answer.problem() == (400, "SHEAF-E0301") and "did you mean 'limit'?" in answer.json()["detail"], answer
    answer = leaf.call("GET", "/v1/products/sales/orders/orders/records?limit=1&limit=2", token=token)
    assert answer.problem() == (400, "SHEAF-E0301") and "twice" in answer.json()["detail"], answer
    answer = leaf.call("GET", "/v1/status")
    assert answer.problem() == (401, "SHEAF-E0501") and answer.headers["WWW-Authenticate"] == "Bearer", answer


def heads(connection, paths, headers):
    """HEAD of each path has status and headers of GET and no body: the next answer is in its place."""
    def ask(method, path):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, {k: v for k, v in answer.getheaders() if k != "Date"}, body
    for path in paths:
        got, head = ask("GET", path), ask("HEAD", path)
        if path == "/metrics":  # counts the requests for it
            got[1].pop("Content-Length"), head[1].pop("Content-Length")
        assert head[:2] == got[:2] and head[2] == b"" and got[2] != b"", (path, got, head)


def test_head(m):
    """HEAD is answered like GET, without a body, by leaf and hub; a stream ends with its head"""
    m.apply("sales", orders("1.0.0").replace("sales/orders", "sales/heads"))
    assert m.load("sales", "heads/orders", [{"order_id": "h", "amount": "1"}]).status == 200
    orders_path = "/v1/products/sales/heads/orders"
    headers = {"Authorization": f"Bearer {m.token('sales')}"}
    leaf, hub = (http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                 for port in (m.leaves["sales"].http, m.hub.http))
    heads(leaf, ["/livez", "/readyz", "/openapi.json", "/v1/products", "/nothing", f"{orders_path}/records",
                 f"{orders_path}/records/h", f"{orders_path}/records/none", f"{orders_path}/records?limt=1",
                 f"{orders_path}/changes"], headers)
    heads(hub, ["/livez", "/readyz", "/metrics", "/v1/mesh", "/v1/products", "/v1/nothing"], headers)
    leaf.request("GET", f"{orders_path}/records/h", headers=headers)
    tag = leaf.getresponse()
    tag.read()
    leaf.request("HEAD", f"{orders_path}/records/h", headers=headers | {"If-None-Match": tag.headers["ETag"]})
    answer = leaf.getresponse()
    assert (answer.status, answer.read()) == (304, b"")
    leaf.request("HEAD", f"{orders_path}/changes?follow=true", headers=headers)
    answer = leaf.getresponse()
    assert (answer.status, answer.read()) == (200, b""), answer.status
    heads(leaf, ["/livez"], headers)

    def follows():
        text = m.leaves["sales"].call("GET", "/metrics").body.decode()
        return 'sheaf_limit_used{limit="follows"} 0\n' in text
    fixture.until(follows, "the stream is gone")


def test_hub_routes(m):
    """The hub names the methods of a path, and refuses parameters it does not know"""
    token = m.token("sales")
    answer = m.hub.call("DELETE", "/v1/access", token=token)
    assert answer.problem() == (405, "SHEAF-E0307") and answer.headers["Allow"] == "GET, HEAD", answer
    answer = m.hub.call("GET", "/v1/access?stat=pending", token=token)
    assert answer.problem() == (400, "SHEAF-E0301") and "did you mean 'state'?" in answer.json()["detail"], answer
    answer = m.hub.call("GET", "/v1/audit?limit=1&limit=2", token=token)
    assert answer.problem() == (400, "SHEAF-E0301") and "'limit' is given twice" in answer.json()["detail"], answer
    answer = m.hub.call("POST", "/v1/access/requests?product=x", {}, token)
    assert answer.problem() == (400, "SHEAF-E0301") and "there are no parameters" in answer.json()["detail"], answer


def call_all_as_strangers(s):
    """401, 403 by a token of another domain, 400 by a parameter that is not there: of all that want a token."""
    foreign = s.m.token("marketing")
    for method, path, operation in every_operation(s.document):
        if "security" in operation:
            s.call(method.upper(), path)
            continue
        s.call(method.upper(), path, token="")
        s.call(method.upper(), path, token=foreign)
        s.call(method.upper(), path, query="?no_such=1")
    s.seen = {at: statuses - {"404", "409", "415", "422"} for at, statuses in s.seen.items()}


def write_records(s):
    for path in P + "/records", T + "/records":
        one = ROW if "{table}" in path else json.dumps({"table": "orders", "record": json.loads(ROW)})
        bad = one.replace('"1.5"', '"much"')
        s.call("POST", path, one, NDJSON)
        s.call("POST", path, bad, NDJSON, query="?on_invalid=reject")  # 422
        s.call("POST", path, one, {"Content-Type": "text/plain"})  # 415
        s.call("POST", path, one, NDJSON, product="nothing")  # 404
        s.call("POST", path, "{", NDJSON)
        s.call("POST", path, one, NDJSON, query="?batch=stream")
        if "{table}" in path:
            s.call("POST", path, one, NDJSON, query="?expected_seq=999")  # 409
            s.call("POST", path, one, NDJSON | {"If-Match": '"1:999"'})  # 412
    s.call("POST", T + "/records", ROW.replace('"1.5"', '"much"'), NDJSON)
    s.call("POST", T + "/records", ROW.replace('"1.5"', '"more"'), NDJSON)


def read_records(s):
    for path in P, T + "/records", T + "/records/{key}":
        tag = s.call("GET", path).headers["ETag"]
        assert s.call("GET", path, headers={"If-None-Match": tag}).status == 304
        assert s.call("GET", path, headers={"If-None-Match": f'"x", W/{tag}'}).status == 304
        assert s.call("GET", path, headers={"If-None-Match": '"other"'}).status == 200
        s.call("GET", path, product="nothing")
    for accept in "application/json", "application/x-ndjson", "text/csv":
        s.call("GET", T + "/records", headers={"Accept": accept})
        s.call("GET", T + "/records/{key}", headers={"Accept": accept})
    for accept in "application/json", "application/x-ndjson", "text/event-stream":
        s.call("GET", T + "/changes", headers={"Accept": accept}, query="?seconds=1")
    s.call("GET", T + "/records", query="?where=amont>1")  # 422
    s.call("GET", T + "/changes", query="?after=9:9")  # 410
    s.call("GET", T + "/changes", product="nothing")
    for name, value in {"from": "a", "to": "b", "prefix": "a", "limit": "1", "select": "amount", "where": "amount > 1",
                        "reverse": "true", "count": "true"}.items():
        assert s.call("GET", T + "/records", query=f"?{name}={value.replace(' ', '+')}").status == 200


def ask_quality(s):
    assert s.call("GET", T + "/preview", query="?as=marketing").status == 200
    s.call("GET", T + "/preview")  # 400
    s.call("GET", T + "/preview", query="?as=marketing", table="nothing")
    for method, what in ("GET", "stats"), ("GET", "profile"), ("GET", "checks"), ("POST", "checks"):
        assert s.call(method, f"{T}/{what}").status == 200
        s.call(method, f"{T}/{what}", table="nothing")


def mend(s):
    s.call("GET", T + "/quarantine")
    s.call("GET", T + "/quarantine", query="?by=code&limit=3")
    s.call("GET", T + "/quarantine", table="nothing")
    s.call("GET", T + "/quarantine/{entry}")
    s.call("GET", T + "/quarantine/{entry}", entry="99")
    s.call("POST", T + "/quarantine/{entry}", ROW, NDJSON, entry="99")
    s.call("POST", T + "/quarantine/{entry}", ROW, {"Content-Type": "text/plain"})
    s.call("POST", T + "/quarantine/{entry}", ROW.replace("1.5", "y"), NDJSON)
    s.call("POST", T + "/records", ROW, NDJSON)
    s.call("POST", T + "/quarantine/{entry}", ROW, NDJSON)  # 409: the row is newer
    s.call("POST", T + "/quarantine/{entry}", ROW, NDJSON, query="?overwrite=true")
    s.call("POST", T + "/quarantine/{entry}", entry="replay")
    s.call("DELETE", T + "/quarantine/{entry}", entry="99")
    s.call("DELETE", T + "/quarantine/{entry}", entry="2")
    s.call("DELETE", T + "/quarantine", table="nothing")
    s.call("DELETE", T + "/quarantine")


def change_products(s):
    yaml = {"Content-Type": "application/yaml"}
    s.call("PUT", P, orders("1.0.0"), yaml)
    s.call("PUT", P, orders("1.0.0").replace("Orders.", "Others."), yaml)  # 409: not a higher version
    s.call("PUT", P, orders("1.1.0").replace("decimal(12,2)", "int32"), yaml)  # 409: breaks
    s.call("PUT", P, "sheaf: product/v1\n", yaml)  # 422
    s.call("DELETE", P, product="nothing@1")  # 404
    s.call("POST", P + "/restore", product="nothing@1")
    s.call("POST", P + "/restore", product="orders@1")  # 409: it is there
    s.call("DELETE", P, product="orders@1")  # 409: it is active
    s.call("PUT", P, orders("1.1.0", "deprecated"), yaml)
    assert s.call("PUT", P, orders("1.2.0", "retired"), yaml).status == 200
    s.call("POST", P + "/records", "{}", NDJSON)  # 409: retired
    s.call("DELETE", P, product="orders@1", query="?keep=1d")
    s.call("POST", P + "/restore", product="orders@1")
    s.call("DELETE", P, product="orders@1", query="?keep=0")
    fixture.until(lambda: s.call("POST", P + "/restore", product="orders@1").status == 409, "the rows are gone for good")


def test_every_answer(m):
    """all documented statuses are seen, and none that is not documented"""
    m.apply("sales", orders("1.0.0"))
    s = Server(m)
    call_all_as_strangers(s)
    write_records(s)
    read_records(s)
    ask_quality(s)
    mend(s)
    change_products(s)
    for method, path in ("POST", "/v1/leaf/check"), ("POST", "/v1/leaf/backup"):
        s.call("GET", path)
        s.call(method, path, {"repository": str(m.directory / "backups")})
        s.call("DELETE", path)
    for method in "POST", "GET", "DELETE":
        s.call(method, "/v1/leaf/drain")
    for path in "/livez", "/readyz", "/metrics", "/openapi.json", "/v1/status", "/v1/settings", "/v1/products":
        s.call("GET", path)
    missing = []
    for method, path, operation in every_operation(s.document):
        documented = {x for x in operation["responses"] if x != "default"}
        unseen = documented - s.seen.get((method, path), set())
        if unseen:
            missing.append(f"{method.upper()} {path}: {', '.join(sorted(unseen))}")
    assert not missing, "documented and never seen:\n" + "\n".join(missing)


if __name__ == "__main__":
    sys.exit(fixture.run([test_document, test_routes, test_head, test_hub_routes, test_every_answer], ["sales", "marketing"]))
