#!/usr/bin/env python3
"""How long answers take tells a consumer nothing of what it may not see: times of the same requests with one hidden content
and with another, in turns by lot, are of one distribution by the test of Kolmogorov and Smirnov."""
import math
import os
import random
import statistics
import sys
import time

import fixture
from nats import Client

PRODUCT = fixture.orders(
    "kind:  {number: 2, type: string, required: true}",
    "city:  {number: 3, type: string}",
    "email: {number: 4, type: string, class: pii}",
    "note:  {number: 5, type: string, class: secret}",
    key="id", rest="""policies:
  - {name: cities, match: {field: city}, mask: redact}
  - {name: emails, match: {field: email}, mask: keep_domain}
  - {name: open-rows, match: all, filter: "kind = 'open'"}
""")
ROWS = 200
TURNS = int(os.environ.get("TEST_TURNS", 100))
IN_TURN = 10
SEED = int(os.environ.get("TEST_SEED", 7))
LIKELY = 1e-5  # what comes by chance more rarely than this is no chance

ASKED = {
    "a page": ("scan", {}),
    "a count": ("scan", {"count": True}),
    "where": ("scan", {"where": "length(city) > 0"}),
    "a row that is shown": ("get", {"key": ["k001"]}),
    "a row that is hidden": ("get", {"key": ["k000"]}),
    "no such row": ("get", {"key": ["k000x"]}),
    "an error": ("scan", {"where": "note = 'x'"}),
}


def chance(a, b):
    """How likely the distributions of @a and @b are as far apart as they are when there is only one of them."""
    both = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    seen, distance = [0, 0], 0.0
    for _, which in both:
        seen[which] += 1
        distance = max(distance, abs(seen[0] / len(a) - seen[1] / len(b)))
    n = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    t = (n + 0.12 + 0.11 / n) * distance
    return min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * t * t) for k in range(1, 100))) if t > 0.3 else 1.0


def rows(world, draw):
    """Every second row is hidden, and of the others some fields: they are all alike in one world, and drawn in the other."""
    for i in range(ROWS):
        word = "".join(draw.choice("abcdefgh") for _ in range(12)) if world else "x" * 12
        yield {"id": f"k{i:03}", "kind": "open" if i % 2 else "shut" if world else "none",
               "city": word, "email": word + "@example.org", "note": word}


def one_turn(client, draw):
    """port -> the shortest of its times in seconds: others who use the machine only make it longer."""
    taken = {port: [] for port in ASKED}
    for _ in range(IN_TURN):
        for port in draw.sample(sorted(ASKED), len(ASKED)):
            op, body = ASKED[port]
            start = time.perf_counter()
            client.ask("q.sales.orders." + op, body)
            taken[port].append(time.perf_counter() - start)
    return {port: min(times) for port, times in taken.items()}


def test_times(m):
    """Answers take as long whatever is hidden of their rows"""
    draw = random.Random(SEED)
    m.apply("sales", PRODUCT)
    request = m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "test", "--for", "1d",
                      "-o", "json").json()["id"]
    m.sheaf("access", "approve", request, "--as", "sales")
    m.load("sales", "orders/orders", list(rows(0, draw)))
    fixture.until(lambda: m.sheaf("read", "sales/orders", "--as", "marketing", status=None).status == 0, "granted")
    client = Client(m.leaves["marketing"].nats, m.leaves["marketing"].data / "keys" / "app.nk")
    one_turn(client, draw)
    turns = []
    for world in draw.sample([0, 1] * (TURNS // 2), TURNS):
        m.load("sales", "orders/orders", list(rows(world, draw)))
        turns.append((world, one_turn(client, draw)))
    client.close()
    pairs = {port: [[taken[port] for w, taken in turns if w == world] for world in (0, 1)] for port in ASKED}
    pairs["hidden or none"] = [[taken[port] for _, taken in turns] for port in ("a row that is hidden", "no such row")]
    for port, (a, b) in pairs.items():
        print(f"# {port}: {statistics.median(a) * 1e6:.0f} and {statistics.median(b) * 1e6:.0f} us, by chance {chance(a, b):.4f}")
    told = [port for port, (a, b) in pairs.items() if chance(a, b) < LIKELY]
    assert not told, (told, SEED)


if __name__ == "__main__":
    sys.exit(fixture.run([test_times], ["sales", "marketing"]))
