#!/usr/bin/env python3
"""A hub is put back from a copy of before a revocation and a policy: neither is undone, on any port, and all are told.

Two consumers see the same, so that they share an audience. One is revoked, and a policy hides a field. The copy of the hub knows
of neither. Rows are written all the while, each with what must not leave.
"""
import json
import re
import shutil
import signal
import sys
import threading

import fixture
import nats

PRODUCT = fixture.orders("note: {number: 2, type: string}")
POLICY = "sheaf: policy/v1\nname: notes\nmatch: {field: note}\nmask: redact\n"
LIVE = "dp.sales.orders.orders.v1.>"
TABLE = "/v1/products/sales/orders/orders"
CLEAR = "clear-note"
HELD_BACK = "SHEAF-E0417"


class Writer(threading.Thread):
    """Writes rows until it is ended; k says which."""

    def __init__(self, m):
        super().__init__(daemon=True)
        self.m, self.count, self.ended, self.error = m, 0, threading.Event(), None

    def write(self):
        answer = self.m.load("sales", "orders/orders", [{"k": f"r{self.count}", "note": CLEAR}])
        assert answer.status == 200, answer
        self.count += 1

    def run(self):
        try:
            while not self.ended.wait(0.01):
                self.write()
        except Exception as error:  # told by end()
            self.error = error

    def end(self):
        self.ended.set()
        self.join()
        assert self.error is None, self.error


class Listener:
    """A plain client of a domain: rows of its live stream by their keys."""

    def __init__(self, m, domain):
        self.client = nats.Client(m.leaves[domain].nats, m.leaves[domain].data / "keys" / "app.nk")
        self.client.subscribe(LIVE)
        self.rows = {}

    def hear(self):
        self.client.poll(0.05)
        for message in self.client.messages:
            self.rows |= {line["key"]["k"]: line["row"] for line in message.lines()}
        self.client.messages.clear()
        return self.rows


state = {}


def grant(m, consumer):
    request = m.sheaf("access", "request", "sales/orders", "--as", consumer, "--purpose", "test", "--for", "9d", "-o", "json")
    return m.sheaf("access", "approve", request.json()["id"], "--as", "sales", "-o", "json").json()["grant"]["id"]


def status_of(m, domain="sales"):
    leaves = m.hub.call("GET", "/v1/status", token=m.token("platform")).json()["leaves"]
    return next(l for l in leaves if l["domain"] == domain)


def hub_of(m):
    return m.leaves["sales"].call("GET", "/v1/status", token=m.token("sales")).json()["hub"]


def start_hub(m):
    m.hub.start()
    m.write_context()
    fixture.until(lambda: all(m.state_of(domain) == "up" for domain in m.leaves), "all leaves are up")


def put_back(m, copy):
    m.hub.end(signal.SIGTERM)
    fixture.until(lambda: hub_of(m)["state"] == "down", "the leaf has noticed")
    shutil.rmtree(m.hub.data)
    shutil.copytree(copy, m.hub.data, symlinks=True)
    start_hub(m)


def refusals(m, domain, over_nats=True):
    """What each port says: its code, or what it gave. Over NATS nobody answers to whom the hub has not let in."""
    leaf, token = m.leaves[domain], m.token(domain)
    said = {}
    for port, path in (("http get", f"{TABLE}/records/k0"), ("http scan", f"{TABLE}/records"), ("http changes", f"{TABLE}/changes?after=0:0"),
                       ("http follow", f"{TABLE}/changes?follow&snapshot=true&seconds=2"), ("http stats", f"{TABLE}/stats"),
                       ("http product", "/v1/products/sales/orders")):
        answer = leaf.call("GET", path, token=token)
        said[port] = answer.problem()[1] if answer.status != 200 else f"{answer.status} {answer.body[:200]}"
    if not over_nats:
        return said
    client = nats.Client(leaf.nats, leaf.data / "keys" / "app.nk")
    for op, body in (("get", {"key": ["k0"]}), ("scan", {}), ("changes", {"snapshot": True}), ("describe", {}), ("stats", {})):
        client.messages.clear()
        message = client.request(f"q.sales.orders.{op}", json.dumps({"table": "orders"} | body))
        said[f"nats {op}"] = message.headers.get("Sheaf-Error", message.data[:200])
    client.close()
    return said


def before(m):
    """A copy of the hub is taken as it is documented, while two consumers share what they see."""
    m.apply("sales", PRODUCT)
    state["grants"] = [grant(m, "marketing"), grant(m, "support")]
    assert m.load("sales", "orders/orders", [{"k": "k0", "note": CLEAR}]).status == 200
    for domain in ("marketing", "support"):
        assert json.loads(m.sheaf("read", "sales/orders", "--as", domain, "-o", "ndjson").out)["note"] == CLEAR
    state["copy"] = m.directory / "hub-copy"
    m.hub.end(signal.SIGTERM)
    shutil.copytree(m.hub.data, state["copy"], symlinks=True)
    start_hub(m)


def revoked(m):
    """One is revoked, and a policy hides a field from the other."""
    (m.directory / "p.yaml").write_text(POLICY)
    m.sheaf("access", "revoke", state["grants"][0], "--as", "sales")
    m.sheaf("policy", "apply", m.directory / "p.yaml")
    fixture.until(lambda: hub_of(m)["policy_version"] == 1, "the leaf has the policy")
    assert hub_of(m)["ended"] == 1 and hub_of(m)["held_back"] == [], hub_of(m)
    said = refusals(m, "marketing", over_nats=False)
    assert set(said.values()) == {"SHEAF-E0401"}, said


def comes_back(m):
    """The hub is put back under load: nothing of the revoked grant is served on any port, and no policy is undone."""
    listeners = {domain: Listener(m, domain) for domain in ("marketing", "support")}
    for listener in listeners.values():
        listener.client.flush()
    writer = Writer(m)
    writer.write()
    fixture.until(lambda: "r0" in listeners["support"].hear(), "support hears what is written")
    writer.start()
    put_back(m, state["copy"])
    fixture.until(lambda: status_of(m).get("held_back") == [state["grants"][0]], "the leaf holds the grant back")
    mark = writer.count
    fixture.until(lambda: any(int(k[1:]) > mark for k in listeners["support"].hear()), "support hears on")
    writer.end()
    last = f"r{writer.count - 1}"
    fixture.until(lambda: last in listeners["support"].hear(), "support hears the last")
    heard = listeners["support"].rows
    assert {row["note"] for row in heard.values()} == {"***"}, list(heard.values())[:5]
    listeners["marketing"].client.flush()
    assert listeners["marketing"].hear() == {}, listeners["marketing"].rows
    said = refusals(m, "marketing")
    assert set(said.values()) == {HELD_BACK}, said
    for listener in listeners.values():
        listener.client.close()


def told(m):
    """Owner, platform and consumer are told what is held back and which policies count."""
    grants = {line["id"]: line for line in m.sheaf("access", "ls", "--as", "sales", "-o", "ndjson").lines()}
    assert grants[state["grants"][0]]["state"] == "held back" and grants[state["grants"][1]]["state"] == "active", grants
    assert m.sheaf("access", "show", state["grants"][0], "-o", "json").json()["held_back"] is True
    assert hub_of(m)["held_back"] == [{"grant": state["grants"][0], "consumer": "marketing", "product": "sales/orders", "major": 1}]
    assert hub_of(m)["policy_version"] == 1 and hub_of(m)["hub_policy_version"] == 0
    assert status_of(m)["policy_version"] == 1
    assert f"holds back {state['grants'][0]}, which had ended" in m.sheaf("status").out
    doctor = m.sheaf("doctor", status=None).out
    assert "1 grant had ended; the hub was put back" in doctor, doctor
    assert "policies of version 1 in force; the hub has 0" in doctor, doctor
    metrics = m.leaves["sales"].call("GET", "/metrics", token=m.token("sales")).body.decode()
    assert re.search(r"^sheaf_grants_held_back(\{.*\})? 1$", metrics, re.M) and re.search(r"^sheaf_grants_ended(\{.*\})? 1$", metrics, re.M)
    ran = m.sheaf("read", "sales/orders", "--as", "marketing", status=5)
    assert HELD_BACK in ran.err and "sheaf access ls" in ran.err, ran
    assert "leases.grants_held_back" in m.hub.log.read_text() and "leases.policies_behind" in m.hub.log.read_text()


def restarted(m):
    """The leaf is killed and starts again: all of it is as before."""
    m.leaves["sales"].end()
    m.leaves["sales"].start()
    m.write_context()
    fixture.until(lambda: hub_of(m)["bundle_in_force"] and hub_of(m)["state"] == "up", "the leaf is back")
    fixture.until(lambda: set(refusals(m, "marketing").values()) == {HELD_BACK}, f"held back: {refusals(m, 'marketing')}")
    assert json.loads(m.sheaf("read", "sales/orders", "--as", "support", "--limit", "1", "-o", "ndjson").out)["note"] == "***"


def policies_go_on(m):
    """The policies are applied again: their version goes on above what leaves have seen, and holds there."""
    answer = m.sheaf("policy", "apply", m.directory / "p.yaml", "-o", "json").json()
    assert answer["version"] == 2, answer
    fixture.until(lambda: hub_of(m)["hub_policy_version"] == 2, "the leaf has them")
    assert hub_of(m)["policy_version"] == 2
    assert [h["version"] for h in m.sheaf("policy", "history", "-o", "ndjson").lines()] == [2]
    m.sheaf("policy", "rollback", "0")
    fixture.until(lambda: hub_of(m)["policy_version"] == 3, "a rollback is a new version")
    assert json.loads(m.sheaf("read", "sales/orders", "--as", "support", "--limit", "1", "-o", "ndjson").out)["note"] == CLEAR


def approved_again(m):
    """Revoked at the hub too, asked for and approved again, it is in force."""
    m.sheaf("access", "revoke", state["grants"][0], "--as", "sales")
    fixture.until(lambda: hub_of(m)["held_back"] == [], "nothing is held back")
    said = refusals(m, "marketing", over_nats=False)
    assert set(said.values()) == {"SHEAF-E0401"}, said
    assert grant(m, "marketing") == "G-3"
    listener = Listener(m, "marketing")
    listener.client.flush()
    assert json.loads(m.sheaf("read", "sales/orders", "--as", "marketing", "--limit", "1", "-o", "ndjson").out)["note"] == CLEAR
    assert m.load("sales", "orders/orders", [{"k": "again", "note": CLEAR}]).status == 200
    fixture.until(lambda: "again" in listener.hear(), "it hears what is written")
    listener.client.close()


def put_back_once_more(m):
    """A second time: of what was decided since the copy, nothing is served until it is decided again."""
    put_back(m, state["copy"])
    fixture.until(lambda: status_of(m).get("held_back") == [state["grants"][0]], "the first is held back")
    assert set(refusals(m, "marketing").values()) == {HELD_BACK}
    assert hub_of(m)["policy_version"] == 3
    assert json.loads(m.sheaf("read", "sales/orders", "--as", "support", "--limit", "1", "-o", "ndjson").out)["note"] == CLEAR


def older_policies_are_wanted(m):
    """Who wants the older policies of the copy applies them as they are: that is a new version, and holds at leaves."""
    (m.directory / "q.yaml").write_text(POLICY.replace("notes", "later").replace("redact", "omit"))
    m.sheaf("policy", "apply", m.directory / "p.yaml")
    m.hub.end(signal.SIGTERM)
    copy = m.directory / "hub-copy-2"
    shutil.copytree(m.hub.data, copy, symlinks=True)
    start_hub(m)
    version = m.sheaf("policy", "apply", m.directory / "q.yaml", "-o", "json").json()["version"]
    fixture.until(lambda: hub_of(m)["policy_version"] == version, "the leaf has the later one")
    put_back(m, copy)
    fixture.until(lambda: hub_of(m)["hub_policy_version"] == version - 1, "the leaf has the bundle of the hub")
    assert hub_of(m)["policy_version"] == version
    answer = m.sheaf("policy", "apply", m.directory / "p.yaml", "-o", "json").json()
    assert answer["version"] == version + 1, answer
    fixture.until(lambda: hub_of(m)["policy_version"] == version + 1, "the leaf has those of the copy")
    assert json.loads(m.sheaf("read", "sales/orders", "--as", "support", "--limit", "1", "-o", "ndjson").out)["note"] == "***"
    answer = m.sheaf("policy", "apply", m.directory / "p.yaml", "-o", "json").json()
    assert answer["version"] == version + 1, answer  # and now it changes nothing


if __name__ == "__main__":
    sys.exit(fixture.run([before, revoked, comes_back, told, restarted, policies_go_on, approved_again, put_back_once_more,
                          older_policies_are_wanted],
                         ["sales", "marketing", "support"]))
