#!/usr/bin/env python3
"""Records of every size around every limit: taken or refused with a code, and no link is cut.

A message larger than a server's max_payload closes a leafnode link and with it all products of a
domain. So whatever a leaf takes must fit what it sends, also text that JSON makes six times longer.
"""
import json
import subprocess
import sys

import fixture

PRODUCT = """sheaf: product/v1
product: sales/orders
version: 1.0.0
owner: team@example.org
description: Orders.
tables:
  orders:
    kind: state
    key: [k]
    fields:
      k: {number: 1, type: string, required: true}
      n: {number: 2, type: int32}
      text: {number: 3, type: string}
"""
KIB = 1024
ROW_MAX, KEY_MAX, RECORD_MAX = 256 * KIB, KIB, 1024 * KIB
BODY_MAX = 4 * 1024 * KIB
PLAIN, LONGER = "x", "\x01"  # the second is six bytes of JSON


def load(m, rows, query=""):
    return m.load("sales", "orders/orders", rows, query=query)


def boundary(m, make, low, high):
    """The largest size that is taken, and the code of the first that is not."""
    assert load(m, [make(low)]).json()["accepted"] == 1
    code = None
    while high - low > 1:
        at = (low + high) // 2
        answer = load(m, [make(at)])
        assert answer.status in (200, 400), answer
        taken = answer.status == 200 and answer.json()["accepted"] == 1
        low, high = (at, high) if taken else (low, at)
        if not taken:
            code = answer.json()["errors"][0]["code"] if answer.status == 200 else answer.problem()[1]
    return low, code


def test_granted(m):
    """marketing may read sales/orders, and the links stand"""
    m.apply("sales", PRODUCT)
    asked = m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "t",
                    "--for", "9d", "-o", "json").json()["id"]
    m.sheaf("access", "approve", asked, "--as", "sales", "-o", "json")
    m.sizes = {n.name: n.links() for n in (m.hub, *m.leaves.values())}


def test_limits_are_where_they_are_said_to_be(m):
    """Rows, keys and records are taken up to their limit to the byte, and refused by number beyond"""
    size, code = boundary(m, lambda n: {"k": "row", "text": PLAIN * n}, ROW_MAX // 2, ROW_MAX + 1)
    assert code == "SHEAF-E0208" and ROW_MAX - 64 < size <= ROW_MAX, (size, code)
    size, code = boundary(m, lambda n: {"k": "k" * n}, 1, KEY_MAX + 1)
    assert code == "SHEAF-E0208" and size == KEY_MAX - 2, (size, code)
    # Six bytes of JSON each: the text of the record ends before the row does.
    size, code = boundary(m, lambda n: {"k": "longer", "text": LONGER * n}, 1, ROW_MAX + 1)
    assert code == "SHEAF-E0201" and RECORD_MAX - 64 < 6 * size <= RECORD_MAX, (size, code)
    m.longest = size
    assert load(m, "x" * BODY_MAX * 2).problem()[0] in (400, 413)


def test_what_is_taken_reaches_everybody(m):
    """Rows of every size come to another domain: live, in a replay, in pages, one by one"""
    sizes = [1, 100, 4 * KIB, 64 * KIB, 128 * KIB, ROW_MAX // 2, ROW_MAX - 100]
    live = subprocess.Popen(
        [str(m.programs["sheaf"]), "sub", "sales/orders", "--as", "marketing", "--since", "all"],
        env=m.environment | {"SHEAF_DEV_DIR": str(m.directory)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wanted = {}
        for i, n in enumerate(sizes):
            wanted[f"p{i}"] = PLAIN * n
            wanted[f"l{i}"] = LONGER * min(n, m.longest)
        for k, text in wanted.items():
            answer = load(m, [{"k": k, "text": text}])
            assert answer.status == 200 and answer.json()["accepted"] == 1, answer
        # In one body and one commit: cut into frames and messages as they fit.
        many = [{"k": f"m{i}", "text": PLAIN * (200 * KIB)} for i in range(15)]
        assert load(m, many).json()["accepted"] == len(many)
        assert load(m, [{"k": "end"}]).json()["accepted"] == 1
        got = {}
        for line in live.stdout:
            change = json.loads(line)
            got[change["row"]["k"]] = change["row"]["text"]
            if "end" in got:
                break
    finally:
        live.kill()
        live.communicate()
    wanted |= {row["k"]: row["text"] for row in many}
    assert all(got.get(k) == text for k, text in wanted.items())
    rows = m.sheaf("read", "sales/orders", "--as", "marketing", "--limit", "0", "-o", "ndjson").lines()
    shown = {row["k"]: row["text"] for row in rows}
    assert all(shown.get(k) == text for k, text in wanted.items())
    one = m.sheaf("read", "sales/orders", "--key", "l6", "--as", "marketing", "-o", "ndjson").lines()
    assert [row["text"] for row in one] == [wanted["l6"]]


def test_no_link_was_cut(m):
    """Nobody has lost a link to the hub, and the leaves go on"""
    assert m.sizes == {n.name: n.links() for n in (m.hub, *m.leaves.values())}
    assert all(leaf.is_alive() for leaf in m.leaves.values())
    assert m.hub.is_alive()


sys.exit(fixture.run([test_granted, test_limits_are_where_they_are_said_to_be,
                      test_what_is_taken_reaches_everybody, test_no_link_was_cut],
                     ["sales", "marketing"]))
