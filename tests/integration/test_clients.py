#!/usr/bin/env python3
"""nats-py and the JavaScript client of the NATS project: requests, follows, live changes, discovery; and
the examples of examples/clients, which keep to the positions."""
import asyncio
import json
import os
import pathlib
import shutil
import subprocess
import sys

import fixture

SHIM = pathlib.Path(__file__).resolve().parent / "shim"
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/clients"
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
      amount:   {number: 2, type: "decimal(12,2)"}
      note:     {number: 3, type: string}
      email:    {number: 4, type: string, class: pii}
"""


def deps(m):
    return m.programs["nats_req"].parent.parent


def connection_of(m, domain):
    return f"nats://127.0.0.1:{m.leaves[domain].nats}", str(m.leaves[domain].data / "keys" / "app.nk")


def no_nats_py(m):
    return None if (deps(m) / "python/nats").exists() else "nats-py is not there; tools/setup.sh takes it from PyPI"


def no_js(m):
    if not shutil.which("node"):
        return "node is not installed"
    return None if (deps(m) / "node_modules/nats").exists() else "the JavaScript client is not there; tools/setup.sh takes it"


def python_path(m):
    return os.pathsep.join([str(deps(m) / "python"), str(SHIM)])


def rows(first, last):
    return [{"order_id": f"O-{i:05}", "amount": f"{i}.00", "note": f"{i:060}", "email": f"{i}@secret.org"}
            for i in range(first, last + 1)]


def position(m):
    answer = m.leaves["sales"].call("GET", "/v1/products/sales/orders", token=m.token("sales"))
    return answer.json()["tables"][0]["position"]


# --- nats-py --------------------------------------------------------------------------------------


class Client:
    """An app of a domain."""

    def __init__(self, m, domain):
        sys.path[:0] = [str(deps(m) / "python"), str(SHIM)]
        import nats
        self.connect = lambda: nats.connect(connection_of(m, domain)[0], nkeys_seed=connection_of(m, domain)[1])

    async def __aenter__(self):
        self.nc = await self.connect()
        return self

    async def __aexit__(self, *_):
        await self.nc.close()

    async def messages(self, subject, body, within_s=20):
        """Of one answer, in order; the empty message that ends it is left out."""
        inbox = self.nc.new_inbox()
        answer = await self.nc.subscribe(inbox)
        await self.nc.publish(subject, json.dumps(body).encode(), reply=inbox)
        while True:
            message = await answer.next_msg(timeout=within_s)
            if not message.data and not message.headers:
                await answer.unsubscribe()
                return
            yield message

    async def ask(self, subject, body):
        return [m async for m in self.messages(subject, body)]


def lines(messages):
    return [json.loads(line) for m in messages for line in m.data.splitlines()]


async def requests(m):
    async with Client(m, "marketing") as c:
        one, = await c.ask("q.sales.orders.get", {"key": ["O-00007"]})
        assert json.loads(one.data) == {"order_id": "O-00007", "amount": "7.00", "note": f"{7:060}"}, one
        assert one.headers["Sheaf-Position"] == position(m) and one.headers["Sheaf-Count"] == "1", one.headers
        pages = await c.ask("q.sales.orders.scan", {})
        assert len(pages) > 1 and len(lines(pages)) == 9000, len(pages)
        assert pages[-1].headers["Sheaf-Count"] == "9000" and "Sheaf-Cursor" not in pages[-1].headers
        assert len({p.headers["Sheaf-Position"] for p in pages}) == 1  # one snapshot
        some = await c.ask("q.sales.orders.scan", {"where": "amount BETWEEN 11 AND 13", "reverse": True})
        assert [r["order_id"] for r in lines(some)] == ["O-00013", "O-00012", "O-00011"], lines(some)
        assert some[0].headers["Sheaf-Examined"] == "9000", some[0].headers
        count, = await c.ask("q.sales.orders.scan", {"where": "amount > 8990", "count": True})
        assert json.loads(count.data) == {"count": 10}, count
        changes = await c.ask("q.sales.orders.changes", {"after": "1:8998"})
        assert [l["seq"] for l in lines(changes)] == [8999, 9000], lines(changes)
        for subject, body, code, status in [
                ("q.sales.orders.get", {"key": ["none"]}, "SHEAF-E0305", "404"),
                ("q.sales.orders.scan", {"where": "email = 'x'"}, "SHEAF-E0107", "422"),
                ("q.sales.orders.scan", {"where": "nota = 'x'"}, "SHEAF-E0107", "422"),
                ("q.sales.orders.scan", {"limt": 1}, "SHEAF-E0301", "400"),
                ("q.sales.orders.changes", {"after": "9:9"}, "SHEAF-E0308", "410")]:
            refusal, = await c.ask(subject, body)
            assert refusal.headers["Sheaf-Error"] == code, refusal
            assert refusal.headers["Nats-Service-Error-Code"] == status and refusal.headers["Nats-Service-Error"]
            problem = json.loads(refusal.data)
            assert problem["code"] == code and problem["next"] and str(problem["status"]) == status, problem
            assert ("findings" in problem) == (code == "SHEAF-E0107"), problem
        m.load("sales", "orders/orders", [rows(7, 7)[0] | {"amount": "0.07"}])
        for at in ("1:9000", lines(changes)[-1]["ts"]):
            was, = await c.ask("q.sales.orders.get", {"key": ["O-00007"], "as_of": at, "select": ["amount"]})
            assert json.loads(was.data) == {"amount": "7.00"} and was.headers["Sheaf-Position"] == "1:9000", (at, was)
            was, = await c.ask("q.sales.orders.scan", {"prefix": "O-00007", "as_of": at, "select": ["amount"]})
            assert lines([was]) == [{"amount": "7.00"}] and was.headers["Sheaf-Position"] == "1:9000", (at, was)
        m.load("sales", "orders/orders", rows(7, 7))


def test_requests(m):
    """nats-py gets rows, pages, filtered and counted rows, changes, and errors with their codes"""
    m.apply("sales", PRODUCT)
    m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "p", "--for", "1d")
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    assert m.load("sales", "orders/orders", rows(1, 9000)).json()["accepted"] == 9000
    return no_nats_py(m) or asyncio.run(requests(m))


async def follow(m):
    """Through another leaf, while rows are written: a snapshot, then exactly what came behind it."""
    held, at, kinds = {}, None, []
    async with Client(m, "marketing") as c:
        async for message in c.messages("q.sales.orders.changes", {"follow": True, "snapshot": True, "seconds": 6}):
            assert "Nats-Service-Error" not in message.headers, message
            kind = message.headers["Sheaf-Event"]
            kinds += [kind] if kinds[-1:] != [kind] else []
            for line in message.data.splitlines():
                line = json.loads(line)
                if kind == "changes":
                    assert line["seq"] == at + 1, (line, at)
                    at = line["seq"]
                if kind in ("rows", "changes"):
                    assert line["op"] == ("snapshot" if kind == "rows" else line["op"]), line
                    held[line["key"]["order_id"]] = line["row"]["amount"]
            if kind == "position":
                at = int(message.headers["Sheaf-Position"].split(":")[1])
                for i in range(20):
                    m.load("sales", "orders/orders", [{"order_id": f"N-{i}", "amount": str(i)}])
            last = message
    assert kinds[:4] == ["snapshot", "rows", "position", "changes"] and kinds[-1] == "end", kinds
    assert last.headers["Sheaf-Cursor"] == f"1:{at}" == position(m), (last.headers, at)
    assert held == {r["order_id"]: r["amount"] for r in m.sheaf(
        "read", "sales/orders", "--as", "sales", "--limit", "0", "-o", "ndjson").lines()}


def test_follow(m):
    """nats-py follows a snapshot and the changes behind it until the time is up"""
    return no_nats_py(m) or asyncio.run(follow(m))


# --- the JavaScript client ------------------------------------------------------------------------


def node(m, script, *arguments, **options):
    """Modules are found beside the script: it is copied next to them."""
    place = m.directory / "js"
    if not place.exists():
        place.mkdir()
        (place / "node_modules").symlink_to(deps(m) / "node_modules")
    shutil.copy(script, place)
    return ["node", str(place / script.name), *arguments]


def test_javascript(m):
    """the JavaScript client asks, and its own helper finds the service, its endpoints and its numbers"""
    skip = no_js(m)
    if skip:
        return skip
    questions = [
        {"subject": "q.sales.orders.get", "body": {"key": ["O-00007"]}},
        {"subject": "q.sales.orders.get", "body": {"key": ["none"]}},
        {"subject": "q.sales.orders.scan", "body": {"limit": 3, "select": ["order_id"]}},
        {"in": "in.orders.orders.v1", "body": {"order_id": "O-00007", "email": "7@secret.org"}},
        {"in": "in.orders.orders.v2", "body": {"order_id": "O-00007"}},
        {"subject": "q.sales.orders.stats", "body": {}}, {"subject": "q.sales.orders.profile", "body": {"table": "none"}},
        {"micro": "ping"}, {"micro": "info", "name": "sheaf-sales"}, {"micro": "stats", "name": "sheaf-sales"},
        {"micro": "ping", "name": "nobody"},
    ]
    done = subprocess.run(
        node(m, pathlib.Path(__file__).resolve().parent / "client.mjs", *connection_of(m, "sales")),
        input="".join(json.dumps(q) + "\n" for q in questions), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    row, absent, three, stored, no_major, statistics, no_table, ping, info, stats, nobody = [json.loads(line) for line in done.stdout.splitlines()]
    assert json.loads(row[0]["text"])["email"] == "7@secret.org", row
    assert absent[0]["headers"]["Sheaf-Error"] == "SHEAF-E0305", absent
    assert len(three[0]["text"].splitlines()) == 3 and three[0]["headers"]["Sheaf-Cursor"], three
    assert [p["name"] for p in ping] == ["sheaf-sales"] and nobody == [], (ping, nobody)
    assert ping[0]["type"] == "io.nats.micro.v1.ping_response" and ping[0]["id"] == info[0]["id"] == stats[0]["id"]
    assert [(e["name"], e["subject"]) for e in info[0]["endpoints"]] == [
        (op, f"q.sales.*.{op}") for op in ("describe", "get", "scan", "changes", "stats", "profile")] + [
        ("in", "in.>")], info
    numbers = {e["name"]: e for e in stats[0]["endpoints"]}
    assert numbers["get"]["num_requests"] == 2 and numbers["get"]["num_errors"] == 1, stats
    assert json.loads(stored["text"])["accepted"] == 1 and no_major["headers"]["Sheaf-Error"] == "SHEAF-E0302", no_major
    assert json.loads(statistics[0]["text"])["kind"] == "TableStats", statistics
    assert no_table[0]["headers"]["Sheaf-Error"] == "SHEAF-E0303", no_table
    assert [(numbers[op]["num_requests"], numbers[op]["num_errors"]) for op in ("stats", "profile", "in")] == [
        (1, 0), (1, 1), (2, 1)], stats
    assert numbers["get"]["last_error"] == "table 'orders'" and numbers["get"]["average_processing_time"] > 0, stats


# --- the examples ---------------------------------------------------------------------------------


def run_example(m, name, argv, environment=None):
    """Follows from the beginning while rows are written; what it prints is the whole log, in order."""
    log = m.directory / f"example-{name}.log"
    process = m.spawn([*argv, *connection_of(m, "marketing"), "sales", "orders", "orders", "1", "1:0"], log,
                      m.environment | (environment or {}))
    def seqs():
        assert process.poll() is None, log.read_text()
        return [json.loads(line)["seq"] for line in log.read_text().splitlines() if line.endswith("}")]
    fixture.until(lambda: len(seqs()) >= 9000, f"{name} has what was there")
    for i in range(30):
        m.load("sales", "orders/orders", [{"order_id": f"{name}-{i}", "amount": "1"}])
    last = int(position(m).split(":")[1])
    fixture.until(lambda: seqs()[-1] == last, f"{name} has what came")
    assert seqs() == list(range(1, last + 1)), "lost or doubled"
    assert "secret.org" not in log.read_text()
    process.kill()
    process.wait()


def test_python_example(m):
    """examples/clients/follow.py prints every change once and in order"""
    skip = no_nats_py(m)
    if not skip:
        run_example(m, "python", [sys.executable, EXAMPLES / "follow.py"], {"PYTHONPATH": python_path(m)})
    return skip


def test_javascript_example(m):
    """examples/clients/follow.mjs prints every change once and in order"""
    skip = no_js(m)
    if not skip:
        run_example(m, "javascript", node(m, EXAMPLES / "follow.mjs"))
    return skip


def test_python_example_sends(m):
    """examples/clients/send.py stores what it reads, in requests of bounded size"""
    skip = no_nats_py(m)
    if skip:
        return skip
    text = "".join(json.dumps({"order_id": f"sent-{i}", "note": "x" * 1000}) + "\n" for i in range(1500)) + '{"order_id":7}\n'
    done = subprocess.run([sys.executable, EXAMPLES / "send.py", *connection_of(m, "sales"), "orders", "orders", "1"], input=text,
                          env=m.environment | {"PYTHONPATH": python_path(m)}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    assert len(said) == 2 and sum(int(s[0]) for s in said) == 1500 and sum(int(s[5]) for s in said) == 1, done.stdout
    assert said[-1][4] == position(m) + ",", (done.stdout, position(m))
    count = m.sheaf("read", "sales/orders", "--as", "sales", "--prefix", "sent-", "--only-count", "-o", "json").json()
    assert count["count"] == 1500, count
    return None


if __name__ == "__main__":
    sys.exit(fixture.run([test_requests, test_follow, test_javascript, test_python_example, test_python_example_sends,
                          test_javascript_example], ["sales", "marketing"]))
