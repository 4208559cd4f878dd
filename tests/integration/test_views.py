#!/usr/bin/env python3
"""What a consumer may not see leaves the owner's leaf on no port: unique words stand in masked fields and in filtered
rows, and every byte that leaves is searched for them. The same search finds them on each port when nothing is hidden."""
import base64
import json
import random
import re
import sys

import fixture
from nats import Client

POLICIES = """policies:
  - {name: cities, match: {field: city}, mask: redact}
  - {name: emails, match: {field: email}, mask: hash}
  - {name: open-rows, match: all, filter: "kind = 'open'"}
"""


def product(minor, policies, name="people"):
    return f"""sheaf: product/v1
product: sales/{name}
version: 1.{minor}.0
owner: people@example.org
description: People.
tables:
  people:
    kind: state
    key: [id]
    fields:
      id:    {{number: 1, type: string, required: true}}
      kind:  {{number: 2, type: string, required: true}}
      title: {{number: 3, type: string}}
      city:  {{number: 4, type: string}}
      email: {{number: 5, type: string, class: pii}}
      note:  {{number: 6, type: string, class: secret}}
""" + policies


WORD = b"c!nry"  # with a sign that no base64 has: a signature holds any four letters some day
LIVE = "dp.sales.people.people.v1.>"
TABLE = "/v1/products/sales/people/people"


class Tap(Client):
    """Keeps every byte that came."""

    def __init__(self, *arguments):
        self.raw = b""
        super().__init__(*arguments)

    def _fill(self, within_s):
        before = len(self.buffer)
        came = super()._fill(within_s)
        self.raw += self.buffer[before:]
        return came


class Words:
    """What is done is drawn by @seed, what is hidden by @hidden."""

    def __init__(self, seed, hidden=1, product="people"):
        self.random, self.hidden = random.Random(seed), random.Random(hidden)
        self.product = product
        self.count = 0

    def __call__(self):
        self.count += 1
        return f"{WORD.decode()}{self.count:05}{self.hidden.randrange(1 << 32):08x}" + "y" * self.hidden.randrange(20)


def load(m, changes, name="people"):
    lines = "".join(json.dumps(c) + "\n" for c in changes)
    answer = m.load("sales", f"{name}/people", lines, query="?envelope=change")
    assert answer.status == 200 and answer.json()["accepted"] == len(changes), answer


def upsert(key, kind, title, word):
    return {"op": "upsert", "row": {"id": key, "kind": kind, "title": title, "city": word(),
                                    "email": word() + "@example.org", "note": word()}}


def work(m, word, count):
    """Rows come into view, change, leave it and go; what is hidden of them is words."""
    r = word.random
    shown = {}
    for step in range(count):
        key = f"k{r.randrange(12):02}"
        choice = r.randrange(5)
        if choice == 0 and key in shown:
            load(m, [{"op": "delete", "row": {"id": key}}], word.product)
            del shown[key]
        elif choice == 1 and key in shown:
            load(m, [upsert(key, "closed", word(), word)], word.product)  # leaves the view
            del shown[key]
        elif choice == 2:
            hidden = word()  # is never in it, and not even its key is told
            load(m, [upsert(hidden, "closed", word(), word), upsert(hidden, "closed", word(), word)], word.product)
            if r.randrange(2):
                load(m, [{"op": "delete", "row": {"id": hidden}}], word.product)
        else:
            shown[key] = f"t{step}"
            load(m, [upsert(key, "open", shown[key], word)], word.product)
    return shown


def ports(m, client, shown, name="people"):
    """name -> every byte of the answer. Of those in capitals values are to be seen when nothing is hidden."""
    leaf, token = m.leaves["marketing"], m.token("marketing")
    table = TABLE.replace("people/", f"{name}/")
    key = sorted(shown)[0]
    at = m.leaves["sales"].call("GET", table + "/records?limit=1", token=m.token("sales")).headers["Sheaf-Position"]

    def asked(op, body):
        before = len(client.raw)
        client.ask(f"q.sales.{name}.{op}", body)
        return client.raw[before:]

    def got(path, accept="application/json"):
        answer = leaf.call("GET", path, token=token, headers={"Accept": accept})
        return answer.body + repr(answer.headers.items()).encode()

    def said(*argv):
        ran = m.sheaf(*argv, "--as", "marketing", status=None)
        return (ran.out + ran.err).encode()

    found = {
        "GET": asked("get", {"key": [key]}),
        "SCAN": asked("scan", {}),
        "SCAN CSV": asked("scan", {"format": "csv"}),
        "SCAN REVERSE": asked("scan", {"reverse": True}),
        "SELECT": asked("scan", {"select": ["city"]}),
        "WHERE": asked("scan", {"where": "length(city) > 0"}),
        "AS_OF": asked("scan", {"as_of": at}),
        "CHANGES": asked("changes", {"after": "1:0"}),
        "FOLLOW": asked("changes", {"snapshot": True, "follow": True, "seconds": 1}),
        "STATS": asked("stats", {}),
        "PROFILE": asked("profile", {}),
        "count": asked("scan", {"count": True}),
        "describe": asked("describe", {}),
        "where on what is hidden": asked("scan", {"where": "note = 'x'"}),
        "select what is hidden": asked("scan", {"select": ["note"]}),
        "get nothing": asked("get", {"key": ["none"]}),
        "bad cursor": asked("scan", {"cursor": "x"}),
        "HTTP RECORDS": got(table + "/records"),
        "HTTP NDJSON": got(table + "/records", "application/x-ndjson"),
        "HTTP CSV": got(table + "/records", "text/csv"),
        "HTTP RECORD": got(f"{table}/records/{key}"),
        "HTTP WHERE": got(table + "/records?where=length(city)%20%3E%200"),
        "HTTP SELECT": got(table + "/records?select=city&reverse=true", "text/csv"),
        "HTTP AS_OF": got(f"{table}/records?as_of={at}&limit=3"),
        "http where on what is hidden": got(table + "/records?where=note%20=%20'x'"),
        "HTTP CHANGES": got(table + "/changes?after=1:0"),
        "HTTP FOLLOW": got(table + "/changes?snapshot&seconds=1", "application/x-ndjson"),
        "HTTP EVENTS": got(table + "/changes?after=1:0&follow&seconds=1", "text/event-stream"),
        "HTTP STATS": got(table + "/stats"),
        "HTTP PROFILE": got(table + "/profile"),
        "http product": got(f"/v1/products/sales/{name}"),
        "http products": got("/v1/products"),
        "openapi": got("/openapi.json"),
        "FLOW": asked("changes", {"snapshot": True, "flow": "abcdefghijklmnopqrst", "window": 64, "seconds": 1}),
        "SUB": said("sub", f"sales/{name}", "--since", "snapshot", "--count", "1"),
        "export": said("product", "export", f"sales/{name}", "yaml") + said("product", "export", f"sales/{name}", "proto"),
        "explain": said("access", "explain", "--who", "marketing", "--what", f"sales/{name}"),
        "READ": said("read", f"sales/{name}"),
        "show": said("product", "show", f"sales/{name}"),
    }
    return found


def files(m):
    """Whatever others than the owner keep, and what everybody's processes say."""
    for node in (m.hub, m.leaves["marketing"]):
        yield from fixture.files_below(node.data)
    yield from fixture.files_below(m.leaves["sales"].data / "log")
    for path in m.directory.glob("*.log"):
        yield path, path.read_bytes()
    for name, leaf in m.leaves.items():
        yield f"metrics of {name}", leaf.call("GET", "/metrics", token=m.token(name)).body
    yield "metrics of the hub", m.hub.call("GET", "/metrics", token=m.token("platform")).body


def grant(m, name="people"):
    request = m.sheaf("access", "request", f"sales/{name}", "--as", "marketing", "--purpose", "test", "--for", "1d",
                      "-o", "json").json()["id"]
    return m.sheaf("access", "approve", request, "--as", "sales", "-o", "json").json()["grant"]["id"]


def live(m, client, word, key):
    """All bytes of the stream up to a change of @key's title."""
    before = len(client.raw)
    load(m, [upsert(key, "closed", word(), word), upsert(key, "open", "last", word)])
    client.wait_for(lambda p: p.subject.startswith("dp.") and b'"last"' in p.data, "the change comes")
    return client.raw[before:]


def test_canaries(m):
    """No word of a masked field or a filtered row leaves, and every port shows them when nothing is hidden"""
    word = Words(1)
    m.apply("sales", product(0, POLICIES))
    client = Tap(m.leaves["marketing"].nats, m.leaves["marketing"].data / "keys" / "app.nk")
    client.subscribe(LIVE)
    shown = work(m, word, 25)
    grant(m)
    fixture.until(lambda: m.sheaf("read", "sales/people", "--as", "marketing", status=None).status == 0, "granted")
    shown |= work(m, word, 40)
    load(m, [upsert("k00", "open", "t", word)])
    shown["k00"] = "t"
    stream = live(m, client, word, "k00")
    closed = ports(m, client, shown) | {"STREAM": stream, "all of it": client.raw}
    leaks = [name for name, data in closed.items() if WORD in data]
    assert not leaks, (leaks, closed[leaks[0]][:2000])
    assert b'"city":"***"' in closed["SCAN"] and b'"city":"***"' in stream, closed["SCAN"]
    assert b'"note"' not in closed["SCAN"] and b"SHEAF-E0416" in closed["STATS"], closed
    for name, data in files(m):
        assert WORD not in data, name
    m.apply("sales", product(1, ""))
    client.messages.clear()
    fixture.until(lambda: b"***" not in m.sheaf("read", "sales/people", "--as", "marketing").out.encode(), "open")
    stream = live(m, client, word, "k00")
    opened = ports(m, client, shown) | {"STREAM": stream}
    silent = [name for name, data in opened.items() if name.isupper() and WORD not in data]
    assert not silent, (silent, opened[silent[0]][:2000])
    client.close()


def same(text):
    """Without what differs from product to product and from moment to moment, and is about no row."""
    for pattern, by in ((rb"people[-_][a-d]", b"people"), (rb"\d{4}-\d\d-\d\dT[\d:.]+Z", b"TIME"), (rb'"(elapsed|[a-z_]*age)_us":\d+', b"AGE"),
                        (rb"_INBOX\.[\w.]+ \d+ ", b"INBOX "), (rb"Sheaf-(Sig|Cursor|View|Audience)(: |', ')[^\r']*", b"ID"),
                        (rb'"(view|cursor|grant)":"[^"]*"', b"ID"), (rb"(HMSG|MSG) INBOX [\d ]+", b"MSG"), (rb"G-\d+|\d+ ms", b"N"),
                        (rb"Content-Length(: |', ')\d+|'Date', '[^']*'|ETag', '[^']*'", b"H"), (rb"P[IO]NG\r\n", b"")):
        text = re.sub(pattern, by, text)
    return text


def plain(m, word, count):
    """Rows that are all shown, with their masks."""
    load(m, [upsert(f"k{i % 12:02}", "open", f"t{i}", word) for i in range(count)], word.product)
    return {f"k{i:02}": None for i in range(12)}


def test_hidden_contents(m):
    """Two products that differ in nothing but what is hidden look the same on every port, by their errors too"""
    policies = POLICIES.replace("hash", "keep_domain")
    for names, rules, write in ((("people-a", "people-b"), policies, work), (("people-c", "people-d"), policies.rsplit("  -", 1)[0], plain)):
        shown, client = {}, Tap(m.leaves["marketing"].nats, m.leaves["marketing"].data / "keys" / "app.nk")
        for hidden, name in enumerate(names):
            m.apply("sales", product(0, rules, name))
            grant(m, name)
            word = Words(7, hidden, name)
            shown[name] = write(m, word, 40) | {"k00": "t"}
            load(m, [upsert("k00", "open", "t", word)], name)
            fixture.until(lambda n=name: m.sheaf("read", f"sales/{n}", "--as", "marketing", status=None).status == 0, "granted")
        seen = [{port: same(data) for port, data in ports(m, client, rows, name).items()} for name, rows in shown.items()]
        client.close()
        different = [port for port in seen[0] if seen[0][port] != seen[1][port]]
        assert not different, (different, [s[different[0]] for s in seen])
        assert b"k00" in seen[0]["SCAN"] and b"SHEAF-E0107" in seen[0]["where on what is hidden"], seen[0]

CONTRACT = """policies:
  - {name: mails, match: {field: email}, mask: hash}
  - {name: codes, match: {field: code}, mask: omit}
  - {name: pays, match: {field: pay}, mask: bucket(1000)}
  - {name: tags, match: {field: tags}, mask: "null"}
  - {name: rows, match: all, filter: "kind <> 'cnry01'"}
tables:
  people:
    kind: state
    key: [id]
    checks: [rows >= 1, max(pay) < 770777077077]
    fields:
      id:    {number: 1, type: string, required: true}
      kind:  {number: 2, type: string}
      email: {number: 3, type: string, class: pii, example: cnry02, enum: [cnry03], description: Where to write}
      note:  {number: 4, type: string, class: secret, pattern: "^cnry0[45]", default: cnry05}
      code:  {number: 5, type: string, enum: [cnry06], min_length: 6}
      pay:   {number: 6, type: int64, min: 770777077078, default: 770777077079}
      tags:  {number: 7, type: "list<string>", class: pii, enum: [cnry07]}
      home:  {number: 8, type: struct, fields: {town: {number: 1, type: string, class: pii, enum: [cnry08]}}}
"""
VALUES = re.compile(rb"cnry0\d|77077707707\d")  # long enough that no number of something else holds one


def unpacked(body):
    """With the events that stand in it in base64."""
    for item in json.loads(body).get("items", []):
        body += base64.b64decode(item.get("payload") or "")
    return body


def told(m, who, name):
    """Every answer of the hub, and what the commands make of them."""
    def asked(path):
        answer = m.hub.call("GET", path, token=m.token(who))
        assert answer.status == 200, (path, answer)
        return unpacked(answer.body)

    paths = [f"/v1/products/sales/{name}", f"/v1/products/sales/{name}@1", "/v1/products", "/v1/products?all=1", "/v1/domains",
             "/v1/domains/sales", "/v1/status", "/v1/policies", "/v1/policy-history", "/v1/access", "/v1/audit?limit=1000",
             f"/v1/explain?who=marketing&product=sales/{name}", "/v1/mesh", "/metrics"]
    commands = [["product", "show", f"sales/{name}", "-o", "json"], ["product", "show", f"sales/{name}"],
                ["product", "export", f"sales/{name}", "yaml"], ["product", "export", f"sales/{name}", "proto"],
                ["access", "explain", "--who", "marketing", "--what", f"sales/{name}"], ["audit", "ls", "-o", "json"], ["product", "ls"],
                ["status"], ["access", "ls"], ["audit", "verify"]]
    found = {path: asked(path) if path != "/metrics" else m.hub.call("GET", path).body for path in paths}
    for command in commands:
        ran = m.sheaf(*command, "--as", who)
        found[" ".join(command)] = (ran.out + ran.err).encode()
    return found


def test_contracts(m):
    """No value that only the file of a product holds is told to another domain, by no answer of the hub and on no port"""
    name, client = "contracts", Tap(m.leaves["marketing"].nats, m.leaves["marketing"].data / "keys" / "app.nk")
    head = product(0, "", name).split("tables:")[0]
    m.apply("sales", head + CONTRACT)
    load(m, [{"op": "upsert", "row": {"id": "a", "kind": "k", "pay": 990000000000}}], name)
    before = told(m, "marketing", name)
    grant(m, name)
    fixture.until(lambda: m.sheaf("read", f"sales/{name}", "--as", "marketing", status=None).status == 0, "granted")
    after = told(m, "marketing", name) | ports(m, client, {"a": None}, name)
    for answers in (before, after):
        leaks = [(port, VALUES.search(data)) for port, data in answers.items() if VALUES.search(data)]
        assert not leaks, leaks
    for path, data in fixture.files_below(m.leaves["marketing"].data):
        assert not VALUES.search(data), path
    shown = after[f"/v1/products/sales/{name}"]
    assert b"Where to write" in shown and b'"name":"code"' in shown, "what is hidden can be asked for"
    client.close()
    ran = m.sheaf("product", "diff", "product.yaml", "--as", "marketing", status=5)
    assert "SHEAF-E0415" in ran.err and f"the file of sales/{name} is for its owner and the platform" in ran.err, ran
    for who in ("sales", "platform"):
        whole = told(m, who, name)
        silent = [port for port in (f"/v1/products/sales/{name}", "/v1/audit?limit=1000", f"product export sales/{name} yaml",
                                    f"/v1/explain?who=marketing&product=sales/{name}", f"product show sales/{name}")
                  if not VALUES.search(whole[port])]
        assert not silent, (who, silent)


if __name__ == "__main__":
    sys.exit(fixture.run([test_canaries, test_contracts, test_hidden_contents], ["sales", "marketing"]))
