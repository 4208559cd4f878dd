#!/usr/bin/env python3
"""Who follows a table from a snapshot on is given a new one as soon as policies change what it sees: its copy holds
what it may see, although nobody writes."""
import http.client
import json
import queue
import sys
import threading
import time

import fixture
from consumers import change, load, policy, set_up
from nats import Client

KEYS = ["a", "b", "c"]
ROWS = "---\nsheaf: policy/v1\nname: rows\nmatch: all\nfilter: id <> 'b'\n"
CHANGES = "/v1/products/sales/orders/orders/changes?snapshot=true&follow=true"


class Copy:
    """What a reader holds who does as the lines say."""

    def __init__(self, name):
        self.name, self.error = name, None
        self.rows, self.whole, self.snapshots, self.changes = {}, False, 0, 0

    def take(self, line):
        event, op = line.get("event"), line.get("op")
        if event == "snapshot":
            self.rows, self.whole = {}, False
            self.snapshots += 1
        elif event == "position":
            self.whole = True
        elif event not in (None, "heartbeat"):
            self.error = line
        elif op == "delete":
            self.rows.pop(line["key"]["id"], None)
        elif op is not None:
            self.rows[line["key"]["id"]] = line["row"]["note"]
            self.changes += op == "upsert"

    def is_of(self, notes):
        assert self.error is None, (self.name, self.error)
        return self.whole and self.rows == notes

    def __repr__(self):
        return f"{self.name}: {self.snapshots} snapshots, {self.rows}, {'whole' if self.whole else 'not whole'}"


class Http(Copy):
    """NDJSON or server-sent events of the consumer's own leaf, which asks the owner's."""

    def __init__(self, m, accept):
        super().__init__(accept)
        leaf = m.leaves["marketing"]
        self.connection = http.client.HTTPConnection("127.0.0.1", leaf.http, timeout=2 * fixture.WITHIN_S)
        self.connection.request("GET", CHANGES, headers={
            "Authorization": f"Bearer {m.token('marketing')}", "Accept": accept})
        self.lines = queue.SimpleQueue()  # the thread reads, and does nothing else
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            for line in self.connection.getresponse():
                text = line.decode().strip().removeprefix("data: ")
                if text.startswith("{"):
                    self.lines.put(json.loads(text))
            self.lines.put({"event": "closed"})
        except Exception as error:  # told by is_of()
            self.lines.put({"event": repr(error)})

    def is_of(self, notes):
        while not self.lines.empty():
            self.take(self.lines.get())
        return super().is_of(notes)


class Nats(Copy):
    """A request over NATS."""

    def __init__(self, m):
        super().__init__("nats")
        leaf = m.leaves["marketing"]
        self.client = Client(leaf.nats, leaf.data / "keys" / "app.nk")
        self.client.subscribe("_INBOX.copy")
        self.client.publish("q.sales.orders.changes", json.dumps({"snapshot": True, "follow": True, "seconds": 600}),
                            "_INBOX.copy")

    def is_of(self, notes):
        self.client.poll(0.01)
        messages, self.client.messages = self.client.messages, []
        for line in (line for message in messages for line in message.lines()):
            self.take(line)
        return super().is_of(notes)


def hold(copies, notes):
    """All hold that, whole."""
    return all([copy.is_of(notes) for copy in copies])


def wait(copies, notes, snapshots):
    """All come to hold that, of so many snapshots and no more."""
    began = time.monotonic()
    fixture.until(lambda: hold(copies, notes) and min(copy.snapshots for copy in copies) >= snapshots,
                  f"all hold {notes} of snapshot {snapshots}")
    assert [copy.snapshots for copy in copies] == [snapshots] * len(copies), copies
    return time.monotonic() - began


def test_copies(m):
    """A policy made tighter or wider, a filter, an end by the clock: each copy is given anew, and nobody writes"""
    set_up(m)
    load(m, KEYS)
    copies = [Http(m, "application/x-ndjson"), Http(m, "text/event-stream"), Nats(m)]
    clear, masked = dict.fromkeys(KEYS, "clear"), dict.fromkeys(KEYS, "***")
    wait(copies, clear, 1)
    took = []
    change(m, text=policy("note", "redact"))
    took.append(wait(copies, masked, 2))
    change(m, remove=["note"])
    took.append(wait(copies, clear, 3))
    change(m, text=ROWS)
    took.append(wait(copies, {"a": "clear", "c": "clear"}, 4))
    change(m, text=policy("email", "redact"), remove=["rows"])  # an email was left out before
    took.append(wait(copies, clear, 5))
    # A policy that changes nothing for them: they go on.
    change(m, text=policy("email", "redact", "support"))
    load(m, ["d"])
    clear, masked = clear | {"d": "clear"}, masked | {"d": "***"}
    wait(copies, clear, 5)
    assert [copy.changes for copy in copies] == [1] * len(copies), copies
    # One that is over at the leaf by its clock; a slow machine may be too late to see it in force.
    ends = int(time.time()) + 4
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
    change(m, text=policy("note", "redact") + f"expires: {until}\n")
    fixture.until(lambda: hold(copies, masked) or time.time() > ends, "all hold what is masked")
    fixture.until(lambda: hold(copies, clear) and time.time() > ends, "all hold what is clear again")
    assert [copy.changes for copy in copies] == [1] * len(copies), copies
    print("# after the answer: " + ", ".join(f"{s:.2f}" for s in took) + " s")


if __name__ == "__main__":
    sys.exit(fixture.run([test_copies], ["sales", "marketing", "support"]))
