#!/usr/bin/env python3
"""The code blocks of docs/ that are marked for it, run as they stand there, their output compared.

    docs.py SHEAF SHEAF_HUB SHEAF_LEAF NATS_SERVER [PAGE ...]           TAP on stdout
    docs.py --write SHEAF SHEAF_HUB SHEAF_LEAF NATS_SERVER [PAGE ...]   puts what is printed into the pages

A block behind `<!-- run: ... -->` is commands ("$ ", continued by "> ") and what they print. All of a
page runs in one shell in a fresh home. `<!-- run: on a mesh -->` wants the mesh of the quick start to
stand; `<!-- run: alone -->` begins with nothing. Ports that pages name are mapped to free ones;
times, keys and ids may differ.

At the end the tables of docs/reference/metrics.md are compared with what the processes say.
"""
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
import urllib.request

import report

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DEADLINE_S = 150
BLOCK = re.compile(r"<!-- run: (on a mesh|alone) -->\n```\w*\n(.*?)```", re.S)
QUICK_START = """sheaf dev --leaf sales --leaf marketing -d
sheaf publish examples/orders.csv --as sales/orders
sheaf access request sales/orders --as marketing --purpose "churn model" --for 90d
sheaf access approve AR-1 --as sales
"""
NAMED_PORTS = (8080, 8081, 8082, 4222, 4223, 4224, 7422)
METRICS = DOCS / "reference/metrics.md"

SAME = (
    (r"(?<=127\.0\.0\.1:)\d+", "PORT"),
    (r"\d+\.\d+ s\b", "N s"),
    (r"\b\d+ ms\b", "N ms"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z|\bTIME\b", "TIME"),
    (r"until \d{4}-\d\d-\d\d", "until DATE"),
    (r"\bsj_\w+", "sj_TOKEN"),
    (r"_INBOX\.[\w.]+", "_INBOX.ID"),
    (r'"commit":\w+', '"commit":N'),
    (r"\bm[a-z2-7]{16}\b", "MESH"),
    (r"\ba[a-z2-7]{12}\b", "AUDIENCE"),
    (r"[A-Za-z0-9+/]{43}=", "KEY"),
    (r"\b[0-9a-f]{16}([0-9a-f]{16}|[0-9a-f]{48})?\b", "HASH"),
    (r"\bbundle \d+", "bundle N"),
    (r"\b\d+s\b", "Ns"),
    (r"\[\d+\] \d+\n", ""),
    (r"[ \t]+", " "),
)


def normal(text):
    for pattern, same in SAME:
        text = re.sub(pattern, same, text)
    return text.rstrip("\n")


def free_port(used, first):
    """Below the range that clients take theirs from."""
    for port in range(first, 32000):
        if port not in used:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) != 0:
                    used.add(port)
                    return port
    raise OSError("no free port")


def commands_of(block):
    """[[command, expected output]]"""
    found = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif line.startswith("> ") and found and found[-1][1] == "":
            found[-1][0] += line[2:]
        else:
            found[-1][1] += line
    return found


class Home:
    """A fresh home directory with the programs in the path."""

    def __init__(self, programs, nats_server):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-docs-"))
        (self.path / "examples").symlink_to(ROOT / "examples")
        nats_server = os.path.abspath(nats_server)
        directories = [os.path.dirname(os.path.abspath(p)) for p in programs + [nats_server]]
        self.environment = {
            key: value for key, value in os.environ.items()
            if not key.startswith(("SHEAF_", "XDG_")) and key not in ("NO_COLOR", "FORCE_COLOR")
        } | {"HOME": str(self.path), "USER": "you", "SHEAF_NATS_SERVER": nats_server,
             "PATH": ":".join(directories + [os.environ["PATH"]])}
        self.ports = {}

    def shell(self, script):
        """(status, output); what the script leaves running in its session is ended."""
        shell = subprocess.Popen(["bash"], cwd=self.path, env=self.environment,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output, _ = shell.communicate(script.encode(), timeout=DEADLINE_S)
            return shell.returncode, output.decode(errors="replace")
        finally:
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            shell.wait()

    def start_mesh(self):
        status, text = self.shell("set -e\n" + QUICK_START)
        assert status == 0, text
        mesh = self.context()
        nodes = [mesh["hub"]] + mesh["leaves"]
        for kind, first in (("http", 8080), ("nats", 4222)):
            for i, node in enumerate(nodes):
                self.ports[first + i] = int(node[kind].rsplit(":", 1)[1])

    def choose_ports(self):
        used = set()
        for named in NAMED_PORTS:
            self.ports[named] = free_port(used, named + 3000)

    def context(self):
        return json.loads((self.path / ".local/state/sheaf/dev/dev.json").read_text())

    def mapped(self, text):
        return re.sub(r"\b(%s)\b" % "|".join(map(str, NAMED_PORTS)),
                      lambda m: str(self.ports.get(int(m[1]), m[1])), text)

    def unmapped(self, text):
        back = {actual: named for named, actual in self.ports.items()}
        text = text.replace(str(self.path), "~")
        return re.sub(r"(?<=:)\d{4,5}\b", lambda m: str(back.get(int(m[0]), m[0])), text)

    def run(self, commands):
        """[(status, output)] of commands that run one after the other in one shell."""
        script = "exec 2>&1\n"
        for command, _ in commands:
            script += f"{self.mapped(command)}\nstatus=$?; printf '\\036%d\\036' $status; (exit $status)\n"
        _, text = self.shell(script)
        parts = text.split("\036")
        return [(int(status), output) for output, status in zip(parts[0::2], parts[1::2])]

    def end(self):
        self.shell("sheaf dev stop")
        shutil.rmtree(self.path, ignore_errors=True)


def run_page(home, path, write):
    text = path.read_text()
    blocks = list(BLOCK.finditer(text))
    if blocks[0][1] == "alone":
        home.choose_ports()
    else:
        home.start_mesh()
    commands = [commands_of(b[2]) for b in blocks]
    results = home.run([c for block in commands for c in block])
    flat = [c for block in commands for c in block]
    for (command, expected), (status, output) in zip(flat, results):
        output = home.unmapped(output)
        wanted = normal(expected)
        if not write and normal(output) != wanted:
            raise AssertionError(f"$ {command}--- exit status {status}, the page shows\n{expected}"
                                 f"--- it printed\n{output}")
    assert len(results) == len(flat), f"the shell ended at: {flat[len(results)][0]}"
    if write:
        rest = iter(results)
        new, at = "", 0
        for match, block in zip(blocks, commands):
            new += text[at:match.start(2)]
            for command, _ in block:
                new += "$ " + command.rstrip("\n").replace("\n", "\n> ") + "\n"
                output = home.unmapped(next(rest)[1])
                new += output + ("\n" if output and output[-1] != "\n" else "")
            at = match.end(2)
        path.write_text(new + text[at:])


def metrics_table(url):
    text = urllib.request.urlopen(url + "/metrics", timeout=30).read().decode()
    rows = ["| name | type | what |", "|---|---|---|"]
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    for name, what in re.findall(r"^# HELP (\S+) (.*)$", text, re.M):
        rows.append(f"| `{name}` | {types[name]} | {what} |")
    assert len(rows) > 5, text
    return "\n".join(rows) + "\n"


def check_metrics(home, write):
    home.start_mesh()
    mesh = home.context()
    text = METRICS.read_text()
    for name, url in (("leaf", mesh["leaves"][0]["http"]), ("hub", mesh["hub"]["http"])):
        begin = f"<!-- metrics: {name} -->\n"
        start = text.index(begin) + len(begin)
        end = text.index("<!-- metrics end -->", start)
        table = metrics_table(url)
        assert write or table == text[start:end], f"{METRICS} has not:\n{table}"
        text = text[:start] + table + text[end:]
    if write:
        METRICS.write_text(text)


def main():
    write = "--write" in sys.argv
    sheaf, hub, leaf, nats_server, *chosen = [a for a in sys.argv[1:] if a != "--write"]
    report.require_programs(sheaf, hub, leaf, nats_server)
    pages = sorted(p for p in DOCS.rglob("*.md") if BLOCK.search(p.read_text()))
    tests = [(str(p.relative_to(DOCS)), lambda home, p=p: run_page(home, p, write)) for p in pages]
    tests.append(("reference/metrics.md", lambda home: check_metrics(home, write)))
    tests = [t for t in tests if not chosen or t[0] in chosen]
    failures = 0
    print(f"1..{len(tests)}", flush=True)
    for number, (name, test) in enumerate(tests, 1):
        home = Home([sheaf, hub, leaf], nats_server)
        failed = True
        try:
            test(home)
            failed = False
            print(f"ok {number} - {name} does what it shows", flush=True)
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
            print(f"not ok {number} - {name} does what it shows")
            report.show_logs(home.path)
            report.show_error(error)
            sys.stdout.flush()
        finally:
            failures += failed
            home.end()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
