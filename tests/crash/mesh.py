"""A mesh of real programs that a test can kill and start again: a hub and a leaf per domain, on
ports and data that stay the same. Everything dies with the test."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ports import Ports  # pylint: disable=wrong-import-position

DEADLINE_S = 60
TOKEN_AGE_MAX_S = 240  # They live for ten minutes.


class Failure(Exception):
    """Something that was promised does not hold."""


def wait_for(condition, what, deadline_s=DEADLINE_S):
    """Asks every few ms until @condition returns something true, which is returned."""
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"not within {deadline_s} s: {what}")
        pause.wait(0.02)


def stat_of(pid):
    """(state, parent, start time) of a process, or None."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return fields[0], int(fields[1]), fields[19]


def children_of(pid):
    """{pid: start time} of those that run."""
    found = {}
    for entry in os.listdir("/proc"):
        stat = stat_of(entry) if entry.isdigit() else None
        if stat is not None and stat[1] == pid and stat[0] != "Z":
            found[int(entry)] = stat[2]
    return found


def is_running(pid, started):
    stat = stat_of(pid)
    return stat is not None and stat[2] == started and stat[0] not in "ZX"


def call(port, method, path, token=None, body=None, headers=None, timeout=DEADLINE_S):
    """(status, headers, body) over a connection of its own."""
    headers = dict(headers or {})
    if token is not None:
        headers["Authorization"] = "Bearer " + token
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Node:
    """The hub, or the leaf of a domain."""

    def __init__(self, mesh, name, program, ports):
        self.mesh, self.name, self.program = mesh, name, program
        self.domain = name if name != "hub" else None
        self.http, self.nats, self.leafnode = ports.take(), ports.take(), None
        self.data = mesh.home / (name if name == "hub" else f"leaf-{name}")
        self.log = mesh.home / f"{name}.log"
        self.process = None
        if self.domain is None:
            self.leafnode = ports.take()

    def command(self):
        argv = [self.program, "--data", str(self.data), "--http", f"127.0.0.1:{self.http}",
                "--nats-port", str(self.nats), "--nats-server", self.mesh.nats_server]
        if self.domain is None:
            return argv + ["--leafnode-port", str(self.leafnode)]
        argv += ["--domain", self.domain, "--hub", f"http://127.0.0.1:{self.mesh.hub.http}"]
        token = self.data / "join.token"
        return argv + (["--join-token-file", str(token)] if token.exists() else [])

    def start(self):
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.process = self.mesh.run_forever(self.command(), self.log, self.log)

    def kill(self):
        """kill -9, and what it leaves: nothing."""
        children = children_of(self.process.pid)
        self.process.kill()
        self.process.wait()
        wait_for(lambda: not any(is_running(*child) for child in children.items()),
                 f"the nats-server of the killed {self.name} ends as well", 10)

    def nats_pid(self):
        """0: it does not run."""
        for pid in children_of(self.process.pid):
            try:
                if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(self.mesh.nats_server):
                    return pid
            except OSError:
                continue
        return 0

    def kill_nats(self):
        """kill -9 of its nats-server, once there is one."""
        pid = wait_for(self.nats_pid, f"{self.name} has a nats-server")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # It ended on its own way there: as good.

    def ask(self, path, token=None, headers=None):
        """(status, headers, body); status 0: it does not answer."""
        try:
            return call(self.http, "GET", path, token, headers=headers)
        except (OSError, http.client.HTTPException):
            return 0, {}, b""

    def status(self):
        """The leaf's own words, or None."""
        status, _, body = self.ask("/v1/status", self.mesh.token(self.domain))
        return json.loads(body) if status == 200 else None

    def is_back(self):
        """Serves, with its nats-server; a leaf also hears from the hub."""
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended by itself, status {self.process.returncode}")
        if self.ask("/readyz")[0] != 200:
            return False
        if self.domain is None:
            return True
        status = self.status()
        return status is not None and status["hub"]["state"] == "up"


class Mesh:
    """hub, then a leaf for each of @domains; all in directory @home."""

    def __init__(self, home, programs, domains):
        self.home, self.sheaf = pathlib.Path(home), programs["sheaf"]
        self.nats_server = programs["nats-server"]
        self.tokens, self.id, self.hub_key = {}, "", ""
        self.others = []
        self.ports = ports = Ports()
        self.hub = Node(self, "hub", programs["sheaf-hub"], ports)
        self.leaves = {d: Node(self, d, programs["sheaf-leaf"], ports) for d in domains}
        self.nodes = [self.hub, *self.leaves.values()]

    def start(self):
        self.hub.start()
        wait_for(self.hub.is_back, "the hub serves")
        mesh = json.loads(self.hub.ask("/v1/mesh")[2])
        self.id, self.hub_key = mesh["mesh"], mesh["hub_key"]
        for leaf in self.leaves.values():
            leaf.data.mkdir(mode=0o700)
            _, _, body = call(self.hub.http, "POST", "/v1/join-tokens", self.token("platform"),
                              json.dumps({"domain": leaf.domain}),
                              {"Content-Type": "application/json"})
            path = leaf.data / "join.token"
            path.write_text(json.loads(body)["token"])
            path.chmod(0o600)
            leaf.start()
        for leaf in self.leaves.values():
            wait_for(leaf.is_back, f"leaf {leaf.name} serves")
        self.write_context()

    def write_context(self):
        """What `sheaf dev` leaves for the command line."""
        def entry(node):
            return {"http": f"http://127.0.0.1:{node.http}",
                    "nats": f"nats://127.0.0.1:{node.nats}", "pid": node.process.pid,
                    "data": str(node.data), "ready": True}
        (self.home / "dev.json").write_text(json.dumps({
            "apiVersion": "sheaf/v1", "kind": "DevMesh", "mesh": self.id, "hub_key": self.hub_key,
            "pid": os.getpid(), "hub": entry(self.hub),
            "leaves": [{"domain": d, **entry(leaf)} for d, leaf in self.leaves.items()],
        }))

    def run_forever(self, argv, out, err, **options):
        """A child that dies with us; @out and @err are paths, or subprocess.PIPE for @out."""
        with open(err, "ab") as err_file:
            out_file = subprocess.PIPE if out == subprocess.PIPE else err_file
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL,
                stdout=out_file, stderr=err_file, env=self.environment(), **options)
        self.others.append(process)
        return process

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SHEAF_")}
        return kept | {"SHEAF_DEV_DIR": str(self.home), "HOME": str(self.home), "USER": "crash"}

    def cli(self, *args):
        """(exit status, standard output, standard error) of `sheaf`."""
        done = subprocess.run([self.sheaf, *args], env=self.environment(), check=False,
                              capture_output=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def must(self, *args):
        status, out, err = self.cli(*args)
        if status != 0:
            raise Failure(f"sheaf {' '.join(args)}: exit status {status}\n{out}{err}")
        return out

    def token(self, issuer):
        made, text = self.tokens.get(issuer, (0, ""))
        if time.monotonic() - made > TOKEN_AGE_MAX_S or text == "":
            key = (self.hub.data / "keys/platform.seed" if issuer == "platform"
                   else self.leaves[issuer].data / "keys/domain.seed")
            text = self.must("token", "create", "--as", issuer, "--key", str(key), "--mesh",
                             self.id).strip()
            self.tokens[issuer] = (time.monotonic(), text)
        return text

    def wait_back(self):
        for node in self.nodes:
            wait_for(node.is_back, f"{node.name} is back")

    def kill_all(self):
        for process in self.others:
            if process.poll() is None:
                process.kill()
                process.wait()
