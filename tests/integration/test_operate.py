#!/usr/bin/env python3
"""Running leaf and hub: the service manager, Prometheus, logs, and the commands for operators."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import fixture
from fixture import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
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
      email:    {number: 2, type: string, class: pii}
      amount:   {number: 3, type: "decimal(12,2)", max: 1000}
"""
RECORDS = "/v1/products/sales/orders/orders/records"


# --- the service manager --------------------------------------------------------------------------


class Manager:
    """A socket as systemd's: what a process says of itself."""

    def __init__(self, m, node, watchdog_us=400000):
        self.directory = tempfile.mkdtemp(prefix="sheaf-notify-")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.directory, "socket")
        self.socket.bind(path)
        self.socket.settimeout(30)
        node.environment = m.environment | {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(watchdog_us)}

    def next(self, but=""):
        """The next message that is not @but."""
        while True:
            text = self.socket.recv(4096).decode()
            if not but or not text.startswith(but):
                return text

    def close(self):
        self.socket.close()
        shutil.rmtree(self.directory)


def check_notify(m, node, status):
    manager = Manager(m, node)
    node.end(signal.SIGTERM)
    node.extra = []
    node.start()
    try:
        text = manager.next(but="WATCHDOG=1")
        assert re.fullmatch(r"READY=1\nSTATUS=" + status, text), text
        assert [manager.next(but="READY") for _ in range(3)] == ["WATCHDOG=1"] * 3
        node.process.send_signal(signal.SIGHUP)
        before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        text = manager.next(but="WATCHDOG=1")
        found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", text)
        assert found and int(found[1]) <= before_us + 30_000_000, text
        assert manager.next(but="WATCHDOG=1").startswith("READY=1\n")
        node.process.send_signal(signal.SIGTERM)
        assert manager.next(but="WATCHDOG=1") == "STOPPING=1"
        node.process.wait(30)
    finally:
        manager.close()
        node.environment = None
    until(lambda: fixture.is_free(node.nats), "its nats-server is gone")
    node.start()


def test_leaf_and_hub_tell_the_service_manager(m):
    """READY when they serve, WATCHDOG while the loop turns, RELOADING and READY on SIGHUP, STOPPING"""
    leaf, hub = m.leaves["sales"], m.hub
    check_notify(m, leaf, rf"domain sales: HTTP on port {leaf.http}, NATS on port {leaf.nats}")
    check_notify(m, hub, rf"HTTP on port {hub.http}, NATS on port {hub.nats}, leaf nodes on {hub.leafnode}")


def test_units_are_valid_and_hardened(m):
    """systemd takes the units as they are and finds little exposed"""
    if shutil.which("systemd-analyze") is None:
        return "there is no systemd-analyze"
    directory = m.directory / "units"
    directory.mkdir()
    for unit, program in (("sheaf-leaf@.service", "leaf"), ("sheaf-hub.service", "hub")):
        text = (ROOT / "packaging/systemd" / unit).read_text()
        assert "Type=notify" in text and "WatchdogSec=" in text
        text = text.replace(f"/usr/bin/sheaf-{program}", str(m.programs[program]))
        (directory / unit).write_text(text)
        instance = directory / unit.replace("@", "@sales")
        ran = subprocess.run(["systemd-analyze", "verify", "--man=no", instance], capture_output=True,
                             text=True, timeout=60, check=False)
        told = [line for line in ran.stderr.splitlines() if "sheaf" in line]
        assert ran.returncode == 0 and not told, ran
        ran = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=20",
                              directory / unit], capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
    return None


if __name__ == "__main__":
    sys.exit(fixture.run([
        test_leaf_and_hub_tell_the_service_manager,
        test_units_are_valid_and_hardened,
    ], ["sales"]))
