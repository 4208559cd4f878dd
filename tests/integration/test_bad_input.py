#!/usr/bin/env python3
"""Bad files, records, requests and tokens: code, place, next step, and what is stored afterwards."""
import http.client
import json
import re
import socket
import sys
import time

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
      email:    {number: 3, type: string, class: pii}
      n:        {number: 4, type: int32}
"""
RECORDS = "/v1/products/sales/orders/orders/records"
ROW_MAX, KEY_MAX, BODY_MAX = 256 * 1024, 1024, 16 * 1024 * 1024
ACCOUNT_MAX = 4 * 1024 * 1024 - 1024  # what a domain may send, less the headers


def head_of(m):
    """(last position, records in quarantine)"""
    status = m.leaves["sales"].call("GET", "/v1/status", token=m.token("sales")).json()
    table = status["products"][0]["tables"][0]
    return table["position"], table["quarantined"]


def test_product_files(m):
    """A bad product file is refused with every error, its place and what is allowed"""
    cases = [
        ("sheaf: product/v1\nproduct: [sales/orders\nversion: 1\n", ["p.yaml:4:1: error[SHEAF-E0101]:"]),
        ("sheaf: product/v1\nproduct: x: y\n", ["p.yaml:2:11: error[SHEAF-E0101]:"]),
        (b"sheaf: product/v1\nproduct: \xff\xfe\n", ["p.yaml:2:10: error[SHEAF-E0101]: not valid UTF-8"]),
        ("sheaf: " + "[" * 200 + "]" * 200 + "\n",
         ["p.yaml:1:39: error[SHEAF-E0101]: lists and maps are nested deeper than 32"]),
        (PRODUCT.replace("int32", "int33").replace("max:", "maxx:").replace("[order_id]", "[order]"),
         ["p.yaml:9:11: error[SHEAF-E0107]: key 'order' is no field",
          "p.yaml:12:52: error[SHEAF-E0102]: unknown key 'maxx'", "did you mean 'max'?",
          "p.yaml:14:35: error[SHEAF-E0103]: unknown type 'int33'", "did you mean 'int32'?"]),
        (PRODUCT.replace("version: 1.0.0\n", ""), ["error[SHEAF-E0104]"]),
        (PRODUCT + "tables: {}\n", ["p.yaml:15:1: error[SHEAF-E0105]"]),
        (PRODUCT.replace("sales/orders", "sales/Or ders"), ["p.yaml:2:10: error[SHEAF-E0106]"]),
    ]
    for text, shown in cases:
        path = m.directory / "p.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for command in (["lint", "p.yaml"], ["apply", "p.yaml", "--as", "sales"]):
            ran = m.sheaf("product", *command, status=3)
            for part in shown:
                assert part in ran.err, (part, ran)
        answer = m.leaves["sales"].call("PUT", "/v1/products/sales/orders", path.read_bytes(),
                                        m.token("sales"), {"Content-Type": "application/yaml"})
        status, code = answer.problem()
        assert status == 422 and code in shown[0] + " SHEAF-E0101 SHEAF-E0102", answer
    m.sheaf("product", "lint", "nowhere.yaml", status=1)
    listed = m.sheaf("product", "ls", "--as", "sales", "-o", "ndjson")
    assert listed.lines() == [], listed


def test_contract_stands(m):
    """The product comes into force, with two rows that the rest must not touch"""
    m.apply("sales", PRODUCT)
    answer = m.load("sales", "orders/orders", [{"order_id": "A", "amount": "1.5", "email": "a@b.c"},
                                               {"order_id": "B"}])
    assert answer.status == 200 and answer.json()["accepted"] == 2, answer
    assert head_of(m) == ("1:2", 0)


def quarantined(m, rows, wanted, kind="application/x-ndjson"):
    """Each of @rows is refused as @wanted says, stored in quarantine, and nothing in the table."""
    position, before = head_of(m)
    answer = m.load("sales", "orders/orders", rows, kind)
    assert answer.status == 200, answer
    got = [(e["line"], e["code"], e.get("field")) for e in answer.json()["errors"]]
    assert got == wanted, got
    assert answer.json()["accepted"] == 0 and answer.json()["quarantined"] == len(wanted), answer
    assert head_of(m) == (position, before + len(wanted))
    # The same batch with on_invalid=reject stores nothing at all, and says the same.
    refused = m.load("sales", "orders/orders", rows, kind, "?on_invalid=reject")
    assert refused.problem() == (422, "SHEAF-E0202"), refused
    assert [(e["line"], e["code"], e.get("field")) for e in refused.json()["errors"]] == wanted
    assert head_of(m) == (position, before + len(wanted))


def test_records(m):
    """Malformed, wrong, large and deep records go to quarantine with line, code and field"""
    quarantined(m, '{bad\n[1]\n{"order_id":"x"}}\n', [
        (1, "SHEAF-E0202", None), (2, "SHEAF-E0202", None), (3, "SHEAF-E0202", None)])
    quarantined(m, b'{"order_id":"A\xff"}\n', [(1, "SHEAF-E0207", None)])
    quarantined(m, b'order_id,amount\n"\xc3",1\n', [(2, "SHEAF-E0207", "order_id")], "text/csv")
    quarantined(m, [{"order_id": 5}, {"order_id": "a", "amount": "5000"},
                    {"order_id": "a", "n": 99999999999}, {"amount": "1"},
                    {"order_id": "q", "zz": 1}, {"order_id": "a", "amount": "1.234"}], [
        (1, "SHEAF-E0204", "order_id"), (2, "SHEAF-E0205", "amount"), (3, "SHEAF-E0205", "n"),
        (4, "SHEAF-E0206", "order_id"), (5, "SHEAF-E0203", None), (6, "SHEAF-E0205", "amount")])
    quarantined(m, '{"order_id":"a","n":' + "[" * 200 + "]" * 200 + "}\n", [(1, "SHEAF-E0208", None)])
    quarantined(m, [{"order_id": "k" * (KEY_MAX + 1)}, {"order_id": "a", "email": "v" * ROW_MAX}], [
        (1, "SHEAF-E0208", None), (2, "SHEAF-E0208", None)])
    quarantined(m, "order_id,amount\nA,1,2\nB,x\n", [
        (2, "SHEAF-E0202", None), (3, "SHEAF-E0204", "amount")], "text/csv")


def test_framing(m):
    """A body that cannot be split is refused whole, with line and column, and stores nothing"""
    position, before = head_of(m)
    for rows, kind, status, code, detail in [
            ('order_id,amount\nA,1\n"x', "text/csv", 400, "SHEAF-E0201", "line 3, column 1: the quote is not closed"),
            ("order_id,nix\nA,1\n", "text/csv", 422, "SHEAF-E0203", "line 1: column 2 ('nix')"),
            ("{}", "text/plain", 415, "SHEAF-E0210", "content type"),
            ("x" * (BODY_MAX + 1), "application/x-ndjson", 413, "SHEAF-E0603", "too large")]:
        answer = m.load("sales", "orders/orders", rows, kind)
        assert answer.problem() == (status, code) and detail in answer.json()["detail"], answer
    assert head_of(m) == (position, before)
    # The last row that still fits does.
    answer = m.load("sales", "orders/orders", [{"order_id": "k" * (KEY_MAX - 2)}], query="?on_invalid=reject")
    assert answer.status == 200, answer


def test_command_line_load(m):
    """'product load' loads what is good, tells of the rest by file line, and exits 3 with --strict"""
    path = m.directory / "rows.ndjson"
    path.write_text('{"order_id":"C"}\n{bad\n{"order_id":7}\n')
    for flags, status in ([], 0), (["--strict"], 3):
        ran = m.sheaf("product", "load", path, "--as", "sales/orders", *flags, status=status)
        assert "line 2: SHEAF-E0202: the record is not JSON" in ran.err, ran
        assert "line 3: SHEAF-E0204 order_id: 'order_id' must be a string" in ran.err, ran
        assert "sheaf product quarantine ls sales/orders" in ran.err, ran
    listed = m.sheaf("product", "quarantine", "ls", "sales/orders", "--as", "sales", "-o", "ndjson")
    assert [q["raw"] for q in listed.lines()][-2:] == ["{bad", '{"order_id":7}'], listed
    ran = m.sheaf("product", "load", m.directory / "no.csv", "--as", "sales/orders", status=1)
    assert "SHEAF-E0804" in ran.err and "no.csv" in ran.err and "next:" in ran.err, ran


def test_unknown_names(m):
    """Unknown products, tables, fields, keys, grants, requests and paths have their own codes"""
    base = "/v1/products/sales/"
    for path, status, code in [
            (base + "nix", 404, "SHEAF-E0302"), (base + "nix/t/records", 404, "SHEAF-E0302"),
            (base + "orders@7", 404, "SHEAF-E0302"),
            (base + "orders/nix/records", 404, "SHEAF-E0303"),
            (base + "orders/orders/records?select=nix", 400, "SHEAF-E0304"),
            (base + "orders/orders/records/nix", 404, "SHEAF-E0305"),
            (base + "orders/orders/records?limit=x", 400, "SHEAF-E0301"),
            (base + "orders/orders/records?cursor=x", 400, "SHEAF-E0309"),
            (base + "orders/orders/nix", 404, "SHEAF-E0306"), ("/nix", 404, "SHEAF-E0306"),
            ("/v1/nix", 404, "SHEAF-E0306")]:
        answer = m.leaves["sales"].call("GET", path, token=m.token("sales"))
        assert answer.problem() == (status, code), (path, answer)
    for argv, status, code in [
            (["read", "sales/nix", "--as", "marketing"], 4, "SHEAF-E0302"),
            (["read", "sales/orders.nix", "--as", "sales"], 4, "SHEAF-E0303"),
            (["read", "sales/orders", "--select", "nix", "--as", "sales"], 2, "SHEAF-E0304"),
            (["read", "sales/orders", "--key", "nix", "--as", "sales"], 4, "SHEAF-E0305"),
            (["read", "sales/orders", "--as", "marketing"], 5, "SHEAF-E0401"),
            (["sub", "sales/orders", "--as", "marketing"], 5, "SHEAF-E0401"),
            (["access", "revoke", "G-99", "--as", "sales", "-y"], 4, "SHEAF-E0403"),
            (["access", "approve", "AR-99", "--as", "sales"], 4, "SHEAF-E0402"),
            (["access", "show", "G-99", "--as", "sales"], 4, "SHEAF-E0403"),
            (["access", "request", "sales/orders", "--columns", "nix", "--purpose", "p", "--for",
              "1d", "--as", "marketing"], 2, "SHEAF-E0304"),
            (["access", "request", "sales/orders", "--columns", "email", "--purpose", "p", "--for",
              "1d", "--as", "marketing"], 5, "SHEAF-E0416"),
            (["read", "sales/orders", "--as", "nobody"], 3, "SHEAF-E0107"),
            (["read", "sales/orders", "--nix"], 2, "SHEAF-E0801")]:
        ran = m.sheaf(*argv, status=status)
        assert f"error[{code}]" in ran.err and "next: " in ran.err and ran.out == "", (argv, ran)


def test_wrong_domain(m):
    """Nobody writes or defines what another domain owns, on either leaf"""
    for via, domain in ("marketing", "sales"), ("sales", "marketing"):
        leaf, token = m.leaves[via], m.token(via)
        kind = {"Content-Type": "application/x-ndjson"}
        for method, path, body in [
                ("PUT", f"/v1/products/{domain}/orders", PRODUCT),
                ("POST", f"/v1/products/{domain}/orders/orders/records", '{"order_id":"X"}\n')]:
            answer = leaf.call(method, path, body, token, kind)
            assert answer.problem() == (403, "SHEAF-E0405"), answer
    path = m.directory / "foreign.yaml"
    path.write_text(PRODUCT.replace("sales/orders", "marketing/orders"))
    assert "SHEAF-E0405" in m.sheaf("product", "apply", path, "--as", "sales", status=5).err
    # A file of one product, put in another's place.
    answer = m.leaves["sales"].call("PUT", "/v1/products/sales/other", PRODUCT, m.token("sales"))
    assert answer.status in (400, 409, 422), answer
    # Only the owner decides; the consumer and the platform do not.
    m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "p", "--for", "1d")
    for who in "marketing", "platform":
        ran = m.sheaf("access", "approve", "AR-1", "--as", who, status=5)
        assert "SHEAF-E0405" in ran.err or "SHEAF-E0407" in ran.err, ran
    assert m.sheaf("access", "show", "AR-1", "--as", "sales", "-o", "json").json()["state"] == "pending"


def test_tokens(m):
    """A missing, expired, foreign, forged or bent token opens nothing, on leaf and hub"""
    now = int(time.time())
    good = m.token("sales")
    head, claims, signature = good.split(".")
    other = m.token("sales", sub="root").split(".")[1]
    claims_none = dict(iss="sales", sub="x", roles=[], iat=now, exp=now + 60, aud=m.id)
    cases = [
        ("missing", None, 401, "SHEAF-E0501"),
        ("garbage", "abc", 401, "SHEAF-E0502"),
        ("expired", m.token("sales", iat=now - 700, exp=now - 100), 401, "SHEAF-E0503"),
        ("signed by another domain", m.token("sales", seed=m.seed("marketing")), 401, "SHEAF-E0502"),
        ("signed by the leaf's key", m.token("sales", seed=m.seed("sales", "leaf")), 401, "SHEAF-E0502"),
        ("of another mesh", m.token("sales", aud="mother"), 401, "SHEAF-E0502"),
        ("of tomorrow", m.token("sales", iat=now + 500, exp=now + 900), 401, "SHEAF-E0502"),
        ("for too long", m.token("sales", iat=now, exp=now + 4000), 401, "SHEAF-E0502"),
        ("other claims, same signature", f"{head}.{other}.{signature}", 401, "SHEAF-E0502"),
        ("no signature", f"{head}.{claims}.", 401, "SHEAF-E0502"),
        ("alg none", fixture.make_token(m.seed("sales"), {"alg": "none", "typ": "JWT"}, **claims_none), 401, "SHEAF-E0502"),
        ("unknown domain", m.token("nobody", seed=m.seed("sales")), 403, "SHEAF-E0504"),
    ]
    position = head_of(m)
    for what, token, status, code in cases:
        for answer in (m.leaves["sales"].call("GET", RECORDS, token=token),
                       m.leaves["sales"].call("POST", RECORDS, '{"order_id":"T"}\n', token,
                                              {"Content-Type": "application/x-ndjson"}),
                       m.hub.call("GET", "/v1/access", token=token)):
            assert answer.problem() == (status, code), (what, answer)
    for domain in "marketing", "platform":  # good ones, but not here
        answer = m.leaves["sales"].call("GET", RECORDS, token=m.token(domain))
        assert answer.problem() == (403, "SHEAF-E0504"), answer
    answer = m.hub.call("POST", "/v1/join-tokens", {"domain": "x"}, m.token("sales"))
    assert answer.problem() == (403, "SHEAF-E0415"), answer
    assert head_of(m) == position
    assert m.leaves["sales"].call("GET", RECORDS, token=good).status == 200


def test_expired_token_of_a_kept_answer(m):
    """A token ends on the second, also on an open connection and for a row whose answer stands ready"""
    leaf = m.leaves["sales"]
    connection = http.client.HTTPConnection("127.0.0.1", leaf.http, timeout=m.patience_s)

    def get(token):
        connection.request("GET", RECORDS + "/A", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return fixture.Answer(response.status, response.headers, response.read())

    def hits():
        return int(re.search(rb"^sheaf_get_cache_hits_total (\d+)$",
                             leaf.call("GET", "/metrics").body, re.M)[1])

    good, before = m.token("sales"), hits()
    kept = [get(good).body for _ in range(5)]
    opened = connection.sock
    assert hits() >= before + 2 and len(set(kept)) == 1, kept
    ends = int(time.time()) + 2
    brief = m.token("sales", exp=ends)
    asked = 0
    while asked < ends:
        asked = time.time()
        answer = get(brief)
        if time.time() < ends:
            assert (answer.status, answer.body) == (200, kept[0]), answer
    assert answer.problem() == (401, "SHEAF-E0503"), answer
    assert get(good).body == kept[0] and connection.sock is opened
    connection.close()


def raw_http(port, data):
    """What the server says to bytes that are no proper request; b"" when it just closes."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        answer = b""
        try:
            s.sendall(data)
        except OSError:
            pass  # closed by the server already; what it said is there to be read
        while True:
            try:
                more = s.recv(65536)
            except ConnectionResetError:
                return answer
            if not more:
                return answer
            answer += more


def test_malformed_http(m):
    """Malformed HTTP is refused, and hub and leaf go on"""
    requests = [
        (b"nonsense\r\n\r\n", b""), (b"GET\r\n\r\n", b""),
        (b"GET /v1/status HTTP/1.1\r\n\r\n", b"400"),  # no Host
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nBig: " + b"x" * 70000 + b"\r\n\r\n", b"431"),
        (b"POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: nan\r\n\r\n", b"400"),
        (b"POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n", b"413"),
        (b"GET /livez HTTP/9.1\r\nHost: x\r\n\r\n", b"505"),
        (b"POST /v1/join HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ]
    for node in m.hub, m.leaves["sales"]:
        for request, status in requests:
            answer = raw_http(node.http, request)
            first = answer.split(b"\r\n")[0]
            assert (status in first) if status else b" 200 " not in first, (node.name, request[:60], answer)
        assert node.call("GET", "/livez").status == 200
    for method, path, status, code in [
            ("PATCH", "/v1/products/sales/orders", 405, "SHEAF-E0307"),
            ("PATCH", "/v1/products/sales/orders", 405, "SHEAF-E0307")]:
        answer = m.leaves["sales"].call(method, path, token=m.token("sales"))
        assert answer.problem() == (status, code), answer
    for body, detail in [("{", "line 1, column 2"), ("[]", "object"), ("{}", "'product'"), ('{"product":5}', "'product'"),
                         ('{"product":"sales/orders","purpose":"p","duration_us":1,"zz":1}', "zz"),
                         ('{"product":"sales/orders","product":"sales/orders"}', "")]:
        answer = m.hub.call("POST", "/v1/access/requests", body, m.token("marketing"),
                            {"Content-Type": "application/json"})
        assert answer.problem() == (400, "SHEAF-E0301") and detail in answer.json()["detail"], (body, answer)
    answer = m.hub.call("POST", "/v1/access/requests", "x" * 2**21, m.token("marketing"))
    assert answer.problem() == (413, "SHEAF-E0603"), answer


def test_nats_requests(m):
    """Bad requests over NATS are answered with their code; one too large never drops a leafnode link"""
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    consumer = m.leaves["marketing"]
    client = Client(consumer.nats, consumer.data / "keys" / "app.nk")
    for op, body, status, code in [
            ("get", {"table": "orders", "key": "A"}, "400", "SHEAF-E0301"),
            ("get", {"table": "orders", "key": ["nix"]}, "404", "SHEAF-E0305"),
            ("get", {"table": "orders", "key": ["A"], "nix": 1}, "400", "SHEAF-E0301"),
            ("scan", {"table": "nix"}, "404", "SHEAF-E0303"),
            ("scan", {"table": "orders", "select": ["zz"]}, "400", "SHEAF-E0304"),
            ("scan", {"table": "orders", "cursor": "x"}, "400", "SHEAF-E0309"),
            ("changes", {"table": "orders", "after": "x"}, "400", "SHEAF-E0301"),
            ("scan", [], "400", "SHEAF-E0301"), ("nix", {}, "404", "SHEAF-E0306")]:
        (page,) = client.ask(f"q.sales.orders.{op}", body)
        assert page.headers["Sheaf-Error"] == code, (op, body, page)
        assert page.headers["Nats-Service-Error-Code"] == status, page
        assert json.loads(page.data)["code"] == code and json.loads(page.data)["next"], page
    (page,) = client.ask("q.sales.orders.get", {"table": "orders", "key": ["A"]})
    assert page.lines() == [{"order_id": "A", "amount": "1.50", "n": None}], page
    # The largest that the account may send is answered; no link is dropped.
    links = {n.name: n.links() for n in (m.hub, *m.leaves.values())}
    client.subscribe("_INBOX.big")
    client.publish("q.sales.orders.get", b"x" * ACCOUNT_MAX, "_INBOX.big")
    page = client.wait_for(lambda p: p.subject == "_INBOX.big", "answer to a large request")
    assert page.headers["Sheaf-Error"] in ("SHEAF-E0301", "SHEAF-E0603"), page
    assert links == {n.name: n.links() for n in (m.hub, *m.leaves.values())}
    # More cuts the link of who sent it, which comes back, and never the owner's.
    limit = client.info["max_payload"]
    assert limit > ACCOUNT_MAX
    client.publish("q.sales.orders.get", b"x" * limit, "_INBOX.big")
    fixture.until(lambda: consumer.links() > links["leaf-marketing"], "the offender's link is cut")
    assert m.leaves["sales"].links() == links["leaf-sales"]
    # One byte more ends this client's connection, and nothing else.
    try:
        client.publish("q.sales.orders.get", b"x" * (limit + 1), "_INBOX.big")
        client.flush()
        raise AssertionError("the server took more than its max_payload")
    except ConnectionError:
        pass
    again = Client(consumer.nats, consumer.data / "keys" / "app.nk")
    fixture.until(lambda: m.sheaf("read", "sales/orders", "--as", "marketing", status=None).status == 0,
               "the consumer reads again")
    (page,) = again.ask("q.sales.orders.get", {"table": "orders", "key": ["B"]})
    assert page.lines() == [{"order_id": "B", "amount": None, "n": None}], page
    assert m.leaves["sales"].links() == links["leaf-sales"]
    client.close()
    again.close()


def test_expired_grant(m):
    """A grant that has run out opens nothing any more, and says so"""
    m.sheaf("access", "revoke", "G-1", "--as", "sales", "-y")
    m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "p", "--for", "1d")
    m.sheaf("access", "approve", "AR-2", "--as", "sales", "--for", "3s")
    m.sheaf("read", "sales/orders", "--as", "marketing")
    fixture.until(lambda: m.sheaf("access", "show", "G-2", "--as", "sales", "-o", "json")
               .json()["state"] == "expired", "G-2 has expired", every_s=0.2)
    ran = m.sheaf("read", "sales/orders", "--as", "marketing", status=5)
    assert "error[SHEAF-E0401]" in ran.err and "sheaf access request" in ran.err, ran
    assert "SHEAF-E0404" in m.sheaf("access", "revoke", "G-2", "--as", "sales", "-y", status=6).err


def test_nothing_was_lost(m):
    """What was stored before all of this is there, and nothing else"""
    rows = m.sheaf("read", "sales/orders", "--as", "sales", "-o", "ndjson").lines()
    assert [re.sub("k{9,}", "k", r["order_id"]) for r in rows] == ["A", "B", "C", "k"], rows
    m.sheaf("audit", "verify", "--as", "sales")


if __name__ == "__main__":
    sys.exit(fixture.run([test_product_files, test_contract_stands, test_records, test_framing,
                       test_command_line_load, test_unknown_names, test_wrong_domain, test_tokens,
                       test_expired_token_of_a_kept_answer, test_malformed_http, test_nats_requests, test_expired_grant,
                       test_nothing_was_lost], ["sales", "marketing"]))
