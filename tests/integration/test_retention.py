#!/usr/bin/env python3
"""A leaf keeps what it promises, and not more; killed again and again while it trims."""
import random
import sys
import threading

import fixture

KEEP_S = 3
PRODUCT = f"""sheaf: product/v1
product: sales/carts
version: 1.0.0
status: active
owner: carts@example.org
description: Carts, of which only the newest past is held.
tables:
  carts:
    kind: state
    key: [k]
    fields:
      k: {{number: 1, type: string, required: true}}
      n: {{number: 2, type: int64, required: true}}
  clicks:
    kind: event
    fields:
      n: {{number: 1, type: int64, required: true}}
slo: {{retention: {KEEP_S}s}}
"""
TABLE = "/v1/products/sales/carts/carts"
CLICKS = "/v1/products/sales/carts/clicks"
ROUNDS = 4
SEED = 7


def rows(m, query=""):
    answer = m.leaves["sales"].call("GET", f"{TABLE}/records?limit=0{query}",
                                    token=m.token("sales"))
    return answer, {r["k"]: r["n"] for r in answer.json()["items"]} if answer.status == 200 else None


def metric(m, name):
    text = m.leaves["sales"].call("GET", "/metrics").body.decode()
    return next(int(line.split()[1]) for line in text.splitlines()
                if line.startswith(f"sheaf_{name} "))


class Writer(threading.Thread):
    """One writer, so the order of what was acked is known: states[seq] are all rows then."""

    def __init__(self, m, states, stop):
        super().__init__()
        self.m, self.states, self.stopped, self.unknown = m, states, stop, None
        self.random = random.Random(SEED + len(states))
        self.error = None

    def run(self):
        try:
            while not self.stopped.is_set():
                self.write_one()
        except OSError:
            pass  # killed: what was sent last may or may not be stored
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def write_one(self):
        last = max(self.states)
        state = dict(self.states[last])
        key = f"k{self.random.randrange(20)}"
        if key in state and self.random.random() < 0.3:
            del state[key]
            change = {"op": "delete", "row": {"k": key}}
        else:
            state[key] = last + 1
            change = {"op": "upsert", "row": {"k": key, "n": last + 1}}
        self.unknown = state
        answer = self.m.load("sales", "carts/carts", [change], query="?envelope=change")
        assert answer.status == 200 and answer.json()["last_seq"] == last + 1, answer
        self.states[last + 1] = state
        self.unknown = None


def check_past(m, states):
    """All of the held past that the test knows is as it was; what is before is refused."""
    last = max(states)
    held = 0
    for seq in range(last, max(last - 40, -1), -1):
        answer, found = rows(m, f"&as_of=1:{seq}")
        if answer.status == 410:
            assert answer.json()["code"] == "SHEAF-E0308", answer
            assert "the first position held is 1:" in answer.json()["detail"], answer
            break
        assert found == states[seq], (seq, found, states[seq])
        assert answer.headers["Sheaf-Position"] == f"1:{seq}", answer
        held += 1
    assert held > 0
    answer, found = rows(m)
    assert found == states[last], (found, states[last])


def after_a_crash(m, states, unknown):
    """The write that was not answered is there whole, or not at all."""
    answer, found = rows(m)
    last = max(states)
    if answer.headers["Sheaf-Position"] == f"1:{last + 1}":
        states[last + 1] = unknown
    assert found == states[max(states)], (found, states[max(states)])


def test_killed_while_it_trims(m):
    """kill -9 while it trims: rows and the held past are those that were acked"""
    leaf = m.leaves["sales"]
    m.apply("sales", PRODUCT)
    states = {0: {}}
    chance = random.Random(SEED)
    trimmed = 0
    for _ in range(ROUNDS):
        stop = threading.Event()
        writer = Writer(m, states, stop)
        writer.start()
        goal = chance.randrange(1, 120)  # changes trimmed when it is killed
        fixture.until(lambda n=goal: metric(m, "retain_changes_total") >= n, f"{goal} are trimmed")
        trimmed += goal
        assert metric(m, "retain_failures_total") == 0
        leaf.end()
        stop.set()
        writer.join()
        assert writer.error is None, writer.error
        leaf.start()
        after_a_crash(m, states, writer.unknown)
        check_past(m, states)
    assert trimmed > 0
    out = m.sheaf("leaf", "check", "--as", "sales")
    assert out.out.endswith("nothing is damaged\n"), out


def test_what_is_gone_is_said(m):
    """Once all is trimmed: rows stay, events go, changes and --as-of say from where on"""
    m.load("sales", "carts/clicks", [{"n": 1}, {"n": 2}])
    last = rows(m)[0].headers["Sheaf-Position"]
    fixture.until(lambda: rows(m, "&as_of=1:1")[0].status == 410, "the first position is gone")
    fixture.until(lambda: m.leaves["sales"].call(
        "GET", f"{CLICKS}/records", token=m.token("sales")).json()["items"] == [],
        "events are gone")
    answer, found = rows(m, f"&as_of={last}")
    assert answer.status == 200 and found == rows(m)[1], answer
    gone = m.sheaf("sub", "sales/carts.carts", "--as", "sales", "--since", "all", "--count", "1",
                   status=6)
    assert "SHEAF-E0308" in gone.err and "the first position held is 1:" in gone.err, gone
    assert "of sales/carts.carts (--or-snapshot would begin anew with the rows)" in gone.err, gone
    shown = m.sheaf("read", "sales/carts.carts", "--as", "sales", "--as-of", last, "-o", "ndjson")
    assert len(shown.lines()) == len(found), shown


def state_of(lines):
    """What a reader holds who does as the lines say; each seq may come once."""
    held, seqs = {}, []
    for line in lines:
        if line.get("event") == "snapshot":
            held, seqs = {}, []
        if "seq" in line:
            seqs.append(line["seq"])
            if line["op"] == "delete":
                del held[line["key"]["k"]]
            else:
                held[line["key"]["k"]] = line["row"]["n"]
    assert len(set(seqs)) == len(seqs), seqs
    return held


def test_begin_anew(m):
    """Who comes too late begins anew with a snapshot when it wants to: 'sheaf sub' and over HTTP"""
    _, found = rows(m)
    late = m.sheaf("sub", "sales/carts.carts", "--as", "sales", "--since", "1:1", "--or-snapshot",
                   "--count", len(found))
    assert "changes behind 1:1 are no longer held: a snapshot takes their place" in late.err, late
    assert late.lines()[0]["event"] == "snapshot" and state_of(late.lines()) == found, late
    for query, headers in [("&after=1:1", {}), ("", {"Last-Event-ID": "1:1"})]:
        answer = m.leaves["sales"].call("GET", f"{TABLE}/changes?snapshot=true{query}", None,
                                        m.token("sales"), headers)
        lines = answer.lines()
        assert [x["event"] for x in lines if "event" in x] == ["snapshot", "position", "end"], lines
        assert state_of(lines) == rows(m)[1], lines
    answer = m.leaves["sales"].call("GET", f"{TABLE}/changes?follow=true&after=1:1", None,
                                    m.token("sales"))
    assert answer.lines()[-1]["code"] == "SHEAF-E0308", answer


if __name__ == "__main__":
    sys.exit(fixture.run([test_killed_while_it_trims, test_what_is_gone_is_said, test_begin_anew],
                         ["sales"]))
