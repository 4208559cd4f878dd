#!/usr/bin/env python3
"""The rows of a removed version go for good, through kill -9, and their space comes back."""
import random
import re
import signal
import sys
import time

import fixture

PRODUCT = fixture.orders("text: {number: 2, type: string}", name="NAME", rest="""\
  clicks:
    kind: event
    fields:
      text: {number: 1, type: string}
slo: {retention: 30d}
""")
GONE = ("small", "large")
SEED = 11
AFTER_S = 60  # of the purge time: PURGE_AFTER_US of leaf_purge.c
ROWS = 12000
KILLS = 4


def text_of(chance):
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=300))


def fill(m, name, rows):
    chance = random.Random(SEED)
    m.apply("sales", PRODUCT.replace("NAME", name))
    for at in range(0, rows, 2000):
        some = [{"k": f"k{i}", "text": text_of(chance)} for i in range(at, min(at + 2000, rows))]
        assert m.load("sales", f"{name}/orders", some).status == 200
        assert m.load("sales", f"{name}/clicks", [{"text": r["text"]} for r in some]).status == 200
    m.load("sales", f"{name}/orders", [{"k": "k1", "text": "new"}, {"k": "k2", "text": 7}])


def store_bytes(m):
    return sum(len(data) for path, data in fixture.files_below(m.leaves["sales"].data / "store") if path.suffix == ".sst")


def purged(m):
    log = m.leaves["sales"].log.read_text(errors="replace")
    return set(re.findall(r"leaf\.product_purged product=(\w+)", log))


def restart(m):
    m.leaves["sales"].end()
    m.leaves["sales"].start()


def check_whole(m):
    out = m.sheaf("leaf", "check", "--as", "sales").out
    assert out.endswith("nothing is damaged\n"), out


def test_rows_go_for_good(m):
    """kill -9 while removed versions are purged: all of their rows go, nothing else does"""
    leaf = m.leaves["sales"]
    leaf.end(signal.SIGTERM)
    leaf.extra = ["--retain-every", "1s"]
    leaf.start()
    fill(m, "stays", 200)
    fill(m, GONE[0], 50)
    fill(m, GONE[1], ROWS)
    for name in GONE:
        m.sheaf("product", "retire", f"sales/{name}@1", "--as", "sales")
        m.sheaf("product", "rm", f"sales/{name}@1", "--as", "sales", "--yes", "--keep", "0")
    removed = time.monotonic()
    restart(m)  # what is in memory only has no size
    before = store_bytes(m)
    assert before > ROWS * 200, before
    ran = m.sheaf("product", "restore", "sales/large@1", "--as", "sales", status=6)
    assert "SHEAF-E0411" in ran.err, ran
    chance = random.Random(SEED)
    for i in range(KILLS):
        at = removed + AFTER_S + 0.5 * i + chance.random()
        fixture.until(lambda t=at: time.monotonic() >= t or purged(m), "it is due", AFTER_S + 10)
        restart(m)
    fixture.until(lambda: purged(m) == set(GONE), "all is purged", every_s=0.2)
    check_whole(m)
    restart(m)
    after = store_bytes(m)
    assert after < before / 10, (before, after)
    check_whole(m)
    rows = m.sheaf("read", "sales/stays.orders", "--as", "sales", "--limit", "0", "-o", "ndjson")
    assert len(rows.lines()) == 200, len(rows.lines())
    assert m.load("sales", "stays/orders", [{"k": "k1", "text": "newer"}]).status == 200


def test_there_is_no_way_back(m):
    """A purged version is neither restored nor used again, and is still listed as removed"""
    leaf, token = m.leaves["sales"], m.token("sales")
    answer = leaf.call("POST", "/v1/products/sales/large@1/restore", None, token)
    assert answer.problem() == (409, "SHEAF-E0411"), answer
    m.sheaf("product", "rm", "sales/large@1", "--as", "sales", "--yes")  # it is so already
    answer = leaf.call("POST", "/v1/products/sales/large@1/restore", None, token)
    assert answer.problem() == (409, "SHEAF-E0411"), answer
    ran = m.apply("sales", PRODUCT.replace("NAME", "large").replace("1.0.0", "1.1.0"), status=6)
    assert "SHEAF-E0411" in ran.err, ran
    p = m.sheaf("product", "show", "sales/large@1", "--as", "sales", "-o", "json").json()
    assert p["status"] == "removed", p
    two = PRODUCT.replace("NAME", "large").replace("1.0.0", "2.0.0")
    m.apply("sales", two)
    assert m.load("sales", "large@2/orders", [{"k": "a"}]).status == 200
    restart(m)
    assert len(m.sheaf("read", "sales/large.orders", "--as", "sales", "-o", "ndjson").lines()) == 1


if __name__ == "__main__":
    sys.exit(fixture.run([test_rows_go_for_good, test_there_is_no_way_back], ["sales"]))
