#!/usr/bin/env python3
"""A domain that turned against the others: its own nats-server in its leaf's place, with the leaf's valid credentials
and no rule of its own. Whatever it says, nothing happens outside its domain, and it hears nothing that it was not granted.
That each way is open to whom it belongs to is shown beside."""
import json
import os
import re
import select
import subprocess
import sys

import fixture
import nats
from test_governance import client_of, field, grant, row
from test_governance import PRODUCT as ORDERS

POLICIES = """policies:
  - {name: countries, match: {field: country}, mask: redact}
"""
OTHERS = """sheaf: product/v1
product: DOMAIN/notes
version: 1.0.0
owner: notes@example.org
description: Notes.
tables:
  notes: {kind: state, key: [id], fields: {id: {number: 1, type: string, required: true}}}
"""
LIVE = "dp.sales.orders.orders.v1.0"
OWN = "own.orders.orders.v1.0"


class Rogue:
    """A nats-server with the two remotes of a leaf, whose users may say and hear everything."""

    def __init__(self, m, domain):
        leaf = m.leaves[domain]
        directory = m.directory / "rogue"
        directory.mkdir()
        self.port = m.ports.take()
        seed = os.urandom(32)
        serve_key = directory / "serve.nk"
        serve_key.write_text(nats.nkey_seed_text(seed, nats.USER))
        app_key = leaf.data / "keys" / "app.nk"
        user = nats.nkey_user(nats.nkey_seed(app_key.read_text()))
        remotes = "".join(
            f'{{ urls: ["nats-leaf://127.0.0.1:{m.hub.leafnode}"], account: {account}, compression: off, '
            f'credentials: "{leaf.data}/creds/{creds}" }}\n'
            for account, creds in (("CONS", "domain.creds"), ("SERVE", "serve.creds")))
        (directory / "server.conf").write_text(
            f'server_name: rogue\nlisten: "127.0.0.1:{self.port}"\nmax_payload: 16MB\n'
            f'accounts {{ CONS: {{ users: [ {{ nkey: {user} }} ] }}\n'
            f'SERVE: {{ users: [ {{ nkey: {nats.nkey_user(seed)} }} ] }} }}\n'
            f'leafnodes {{ remotes: [\n{remotes}] }}\n')
        self.log = directory / "nats-server.log"
        m.spawn([m.programs["nats_server"], "-c", directory / "server.conf"], self.log)
        fixture.until(lambda: "Server is ready" in self.log.read_text(), "the rogue server is ready")
        self.cons = nats.Client(self.port, app_key)
        self.serve = nats.Client(self.port, serve_key)
        fixture.until(lambda: answers(self.cons, "q.sales.orders.describe"), "the rogue's link is up")
        fixture.until(lambda: answers(self.serve, "mesh.access.explain", EXPLAIN), "the other one, too")

    def settle(self):
        """Whatever was sent before has gone where it goes."""
        for client, subject, body in ((self.cons, "q.sales.orders.describe", b"{}"),
                                      (self.serve, "mesh.access.explain", EXPLAIN)):
            client.request(subject, body)


EXPLAIN = field(1, "sales") + field(2, "orders")


def answers(client, subject, body=b"{}"):
    """Whether anybody does."""
    try:
        m = client.request(subject, body, within_s=1)
    except AssertionError:
        return False
    return m.headers.get("Status") != "503"


def account(m, domain, which="account"):
    return json.loads((m.leaves[domain].data / "identity.json").read_text())[which]


def honest(m, key):
    """A row of the owner's reaches its own apps and the honest consumer, live and asked for."""
    answer = m.load("sales", "orders/orders", [row(key)])
    assert answer.status == 200 and answer.json()["accepted"] == 1, answer
    m.support.wait_for(lambda p: p.subject == LIVE and f'"{key}"'.encode() in p.data, f"{key} comes live")
    m.sales.wait_for(lambda p: p.subject == OWN and f'"{key}"'.encode() in p.data, f"{key} comes to the owner")
    found = m.support.request("q.sales.orders.get", json.dumps({"key": [key]}))
    assert json.loads(found.data)["order_id"] == key, found


def strange(client):
    """What it has heard besides answers to itself and the heartbeats of those who may speak there."""
    return [p for p in client.messages if not p.subject.startswith("_INBOX")
            and (p.data or "Sheaf-Sig" not in p.headers or not p.subject.startswith((LIVE, "own.")))]


def events(m):
    return m.hub.log.read_text().count("event=hub.event")


# --- tests ----------------------------------------------------------------------------------------


def test_set_up(m):
    """Three domains, grants to an honest and a hostile one, and the hostile one's own server"""
    m.apply("sales", ORDERS + POLICIES)
    for domain in "marketing", "support":
        m.apply(domain, OTHERS.replace("DOMAIN", domain))
        grant(m, domain)
    m.support, m.sales = client_of(m, "support"), client_of(m, "sales")
    m.support.subscribe(">")
    m.sales.subscribe(">")
    fixture.until(lambda: answers(m.support, "q.sales.orders.describe"), "support is served")
    m.rogue = Rogue(m, "marketing")
    m.rogue.cons.subscribe("dp.>")

    def live(client, start):
        m.load("sales", "orders/orders", [row(f"{start}{len(client.messages)}")])
        client.poll(0.1)
        return any(p.subject == LIVE for p in client.messages)
    fixture.until(lambda: live(m.support, "s"), "support hears changes")
    fixture.until(lambda: live(m.rogue.cons, "r"), "the rogue hears what it was granted")


def test_forged_and_replayed_messages(m):
    """Forged and replayed messages, on the subjects of others and of the owner itself, reach nobody outside"""
    m.load("sales", "orders/orders", [row("replayed")])
    genuine = m.rogue.cons.wait_for(lambda p: b"replayed" in p.data, "a change to replay")
    subjects = [LIVE, f"{LIVE}.{genuine.headers['Sheaf-Audience']}", "dp.support.notes.notes.v1.0", OWN,
                "in.orders.orders.v1", "in.notes.notes.v1", "out.x.sales.orders", "ingest.sales.orders",
                f"dpq.sales.{account(m, 'support')}.orders.get", "q.support.notes.describe", "_INBOX.x", "_R_.x", "mesh.x",
                f"mesh.ctl.{account(m, 'support', 'serve_account')}.poll"]
    honest(m, "before")
    m.support.messages.clear()
    m.sales.messages.clear()
    before = m.rows("sales", "orders/orders"), m.rows("support", "notes/notes"), events(m)
    forged = genuine.headers | {"Sheaf-Position": "1:999-999", "Sheaf-Prev": "998"}
    for client in m.rogue.cons, m.rogue.serve:
        for subject in subjects:
            client.publish(subject, genuine.data, headers=genuine.headers)
            client.publish(subject, genuine.data, headers=forged)
            client.publish(subject, json.dumps(row("forged")))
            client.publish(subject, b"", headers={"Sheaf-Head": "1:0"})
    m.rogue.settle()
    assert m.rows("sales", "orders/orders") == before[0] and m.rows("support", "notes/notes") == before[1]
    honest(m, "after")
    assert not strange(m.support) and not strange(m.sales), (strange(m.support), strange(m.sales))
    assert events(m) == before[2]
    # The rightful owner's change has come to the rogue too, behind its own words.
    m.rogue.cons.wait_for(lambda p: b'"after"' in p.data, "the owner's change")


def test_subscribers_of_its_own(m):
    """What it says to its own domain in another's name, 'sheaf sub' does not believe, nor what was said before"""
    sub = subprocess.Popen(
        [m.programs["sheaf"], "sub", "sales/orders", "--as", "marketing"], bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=m.directory, env=m.environment | {"SHEAF_DEV_DIR": str(m.directory)}, preexec_fn=fixture.die_with_parent)
    m.processes.append(sub)

    def heard(key):
        """Changes that are printed until that of @key; it is made until it is heard."""
        found = []

        def is_there():
            m.load("sales", "orders/orders", [row(key, amount=f"{len(found)}.00")])
            if select.select([sub.stdout], [], [], 0.5)[0]:
                found.append(json.loads(sub.stdout.readline()))
            return found and found[-1]["row"]["order_id"] == key
        fixture.until(is_there, f"{key} is printed")
        return found
    heard("first")
    genuine = m.rogue.cons.wait_for(lambda p: b'"first"' in p.data, "the change that it forges")
    late = genuine.headers | {"Sheaf-Position": "1:900-900", "Sheaf-Prev": genuine.headers["Sheaf-Position"].split("-")[1]}
    unsigned = {k: v for k, v in late.items() if k != "Sheaf-Sig"}
    body = genuine.data.replace(b'"first"', b'"fraud"')
    for headers, data in ((genuine.headers, body), (late, body), (unsigned, body), (genuine.headers, genuine.data), (late, genuine.data),
                          (late | {"Sheaf-Sig": "A" * 88}, body), ({"Sheaf-Head": "7:999", "Sheaf-Sig": late["Sheaf-Sig"]}, b"")):
        m.rogue.cons.publish(LIVE, data, headers=headers)
    m.rogue.settle()
    seqs = [change["seq"] for change in heard("second")]
    rest = [change["row"]["order_id"] for change in heard("third")]
    sub.kill()
    out, err = sub.communicate()
    assert b"fraud" not in out and set(rest) <= {"second", "third"}, (rest, out)
    assert seqs == sorted(set(seqs)), seqs
    assert b"a message is not signed by the owner's leaf" in err, err
    honest(m, "believed")
    m.support.messages.clear()
    m.sales.messages.clear()


def test_asking_as_others(m):
    """Requests in the name of other accounts have no answer; what one asks as itself is answered by its own view"""
    own = json.loads(m.rogue.cons.request("q.sales.orders.get", '{"key":["after"]}').data)
    assert own == {"order_id": "after", "amount": "1.50", "country": "***"}, own
    for client in m.rogue.cons, m.rogue.serve:
        client.messages.clear()
        client.subscribe("_INBOX.forged.>")
    names = [account(m, d, w) for d in ("sales", "support", "marketing") for w in ("account", "serve_account")]
    asked = [f"dpq.sales.{name}.orders.{op}" for name in [*names, "sales"] for op in ("get", "describe")]
    asked += ["q.support.notes.describe", "q.marketing.orders.get", "dpq.support.x.notes.describe"]
    for client in m.rogue.cons, m.rogue.serve:
        for i, subject in enumerate(asked):
            client.publish(subject, '{"key":["after"]}', f"_INBOX.forged.{i}")
    m.rogue.settle()
    honest(m, "asked")
    m.rogue.settle()
    for client in m.rogue.cons, m.rogue.serve:
        got = [p for p in client.messages if p.subject.startswith("_INBOX.forged") and p.headers.get("Status") != "503"]
        assert not got, got
    owners = m.sheaf("read", "sales/orders", "--as", "sales", "-o", "ndjson", "--limit", "1").lines()
    assert "email" in owners[0], owners
    # A header that says who asks, as a server would put it there, says nothing.
    for name in names:
        told = {"Nats-Request-Info": json.dumps({"acc": name, "svc": name, "user": "x"}), "Sheaf-View": "whole",
                "Sheaf-Sig": "AAAA", "Nats-Msg-Id": "1", "Nats-Expected-Stream": "HUB_EVENTS", "Nats-Rollup": "all"}
        got = json.loads(m.rogue.cons.request("q.sales.orders.get", '{"key":["after"]}', told).data)
        assert got == own, (name, got)


def test_control_for_others(m):
    """The hub takes polls, products and removals of the domain that sends them alone"""
    before = events(m)
    polls = {d: field(1, d) + field(2, 0) for d in ("sales", "support", "platform", "", "nobody")}
    products = {"sales": ORDERS.replace("1.0.0", "1.9.0").replace(", class: pii", ""), "support": OTHERS.replace("DOMAIN", "support")}
    for domain, message in polls.items():
        refused(m.rogue.serve, "mesh.poll", message)
    for domain, text in products.items():
        text = text.replace("version: 1.0.0", "version: 1.9.0")
        refused(m.rogue.serve, "mesh.product.apply", field(1, domain) + field(2, text) + field(3, "tester"))
        refused(m.rogue.serve, "mesh.product.life", field(1, domain) + field(2, "orders") + field(3, 1) + field(6, "gone"))
        # Its own name outside, another one inside: a product of that name is not its to apply.
        inside = m.rogue.serve.request("mesh.product.apply", field(1, "marketing") + field(2, text) + field(3, "tester"))
        assert "Sheaf-Error" in inside.headers or not accepted(inside.data), inside
    for op in "access.decide", "policy.apply", "grant.end", "join", "lease", "x":
        refused(m.rogue.serve, f"mesh.{op}", field(1, "sales"))
    assert events(m) == before
    # As itself it is heard.
    mine = OTHERS.replace("DOMAIN", "marketing").replace("1.0.0", "1.1.0")
    done = m.rogue.serve.request("mesh.product.apply", field(1, "marketing") + field(2, mine) + field(3, "tester"))
    assert accepted(done.data) and events(m) == before + 1, done
    honest(m, "controlled")


def refused(client, subject, message):
    got = client.request(subject, message)
    assert "Sheaf-Error" in got.headers or got.headers.get("Status") == "503", (subject, got)


def accepted(reply):
    """Field 1 of an ApplyReply."""
    return reply.startswith(field(1, True))


def test_servers_of_others(m):
    """Neither JetStream of the hub nor what servers ask each other answers, whatever it is called"""
    before = events(m)
    stream = [f"{prefix}.{op}" for prefix in ("$JS.API", "$JS.hub.API", "JS.mesh.API", "$JS.mesh.API") for op in (
        "INFO", "STREAM.NAMES", "STREAM.INFO.HUB_EVENTS", "STREAM.PURGE.HUB_EVENTS", "STREAM.DELETE.HUB_EVENTS",
        "STREAM.MSG.GET.HUB_EVENTS", "DIRECT.GET.HUB_EVENTS", "STREAM.SNAPSHOT.HUB_EVENTS", "STREAM.CREATE.X",
        "CONSUMER.CREATE.HUB_EVENTS", "CONSUMER.DURABLE.CREATE.HUB_EVENTS.x", "META.LEADER.STEPDOWN")]
    system = ["$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.SERVER.PING.JSZ",
              "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.CLAIMS.DELETE",
              f"$SYS.REQ.ACCOUNT.{account(m, 'sales')}.CLAIMS.LOOKUP", f"$SYS.REQ.ACCOUNT.{account(m, 'sales')}.INFO",
              f"$SYS.REQ.ACCOUNT.{account(m, 'sales')}.CONNZ", f"$SYS.ACCOUNT.{account(m, 'sales')}.CLAIMS.UPDATE",
              "$SYS.REQ.SERVER.PING.KICK", "$SYS.DEBUG.SUBSCRIBERS"]
    for client in m.rogue.cons, m.rogue.serve:
        client.messages.clear()
        client.subscribe("_INBOX.system.>")
        for i, subject in enumerate(stream + system):
            client.publish(subject, json.dumps({"name": "HUB_EVENTS", "seq": 1, "subjects": [">"]}), f"_INBOX.system.{i}")
        client.publish("HUB_EVENTS", b"x")
        client.publish("hub.events", b"x", headers={"Nats-Expected-Last-Sequence": "0", "Nats-Rollup": "all"})
    m.rogue.settle()
    honest(m, "system")
    m.rogue.settle()
    hub_names = (b"HUB_EVENTS", account(m, "sales").encode(), account(m, "support").encode(), b'"sequence"')
    for client in m.rogue.cons, m.rogue.serve:
        got = [p for p in client.messages if p.subject.startswith("_INBOX.system") and p.headers.get("Status") != "503"]
        told = [p for p in got if any(name in p.data for name in hub_names)]
        assert not told, told
    assert events(m) == before
    grant_of_sales(m)
    assert events(m) > before
    m.sheaf("audit", "verify")


def grant_of_sales(m):
    """The rightful platform's way to the same stream is open."""
    return m.sheaf("access", "request", "support/notes", "--as", "sales", "--purpose", "test", "--for", "1d")


def test_credentials_of_a_leaf(m):
    """What lets a leaf's server in lets no client in"""
    text = (m.leaves["marketing"].data / "creds" / "domain.creds").read_text().split()
    seed = m.directory / "rogue" / "uplink.nk"
    seed.write_text(next(word for word in text if word.startswith("SU")))
    jwt = next(word for word in text if word.count(".") == 2)
    try:
        nats.Client(m.hub.nats, seed, jwt)
    except (ConnectionError, OSError):
        return
    raise AssertionError("a client was let in")


def test_listening(m):
    """Of all subjects there are it hears its own, and what it was granted"""
    leaf = m.leaves["marketing"]
    ears = [nats.Client(m.rogue.port, leaf.data / "keys" / "app.nk"), nats.Client(m.rogue.port, m.directory / "rogue" / "serve.nk")]
    for ear in ears:
        for subject in (">", "_INBOX.>", "_R_.>", "$JS.>", "$SYS.>", "dp.>", "dpq.>", "own.>", "in.>", "out.>", "mesh.>",
                        "_GR_.>", "$NRG.>", "$G.>", "*.*.*.*.*.*.*"):
            ear.subscribe(subject)
    m.rogue.settle()
    honest(m, "listened")
    m.sheaf("read", "sales/orders", "--as", "support")
    m.sheaf("read", "sales/orders", "--as", "sales")
    honest(m, "listened-2")
    ears[0].wait_for(lambda p: p.subject == LIVE and b'"listened-2"' in p.data, "what it was granted")
    m.rogue.settle()
    for ear in ears:
        ear.flush()
        heard = {p.subject for p in ear.messages}
        data = b"".join(p.data for p in ear.messages)
        assert b"secret@x.y" not in data and b"t0k3n" not in data and b'"NO"' not in data, data[:2000]
        strange = {s for s in heard if not may_hear(s)}
        assert not strange, strange
        ear.close()


def may_hear(subject):
    """The stream it was granted, and what its own leaf and server say in its own accounts."""
    return subject == LIVE or subject.startswith(("q.sales.", "_INBOX.", "_R_.", "mesh.", "dpq.marketing.", "dp.marketing."))


TRACE = "trace.here"


def test_traces(m):
    """A trace tells of its own server and the hub's, and of no other account; nothing is kept from others by one"""
    client = m.rogue.cons
    client.subscribe(f"{TRACE}.>")
    only = {"Nats-Trace-Dest": f"{TRACE}.a", "Nats-Trace-Only": "true"}
    through = {"Nats-Trace-Dest": f"{TRACE}.b"}
    before = m.rows("sales", "orders/orders")
    client.publish("some.subject", b"x", headers=through)
    first = client.wait_for(lambda p: p.subject.startswith(TRACE), "a trace of its own message")
    assert b'"egress"' in first.data or b'"events"' in first.data, first
    client.publish("q.sales.orders.get", '{"key":["after"]}', "_INBOX.only", only)
    got = client.request("q.sales.orders.get", '{"key":["after"]}', through)
    assert json.loads(got.data)["order_id"] == "after"
    client.publish(LIVE, b"x", headers=only)
    for to in ("dp.sales.orders.orders.v1.0", f"dpq.sales.{account(m, 'sales')}.orders.get", "_INBOX.x", "own.x", "$SYS.x"):
        client.publish("q.sales.orders.describe", b"{}", "_INBOX.to", {"Nats-Trace-Dest": to})
    m.rogue.settle()
    honest(m, "traced")
    m.rogue.settle()
    beyond = client.wait_for(lambda p: p.subject.startswith(TRACE) and b'"sheaf-hub"' in p.data, "a trace of the hub's server")
    traces = [json.loads(p.data) for p in [*client.messages, first, beyond] if p.subject.startswith(TRACE)]
    assert {t["server"]["name"] for t in traces} == {"rogue", "sheaf-hub"}, traces
    # Where a request leaves its account the trace names that account's key, and ends.
    own = {"CONS", account(m, "marketing")}
    told = [e for t in traces for e in t["events"] if e.get("acc", "CONS") not in own and e["type"] != "si"]
    assert not told and account(m, "support") not in json.dumps(traces), told
    assert len(m.rows("sales", "orders/orders")) == len(before) + 1
    assert not strange(m.support), strange(m.support)


def test_credit_of_others(m):
    """Credit for another's stream moves nothing, under its very name; the asker's own does"""
    for i in range(3):
        m.load("sales", "orders/orders", [row(f"c{i}-{n:05}", amount="9.99") for n in range(15000)])
    flow = {"flow": "abcdefghijklmnopqrst", "window": 3}
    client = client_of(m, "support")
    client.subscribe("_INBOX.credit")

    def page(number):
        found = client.wait_for(lambda p: p.subject == "_INBOX.credit", f"page {number}")
        assert found.headers["Sheaf-Flow"] == str(number), found
    client.publish("q.sales.orders.changes", json.dumps({"snapshot": True} | flow), "_INBOX.credit")
    for number in 1, 2, 3:
        page(number)
    for rogue in m.rogue.cons, m.rogue.serve:
        for subject in "q.sales.orders.taken", "q.sales.x.taken", f"dpq.sales.{account(m, 'support')}.orders.taken":
            for taken in 1, 3, 99:
                rogue.publish(subject, json.dumps({"flow": flow["flow"], "taken": taken}))
            rogue.publish(subject, json.dumps({"flow": flow["flow"], "stop": True}))
    m.rogue.settle()
    for _ in range(3):  # whatever is not held back would have come with these
        client.request("q.sales.orders.describe", "{}")
    more = [p for p in client.messages if p.subject == "_INBOX.credit"]
    assert not more, more
    client.publish("q.sales.orders.taken", json.dumps({"flow": flow["flow"], "taken": 3}))
    page(4)
    client.close()


def test_sizes(m):
    """Huge tokens, headers, payloads and 20,000 subscriptions hurt their sender at most"""
    before = events(m)
    huge = "x" * (1 << 20)
    for node in m.hub, m.leaves["sales"]:
        try:
            answer = node.call("GET", "/v1/products", token=huge)
            assert answer.status in (400, 401, 413, 431), answer
        except (ConnectionError, OSError):
            pass  # cut off in the middle of it
    name = os.urandom(16).hex()
    for port in m.hub.nats, m.hub.leafnode:
        try:
            nats.Client(port, m.directory / "rogue" / "serve.nk", huge)
            raise AssertionError("a huge JWT was let in")
        except (ConnectionError, OSError):
            pass
    for client in m.rogue.cons, m.rogue.serve:
        client._send("".join(f"SUB {name}.{i} {i + 1000}\r\n" for i in range(20000)))  # pylint: disable=protected-access
        client.flush()
        client.publish("q.sales.orders.get", '{"key":["after"]}', "_INBOX.many", {f"X-{i}": "y" * 1000 for i in range(1000)})
        client.flush()
    honest(m, "large")
    m.rogue.settle()
    for client in m.rogue.cons, m.rogue.serve:
        client.publish("q.sales.orders.get", b"x" * (9 << 20))
        client.publish("mesh.poll", b"x" * (9 << 20))
        client.flush()
    honest(m, "larger")
    assert events(m) == before
    for leaf in m.leaves.values():
        assert leaf.is_alive() and m.state_of(leaf.domain) == "up", leaf.name
    fixture.until(lambda: answers(m.rogue.cons, "q.sales.orders.describe"), "its own link comes back")


def refusals(m):
    """By caller and way, as the hub counts them."""
    text = m.hub.call("GET", "/metrics").body.decode()
    found = re.findall(r'sheaf_hub_requests_refused_total\{caller="(\w*)",way="(\w+)"\} (\d+)', text)
    return {(caller, way): int(count) for caller, way, count in found}


def test_floods(m):
    """Who asks the hub without pause is told that it is too much; others do not feel it"""
    assert not refusals(m)
    rogue = nats.Client(m.rogue.port, m.directory / "rogue" / "serve.nk")
    rogue.subscribe("_INBOX.flood")
    poll = field(1, "marketing") + field(2, 0)
    one = "".join(f"PUB mesh.{op} _INBOX.flood {len(body)}\r\n{body.decode()}\r\n"
                  for op, body in (("access.explain", EXPLAIN), ("poll", poll)))

    def flood():
        rogue._send(one * 2000)  # pylint: disable=protected-access
        rogue.flush()
        return refusals(m)

    fixture.until(lambda: all(flood().get(("marketing", way)) for way in ("control", "poll")), "it is too much")
    told = rogue.wait_for(lambda p: p.headers.get("Sheaf-Error") == "SHEAF-E0602", "it is told")
    assert told.headers["Nats-Service-Error-Code"] == "429", told
    for n in range(5):
        flood()
        honest(m, f"beside a flood {n}")
        m.apply("support", OTHERS.replace("DOMAIN", "support").replace("1.0.0", f"1.0.{n + 1}"))
        assert m.hub.call("GET", "/v1/products", token=m.token("sales")).status == 200
        assert m.state_of("sales") == m.state_of("support") == "up"
    assert {caller for caller, _ in refusals(m)} == {"marketing"}, refusals(m)
    rogue.close()


TESTS = [test_set_up, test_forged_and_replayed_messages, test_subscribers_of_its_own,
         test_asking_as_others, test_control_for_others, test_servers_of_others,
         test_credentials_of_a_leaf, test_listening, test_traces, test_credit_of_others, test_floods, test_sizes]

if __name__ == "__main__":
    sys.exit(fixture.run(TESTS, ["sales", "marketing", "support"]))
