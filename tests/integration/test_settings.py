#!/usr/bin/env python3
"""The configuration file of leaf and hub: what is wrong with it, where values come from, SIGHUP."""
import os
import re
import signal
import socket
import subprocess
import sys

import fixture
from fixture import until


def check(m, program, *arguments, status=0, environment=None):
    """What `PROGRAM --check-config` prints."""
    ran = subprocess.run([m.programs[program], "--check-config", *map(str, arguments)],
                         env=m.environment | (environment or {}), capture_output=True, text=True,
                         timeout=30, check=False)
    assert ran.returncode == status, ran
    return ran.stdout if status == 0 else ran.stderr


def table(text):
    return {line.split()[0]: tuple(line.split()[1:]) for line in text.splitlines()}


def settings_of(m):
    answer = m.leaves["sales"].call("GET", "/v1/settings", token=m.token("sales"))
    assert answer.status == 200, answer
    return {item["name"]: item for item in answer.json()["items"]}


def reread(m, path, text, event):
    """Writes the file, sends SIGHUP and waits for the log to say @event once more."""
    leaf = m.leaves["sales"]
    before = leaf.log.read_text().count(event)
    path.write_text(text)
    leaf.process.send_signal(signal.SIGHUP)
    until(lambda: leaf.log.read_text().count(event) > before, event)


def test_check_config_shows_every_setting_with_its_origin(m):
    """--check-config prints every setting with its value and where it comes from, and starts nothing"""
    path = m.directory / "leaf.yaml"
    path.write_text(f"data: {m.directory}/none\ndomain: sales\nbody-max: 1MiB\nqueries-max: 64\n")
    shown = table(check(m, "leaf", "--config", path, "--queries-max=32",
                        environment={"SHEAF_CACHE": "8MiB", "SHEAF_OUTPUT": "json"}))
    assert shown["domain"] == ("sales", f"{path}:2"), shown
    assert shown["body-max"] == ("1MiB", f"{path}:3"), shown
    assert shown["queries-max"] == ("32", "flag"), shown
    assert shown["cache"] == ("8MiB", "environment"), shown
    assert shown["pending-max"] == ("256MiB", "default"), shown
    assert shown["hub"] == ("-", "unset"), shown
    assert not (m.directory / "none").exists()
    shown = table(check(m, "leaf", "--config", path, "--memory", "464MiB"))
    assert shown["cache"] == ("64MiB", "memory"), shown
    assert shown["get-cache"] == ("16MiB", "memory"), shown
    assert shown["body-max"] == ("1MiB", f"{path}:3"), shown
    path.write_text("data: x\nlog-level: debug\n")
    shown = table(check(m, "hub", environment={"SHEAF_CONFIG": str(path)}))
    assert shown["log-level"] == ("debug", f"{path}:2"), shown
    assert shown["nats-port"] == ("4222", "default"), shown


def variables_of(m, program):
    ran = subprocess.run([m.programs[program], "--help"], env=m.environment, capture_output=True,
                         text=True, timeout=30, check=True)
    return set(re.findall(r"SHEAF_[A-Z_]+", ran.stdout))


def test_a_program_passes_over_the_variables_of_the_others(m):
    """What only another program knows is passed over; what none knows is refused with the name that is near"""
    arguments = {"leaf": ["--data", m.directory / "none", "--domain", "sales"], "hub": ["--data", m.directory / "none"]}
    known = {program: variables_of(m, program) for program in arguments}
    tools = {"SHEAF_CONTEXT", "SHEAF_DEV_DIR", "SHEAF_NO_COLOR", "SHEAF_OUTPUT"}
    assert "SHEAF_CACHE" in known["leaf"] - known["hub"] and "SHEAF_LEAFNODE_PORT" in known["hub"] - known["leaf"]
    for program, own in known.items():
        others = (known["leaf"] | known["hub"] | tools) - own
        check(m, program, *arguments[program], environment={name: "no value" for name in others})
        told = check(m, program, *arguments[program], environment={"SHEAF_CAHCE": "8MiB"}, status=2)
        assert "no setting is called SHEAF_CAHCE; did you mean SHEAF_CACHE?" in told, told


def test_what_is_wrong_is_told_with_its_place(m):
    """An unknown key and a value that is not allowed are refused with place, caret and suggestion"""
    path = m.directory / "bad.yaml"
    path.write_text("data: x\ndomain: sales\nbody-maxx: 1MiB\ncache: much\n")
    text = check(m, "leaf", "--config", path, status=2)
    assert f"{path}:3:1: error[SHEAF-E0102]: unknown key 'body-maxx'\nbody-maxx: 1MiB\n^~~~~~~~~\n" in text, text
    assert "did you mean 'body-max'?" in text, text
    assert f"{path}:4:8: error[SHEAF-E0103]: 'much' is not a size such as" in text, text
    path.write_text("data: x\nhttp: localhost\n")
    text = check(m, "hub", "--config", path, status=2)
    assert f"{path}:2:7: error[SHEAF-E0103]: 'localhost' is not ADDRESS:PORT" in text, text
    assert "SHEAF-E0804" in check(m, "leaf", "--config", m.directory / "absent.yaml", status=2)
    assert "192MiB" in check(m, "leaf", "--data=x", "--domain=d", "--memory=1MiB", status=2)
    assert "data and domain" in check(m, "leaf", status=2)


def test_reload_takes_what_is_reloadable_and_names_the_rest(m):
    """SIGHUP: reloadable settings take effect at once, others wait for a restart and are named"""
    leaf = m.leaves["sales"]
    path = m.directory / "leaf.yaml"
    path.write_text("body-max: 1MiB\ncommit-queue-max: 32MiB\n")
    leaf.end(signal.SIGTERM)
    leaf.extra = ["--config", path]
    leaf.start()
    assert settings_of(m)["body-max"]["origin"] == f"{path}:1"
    body = b"x" * 70000
    records = "/v1/products/sales/orders/orders/records"
    assert leaf.call("POST", records, body, m.token("sales")).status == 404
    reread(m, path, "commit-queue-max: 16MiB\nbody-max: 64KiB\nlog-format: json\n", "leaf.settings_read")
    assert leaf.call("POST", records, body, m.token("sales")).status == 413
    now = settings_of(m)
    assert (now["body-max"]["value"], now["body-max"]["origin"]) == ("64KiB", f"{path}:2"), now
    assert now["commit-queue-max"]["value"] == "32MiB", now
    assert now["commit-queue-max"]["after_restart"] == "16MiB", now
    assert now["log-format"]["value"] == "json"
    log = leaf.log.read_text()
    assert '"event":"leaf.setting_needs_restart","setting":"commit-queue-max"' in log, log[-2000:]


def test_a_bad_file_changes_nothing(m):
    """SIGHUP with a bad file: nothing changes, and the log says where the error is"""
    leaf = m.leaves["sales"]
    path = m.directory / "leaf.yaml"
    before = settings_of(m)
    reread(m, path, "body-max: 1MiB\nbody_max: 2MiB\n", "leaf.settings_refused")
    assert f"{path}:2:1: error[SHEAF-E0102]" in leaf.log.read_text()
    assert settings_of(m) == before
    path.unlink()
    leaf.process.send_signal(signal.SIGHUP)
    until(lambda: leaf.log.read_text().count("leaf.settings_refused") == 2, "refused again")
    assert settings_of(m) == before
    assert leaf.is_alive()


def test_so_many_follow_as_the_setting_says(m):
    """follows-max holds from the start on, and another one after SIGHUP"""
    leaf = m.leaves["sales"]
    path = m.directory / "follows.yaml"
    path.write_text("follows-max: 8\n")
    leaf.end(signal.SIGTERM)
    leaf.extra = ["--config", path]
    leaf.start()
    m.apply("sales", """sheaf: product/v1
product: sales/orders
version: 1.0.0
tables: {orders: {key: [id], fields: {id: {number: 1, type: string, required: true}}}}
""")
    changes = "/v1/products/sales/orders/orders/changes?follow=true&seconds="
    readers = []
    for _ in range(8):
        readers.append(socket.create_connection(("127.0.0.1", leaf.http), timeout=30))
        readers[-1].sendall(f"GET {changes}600 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {m.token('sales')}\r\n\r\n".encode())
        assert readers[-1].recv(12) == b"HTTP/1.1 200"
    refused = leaf.call("GET", changes + "1", token=m.token("sales"))
    assert refused.problem() == (429, "SHEAF-E0602"), refused
    reread(m, path, "follows-max: 9\n", "leaf.settings_read")
    assert leaf.call("GET", changes + "1", token=m.token("sales")).status == 200
    for s in readers:
        s.close()


def test_the_hub_reads_its_file_again(m):
    """SIGHUP at the hub: the level of the log changes, the rest is named, a bad file is refused"""
    hub = m.hub
    path = m.directory / "hub.yaml"
    path.write_text("log-level: info\n")
    hub.end(signal.SIGTERM)
    hub.extra = ["--config", path]
    hub.start()
    path.write_text("log-format: json\nlog-file: other.log\n")
    hub.process.send_signal(signal.SIGHUP)
    until(lambda: '"event":"hub.setting_differs","setting":"log-file"' in hub.log.read_text(),
          "the hub names what needs a restart")
    path.write_text("log-levl: warn\n")
    hub.process.send_signal(signal.SIGHUP)
    until(lambda: f"{path}:1:1: error[SHEAF-E0102]" in hub.log.read_text(), "the file is refused")
    assert hub.is_alive()
    os.kill(hub.process.pid, 0)


if __name__ == "__main__":
    sys.exit(fixture.run([
        test_check_config_shows_every_setting_with_its_origin,
        test_a_program_passes_over_the_variables_of_the_others,
        test_what_is_wrong_is_told_with_its_place,
        test_reload_takes_what_is_reloadable_and_names_the_rest,
        test_a_bad_file_changes_nothing,
        test_so_many_follow_as_the_setting_says,
        test_the_hub_reads_its_file_again,
    ], ["sales"]))
