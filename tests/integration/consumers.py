"""Consumers of a table, plain clients and `sheaf sub`, and what tests do to what they see."""
import json
import re
import signal
import threading
import time

import fixture
from nats import Client

PRODUCT = fixture.orders(
    "note: {number: 2, type: string}", "email: {number: 3, type: string, class: pii}", key="id")
LIVE = "dp.sales.orders.orders.v1.>"
CONSUMERS = ("marketing", "support")


def policy(name, does, excepted=None):
    except_ = f"except: {{consumer_domain: {excepted}}}\n" if excepted else ""
    return f"---\nsheaf: policy/v1\nname: {name}\nmatch: {{field: {name}}}\n{except_}mask: {does}\n"


def change(m, **body):
    """Applies, removes or rolls back; the version, which is in force at all leaves by then."""
    if "text" in body:
        body = {"files": [{"file": "p.yaml", "text": body.pop("text")}]} | body
    began_us = time.time_ns() // 1000
    answer = m.hub.call("POST", "/v1/policies/change", body, m.token("platform"))
    assert answer.status == 200, answer
    if answer.json().get("laggards"):
        m.wait_in_force(began_us)
    return answer.json()["version"]


def set_up(m):
    m.apply("sales", PRODUCT)
    for consumer in CONSUMERS:
        request = m.sheaf("access", "request", "sales/orders", "--as", consumer, "--purpose", "test", "--for", "1d",
                          "-o", "json").json()["id"]
        m.sheaf("access", "approve", request, "--as", "sales")


def load(m, keys):
    answer = m.load("sales", "orders/orders", [{"id": k, "note": "clear", "email": "a@b.example"} for k in keys])
    assert answer.status == 200 and answer.json()["accepted"] == len(keys), answer
    return answer.json()


class Listener:
    """A plain client of a domain: every change that came, once, by its seq, with the headers of its message."""

    def __init__(self, m, domain):
        self.domain = domain
        self.client = Client(m.leaves[domain].nats, m.leaves[domain].data / "keys" / "app.nk")
        self.client.subscribe(LIVE)
        self.seen, self.audiences = {}, set()
        self.shown = set()  # seqs that Sheaf-Prev showed to be missing
        self.at = None  # its first message says
        self.gaps = self.repeats = 0
        self.ends, self.thread, self.error = False, None, None

    def poll(self):
        self.client.poll(0.05)
        messages, self.client.messages = self.client.messages, []
        for message in messages:
            if "Sheaf-Prev" not in message.headers:
                continue
            prev = int(message.headers["Sheaf-Prev"])
            self.at = prev if self.at is None else self.at
            self.gaps += prev > self.at
            self.shown.update(range(self.at + 1, prev + 1))
            self.audiences.add(message.headers["Sheaf-Audience"])
            for line in message.lines():
                if line["seq"] <= self.at:
                    self.repeats += 1
                else:
                    self.seen[line["seq"]] = (int(message.headers.get("Sheaf-Policy", 0)), line)
                    self.at = line["seq"]

    def has(self, seq):
        return self.at is not None and self.at >= seq

    def wait(self, seq):
        def reached():
            self.poll()
            return self.has(seq)
        fixture.until(reached, f"{self.domain} has {seq}, and not only {self.at}")
        return self.seen[seq][1]["row"]

    def run(self):
        def work():
            try:
                while not self.ends:
                    self.poll()
            except Exception as error:  # told by join()
                self.error = error
        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def join(self, seq):
        try:
            fixture.until(lambda: self.has(seq) or self.error, f"{self.domain} has {seq}, and not only {self.at}")
        finally:
            self.ends = True
            self.thread.join()
        assert self.error is None, self.error


def open_up(m, listeners):
    """The subscriptions have reached the owner's leaf: until then it sends for nobody."""
    def flows():
        last = load(m, ["open"])["last_seq"]
        for one in listeners:
            deadline = time.monotonic() + 0.3
            while not one.has(last) and time.monotonic() < deadline:
                one.poll()
        return all(one.has(last) for one in listeners)
    fixture.until(flows, "both are fed")


class Sub:
    """`sheaf sub` of a domain, from where the table stood."""

    def __init__(self, m, domain, since):
        self.domain, self.path = domain, m.directory / f"sub-{domain}.ndjson"
        self.path.unlink(missing_ok=True)
        self.process = m.spawn([m.programs["sheaf"], "sub", "sales/orders", "--as", domain, "--since", f"1:{since}",
                                "-o", "ndjson"], self.path, m.environment | {"SHEAF_DEV_DIR": str(m.directory)},
                               m.directory / f"sub-{domain}.log")  # whose lines would stand in the middle of others

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines() if line.startswith('{"seq"')]

    def finish(self, last):
        def newest():
            assert self.process.poll() is None, f"sheaf sub of {self.domain} ended"
            found = re.findall(r'^{"seq":(\d+)', self.path.read_text(), re.M)
            return found and int(found[-1]) >= last
        fixture.until(newest, f"sheaf sub of {self.domain} has {last}")
        self.process.send_signal(signal.SIGINT)
        self.process.wait(fixture.WITHIN_S)
        return self.lines()
