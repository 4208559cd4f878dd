#!/usr/bin/env python3
"""Running leaf and hub: the service manager, Prometheus, logs, and the commands for operators."""
import json
import os
import pathlib
import re
import select
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
        text = (ROOT / "packaging/systemd" / f"{unit}.in").read_text()
        assert "Type=notify" in text and "WatchdogSec=" in text
        text = text.replace(f"@bindir@/sheaf-{program}", str(m.programs[program]))
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


# --- Prometheus -----------------------------------------------------------------------------------


def test_metrics_are_taken_by_prometheus(m):
    """A stock Prometheus scrapes leaf and hub; promtool finds nothing wrong; labels are bounded"""
    path = f"{m.programs['nats_server'].parent}:{os.environ['PATH']}"  # ./dev setup puts it there
    prometheus, promtool = shutil.which("prometheus", path=path), shutil.which("promtool", path=path)
    if prometheus is None or promtool is None:
        return "there is no prometheus"
    leaf, hub = m.leaves["sales"], m.hub
    for node in (leaf, hub):
        text = node.call("GET", "/metrics").body
        ran = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True,
                             timeout=60, check=False)
        assert ran.returncode == 0, ran
        labels = set(re.findall(rb'[{,](\w+)="', text))
        assert labels <= {b"limit", b"le", b"product", b"table", b"code", b"consumer", b"check"}, labels
    directory = m.directory / "prometheus"
    directory.mkdir()
    port = m.ports.take()
    (directory / "prometheus.yml").write_text(f"""global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: sheaf
    static_configs: [{{targets: ["127.0.0.1:{leaf.http}", "127.0.0.1:{hub.http}"]}}]
""")
    process = m.spawn([prometheus, "--config.file", directory / "prometheus.yml",
                       "--storage.tsdb.path", directory / "data",
                       "--web.listen-address", f"127.0.0.1:{port}"], directory / "prometheus.log")

    def ask(query):
        answer = m.call(port, "GET", "/api/v1/query?query=" + query)
        found = answer.json()["data"]["result"] if answer.status == 200 else []
        return {(r["metric"].get("instance"), r["metric"].get("limit")): float(r["value"][1]) for r in found}
    both = {(f"127.0.0.1:{n.http}", None) for n in (leaf, hub)}
    until(lambda: {k for k, v in ask("up").items() if v == 1} == both, "both targets are up")
    until(lambda: ask("sheaf_uplink_up") == {(f"127.0.0.1:{leaf.http}", None): 1.0}, "the uplink is seen")
    limits = ask("sheaf_limit_used/sheaf_limit_max")
    assert len(limits) > 10 and all(v <= 1 or v != v or limit == "memory_bytes"
                                    for (_, limit), v in limits.items()), limits
    assert ask("sheaf_hub_domains") == {(f"127.0.0.1:{hub.http}", None): 1.0}
    process.terminate()
    process.wait(30)
    return None


# --- logs -----------------------------------------------------------------------------------------

CANARY = "canary7f3a"


def canary_of(place):
    """A value that is recognised wherever it comes out, and as what it went in."""
    return f"{CANARY}-{place}"


def test_no_row_value_comes_out_where_it_should_not(m):
    """Row values are in no log, metric, status or error of leaf and hub, whatever is done with them"""
    leaf = m.leaves["sales"]
    m.apply("sales", PRODUCT)
    leaf.end(signal.SIGTERM)
    leaf.extra = ["--log-level", "debug"]
    leaf.start()
    token = m.token("sales")
    good = [{"order_id": canary_of("key"), "email": canary_of("email"), "amount": "12.50"}]
    assert m.load("sales", "orders/orders", good).status == 200
    bodies = [
        ("application/x-ndjson", json.dumps({"order_id": "a", "amount": canary_of("amount")}) + "\n"),
        ("application/x-ndjson", json.dumps({"order_id": "a", "amount": 5000, "email": canary_of("big")}) + "\n"),
        ("application/x-ndjson", '{"order_id":"%s","email":' % canary_of("cut")),
        ("application/json", '[{"order_id":"%s"},5]' % canary_of("array")),
        ("text/csv", "order_id,email\n" + canary_of("csv") + ",\"" + canary_of("quote") + "\n"),
        ("application/x-ndjson", json.dumps({"order_id": canary_of("x") * 200, "email": "e"}) + "\n"),
    ]
    answers = []
    for kind, body in bodies:
        for on_invalid in ("quarantine", "reject"):
            answers.append(leaf.call("POST", f"{RECORDS}?on_invalid={on_invalid}", body, token,
                                     {"Content-Type": kind, "Idempotency-Key": f"k{len(answers)}"}))
    assert {a.status for a in answers} >= {200, 422}, answers
    queries = ["", f"?from={canary_of('from')}", f"?prefix={canary_of('prefix')}&limit=1",
               f"?cursor={canary_of('cursor')}", f"/{canary_of('absent')}"]
    for query in queries:
        answers.append(leaf.call("GET", RECORDS + query, token=token))
    m.sheaf("read", "sales/orders", "--key", canary_of("missing"), "--as", "sales", status=None)
    leaf.end(signal.SIGTERM)
    leaf.extra = ["--log-level", "debug", "--log-format", "json"]
    leaf.start()
    assert m.load("sales", "orders/orders", good).status == 200
    assert leaf.call("POST", RECORDS, bodies[1][1], token, {"Content-Type": bodies[1][0]}).status == 200
    told = {"metrics of the leaf": leaf.call("GET", "/metrics").body.decode(),
            "metrics of the hub": m.hub.call("GET", "/metrics").body.decode(),
            "status of the leaf": leaf.call("GET", "/v1/status", token=token).body.decode(),
            "status of the hub": m.hub.call("GET", "/v1/status", token=m.token("platform")).body.decode()}
    for log in [leaf.log, m.hub.log, *m.directory.glob("*/log/*.log")]:
        told[log.name] = log.read_text(errors="replace")
    for answer in answers:  # values of records are not in errors; a key that was asked for may be
        if answer.status >= 400 or b'"errors"' in answer.body:
            told[f"{answer.status} {len(told)}"] = answer.body.decode()
    assert any(CANARY.encode() in a.body for a in answers), "the values were not even read"
    for where, text in told.items():
        assert CANARY not in text, f"{where}: {[l for l in text.splitlines() if CANARY in l][:3]}"
    lines = [l for l in leaf.log.read_text().splitlines() if l.startswith("{")]
    assert lines and all({"ts", "level", "event"} <= set(json.loads(l)) for l in lines)
    leaf.end(signal.SIGTERM)
    leaf.extra = []
    leaf.start()


# --- commands -------------------------------------------------------------------------------------


def test_a_drained_leaf_takes_nothing_and_says_when_it_is_done(m):
    """leaf drain: nothing new over HTTP or NATS, reads go on, and it tells when it is safe to stop"""
    leaf = m.leaves["sales"]
    token = m.token("sales")
    ran = m.sheaf("leaf", "drain", "--as", "sales")
    assert "it is safe to stop it" in ran.out, ran
    row = [{"order_id": "d1", "email": "e", "amount": "1.00"}]
    answer = m.load("sales", "orders/orders", row)
    assert answer.problem() == (503, "SHEAF-E0710"), answer
    assert leaf.call("GET", "/readyz").problem() == (503, "SHEAF-E0710")
    assert leaf.call("GET", "/livez").status == 200
    assert leaf.call("GET", RECORDS, token=token).status == 200
    ran = m.sheaf("product", "apply", "product.yaml", "--as", "sales", status=7)
    assert "SHEAF-E0710" in ran.err, ran
    assert leaf.call("GET", "/v1/leaf/drain", token=token).json()["state"] == "drained"
    assert leaf.call("PUT", "/v1/leaf/drain", token=token).status == 405
    assert m.sheaf("leaf", "show", "--as", "sales", "-o", "json").json()["draining"] is True
    ran = m.sheaf("leaf", "drain", "--as", "sales", "--undo", "-o", "json").json()
    assert (ran["kind"], ran["state"]) == ("Drain", "serving"), ran
    assert m.load("sales", "orders/orders", row).status == 200
    assert leaf.call("GET", "/readyz").status == 200


def test_leaf_ls_and_show(m):
    """leaf ls and show say what runs, where, and with which settings"""
    leaf = m.leaves["sales"]
    row = m.sheaf("leaf", "ls", "-o", "json").json()["items"][0]
    assert (row["domain"], row["state"], row["http"]) == ("sales", "up", f"http://127.0.0.1:{leaf.http}"), row
    settings = m.sheaf("leaf", "show", "--as", "sales", "--settings", "-o", "json").json()["items"]
    settings = {s["name"]: (s["value"], s["origin"]) for s in settings}
    assert settings["http"] == (f"127.0.0.1:{leaf.http}", "flag"), settings
    assert settings["cache"] == ("64MiB", "default"), settings
    assert m.sheaf("leaf", "ls", "-o", "name").out == "sales\n"
    m.sheaf("leaf", "show", "--as", "nobody", status=3)


def test_status_is_watched(m):
    """status --watch looks again and again, without control characters where there is no terminal"""
    process = subprocess.Popen([m.programs["sheaf"], "status", "--watch", "--interval", "100ms"],
                               env=m.environment | {"SHEAF_DEV_DIR": str(m.directory)},
                               stdout=subprocess.PIPE, preexec_fn=fixture.die_with_parent)
    text = b""
    while text.count(b"what ") < 3:
        assert select.select([process.stdout], [], [], fixture.WITHIN_S)[0] and len(text) < 1 << 20, text
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, text
        text += piece
    process.kill()
    process.wait(30)
    assert b"\033" not in text and b"\n\nwhat " in text, text
    ran = m.sheaf("status", "--exit-when-healthy", "-o", "json")
    assert ran.json()["kind"] == "StatusList"
    m.sheaf("status", "--watch", "--interval", "1us", status=2)


def test_doctor_finds_what_is_wrong(m):
    """doctor: all well is exit 0; what is wrong is named with a fix, and exit 8"""
    checks = {c["check"]: c for c in m.sheaf("doctor", "-o", "json").json()["items"]}
    for name in ("sheaf-hub", "sheaf-leaf", "nats-server", "hub", "clock", "leaf sales"):
        assert checks[name]["state"] == "ok", checks[name]
    for name in ("disk space", "disk sync", "open files", "data directory"):
        assert checks[name]["state"] in ("ok", "warn"), checks[name]
    m.directory.chmod(0o755)
    checks = {c["check"]: c for c in m.sheaf("doctor", "-o", "json").json()["items"]}
    assert checks["data directory"]["state"] == "warn" and "chmod 700" in checks["data directory"]["fix"]
    m.directory.chmod(0o700)
    ran = m.sheaf("doctor", status=8, environment={"SHEAF_NATS_SERVER": "/bin/false"})
    assert re.search(r"^nats-server +fail +it does not run", ran.out, re.M), ran
    shift = m.directory / "shift"
    for seconds, state in ((30, "warn"), (4000, "fail"), (-4000, "fail")):
        shift.write_text(str(seconds))
        checks = {c["check"]: c for c in m.sheaf("doctor", "-o", "json", status=None, environment={
            "LD_PRELOAD": str(m.programs["clock_shift"]), "CLOCK_SHIFT": str(shift),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}).json()["items"]}
        assert checks["clock"]["state"] == state and "set the clock" in checks["clock"]["fix"], (seconds, checks)
        assert abs(int(checks["clock"]["detail"].split()[0]) - abs(seconds)) < 20, checks["clock"]
        for name in ("hub", "leaf sales"):
            assert checks[name]["state"] == "ok" or "set the clock" in checks[name]["fix"], checks[name]
    few = subprocess.run(["prlimit", "--nofile=1024:1024", m.programs["sheaf"], "doctor", "-o", "json"], capture_output=True,
                         env=m.environment | {"SHEAF_DEV_DIR": str(m.directory)}, timeout=60, check=True)
    files = next(c for c in json.loads(few.stdout)["items"] if c["check"] == "open files")
    assert files["state"] == "warn" and "LimitNOFILE" in files["fix"], files
    m.leaves["sales"].end()
    checks = {c["check"]: c for c in m.sheaf("doctor", "-o", "json", status=8).json()["items"]}
    assert checks["leaf sales"]["state"] == "fail" and checks["leaf sales"]["fix"], checks
    m.leaves["sales"].start()
    empty = m.directory / "empty"
    empty.mkdir(mode=0o700)
    checks = {c["check"]: c for c in m.sheaf("doctor", "-o", "json", "--data", empty).json()["items"]}
    assert checks["mesh"]["state"] == "warn" and "ports" in checks, checks


def completed(m, *words):
    ran = m.sheaf("__complete", *words)
    return [line.split("\t")[0] for line in ran.out.splitlines()]


def test_completion(m):
    """Completion offers commands, flags, values and what the mesh has, in bash, zsh and fish"""
    assert completed(m, "lea") == ["leaf"]
    assert {"ls", "show", "drain"} <= set(completed(m, "leaf", ""))
    assert completed(m, "read", "sal") == ["sales/orders"]
    assert "sales" in completed(m, "status", "--as", "")
    assert completed(m, "status", "-o", "j") == ["json"]
    assert completed(m, "status", "--wat") == ["--watch"]
    assert completed(m, "errors", "show", "E0710") == ["E0710"]
    assert completed(m, "help", "access", "req") == ["request"]
    assert completed(m, "read", "--data", str(m.directory / "empty"), "") == []
    m.sheaf("completion", "tcsh", status=2)
    scripts = {
        "bash": 'source <(sheaf completion bash); COMP_WORDS=(sheaf leaf d); COMP_CWORD=2; _sheaf; '
                'printf "%s\\n" "${COMPREPLY[@]}"',
        "fish": 'sheaf completion fish | source; complete -C "sheaf leaf d"',
        "zsh": 'compdef() { :; }; _describe() { print -rl -- "${(@P)2}"; }; '
               'source =(sheaf completion zsh); words=(sheaf leaf d); CURRENT=3; _sheaf',
    }
    environment = m.environment | {"SHEAF_DEV_DIR": str(m.directory),
                                   "PATH": f"{m.programs['sheaf'].parent}:{os.environ['PATH']}"}
    for shell, script in scripts.items():
        if shutil.which(shell) is None:
            continue
        ran = subprocess.run([shell, "-c", script], env=environment, capture_output=True, text=True,
                             timeout=60, check=False)
        assert re.match(r"drain(\s|:|$)", ran.stdout), (shell, ran)


def test_manual_pages_are_made_of_the_tables(m):
    """The manual pages name every command and setting, and mandoc and man take them"""
    pages = {
        "sheaf.1": m.sheaf("help", "man").out,
        "sheaf-leaf.8": subprocess.run([m.programs["leaf"], "--man"], capture_output=True, text=True,
                                       timeout=30, check=True).stdout,
        "sheaf-hub.8": subprocess.run([m.programs["hub"], "--man"], capture_output=True, text=True,
                                      timeout=30, check=True).stdout,
    }
    for command in re.findall(r"^## sheaf (.*?)(?: [A-Z\[].*)?$", m.sheaf("help", "reference").out, re.M):
        assert f".Ss sheaf {command}" in pages["sheaf.1"], command
    text = subprocess.run([m.programs["leaf"], "--help"], capture_output=True, text=True, timeout=30,
                          check=True).stdout
    for key in re.findall(r"^  --([a-z-]+)", text, re.M):
        assert ".It Fl \\-" + key.replace("-", "\\-") + "\n" in pages["sheaf-leaf.8"].replace(" Ar value", ""), key
    for name, page in pages.items():
        path = m.directory / name
        path.write_text(page)
        if shutil.which("mandoc") is not None:
            ran = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True,
                                 text=True, timeout=60, check=False)
            assert ran.returncode == 0 and not ran.stdout, ran
        if shutil.which("man") is not None:
            ran = subprocess.run(["man", "--warnings", "-l", path], capture_output=True, text=True,
                                 timeout=60, check=False, env=os.environ | {"MANPAGER": "cat", "MANWIDTH": "80"})
            assert ran.returncode == 0 and "SEE ALSO" in re.sub(r".\x08", "", ran.stdout), ran


def test_errors_are_shown(m):
    """errors ls and show say what a number means"""
    listed = m.sheaf("errors", "ls", "-o", "json").json()["items"]
    assert len(listed) > 60 and listed[0]["code"] == "SHEAF-E0101"
    for text in ("E0710", "710", "SHEAF-E0710"):
        shown = m.sheaf("errors", "show", text, "-o", "json").json()
        assert (shown["code"], shown["http"]) == ("SHEAF-E0710", 503), shown
    m.sheaf("errors", "show", "E9999", status=2)


def test_every_list_has_every_form(m):
    """-o json, ndjson, csv, yaml and name of one list say the same"""
    for command in (["leaf", "ls"], ["product", "ls"], ["access", "ls"], ["audit", "ls"], ["errors", "ls"], ["doctor"]):
        rows = m.sheaf(*command, "-o", "json").json()["items"]
        lines = [json.loads(l) for l in m.sheaf(*command, "-o", "ndjson").out.splitlines()]
        assert len(lines) == len(rows), command
        yaml = m.sheaf(*command, "-o", "yaml").out
        assert yaml.startswith("apiVersion: sheaf/v1\nkind: ") and yaml.count("\n  - ") == len(rows), yaml
        assert len(m.sheaf(*command, "-o", "name").out.splitlines()) == len(rows), command
    ran = m.sheaf("leaf", "ls", "-o", "xml", status=2)
    assert "yaml or name" in ran.err, ran


if __name__ == "__main__":
    sys.exit(fixture.run([
        test_leaf_and_hub_tell_the_service_manager,
        test_units_are_valid_and_hardened,
        test_metrics_are_taken_by_prometheus,
        test_no_row_value_comes_out_where_it_should_not,
        test_a_drained_leaf_takes_nothing_and_says_when_it_is_done,
        test_leaf_ls_and_show,
        test_status_is_watched,
        test_doctor_finds_what_is_wrong,
        test_completion,
        test_manual_pages_are_made_of_the_tables,
        test_errors_are_shown,
        test_every_list_has_every_form,
    ], ["sales"]))
