"""A hub and leaves as processes of one test, in a directory that goes with it.

Every process dies with the test. Nothing waits for a length of time: conditions are polled until a
deadline, and a deadline that passes fails the test. When a test fails, the ends of all logs are
printed, then why.
"""
import base64
import ctypes
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import ed25519
import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ports import Ports, is_free  # pylint: disable=wrong-import-position,unused-import

WITHIN_S = 30
PR_SET_PDEATHSIG = 1
CRASHES = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)
LIBC = ctypes.CDLL(None)
LAGS = re.compile("has not (said|confirmed) yet")  # the hub has answered before a leaf, which was slow


# --- waiting, processes and ports -----------------------------------------------------------------


def until(condition, what, within_s=WITHIN_S, every_s=0.02):
    """What @condition returns once it is true. An exception that is no connection's fails at once."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            found = condition()
        except OSError:
            found = None
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        select.select([], [], [], every_s)


def files_below(path):
    """(path, bytes) of each file; running programs remove some between a look and the next, and those are left out."""
    for directory, _, names in os.walk(path):
        for found in (pathlib.Path(directory, name) for name in names):
            try:
                if found.is_file() and not found.is_symlink():
                    yield found, found.read_bytes()
            except FileNotFoundError:
                continue


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# --- keys and tokens ------------------------------------------------------------------------------


def load_seed(path):
    return bytes.fromhex(pathlib.Path(path).read_text().strip())


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(seed, header=None, **claims):
    header = header or {"alg": "EdDSA", "typ": "JWT"}
    text = ".".join(base64url(json.dumps(part, separators=(",", ":")).encode())
                    for part in (header, claims))
    return f"{text}.{base64url(ed25519.sign(seed, text.encode()))}"


# --- answers --------------------------------------------------------------------------------------


class Document(dict):
    """An object of JSON; who looks for what is not in it is told what is."""

    def __missing__(self, key):
        raise KeyError(f"no {key!r} in {dict(self)!r:.1500}")


def read_json(text):
    return json.loads(text, object_hook=Document)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return read_json(self.body)

    def lines(self):
        return [read_json(line) for line in self.body.splitlines()]

    def problem(self):
        """(status, code) of a refusal; that it is complete and says what to do next is checked."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        p = self.json()
        assert p["status"] == self.status and p["title"] and p["detail"] and p["next"], p
        return self.status, p["code"]

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:2000]!r}"


class Ran:
    """What a command of the command line printed."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def json(self):
        return read_json(self.out)

    def lines(self):
        return [read_json(line) for line in self.out.splitlines()]

    def __repr__(self):
        return f"exit {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


# --- products -------------------------------------------------------------------------------------


def orders(*fields, key="k", name="orders", rest=""):
    """A product of sales with a table of state, orders: @key and @fields; @rest follows."""
    text = f"""sheaf: product/v1
product: sales/{name}
version: 1.0.0
status: active
owner: orders@example.org
description: Orders.
tables:
  orders:
    kind: state
    key: [{key}]
    fields:
      {key}: {{number: 1, type: string, required: true}}
"""
    return text + "".join(f"      {field}\n" for field in fields) + rest


# --- the mesh -------------------------------------------------------------------------------------


class Node:
    def __init__(self, mesh, name, domain=None):
        self.mesh, self.name, self.domain = mesh, name, domain
        self.data = mesh.directory / name
        self.log = mesh.directory / f"{name}.log"
        self.http, self.nats = mesh.ports.take(), mesh.ports.take()
        self.leafnode = None if domain else mesh.ports.take()
        self.process = None
        self.extra = []  # further arguments
        self.environment = None  # another than the mesh's

    def argv(self):
        argv = ["--data", self.data, "--http", f"127.0.0.1:{self.http}", "--nats-port", self.nats]
        if self.domain is None:
            return [self.mesh.programs["hub"], *argv, "--leafnode-port", self.leafnode, *self.extra]
        return [self.mesh.programs["leaf"], *argv, "--domain", self.domain,
                "--hub", f"http://127.0.0.1:{self.mesh.hub.http}",
                "--join-token-file", self.data / "join.token", *self.extra]

    def start(self, wait=True):
        self.process = self.mesh.spawn(self.argv(), self.log, self.environment)
        if wait:
            until(self.is_ready, f"{self.name} is ready")

    def is_ready(self):
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}"
        return self.call("GET", "/readyz").status == 200

    def is_alive(self):
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}"
        return self.call("GET", "/livez").status == 200

    def call(self, method, path, body=None, token=None, headers=None):
        return self.mesh.call(self.http, method, path, body, token, headers)

    def links(self):
        """How often a leafnode link of this node has come up."""
        log = self.data / "log" / "nats-server.log"
        return log.read_text(errors="replace").count("Leafnode connection created")

    def end(self, how=signal.SIGKILL):
        """Ends the process, and waits until its nats-server is gone too."""
        self.process.send_signal(how)
        self.process.wait(WITHIN_S)
        ports = [p for p in (self.http, self.nats, self.leafnode) if p]
        until(lambda: all(is_free(p) for p in ports), f"ports of {self.name} are free")


class Mesh:
    """programs: {"sheaf", "hub", "leaf", "nats_server", ...: path}"""

    def __init__(self, programs, domains=()):
        self.programs = programs
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-test-"))
        self.ports = Ports()
        self.processes = []
        self.patience_s = WITHIN_S  # for an answer
        self.hub = Node(self, "hub")
        self.leaves = {}
        self.id = self.hub_key = None
        self.environment = {
            k: v for k, v in os.environ.items()
            if not k.startswith(("SHEAF_", "XDG_")) and k not in ("NO_COLOR", "FORCE_COLOR")
        } | {"SHEAF_NATS_SERVER": str(programs["nats_server"]), "USER": "tester",
             "HOME": str(self.directory)}
        try:
            self.hub.start()
            known = self.hub.call("GET", "/v1/mesh").json()
            self.id, self.hub_key = known["mesh"], known["hub_key"]
            for domain in domains:
                self.add_leaf(domain, wait=False)
            for leaf in self.leaves.values():
                until(leaf.is_ready, f"{leaf.name} is ready")
                until(lambda l=leaf: self.state_of(l.domain) == "up", f"{leaf.name} is up")
            self.write_context()
        except BaseException:
            report.show_logs(self.directory)
            self.close()
            raise

    def spawn(self, argv, log, environment=None, errors=None):
        with open(log, "ab") as out, open(errors or log, "ab") as err:
            process = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=environment or self.environment, preexec_fn=die_with_parent,
                cwd=self.directory)
        self.processes.append(process)
        return process

    def add_leaf(self, domain, wait=True):
        leaf = Node(self, f"leaf-{domain}", domain)
        self.leaves[domain] = leaf
        leaf.data.mkdir(mode=0o700)
        answer = self.hub.call("POST", "/v1/join-tokens", {"domain": domain},
                               self.token("platform"))
        assert answer.status in (200, 201), answer
        path = leaf.data / "join.token"
        path.write_text(answer.json()["token"])
        path.chmod(0o600)
        leaf.start(wait)
        return leaf

    def state_of(self, domain):
        """As the hub sees the leaf: up, down or never."""
        answer = self.hub.call("GET", "/v1/status", token=self.token("platform"))
        return next(l["state"] for l in answer.json()["leaves"] if l["domain"] == domain)

    def wait_in_force(self, since_us):
        """Each leaf that runs has said that it serves by what the hub decided behind @since_us."""
        def all_do():
            leaves = self.hub.call("GET", "/v1/status", token=self.token("platform")).json()["leaves"]
            return all(l["bundle_in_force"] >= since_us for l in leaves
                       if self.leaves[l["domain"]].process.poll() is None)
        until(all_do, "all leaves serve by the newest decisions")

    def write_context(self):
        """What the command line knows of a mesh: the file of 'sheaf dev'."""
        def of(n):
            return {"domain": n.domain, "http": f"http://127.0.0.1:{n.http}",
                    "nats": f"nats://127.0.0.1:{n.nats}", "pid": n.process.pid,
                    "data": str(n.data), "ready": True}
        text = json.dumps({
            "apiVersion": "sheaf/v1", "kind": "DevMesh", "mesh": self.id, "hub_key": self.hub_key,
            "pid": os.getpid(), "hub": of(self.hub) | {"leafnode_port": self.hub.leafnode},
            "leaves": [of(leaf) for leaf in self.leaves.values()]})
        (self.directory / "dev.json").write_text(text)

    def seed(self, domain, name="domain"):
        if domain == "platform":
            return load_seed(self.hub.data / "keys" / "platform.seed")
        return load_seed(self.leaves[domain].data / "keys" / f"{name}.seed")

    def token(self, domain, seed=None, **changed):
        now = int(time.time())
        claims = {"iss": domain, "sub": "tester", "roles": ["owner"], "iat": now, "exp": now + 600,
                  "aud": self.id} | changed
        return make_token(seed or self.seed(domain), **claims)

    def call(self, port, method, path, body=None, token=None, headers=None):
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=self.patience_s)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except http.client.HTTPException as error:  # killed in the middle of its answer
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def sheaf(self, *argv, status=0, stdin=None, cwd=None, environment=None):
        """Runs the command line; its exit status must be @status (None: any). What it changed is in force, also at slow leaves."""
        began_us = time.time_ns() // 1000
        done = subprocess.run(
            [str(self.programs["sheaf"]), *[str(a) for a in argv]],
            env=self.environment | {"SHEAF_DEV_DIR": str(self.directory)} | (environment or {}),
            input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=2 * self.patience_s,
            cwd=cwd or self.directory, preexec_fn=die_with_parent, check=False)
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert status is None or ran.status == status, f"sheaf {argv}: {ran!r}"
        if LAGS.search(ran.err):
            self.wait_in_force(began_us)
        return ran

    def apply(self, domain, text, **options):
        path = self.directory / "product.yaml"
        path.write_text(text)
        return self.sheaf("product", "apply", path, "--as", domain, **options)

    def load(self, domain, table, rows, kind="application/x-ndjson", query=""):
        """Posts rows to @domain's own leaf; table is PRODUCT/TABLE."""
        if isinstance(rows, list):
            rows = "".join(json.dumps(row) + "\n" for row in rows)
        return self.leaves[domain].call(
            "POST", f"/v1/products/{domain}/{table}/records{query}", rows, self.token(domain),
            {"Content-Type": kind})

    def rows(self, domain, table, query=""):
        """All rows of a table of @domain's own, PRODUCT/TABLE, page by page."""
        found, cursor = [], ""
        while True:
            answer = self.leaves[domain].call(
                "GET", f"/v1/products/{domain}/{table}/records?cursor={cursor}{query}", None,
                self.token(domain), {"Accept": "application/x-ndjson"})
            assert answer.status == 200, answer
            found += answer.lines()
            cursor = answer.headers.get("Sheaf-Cursor")
            if not cursor:
                return found

    def check_processes(self):
        """None of them has crashed: one that a test starts again would hide it."""
        crashed = [f"{process.args[0]}: {signal.Signals(-process.returncode).name}" for process in self.processes
                   if process.poll() is not None and -process.returncode in CRASHES]
        assert not crashed, crashed

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(WITHIN_S)
        shutil.rmtree(self.directory, ignore_errors=True)


# --- running --------------------------------------------------------------------------------------


def programs_of(argv):
    """NAME=PATH arguments."""
    return {name: pathlib.Path(path) for name, path in (a.split("=", 1) for a in argv if "=" in a)}


class Ended(BaseException):
    """Someone ends the test from outside: it has taken too long."""


def end(*_):
    raise Ended("SIGTERM: it took too long")


def show_failure(mesh, error, is_first):
    """Tests of one mesh build on each other: behind the first failure others may follow from it."""
    if not is_first:
        print("# a test before this one failed; this may follow from that")
    report.show_logs(mesh.directory, lines_max=report.LOG_LINES if is_first else 3)
    report.show_error(error)
    sys.stdout.flush()


def run(tests, domains, argv=None):
    """Runs test functions of one mesh in order, as TAP; their first line of doc is their name.

    An argument without '=' picks the tests whose function has it in its name.
    """
    argv = sys.argv[1:] if argv is None else argv
    wanted = [a for a in argv if "=" not in a]
    tests = [t for t in tests if not wanted or any(w in t.__name__ for w in wanted)]
    print(f"1..{len(tests)}", flush=True)
    signal.signal(signal.SIGTERM, end)
    mesh = Mesh(programs_of(argv), domains)
    failed = 0
    try:
        for number, test in enumerate(tests, 1):
            name = test.__doc__.splitlines()[0].rstrip(".")
            began = time.monotonic()
            try:
                skip = test(mesh)
                mesh.check_processes()
                note = f" # SKIP {skip}" if skip else f" # {time.monotonic() - began:.2f} s"
                print(f"ok {number} - {name}{note}", flush=True)
            except (Exception, Ended) as error:
                failed += 1
                print(f"not ok {number} - {name} # {time.monotonic() - began:.2f} s")
                show_failure(mesh, error, failed == 1)
                if isinstance(error, Ended):
                    break
    finally:
        mesh.close()
    return 1 if failed else 0
