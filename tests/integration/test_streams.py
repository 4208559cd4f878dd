#!/usr/bin/env python3
"""Bodies taken in batches (?batch=stream): acknowledged while they are sent, resumed, bounded."""
import gzip
import http.client
import json
import socket
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
      note:     {number: 2, type: string}
  clicks:
    kind: event
    fields:
      page: {number: 1, type: string, required: true}
      n:    {number: 2, type: int64}
"""
PATH = "/v1/products/sales/orders/clicks/records?batch=stream"
WAIT_S = 20


class Stream:
    """A request whose body is sent piece by piece, and whose answer is read meanwhile."""

    def __init__(self, m, path=PATH, **headers):
        self.leaf = m.leaves["sales"]
        self.socket = socket.create_connection(("127.0.0.1", self.leaf.http), timeout=WAIT_S)
        headers = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked",
                   "Host": "leaf", "Authorization": f"Bearer {m.token('sales')}"} | {
                       k.replace("_", "-"): v for k, v in headers.items()}
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        self.socket.sendall((head + "\r\n").encode())
        self.answer = None

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self):
        self.socket.sendall(b"0\r\n\r\n")

    def line(self):
        """The next line of the answer."""
        if self.answer is None:
            self.answer = http.client.HTTPResponse(self.socket)
            self.answer.begin()
            assert self.answer.status == 200, (self.answer.status, self.answer.read())
        return json.loads(self.answer.readline())

    def rest(self):
        lines = []
        while not lines or "done" not in lines[-1]:
            lines.append(self.line())
        assert self.answer.read() == b""
        return lines

    def close(self):
        self.socket.close()
        if self.answer is not None:
            self.answer.close()


def pages(m, before=0):
    """All pages in the event table behind the first so many, in order."""
    return [row["page"] for row in m.rows("sales", "orders/clicks", f"&from={before + 1}")]


def count(m):
    return m.rows("sales", "orders/clicks", "&count=true")[0]["count"]


def post(m, body, query="", **headers):
    headers = {"Content-Type": "application/x-ndjson"} | {
        k.replace("_", "-"): v for k, v in headers.items()}
    return m.leaves["sales"].call("POST", PATH + query, body, m.token("sales"), headers)


def clicks(first, count):
    return "".join('{"page":"/%d"}\n' % i for i in range(first, first + count))


def test_contract_stands(m):
    """The product comes into force"""
    m.apply("sales", PRODUCT)


def test_acked_while_sending(m):
    """Batches are acknowledged while the body is still being sent; the last line has the totals"""
    # By its key: then batches end by their size alone, however long the next piece takes.
    s = Stream(m, PATH + "&batch_records=100", Idempotency_Key="acked")
    s.send(clicks(0, 150))
    first = s.line()
    assert (first["batch"], first["accepted"], first["line"]) == (1, 100, 100), first
    assert pages(m) == [f"/{i}" for i in range(100)]
    s.send('{"page":7}\n')
    s.send(clicks(150, 49))
    second = s.line()
    assert (second["accepted"], second["quarantined"], second["line"]) == (99, 1, 200), second
    assert second["errors"][0]["line"] == 151, second
    s.send(clicks(199, 1)[:-1])
    s.finish()
    third, end = s.rest()
    assert (third["accepted"], third["first_seq"]) == (1, 200), third
    assert {k: end[k] for k in ("done", "batches", "accepted", "quarantined", "line")} == {
        "done": True, "batches": 3, "accepted": 200, "quarantined": 1, "line": 200}, end
    s.close()
    assert pages(m) == [f"/{i}" for i in range(200)]


def test_few_records_do_not_wait(m):
    """A batch that does not fill is stored after a second"""
    s = Stream(m)
    s.send(clicks(200, 3))
    assert s.line()["accepted"] == 3
    s.close()
    fixture.until(lambda: count(m) == 203, "the three are there")


def test_forms(m):
    """CSV with its header, gzip, and a body larger than body-max; a damaged one keeps what was acked"""
    rows = "".join(f'"/c\n{i}",{i}\n' for i in range(300000))
    assert len(rows) > 4e6
    answer = post(m, gzip.compress(("page,n\n" + rows).encode()), Content_Type="text/csv",
                  Content_Encoding="gzip")
    assert answer.status == 200, answer
    lines = answer.lines()
    assert len(lines) == 31 and lines[-1]["accepted"] == 300000, lines[-1]
    assert lines[-1]["bytes"] == len("page,n\n" + rows) and lines[-1]["line"] == 600001, lines[-1]
    packed = gzip.compress(clicks(0, 25000).encode())
    answer = post(m, packed[:-4], Content_Encoding="gzip")
    lines = answer.lines()
    assert lines[-1]["done"] is False and lines[-1]["problem"]["code"] == "SHEAF-E0201", lines[-1]
    assert lines[-1]["accepted"] == 20000, lines[-1]
    body = clicks(0, 20000) * 60
    assert len(body) > 16 * 1024 * 1024
    answer = post(m, body, "&on_invalid=reject")
    assert answer.lines()[-1]["accepted"] == 20000 * 60, answer.body[-400:]


def test_messages(m):
    """Messages behind their lengths, cut anywhere, in batches; what ends inside one is told"""
    def message(page):
        page = page.encode()
        body = b"\x0a" + bytes([len(page) % 128 | 128, len(page) // 128]) + page
        return bytes([len(body) % 128 | 128, len(body) // 128]) + body
    before = count(m)
    wanted = [f"/{i}" + "x" * 150 for i in range(500)]
    body = b"".join(message(page) for page in wanted)
    s = Stream(m, PATH + "&batch_records=200", Content_Type="application/protobuf", Idempotency_Key="messages")
    for at in range(0, len(body), 1013):
        s.send(body[at:at + 1013])
    assert s.line()["accepted"] == 200
    s.finish()
    lines = s.rest()
    s.close()
    assert [line["accepted"] for line in lines] == [200, 100, 500], lines
    assert pages(m, before) == wanted
    answer = post(m, body + b"\x05\x0a", "&batch_records=500", Content_Type="application/protobuf")
    lines = answer.lines()
    assert lines[0]["accepted"] == 500 and lines[-1]["problem"]["code"] == "SHEAF-E0201", lines
    assert "message 501" in lines[-1]["problem"]["detail"], lines


def test_refusals(m):
    """What cannot be begun is a problem; a refused batch ends the stream and keeps those before"""
    for query, headers, body, want in [
            ("", {"Content_Type": "application/json"}, "[]", (400, "SHEAF-E0301")),
            ("&expected_seq=1", {}, "", (400, "SHEAF-E0301")),
            ("&batch_records=0", {}, "", (400, "SHEAF-E0301")),
            ("", {"Content_Type": "text/plain"}, "x" * 100000, (415, "SHEAF-E0210")),
            ("&on_invalid=reject", {}, '{"page":1}\n', (422, "SHEAF-E0202"))]:
        answer = post(m, body, query, **headers)
        assert answer.problem() == want, (query, answer)
    answer = post(m, clicks(0, 10) + '{"page":1}\n', "&on_invalid=reject&batch_records=10")
    first, last = answer.lines()
    assert first["accepted"] == 10 and last["problem"]["code"] == "SHEAF-E0202", answer.body
    no_token = m.leaves["sales"].call("POST", PATH, clicks(0, 1), None,
                                      {"Content-Type": "application/x-ndjson"})
    assert no_token.status == 401, no_token
    answer = m.leaves["sales"].call("POST", PATH.replace("clicks", "nothing"), clicks(0, 1),
                                    m.token("sales"), {"Content-Type": "application/x-ndjson"})
    assert answer.problem() == (404, "SHEAF-E0303"), answer


def test_killed_and_sent_again(m):
    """With an Idempotency-Key a body cut off by kill -9 of the leaf is sent again: nothing twice"""
    before = count(m)
    body = [clicks(1000 * i, 1000) for i in range(20)]
    s = Stream(m, PATH + "&batch_records=500", Idempotency_Key="load-1")
    for piece in body[:7]:
        s.send(piece)
    acked = 0
    while acked < 5000:
        acked += s.line()["accepted"]
    m.leaves["sales"].end()
    s.close()
    m.leaves["sales"].start()
    fixture.until(m.leaves["sales"].is_ready, "the leaf is ready")
    assert count(m) - before >= acked
    s = Stream(m, PATH + "&batch_records=500", Idempotency_Key="load-1")
    for piece in body:
        s.send(piece)
    s.finish()
    lines = s.rest()
    s.close()
    assert lines[-1]["accepted"] == 20000 and lines[-1]["batches"] == 40, lines[-1]
    assert [line.get("replayed", False) for line in lines[:10]] == [True] * 10, lines[:10]
    assert not lines[39].get("replayed", False), lines[39]
    assert pages(m, before) == [f"/{i}" for i in range(20000)]


def test_client_leaves(m):
    """A client that leaves keeps what was acknowledged, and its stream ends"""
    before = count(m)
    s = Stream(m, PATH + "&batch_records=10")
    s.send(clicks(0, 25))
    assert s.line()["accepted"] == 10 and s.line()["accepted"] == 10
    s.close()

    def streams():
        text = m.leaves["sales"].call("GET", "/metrics").body.decode()
        return next(line for line in text.splitlines() if line.startswith("sheaf_ingest_streams "))
    fixture.until(lambda: streams() == "sheaf_ingest_streams 0", "no stream is open")
    assert count(m) - before in (20, 25)


def test_silent_reader(m):
    """A client that sends all and reads nothing meanwhile still gets the last line"""
    answer = post(m, clicks(0, 3000), "&batch_records=1")
    lines = answer.lines()
    assert lines[-1]["batches"] == 3000 and lines[-1]["done"], lines[-1]


TESTS = [test_contract_stands, test_acked_while_sending, test_few_records_do_not_wait, test_forms, test_messages,
         test_refusals, test_killed_and_sent_again, test_client_leaves, test_silent_reader]

if __name__ == "__main__":
    sys.exit(fixture.run(TESTS, ["sales"]))
