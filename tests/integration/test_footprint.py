#!/usr/bin/env python3
"""What a leaf takes of a machine, in a build as people run it: memory when idle and under load, and
what it costs to be ready.

With a sanitizer a process takes several times its memory. TEST_PLAIN_BUILD names a build directory without
one, whose programs are then looked at (./dev test makes it); else tests skip in a build that has one.
Ready is bounded by CPU time, which a busy machine does not stretch.
"""
import os
import pathlib
import re
import signal
import sys

import fixture
import test_limits
from fixture import until

IDLE_MIB = 25
READY_CPU_S = 0.3
SANITIZED = "built with a sanitizer, and TEST_PLAIN_BUILD names no other build"


def programs(argv):
    plain = os.environ.get("TEST_PLAIN_BUILD")
    if not plain:
        return argv
    found = {"sheaf": "cli/sheaf", "hub": "hub/sheaf-hub", "leaf": "leaf/sheaf-leaf"}
    kept = [a for a in argv if a.split("=", 1)[0] not in found]
    return kept + [f"{name}={pathlib.Path(plain) / path}" for name, path in found.items()]


def resident_mib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss:\s+(\d+) kB", text, re.M)[1]) / 1024


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle(m):
    """A leaf that does nothing takes 25 MiB"""
    if test_limits.is_sanitized(m):
        return SANITIZED
    leaf = m.leaves["sales"]
    leaf.end(signal.SIGTERM)
    leaf.start()
    until(lambda: m.call(leaf.http, "GET", "/v1/status", token=m.token("sales")).json()["hub"]["state"]
          == "up", "it has its hub")
    took = resident_mib(leaf.process.pid)
    print(f"# {took:.1f} MiB")
    assert took <= IDLE_MIB, took
    return None


def test_ready(m):
    """It is ready after 300 ms of CPU time, also after a kill"""
    if test_limits.is_sanitized(m):
        return SANITIZED
    leaf = m.leaves["sales"]
    m.apply("sales", test_limits.PRODUCT)
    assert test_limits.post(m, 250).status == 200
    for how in signal.SIGTERM, signal.SIGKILL:
        leaf.end(how)
        leaf.start()
        took = cpu_s(leaf.process.pid)
        print(f"# {took * 1000:.0f} ms after {how.name}")
        assert took <= READY_CPU_S, took
    return None


def in_plain(test):
    """@test of test_limits, where memory is looked at"""
    def run(m):
        return SANITIZED if test_limits.is_sanitized(m) else test(m)
    run.__doc__ = test.__doc__
    run.__name__ = test.__name__
    return run


if __name__ == "__main__":
    os.environ.pop("MALLOC_PERTURB_", None)  # It writes to what calloc() only promises.
    sys.exit(fixture.run([
        test_idle,
        test_ready,
        in_plain(test_limits.test_a_slow_client_costs_the_others_nothing),
        in_plain(test_limits.test_overload_stays_within_the_limits),
    ], ["sales"], programs(sys.argv[1:])))
