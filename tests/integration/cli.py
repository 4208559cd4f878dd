#!/usr/bin/env python3
"""The command line tool on a real mesh: what every command answers, to people and to programs."""
import csv
import http.server
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

from mesh import EXAMPLES, main, wait_until

PRODUCT = """sheaf: product/v1
product: sales/{name}
version: {version}
status: active
owner: team-sales
description: Things that are counted.
tables:
  {name}:
    kind: {kind}
    {key}
    fields:
      id:    {{number: 1, type: string, required: true}}
      count: {{number: 2, type: {type}, min: 0}}
      email: {{number: 3, type: string, class: pii}}
"""


def product_file(mesh, name, kind="state", version="1.0.0", type="int64"):
    key = "key: [id]" if kind == "state" else ""
    return mesh.write(f"{name}.yaml", PRODUCT.format(name=name, kind=kind, key=key,
                                                     version=version, type=type))


def apply(mesh, name, **kind):
    mesh.ok("product", "apply", product_file(mesh, name, **kind))
    return f"sales/{name}"


def rows_of(mesh, product, *flags):
    text = mesh.ok("read", product, "-o", "ndjson", "--limit", "0", *flags).out
    return [json.loads(line) for line in text.splitlines()]


# --- the mesh -------------------------------------------------------------------------------------

def without_a_mesh_every_command_says_how_to_start_one(mesh):
    for arguments in (["status"], ["read", "a/b"], ["sub", "a/b"], ["product", "ls"],
                      ["access", "ls"], ["audit", "verify"], ["dev", "stop"]):
        assert "sheaf dev" in mesh.refused(7, "E0806", *arguments).err
    mesh.refused(2, "E0801", "dev", "-d")


def a_mesh_comes_up_and_asking_again_changes_nothing(mesh):
    first = mesh.ok("dev", "--leaf", "sales", "-d", "-o", "json").json()
    assert first["kind"] == "DevMesh", first
    again = mesh.ok("dev", "--leaf", "sales", "-d", "-o", "json").json()
    assert again == first, again


def a_leaf_is_added_to_a_mesh_that_runs(mesh):
    mesh.ok("dev", "--leaf", "marketing", "-d")
    items = mesh.ok("dev", "-d", "-o", "json").json()["items"]
    assert [i["domain"] for i in items] == [None, "sales", "marketing"], items
    mesh.refused(3, "E0106", "dev", "--leaf", "No Name", "-d")


def a_domain_is_named_or_told_by_the_product(mesh):
    error = mesh.refused(2, "E0802", "access", "request", "sales/x", "--purpose", "x", "--for",
                         "1d").err
    assert "sales, marketing" in error
    mesh.refused(3, "E0107", "product", "ls", "--as", "finance")


# --- products and records -------------------------------------------------------------------------

def publish_makes_a_product_of_a_file(mesh):
    result = mesh.ok("publish", str(EXAMPLES / "orders.csv"), "--as", "sales/orders", "-o", "json")
    loaded = result.json()
    assert loaded["accepted"] == 2000 and loaded["quarantined"] == 0, loaded
    assert "wrote sales/orders/product.yaml" in result.err, result
    with open(EXAMPLES / "orders.csv", newline="") as file:
        wanted = list(csv.DictReader(file))
    got = rows_of(mesh, "sales/orders")
    assert [r["order_id"] for r in got] == [r["order_id"] for r in wanted]
    assert [r["amount"] for r in got] == [r["amount"] for r in wanted]
    assert [r["email"] for r in got] == [r["email"] or None for r in wanted]


def publish_keeps_a_file_that_was_changed(mesh):
    path = mesh.home / "sales/orders/product.yaml"
    changed = path.read_text().replace("status: active", "status: active\nowner: me")
    path.write_text(changed)
    mesh.refused(2, "E0803", "publish", str(EXAMPLES / "orders.csv"), "--as", "sales/orders")
    assert path.read_text() == changed
    mesh.ok("publish", str(EXAMPLES / "orders.csv"), "--as", "sales/orders", "--yes")
    assert "owner: me" not in path.read_text()


def the_same_records_in_every_format(mesh):
    product = apply(mesh, "formats")
    rows = [{"id": f"k{i}", "count": i, "email": None if i % 3 else f"a{i}@example.org"}
            for i in range(50)]
    files = {
        "a.ndjson": "\n".join(json.dumps(r) for r in rows),
        "a.json": json.dumps(rows, indent=2),
        "a.csv": "id,count,email\n" + "".join(
            f"{r['id']},{r['count']},{r['email'] or ''}\n" for r in rows),
    }
    for name, text in files.items():
        loaded = mesh.ok("product", "load", mesh.write(name, text), "--as", product, "--batch", "7",
                         "-o", "json").json()
        assert loaded["accepted"] == 50 and loaded["quarantined"] == 0, (name, loaded)
        assert {r["id"]: r for r in rows_of(mesh, product)} == {r["id"]: r for r in rows}, name


def bad_records_are_shown_with_their_lines(mesh):
    product = apply(mesh, "bad", kind="event")
    text = 'id,count,email\na,1,\nb,x,\n"c\nc",3,\n,4,\nd,-5,\n'
    result = mesh.ok("product", "load", mesh.write("bad.csv", text), "--as", product, "--batch", "2",
                     "-o", "json")
    assert result.json()["accepted"] == 2 and result.json()["quarantined"] == 3, result
    for line, code in ((3, "E0204"), (6, "E0206"), (7, "E0205")):
        assert f"  line {line}: SHEAF-{code}" in result.err, result
    kept = mesh.ok("product", "quarantine", "ls", product, "-o", "json").json()["items"]
    assert [k["raw"].strip() for k in kept] == ["b,x,", ",4,", "d,-5,"], kept
    mesh.expect(3, "product", "load", str(mesh.home / "bad.csv"), "--as", product, "--strict")
    limited = mesh.ok("product", "quarantine", "ls", product, "--limit", "4", "-o", "json").json()
    assert len(limited["items"]) == 4, limited


def reject_stores_nothing_of_a_bad_batch(mesh):
    product = apply(mesh, "strict", kind="event")
    path = mesh.write("r.csv", "id,count\na,1\nb,x\n")
    mesh.refused(3, "E0202", "product", "load", path, "--as", product, "--on-invalid", "reject")
    assert rows_of(mesh, product) == []


def what_was_acked_before_a_broken_file_is_told(mesh):
    product = apply(mesh, "broken", kind="event")
    text = '{"id":"a","count":1}\n' * 5
    path = mesh.write("cut.json", "[" + text.strip().replace("\n", ",") + ',{"id":')
    result = mesh.refused(3, "E0201", "product", "load", path, "--as", product, "--batch", "2")
    assert "loaded 4 rows" in result.out, result
    assert len(rows_of(mesh, product)) == 4
    mesh.refused(1, "E0804", "product", "load", "nowhere.csv", "--as", product)
    mesh.refused(2, "E0801", "product", "load", path)
    mesh.refused(3, "E0207", "publish", mesh.write("latin.csv", b"a\n\xe9\n"), "--as", "sales/latin")
    mesh.refused(3, "E0201", "publish", mesh.write("empty.csv", ""), "--as", "sales/empty")


def a_file_no_contract_can_be_made_from_is_told_by_place(mesh):
    for name, text, code, place in (
            ("two.csv", "id,id\n1,2\n", "E0108", "two.csv: line 1: two columns have the name 'id'"),
            ("none.csv", ",b\n1,2\n", "E0108", "none.csv: line 1: column 1 has no name"),
            ("head.csv", "id,b\n", "E0108", "head.csv: there are no rows to infer from"),
            ("semi.csv", "id;b\n1;2\n", "E0108",
             "semi.csv: line 1: the header is one column and holds ';': columns are separated by ','"),
            ("cut.ndjson", '{"a":1}\n{"a":2\n', "E0201", "cut.ndjson: line 2: column 7: ")):
        path = mesh.write(name, text)
        err = mesh.refused(3, code, "publish", path, "--as", "sales/unmade").err
        assert f"/{place}" in err, err
    one = mesh.ok("publish", mesh.write("one.csv", "v\n1\n"), "--as", "sales/one").out
    assert ": 1 row, 1 column\n" in one and "loaded 1 row in" in one, one


def product_files_are_checked_before_they_are_sent(mesh):
    path = mesh.write("typo.yaml", PRODUCT.format(name="typo", kind="state", key="key: [id]",
                                                  version="1.0.0", type="int46"))
    result = mesh.expect(3, "product", "lint", path)
    assert f"{path}:13:" in result.err and "did you mean 'int64'?" in result.err, result
    assert "^~~~~" in result.err, result
    assert mesh.expect(3, "product", "apply", path).out == ""
    verdict = mesh.expect(3, "product", "lint", path, "-o", "json").json()
    assert verdict["valid"] is False, verdict


def breaking_changes_are_refused(mesh):
    apply(mesh, "versions")
    mesh.ok("product", "apply", product_file(mesh, "versions"))
    same = mesh.ok("product", "diff", product_file(mesh, "versions"), "-o", "json")
    assert same.json()["items"] == [], same
    assert "nothing changes: sales/versions is in force so" in same.err, same
    mesh.refused(6, "E0111", "product", "apply", product_file(mesh, "versions", kind="event"))
    mesh.refused(6, "E0110", "product", "apply",
                 product_file(mesh, "versions", version="1.1.0", type="double"))
    dry = mesh.ok("product", "apply", product_file(mesh, "versions", version="2.0.0",
                                                   type="double"), "-n", "-o", "json").json()
    assert dry["dry_run"] is True, dry
    ahead = mesh.refused(6, "E0317", "read", "sales/versions", "--as-of", "1:9")
    assert "next: see where it is: sheaf read sales/versions --only-count" in ahead.err, ahead
    other = mesh.refused(6, "E0308", "read", "sales/orders", "--as-of", "2:1")
    assert "next: name a point that is held" in other.err, other
    shown = mesh.ok("product", "show", "sales/versions", "-o", "json").json()
    assert shown["version"] == "1.0.0", shown


def init_writes_a_file_that_is_valid(mesh):
    mesh.ok("product", "init", "--as", "sales/by-hand")
    mesh.ok("product", "lint", "sales/by-hand/product.yaml")
    mesh.ok("product", "init", "--from", str(EXAMPLES / "airports.csv"), "--as", "sales/airports")
    text = (mesh.home / "sales/airports/product.yaml").read_text()
    assert "key: [iata]" in text, text
    shown = mesh.ok("product", "init", "--from", str(EXAMPLES / "airports.csv"), "--as",
                    "sales/airports", "--out", "-").out
    assert shown == text


def export_gives_the_contract(mesh):
    yaml = mesh.ok("product", "export", "sales/orders", "yaml").out
    assert yaml.startswith("sheaf: product/v1\nproduct: sales/orders\n"), yaml
    proto = mesh.ok("product", "export", "sales/orders", "proto").out
    assert 'syntax = "proto3";' in proto and "message" in proto, proto
    mesh.refused(2, "E0801", "product", "export", "sales/orders", "avro")


# --- reading --------------------------------------------------------------------------------------

def rows_are_read_by_key_range_prefix_and_field(mesh):
    one = mesh.ok("read", "sales/orders", "--key", "O-1500", "-o", "json").json()
    assert [r["order_id"] for r in one["items"]] == ["O-1500"] and one["position"], one
    some = rows_of(mesh, "sales/orders", "--from", "O-1500", "--to", "O-1503")
    assert [r["order_id"] for r in some] == ["O-1500", "O-1501", "O-1502"], some
    some = rows_of(mesh, "sales/orders", "--prefix", "O-299", "--select", "order_id")
    assert some == [{"order_id": f"O-299{i}"} for i in range(10)], some
    mesh.refused(4, "E0305", "read", "sales/orders", "--key", "O-1")
    mesh.refused(4, "E0302", "read", "sales/nothing")
    mesh.refused(4, "E0303", "read", "sales/orders.nothing")
    mesh.refused(2, "E0304", "read", "sales/orders", "--select", "nothing")


def keys_may_hold_any_character(mesh):
    product = apply(mesh, "odd")
    keys = ["a,b", "a%2Cb", "a/b", "ø ?&#", '"', "a\nb"]
    mesh.ok("product", "load", mesh.write("odd.json", json.dumps([{"id": k} for k in keys])), "--as",
            product)
    for key in keys:
        found = mesh.ok("read", product, "--key", key, "-o", "json").json()["items"]
        assert [r["id"] for r in found] == [key], (key, found)


def a_limit_is_told(mesh):
    result = mesh.ok("read", "sales/orders")
    assert len(result.out.splitlines()) == 1001 and "--limit 0" in result.err, result.err
    assert len(rows_of(mesh, "sales/orders")) == 2000
    table = mesh.ok("read", "sales/orders", "--limit", "0", "-o", "csv").out
    assert len(list(csv.DictReader(io.StringIO(table)))) == 2000


def every_command_honours_o_json(mesh):
    mesh.grant("sales/orders", "marketing")
    commands = [
        ["version"], ["status"], ["product", "ls"], ["product", "show", "sales/orders"],
        ["product", "export", "sales/orders", "yaml"], ["product", "quarantine", "ls", "sales/bad"],
        ["product", "lint", "sales/by-hand/product.yaml"],
        ["product", "init", "--as", "sales/by-hand"], ["read", "sales/orders", "--limit", "3"],
        ["sub", "sales/orders", "--since", "all", "--count", "3"], ["access", "ls"],
        ["access", "show", "AR-1"], ["access", "show", "G-1"], ["audit", "ls"],
        ["audit", "verify"], ["dev", "-d"],
    ]
    for command in commands:
        document = mesh.ok(*command, "-o", "json").json()
        assert document["apiVersion"] == "sheaf/v1" and document["kind"], document
        for line in mesh.ok(*command, "-o", "ndjson").out.splitlines():
            json.loads(line)
        rows = list(csv.reader(io.StringIO(mesh.ok(*command, "-o", "csv").out)))
        assert len({len(r) for r in rows}) == 1, (command, rows[:3])


# --- access ---------------------------------------------------------------------------------------

def a_consumer_reads_what_was_granted_and_no_more(mesh):
    apply(mesh, "guarded")
    path = mesh.write("g.json", json.dumps([{"id": "a", "count": 1, "email": "a@example.org"}]))
    mesh.ok("product", "load", path, "--as", "sales/guarded")
    denied = mesh.refused(5, "E0401", "read", "sales/guarded", "--as", "marketing")
    assert "sheaf access request sales/guarded" in denied.err, denied
    mesh.refused(4, "E0302", "read", "sales/nothing", "--as", "marketing")
    decision = mesh.grant("sales/guarded", "marketing", "--columns", "id,count")
    rows = rows_of(mesh, "sales/guarded", "--as", "marketing")
    assert rows == [{"id": "a", "count": 1}], rows
    shown = mesh.ok("read", "sales/guarded", "--as", "marketing")
    assert "left out: email (pii)" in shown.err and "a@example.org" not in shown.out, shown
    assert rows_of(mesh, "sales/guarded", "--as", "marketing", "--select", "id") == [{"id": "a"}]
    hidden = mesh.refused(2, "E0304", "read", "sales/guarded", "--as", "marketing", "--select", "id,email").err
    unknown = mesh.refused(2, "E0304", "read", "sales/guarded", "--as", "marketing", "--select", "id,other").err
    assert hidden.replace("email", "other") == unknown, (hidden, unknown)
    grant = decision["grant"]
    grant = grant["id"] if isinstance(grant, dict) else grant
    mesh.ok("access", "revoke", grant, "--as", "sales", "--note", "test")
    mesh.refused(5, "E0401", "read", "sales/guarded", "--as", "marketing")
    mesh.refused(5, "E0401", "sub", "sales/guarded", "--as", "marketing")
    mesh.refused(6, "E0404", "access", "revoke", grant, "--as", "sales")


def only_the_owner_decides(mesh):
    apply(mesh, "mine")
    asked = mesh.ok("access", "request", "sales/mine", "--as", "marketing", "--purpose", "x",
                    "--for", "1d", "-o", "json").json()["id"]
    mesh.refused(5, "E0405", "access", "approve", asked, "--as", "marketing")
    pending = mesh.ok("access", "ls", "--pending", "-o", "json").json()["items"]
    assert [p["id"] for p in pending] == [asked], pending
    mesh.ok("access", "deny", asked, "--as", "sales", "--note", "no")
    mesh.refused(6, "E0404", "access", "approve", asked, "--as", "sales")
    mesh.refused(4, "E0402", "access", "approve", "AR-999", "--as", "sales")
    mesh.refused(2, "E0801", "access", "request", "sales/mine", "--as", "marketing", "--for", "1d")
    mesh.refused(2, "E0801", "access", "request", "sales/mine", "--as", "marketing", "--purpose",
                 "x", "--for", "soon")


# --- the stream -----------------------------------------------------------------------------------

def wait_line(consumer, text):
    """Reads what it says up to the line that holds @text."""
    said = b""
    deadline = threading.Timer(30, consumer.kill)
    deadline.start()
    try:
        while text not in said:
            line = consumer.stderr.readline()
            assert line, f"ended without {text}: {said.decode()}"
            said += line
    finally:
        deadline.cancel()


def changes_of(path):
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True)
            if line.endswith("\n")]


def a_subscription_survives_the_death_of_its_leaf(mesh):
    product = apply(mesh, "stream", kind="event")
    mesh.grant(product, "marketing")
    out = mesh.home / "stream.ndjson"
    with open(out, "wb") as file:
        consumer = mesh.popen("sub", product, "--as", "marketing", "--since", "all", stdout=file,
                              stderr=subprocess.DEVNULL)
    try:
        sent = 0
        for leaf in (None, "sales", "marketing"):
            if leaf is not None:
                os.kill(mesh.leaf(leaf)["pid"], signal.SIGKILL)
            for _ in range(3):
                rows = [{"id": str(sent + i), "count": 1} for i in range(100)]
                path = mesh.write("s.json", json.dumps(rows))
                wait_until(lambda: mesh.run("product", "load", path, "--as", product).status == 0,
                           "the leaf takes records again")
                sent += 100
        wait_until(lambda: len(changes_of(out)) >= sent, "all changes arrive")
        changes = changes_of(out)
        assert [c["seq"] for c in changes] == list(range(1, sent + 1))
        assert [c["row"]["id"] for c in changes] == [str(i) for i in range(sent)]
        assert all("email" not in c["row"] for c in changes)
    finally:
        consumer.send_signal(signal.SIGINT)
        assert consumer.wait(10) == 130


def a_subscription_starts_where_it_is_told(mesh):
    since = {"all": 1, "1:899": 900, "1h": 1}
    for where, first in since.items():
        lines = mesh.ok("sub", "sales/stream", "--since", where, "--count", "1").out.splitlines()
        assert [json.loads(l)["seq"] for l in lines] == [first], (where, lines)
    mesh.refused(2, "E0801", "sub", "sales/stream", "--since", "yesterday")
    ahead = mesh.refused(6, "E0308", "sub", "sales/stream", "--since", "1:99999").err
    assert "does not answer" not in ahead, ahead
    out = mesh.home / "new.ndjson"
    with open(out, "wb") as file:
        consumer = mesh.popen("sub", "sales/stream", "--count", "1", "-v", stdout=file,
                              stderr=subprocess.PIPE)
    wait_line(consumer, b"following")
    mesh.ok("product", "load", mesh.write("n.json", '[{"id":"new"}]'), "--as", "sales/stream")
    consumer.stderr.close()
    assert consumer.wait(30) == 0
    assert [c["row"]["id"] for c in changes_of(out)] == ["new"]


def a_subscription_begins_with_the_rows(mesh):
    product = apply(mesh, "copied")
    mesh.grant(product, "marketing")
    mesh.ok("product", "load", mesh.write("c.json", '[{"id":"a"},{"id":"b"},{"id":"a","count":7}]'), "--as", product)
    out = mesh.home / "copy.ndjson"
    with open(out, "wb") as file:
        consumer = mesh.popen("sub", product, "--as", "marketing", "--since", "snapshot", "--count", "4",
                              stdout=file, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(c.get("event") == "position" for c in changes_of(out)), "the snapshot is whole")
    for name in "de":
        mesh.ok("product", "load", mesh.write("d.json", json.dumps([{"id": name}])), "--as", product)
    assert consumer.wait(30) == 0
    lines = changes_of(out)
    assert lines[0] == {"event": "snapshot", "head": "1:3"} and {"event": "position", "position": "1:3"} in lines
    shown = [(c["seq"], c["op"], c["key"]["id"]) for c in lines if "seq" in c]
    assert shown == [(3, "snapshot", "a"), (2, "snapshot", "b"), (4, "upsert", "d"), (5, "upsert", "e")], lines
    assert all("email" not in c["row"] for c in lines if "row" in c)


def rows_are_filtered_turned_round_and_counted(mesh):
    for form, shown in {"json": '"count":1,', "csv": "count,position\n1,", "ndjson": '"count":1,'}.items():
        out = mesh.ok("read", "sales/copied", "--where", "count = 7", "--only-count", "-o", form).out
        assert shown in out, out
    out = mesh.ok("read", "sales/copied", "--select", "id", "--reverse", "--limit", "2", "-o", "csv").out
    assert out == "id\ne\nd\n", out
    wrong = mesh.refused(3, "E0107", "read", "sales/copied", "--where", "cuont = 7").err
    assert "did you mean 'count'?" in wrong and "\n^~~~~\n" in wrong and wrong.count("has no field") == 1, wrong
    mesh.refused(3, "E0107", "read", "sales/copied", "--as", "marketing", "--where", "email = 'x'")


class OtherKey(http.server.BaseHTTPRequestHandler):
    """The hub, but for the key of the leaf of sales."""
    hub = ""

    def do_GET(self):
        request = urllib.request.Request(self.hub + self.path,
                                         headers={"Authorization": self.headers["Authorization"]})
        with urllib.request.urlopen(request, timeout=10) as answer:
            document = json.load(answer)
        document["leaf_key"] = "A" * 43 + "="
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def messages_of_another_signer_are_not_believed(mesh):
    path = mesh.data / "dev.json"
    real = path.read_text()
    OtherKey.hub = mesh.context()["hub"]["http"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherKey) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = json.loads(real)
        context["hub"]["http"] = f"http://127.0.0.1:{server.server_address[1]}"
        path.write_text(json.dumps(context))
        consumer = mesh.popen("sub", "sales/stream", "--as", "marketing", "-v",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            wait_line(consumer, b"connected")
            path.write_text(real)
            mesh.ok("product", "load", mesh.write("f.json", '[{"id":"f"}]'), "--as", "sales/stream")
            wait_line(consumer, b"not signed by the owner's leaf")
        finally:
            path.write_text(real)
            server.shutdown()
            consumer.kill()
            assert consumer.communicate()[0] == b""


class StillUnderWay(http.server.BaseHTTPRequestHandler):
    """The leaf, with requests of a loader that was killed: each key is told to be busy once."""
    leaf = ""
    busy = []

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def relay(self, body=None):
        kept = ("Authorization", "Content-Type", "Idempotency-Key", "Accept")
        request = urllib.request.Request(self.leaf + self.path, body, {
            name: self.headers[name] for name in kept if self.headers[name]})
        with urllib.request.urlopen(request, timeout=30) as answer:
            self.answer(answer.status, answer.headers["Content-Type"], answer.read())

    def do_GET(self):
        self.relay()

    def do_POST(self):
        body, key = self.rfile.read(int(self.headers["Content-Length"])), self.headers["Idempotency-Key"]
        if key not in self.busy:
            self.busy.append(key)
            self.answer(409, "application/problem+json", json.dumps({
                "title": "busy", "status": 409, "detail": "not answered yet", "code": "SHEAF-E0311",
                "next": "wait"}).encode())
            return
        self.relay(body)

    def log_message(self, *arguments):
        pass


def a_load_waits_for_what_a_killed_one_has_sent(mesh):
    path = mesh.data / "dev.json"
    real = path.read_text()
    StillUnderWay.leaf = mesh.leaf("sales")["http"]
    rows = mesh.write("busy.json", json.dumps([{"id": f"busy{i}"} for i in range(3)]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StillUnderWay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path.write_text(real.replace(StillUnderWay.leaf, f"http://127.0.0.1:{server.server_address[1]}"))
        try:
            mesh.ok("product", "load", rows, "--as", "sales/stream", "--batch", "2")
        finally:
            path.write_text(real)
            server.shutdown()
    assert len(StillUnderWay.busy) == 2, StillUnderWay.busy


# --- trouble --------------------------------------------------------------------------------------

def a_leaf_goes_on_without_the_hub(mesh):
    hub = mesh.context()["hub"]["pid"]
    os.kill(hub, signal.SIGSTOP)
    try:
        status = mesh.expect(8, "status", "--timeout", "5s", "-o", "json").json()["items"]
        assert [(s["what"], s["state"]) for s in status] == [
            ("hub", "down"), ("leaf", "up"), ("leaf", "up")], status
        assert status[0]["detail"] == f"see its log: {mesh.data}/hub/log/sheaf-hub.log", status
        checks = mesh.expect(8, "doctor", "--timeout", "1s", "-o", "json").json()["items"]
        hint = next(c["fix"] for c in checks if c["check"] == "hub")
        assert os.path.getsize(hint.removeprefix("see its log: ")) > 0, hint
        mesh.ok("product", "load", mesh.write("h.json", '[{"id":"h"}]'), "--as", "sales/stream")
        assert len(rows_of(mesh, "sales/orders")) == 2000
        mesh.refused(7, "E0712", "product", "ls", "--timeout", "1s")
        # The leaf is there, and waits for the hub: that is what is said, now and to who comes next.
        applies = ("product", "apply", "--dry-run", product_file(mesh, "versions"), "--timeout", "1s")
        first = mesh.refused(7, "E0712", *applies)
        assert "next: it may have been done all the same" in first.err, first
        second = mesh.refused(7, "E0602", *applies)
        assert "is being applied: the hub has not answered yet" in second.err, second
    finally:
        os.kill(hub, signal.SIGCONT)


def what_was_not_answered_may_have_been_done(mesh):
    leaf = next(n["pid"] for n in mesh.context()["leaves"] if n["domain"] == "sales")
    os.kill(leaf, signal.SIGSTOP)
    try:
        unsure = mesh.refused(7, "E0712", "product", "apply", product_file(mesh, "versions"), "--timeout", "1s")
        assert "next: it may have been done all the same: look before you ask again" in unsure.err
        sure = mesh.refused(7, "E0712", "read", "sales/orders", "--as", "sales", "--timeout", "1s")
        assert "may have been done" not in sure.err
    finally:
        os.kill(leaf, signal.SIGCONT)
    wait_until(lambda: mesh.run("product", "apply", product_file(mesh, "versions")).status == 0,
               "the leaf answers")


def the_audit_log_holds_and_lists_what_was_done(mesh):
    verdict = wait_until(lambda: mesh.run("audit", "verify", "-o", "json"), "the hub answers").json()
    events = mesh.ok("audit", "ls", "--limit", "0", "-o", "json").json()["items"]
    assert verdict["events"] == len(events) and verdict["holds"] is True, verdict
    assert [e["number"] for e in events] == list(range(1, len(events) + 1))
    kinds = {e["kind"] for e in events}
    assert {"domain_joined", "product_applied", "access_requested", "access_decided",
            "grant_ended"} <= kinds, kinds
    assert mesh.ok("audit", "ls", "--after", "2", "--limit", "1", "-o",
                   "json").json()["items"][0]["number"] == 3


def a_hub_with_another_key_is_not_believed(mesh):
    context = mesh.context()
    path = mesh.data / "dev.json"
    context["hub_key"] = "A" * 43 + "="
    path.write_text(json.dumps(context))
    mesh.refused(8, "E0605", "audit", "verify")


def stopped_and_started_again_everything_is_there(mesh):
    before = mesh.context()
    mesh.ok("dev", "stop")
    children = [before["hub"]["pid"]] + [leaf["pid"] for leaf in before["leaves"]]
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)
    mesh.refused(7, "E0806", "status")
    mesh.ok("dev", "-d")
    assert mesh.leaf("sales")["http"] == next(
        leaf["http"] for leaf in before["leaves"] if leaf["domain"] == "sales")
    assert len(rows_of(mesh, "sales/orders")) == 2000
    assert len(rows_of(mesh, "sales/orders", "--as", "marketing")) == 2000


def leaves_find_their_hub_on_other_ports(mesh):
    hub = mesh.context()["hub"]
    mesh.ok("dev", "stop")
    with socket.create_server(("127.0.0.1", hub["leafnode_port"])), \
            socket.create_server(("127.0.0.1", int(hub["http"].rsplit(":", 1)[1]))):
        mesh.ok("dev", "-d")
        moved = mesh.context()["hub"]
        assert moved["http"] != hub["http"] and moved["leafnode_port"] != hub["leafnode_port"], moved
        assert len(rows_of(mesh, "sales/orders", "--as", "marketing")) == 2000


def children_die_with_their_supervisor(mesh):
    context = mesh.context()
    os.kill(context["pid"], signal.SIGKILL)
    children = [context["hub"]["pid"]] + [leaf["pid"] for leaf in context["leaves"]]
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children),
               "hub and leaves are gone", 10)
    mesh.refused(7, "E0806", "status")


def names_that_mean_somebody_else_are_refused_and_forgotten(mesh):
    for name in ("platform", "hub"):
        assert f"the name '{name}' is taken" in mesh.refused(3, "E0106", "dev", "--leaf", name).err
        mesh.refused(3, "E0106", "--data", "fresh", "dev", "--leaf", name, "-d")
    (mesh.data / "leaf-stranger").mkdir()
    context = mesh.context()
    context["leaves"].append({"domain": "stranger", "data": str(mesh.data / "leaf-stranger")})
    (mesh.data / "dev.json").write_text(json.dumps(context))
    up = mesh.ok("dev", "-d", "-o", "json").json()
    assert [i["domain"] for i in up["items"] if i["what"] == "leaf"] == ["sales", "marketing"], up
    mesh.ok("dev", "stop")


def a_mesh_whose_directory_is_removed_ends(mesh):
    mesh.ok("--data", "gone", "dev", "--leaf", "a", "-d")
    supervisor = json.loads((mesh.home / "gone" / "dev.json").read_text())["pid"]
    shutil.rmtree(mesh.home / "gone")
    wait_until(lambda: not os.path.exists(f"/proc/{supervisor}"), "the supervisor is gone", 30)


def an_output_that_cannot_be_written_is_an_error(mesh):
    for arguments in (["version"], ["help"], ["status"], ["audit", "ls", "-o", "json"]):
        for redirection in (">/dev/full", ">&-"):
            line = " ".join([mesh.sheaf, *arguments, redirection])
            done = subprocess.run(["sh", "-c", line], cwd=mesh.home, env=mesh.environment,
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
            assert done.returncode == 1, (line, done)
            assert b"standard output cannot be written" in done.stderr, (line, done)


def meshes_that_start_at_once_find_ports_of_their_own(mesh):
    names = ["one", "two", "three"]
    started = [mesh.popen("--data", name, "dev", "--leaf", "a", "-d", stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) for name in names]
    try:
        for child in started:
            assert child.wait(90) == 0, child.stderr.read().decode()
        ports = []
        for name in names:
            mesh.ok("--data", name, "status")
            context = json.loads((mesh.home / name / "dev.json").read_text())
            ports += [p[key] for p in (context["hub"], *context["leaves"]) for key in ("http", "nats")]
        assert len(set(ports)) == len(ports), ports
    finally:
        for child, name in zip(started, names):
            child.stderr.close()
            mesh.run("--data", name, "dev", "stop")


TESTS = [
    without_a_mesh_every_command_says_how_to_start_one,
    a_mesh_comes_up_and_asking_again_changes_nothing,
    a_leaf_is_added_to_a_mesh_that_runs,
    a_domain_is_named_or_told_by_the_product,
    publish_makes_a_product_of_a_file,
    publish_keeps_a_file_that_was_changed,
    the_same_records_in_every_format,
    bad_records_are_shown_with_their_lines,
    reject_stores_nothing_of_a_bad_batch,
    what_was_acked_before_a_broken_file_is_told,
    a_file_no_contract_can_be_made_from_is_told_by_place,
    product_files_are_checked_before_they_are_sent,
    breaking_changes_are_refused,
    init_writes_a_file_that_is_valid,
    export_gives_the_contract,
    rows_are_read_by_key_range_prefix_and_field,
    keys_may_hold_any_character,
    a_limit_is_told,
    every_command_honours_o_json,
    a_consumer_reads_what_was_granted_and_no_more,
    only_the_owner_decides,
    a_subscription_survives_the_death_of_its_leaf,
    a_subscription_starts_where_it_is_told, a_subscription_begins_with_the_rows,
    rows_are_filtered_turned_round_and_counted,
    messages_of_another_signer_are_not_believed,
    a_load_waits_for_what_a_killed_one_has_sent,
    a_leaf_goes_on_without_the_hub,
    what_was_not_answered_may_have_been_done,
    the_audit_log_holds_and_lists_what_was_done,
    an_output_that_cannot_be_written_is_an_error,
    stopped_and_started_again_everything_is_there,
    leaves_find_their_hub_on_other_ports,
    a_hub_with_another_key_is_not_believed,
    children_die_with_their_supervisor,
    names_that_mean_somebody_else_are_refused_and_forgotten,
    a_mesh_whose_directory_is_removed_ends,
    meshes_that_start_at_once_find_ports_of_their_own,
]

if __name__ == "__main__":
    sys.exit(main(TESTS))
