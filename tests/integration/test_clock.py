#!/usr/bin/env python3
"""Clocks that are set back: what had expired stays so, in the process and behind its restart.

A library in front of hub and leaf shifts their wall clock by what a file says (clock_shift.c).
"""
import os
import signal
import sys
import time

import fixture

PRODUCT = fixture.orders("n: {number: 2, type: int64}")
AHEAD_S = 1800


class Clock:
    def __init__(self, m, node):
        self.file = m.directory / f"{node.name}.shift"
        self.set(0)
        node.environment = m.environment | {
            "LD_PRELOAD": str(m.programs["clock_shift"]), "CLOCK_SHIFT": str(self.file),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def set(self, seconds):
        self.file.write_text(str(seconds))


def token(m, domain, from_now_s, life_s=600):
    now = int(time.time()) + from_now_s
    return m.token(domain, iat=now, exp=now + life_s)


def restart(node, clock, seconds):
    node.end(signal.SIGTERM)
    clock.set(seconds)
    node.start()


def test_a_token_of_the_leaf(m):
    """A token that has expired at a leaf stays expired when its clock is set back, and behind a restart"""
    sales = m.leaves["sales"]
    clock = Clock(m, sales)
    m.apply("sales", PRODUCT)
    restart(sales, clock, AHEAD_S)
    old, new = token(m, "sales", 0), token(m, "sales", AHEAD_S, 1200)

    def status_with(t):
        return sales.call("GET", "/v1/products", token=t)

    assert status_with(old).problem() == (401, "SHEAF-E0503")
    assert status_with(new).status == 200
    clock.set(0)
    assert status_with(old).problem() == (401, "SHEAF-E0503")
    assert status_with(new).status == 200
    clock.set(AHEAD_S)
    answer = sales.call("POST", "/v1/products/sales/orders/orders/records", '{"k": "a"}\n', new,
                        {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, answer
    restart(sales, clock, 0)
    assert status_with(old).problem() == (401, "SHEAF-E0503")
    assert status_with(new).status == 200
    sales.end(signal.SIGTERM)
    sales.environment = None
    sales.start()


def join(m, domain, secret):
    """A leaf that joins with @secret; its log when it does not."""
    leaf = fixture.Node(m, f"leaf-{domain}", domain)
    leaf.data.mkdir(mode=0o700)
    (leaf.data / "join.token").write_text(secret)
    (leaf.data / "join.token").chmod(0o600)
    leaf.start(wait=False)
    assert leaf.process.wait(fixture.WITHIN_S) != 0
    return leaf.log.read_text()


def test_tokens_of_the_hub(m):
    """A token that has expired at the hub, or an unspent one to join, is not brought back either"""
    clock = Clock(m, m.hub)
    answer = m.hub.call("POST", "/v1/join-tokens", {"domain": "late", "ttl_us": 600_000_000},
                        m.token("platform"))
    assert answer.status in (200, 201), answer
    secret = answer.json()["token"]
    restart(m.hub, clock, AHEAD_S)
    old, new = token(m, "platform", 0), token(m, "platform", AHEAD_S, 1200)

    def status_with(t):
        return m.hub.call("GET", "/v1/status", token=t)

    assert status_with(old).problem() == (401, "SHEAF-E0503")
    assert status_with(new).status == 200
    clock.set(0)
    assert status_with(old).problem() == (401, "SHEAF-E0503")
    assert "SHEAF-E0505" in join(m, "late", secret)
    clock.set(AHEAD_S)
    answer = m.hub.call("POST", "/v1/join-tokens", {"domain": "other"}, new)
    assert answer.status in (200, 201), answer
    restart(m.hub, clock, 0)
    assert status_with(old).problem() == (401, "SHEAF-E0503")
    (m.directory / "leaf-late").rename(m.directory / "leaf-late-first")
    assert "SHEAF-E0505" in join(m, "late", secret)
    m.hub.end(signal.SIGTERM)
    m.hub.environment = None
    m.hub.start()


if __name__ == "__main__":
    sys.exit(fixture.run([test_a_token_of_the_leaf, test_tokens_of_the_hub], ["sales"]))
