#!/usr/bin/env python3
"""Programs of others: the NATS project's own client, and Google's protobuf."""
import base64
import datetime
import json
import re
import shutil
import signal
import struct
import subprocess
import sys

import fixture

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
      email:    {number: 3, type: string, class: pii}
"""
TYPES = """sheaf: product/v1
product: sales/all-types
version: 1.0.0
owner: orders@example.org
description: Every type.
tables:
  every_type:
    kind: state
    key: [id]
    fields:
      id:     {number: 1, type: string, required: true}
      flag:   {number: 2, type: bool}
      small:  {number: 3, type: int32}
      big:    {number: 4, type: int64}
      single: {number: 5, type: float}
      real:   {number: 6, type: double}
      price:  {number: 7, type: "decimal(18,4)"}
      blob:   {number: 18, type: bytes}
      day:    {number: 19, type: date}
      at:     {number: 500, type: timestamp}
      uuid:   {number: 2000, type: uuid}
  seen:
    kind: event
    event_time: at
    fields:
      at:   {number: 1, type: timestamp, required: true}
      page: {number: 3, type: string}
"""
ROWS = [
    {"id": "a", "flag": True, "small": -2147483648, "big": -9223372036854775808, "single": 0.5,
     "real": -1.5e300, "price": "-12345678901234.5678", "blob": base64.b64encode(bytes(range(256))).decode(),
     "day": "1969-12-31", "at": "1969-12-31T23:59:59.999999Z",
     "uuid": "00112233-4455-6677-8899-aabbccddeeff"},
    {"id": "b", "flag": False, "small": 0, "big": 0, "single": 0.0, "real": 0.0, "price": "0.0000",
     "blob": "", "day": "1970-01-01", "at": "1970-01-01T00:00:00Z",
     "uuid": "00000000-0000-0000-0000-000000000000"},
    {"id": "c\u00e9\U0001f600 \"quoted\\\"\n", "flag": None, "small": 2147483647, "big": 9223372036854775807,
     "single": None, "real": 0.1, "price": None, "blob": None, "day": "9999-12-31",
     "at": "2026-02-03T04:05:06.789Z", "uuid": None},
    {"id": "d"},
]


# --- the NATS project's client --------------------------------------------------------------------


def client_programs(m):
    missing = [m.programs[n].name for n in ("nats_sub", "nats_req") if not m.programs[n].exists()]
    return f"{' and '.join(missing)} of the NATS project are not there; tools/setup.sh builds them with Go" if missing else None


def key_of(m, domain):
    return ["-s", f"nats://127.0.0.1:{m.leaves[domain].nats}", "-nkey",
            m.leaves[domain].data / "keys" / "app.nk"]


class Subscriber:
    def __init__(self, m, domain, subject):
        self.domain = domain
        self.log = m.directory / f"nats-sub-{len(m.processes)}.log"
        self.process = m.spawn([m.programs["nats_sub"], *key_of(m, domain), subject], self.log)
        fixture.until(lambda: "Listening on" in self.log.read_text(), "nats-sub listens")

    def received(self):
        return re.findall(r"Received on \[(.*?)\]: '(.*?)'$", self.log.read_text(), re.S | re.M)

    def wait_for_row(self, m):
        """Loads rows until one arrives: interest takes its way from server to server first."""
        sent = []

        def arrived():
            sent.append(f"{self.domain}-{len(sent)}-")
            m.load("sales", "orders/orders", [
                {"order_id": sent[-1], "amount": "1.5", "email": f"{sent[-1]}@secret.org"}])
            return next(((s, d) for s, d in self.received() if f'"{sent[0][:-2]}' in d), None)
        return fixture.until(arrived, f"nats-sub of {self.domain} has a row")

    def end(self):
        self.process.kill()
        self.process.wait()


def ask(m, domain, subject, body):
    done = subprocess.run([m.programs["nats_req"], *key_of(m, domain), subject, json.dumps(body)],
                          capture_output=True, text=True, timeout=20, check=True)
    return re.search(r"Received +\[.*?\] : '(.*)'", done.stdout + done.stderr, re.S).group(1)


def test_nats_client(m):
    """nats-sub gets granted rows at the consumer's leaf without pii, and its own unmasked at the owner's"""
    skip = client_programs(m)
    if skip:
        return skip
    m.apply("sales", PRODUCT)
    m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "p", "--for", "1d")
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    granted = Subscriber(m, "marketing", "dp.sales.orders.orders.v1.>")
    owner = Subscriber(m, "sales", "own.orders.orders.v1.>")
    subject, data = granted.wait_for_row(m)
    assert subject == "dp.sales.orders.orders.v1.0", subject
    change = json.loads(data.splitlines()[0])
    assert change["op"] == "upsert" and set(change["row"]) == {"order_id", "amount"}, data
    subject, data = owner.wait_for_row(m)
    assert subject == "own.orders.orders.v1.0" and "@secret.org" in data, data
    granted.end()
    owner.end()
    # The owner's stream does not leave its leaf; a consumer's key opens no other domain's server.
    nosy = Subscriber(m, "marketing", ">")
    nosy.wait_for_row(m)
    assert not [s for s, d in nosy.received() if s.startswith("own.") or "secret.org" in d], nosy.received()
    nosy.end()
    argv = ["-s", f"nats://127.0.0.1:{m.leaves['sales'].nats}", "-nkey", key_of(m, "marketing")[-1]]
    done = subprocess.run([m.programs["nats_req"], *argv, "q.sales.orders.describe", "{}"],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0 and "Authorization Violation" in done.stdout + done.stderr, done


def test_nats_requests(m):
    """nats-req gets a row, a description, and a refusal with its code"""
    skip = client_programs(m)
    if skip:
        return skip
    m.load("sales", "orders/orders", [{"order_id": "A", "amount": "1.5", "email": "a@secret.org"}])
    assert json.loads(ask(m, "marketing", "q.sales.orders.get", {"table": "orders", "key": ["A"]})) == {
        "order_id": "A", "amount": "1.50"}
    described = json.loads(ask(m, "marketing", "q.sales.orders.describe", {}))
    assert described["product"] == "sales/orders" and described["grant"] == "G-1", described
    assert [f["name"] for f in described["tables"][0]["fields"]] == ["order_id", "amount"], described
    refusal = json.loads(ask(m, "marketing", "q.sales.orders.get", {"table": "orders", "key": ["nix"]}))
    assert refusal["code"] == "SHEAF-E0305" and refusal["next"], refusal
    own = json.loads(ask(m, "sales", "q.sales.orders.get", {"table": "orders", "key": ["A"]}))
    assert own["email"] == "a@secret.org", own


# --- Google's protobuf ----------------------------------------------------------------------------


def decode(m, message, row):
    """What protoc makes of the bytes, as {field: text}."""
    done = subprocess.run(["protoc", f"--decode={message}", "types.proto"], cwd=m.directory,
                          input=row, capture_output=True, check=True)
    text = done.stdout.decode()
    assert not re.search(r"^\d+:", text, re.M), f"an unknown field: {text}"
    return dict(line.split(": ", 1) for line in text.splitlines())


def bytes_of(text):
    """A string of protobuf's text format."""
    body = text[1:-1].encode("latin-1", "backslashreplace")
    plain = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b'"': b'"', b"'": b"'", b"\\": b"\\"}
    return re.sub(rb"\\([0-7]{3}|.)", lambda e: bytes([int(e[1], 8)]) if len(e[1]) == 3 else plain[e[1]], body)


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


def stored(name, value):
    """The field of a row as JSON has it, as the contract says that it is stored."""
    if name in ("id", "page"):
        return value.encode()
    if name == "blob":
        return base64.b64decode(value)
    if name == "uuid":
        return bytes.fromhex(value.replace("-", ""))
    if name == "day":
        return (datetime.date.fromisoformat(value) - datetime.date(1970, 1, 1)).days
    if name == "at":
        return (datetime.datetime.fromisoformat(value.replace("Z", "+00:00")) - EPOCH) // MICROSECOND
    if name == "price":
        return int(value.replace(".", ""))
    if name in ("single", "real"):
        return float(value)
    return int(value)


def decoded(name, text):
    if text.startswith('"'):
        return bytes_of(text)
    if name == "flag":
        return {"true": 1, "false": 0}[text]
    if name == "single":
        return struct.unpack("f", struct.pack("f", float(text)))[0]
    return float(text) if name == "real" else int(text)


def rows_of_store(m, table):
    copy = m.directory / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(m.leaves["sales"].data / "store", copy)
    done = subprocess.run([m.programs["rows_of_store"], copy, "sales/all-types", "1", table],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return [bytes.fromhex(line) for line in done.stdout.splitlines()]


def test_protobuf(m):
    """protoc decodes rows as they are stored, by the exported .proto, to the values that JSON has"""
    m.apply("sales", TYPES)
    answer = m.load("sales", "all-types/every_type", ROWS)
    assert answer.json()["accepted"] == len(ROWS), answer
    events = [{"at": f"2026-01-0{i}T00:00:00Z", "page": "/" * i} for i in range(1, 4)]
    assert m.load("sales", "all-types/seen", events).json()["accepted"] == 3
    (m.directory / "types.proto").write_text(
        m.sheaf("product", "export", "sales/all-types", "proto", "--as", "sales").out)
    shown = {t: m.sheaf("read", f"sales/all-types.{t}", "--as", "sales", "-o", "ndjson").lines()
             for t in ("every_type", "seen")}
    assert shown["every_type"][0]["uuid"] == ROWS[0]["uuid"] and len(shown["seen"]) == 3, shown
    m.leaves["sales"].end(signal.SIGTERM)
    for table, message in ("every_type", "EveryType"), ("seen", "Seen"):
        raw = rows_of_store(m, table)
        assert len(raw) == len(shown[table])
        for row, json_row in zip(raw, shown[table]):
            got = {k: decoded(k, v) for k, v in decode(m, f"sheaf.sales.all_types.v1.{message}", row).items()}
            wanted = {k: stored(k, v) for k, v in json_row.items() if v is not None and k != "seq"}
            assert got == wanted, (got, wanted)
    m.leaves["sales"].start()


if __name__ == "__main__":
    sys.exit(fixture.run([test_nats_client, test_nats_requests, test_protobuf],
                         ["sales", "marketing"]))
