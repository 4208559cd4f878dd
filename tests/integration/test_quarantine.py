#!/usr/bin/env python3
"""Quarantined records: shown, fixed, replayed, dropped, each once, against running processes."""
import sys
import threading

import fixture

PRODUCT = """sheaf: product/v1
product: sales/orders
version: {version}
owner: orders@example.org
description: Orders.
tables:
  orders:
    kind: state
    key: [order_id]
    fields:
      order_id: {{number: 1, type: string, required: true}}
      amount:   {{number: 2, type: "decimal(12,2)"}}
      {more}
  clicks:
    kind: event
    fields:
      page: {{number: 1, type: string, required: true}}
      {more}
"""
NEWER = PRODUCT.format(version="1.1.0", more="extra: {number: 9, type: string}")
AMOUNT = "9081726354.50"  # nothing else in a log looks like it, as a time would like 2.50
REPLAYED = 3000


def call(m, method, path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return m.leaves["sales"].call(method, "/v1/products/sales/orders/" + path, body,
                                  m.token("sales"), headers)


def rows(m, table):
    return m.rows("sales", f"orders/{table}")


def test_contract_stands(m):
    """The product comes into force"""
    m.apply("sales", PRODUCT.format(version="1.0.0", more=""))


def test_show_marks_the_cause(m):
    """show marks what is wrong in the record; ls counts by code and field"""
    answer = call(m, "POST", "orders/records", 'order_id,amount\nA,"x,y"\nB,1.234\n',
                  Content_Type="text/csv")
    assert answer.json()["quarantined"] == 2, answer
    shown = m.sheaf("product", "quarantine", "show", "sales/orders.orders", "1").out
    assert '    A,"x,y"\n       ^~~\n' in shown, shown
    assert "order_id,amount" in shown, shown
    entry = m.sheaf("product", "quarantine", "show", "sales/orders.orders", "2", "-o", "json").json()
    assert (entry["raw"], entry["form"], entry["valid"]) == ("B,1.234", "csv", False), entry
    assert entry["errors"][0]["at"] == 2 and entry["errors"][0]["size"] == 5, entry
    groups = m.sheaf("product", "quarantine", "ls", "sales/orders.orders", "--summary", "-o",
                     "json").json()["items"]
    assert [(g["code"], g["field"], g["entries"]) for g in groups] == [
        ("SHEAF-E0204", "amount", 1), ("SHEAF-E0205", "amount", 1)], groups
    listed = m.sheaf("product", "quarantine", "ls", "sales/orders.orders", "--code", "E0205", "-o",
                     "ndjson").lines()
    assert [entry["qseq"] for entry in listed] == [2], listed


def test_fix(m):
    """A fix stores the row and takes the entry in one step; the second finds nothing"""
    fix = ["product", "quarantine", "fix", "sales/orders.orders", "1", "--set"]
    refused = m.sheaf(*fix, "amount=z", status=3)
    assert "'amount' must be a number" in refused.err, refused
    m.sheaf(*fix, f"amount={AMOUNT}")
    m.sheaf(*fix, f"amount={AMOUNT}", status=4)
    m.sheaf("product", "quarantine", "fix", "sales/orders.orders", "2",
            environment={"EDITOR": "sed -i s/1.234/1.23/"})
    assert rows(m, "orders") == [{"order_id": "A", "amount": AMOUNT},
                                 {"order_id": "B", "amount": "1.23"}], rows(m, "orders")


def test_owner_only(m):
    """Another domain's token, and no token, get nothing"""
    for token in (m.token("marketing"), None):
        answer = m.leaves["sales"].call("DELETE", "/v1/products/sales/orders/orders/quarantine",
                                        None, token)
        assert answer.status in (401, 403), answer


def test_drop_wants_a_yes(m):
    """Nothing is dropped without being named and agreed"""
    call(m, "POST", "orders/records", '{"order_id":1}', Content_Type="application/x-ndjson")
    m.sheaf("product", "quarantine", "drop", "sales/orders.orders", "--yes", status=2)
    m.sheaf("product", "quarantine", "drop", "sales/orders.orders", "3", status=2)
    m.sheaf("product", "quarantine", "drop", "sales/orders.orders", "3", "--yes")
    assert call(m, "GET", "orders/quarantine").json()["total"] == 0


def test_replay_survives_kill(m):
    """kill -9 in the middle of a replay: every entry becomes one row, none two"""
    leaf = m.leaves["sales"]
    body = "".join('{"page":"p%d","extra":"x"}\n' % i for i in range(REPLAYED))
    assert call(m, "POST", "clicks/records", body,
                Content_Type="application/x-ndjson").json()["quarantined"] == REPLAYED
    m.apply("sales", NEWER)
    after = call(m, "POST", "clicks/quarantine/replay?limit=100").json()
    assert (after["accepted"], after["more"], after["until"]) == (100, True, REPLAYED), after
    threads = [threading.Thread(target=try_replay, args=(m,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    fixture.until(lambda: call(m, "GET", "clicks/quarantine").json()["total"] < REPLAYED - 100,
                  "a replay goes on")
    leaf.end()
    for thread in threads:
        thread.join()
    leaf.start()
    m.sheaf("product", "quarantine", "replay", "sales/orders.clicks", "--all")
    assert call(m, "GET", "clicks/quarantine").json()["total"] == 0
    pages = [row["page"] for row in rows(m, "clicks")]
    assert len(pages) == REPLAYED and len(set(pages)) == REPLAYED, len(pages)


def try_replay(m):
    """As far as the leaf lives."""
    after = 0
    try:
        while True:
            answer = call(m, "POST", f"clicks/quarantine/replay?limit=50&after={after}")
            if answer.status == 200:
                after = answer.json()["last"]
                if not answer.json()["more"]:
                    return
    except OSError:
        return


def test_messages(m):
    """Records that came as protobuf are shown decoded, mended by field, and replayed as they came"""
    def message(*fields):
        body = b"".join(fields)
        return bytes([len(body)]) + body
    id_x, amount, extra = b"\x0a\x01X", b"\x10\xd4\x17", b"\x4a\x02hi"
    m.apply("sales", PRODUCT.format(version="1.0.0", more="").replace("sales/orders", "sales/boxes"))
    path = "/v1/products/sales/boxes/orders/records"
    answer = m.leaves["sales"].call(
        "POST", path,
        message(b"\x0a\x01Y", b"\x12\x03abc") + message(id_x, amount, extra)
        + message(id_x, b"\xff") + message(amount),
        m.token("sales"), {"Content-Type": "application/protobuf"}).json()
    assert (answer["accepted"], answer["quarantined"]) == (0, 4), answer
    shows = [m.sheaf("product", "quarantine", "show", "sales/boxes.orders", q).out
             for q in range(1, 5)]
    assert '"order_id":"Y"' in shows[0] and '"amount":"abc"' in shows[0], shows[0]
    assert "base64" not in shows[0] + shows[1], shows
    assert '"amount":"15.14"' in shows[1] and '"#9":"hi"' in shows[1], shows[1]
    assert '"order_id":"X"' in shows[2] and "from byte 3 on it is no message\n    CgFY/w==" in shows[2]
    fixed = m.sheaf("product", "quarantine", "fix", "sales/boxes.orders", "1", "--set", "amount=2.75")
    assert "fixed entry 1" in fixed.out, fixed
    m.sheaf("product", "quarantine", "fix", "sales/boxes.orders", "4", "--set", "order_id=Z")
    m.sheaf("product", "quarantine", "fix", "sales/boxes.orders", "3", "--set", "amount=1", status=2)
    m.apply("sales", NEWER.replace("sales/orders", "sales/boxes"))  # has the field of number 9
    m.sheaf("product", "quarantine", "replay", "sales/boxes.orders", "2")
    found = m.sheaf("read", "sales/boxes.orders", "--as", "sales", "-o", "ndjson").lines()
    assert {r["order_id"]: (r["amount"], r["extra"]) for r in found} == {
        "X": ("15.14", "hi"), "Y": ("2.75", None), "Z": ("15.14", None)}, found


def test_audit(m):
    """The log says who did what, without a value"""
    logs = "".join(data.decode(errors="replace") for p, data in fixture.files_below(m.directory)
                   if p.suffix == ".log" and "sales" in str(p) and "db" not in p.parts)
    assert "quarantine.mended" in logs and "what=fix" in logs and "what=replay" in logs
    assert AMOUNT not in logs


if __name__ == "__main__":
    sys.exit(fixture.run([test_contract_stands, test_show_marks_the_cause, test_fix, test_owner_only,
                 test_drop_wants_a_yes, test_replay_survives_kill, test_messages, test_audit],
                ["sales", "marketing"]))
