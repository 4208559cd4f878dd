"""A mesh of `sheaf dev` for a test: fresh directories, everything ended at the end, logs on failure."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import report

DEADLINE_S = 60
ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


class Result:
    def __init__(self, arguments, done):
        self.arguments, self.status = arguments, done.returncode
        self.out, self.err = done.stdout.decode(), done.stderr.decode()

    def __str__(self):
        return f"sheaf {' '.join(self.arguments)}: {self.status}\n{self.out}{self.err}"

    def json(self):
        return json.loads(self.out)


class Mesh:
    def __init__(self, sheaf, nats_server):
        self.sheaf = str(pathlib.Path(sheaf).resolve())
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-test-"))
        self.data = self.home / "mesh"
        self.environment = {
            key: value for key, value in os.environ.items()
            if not key.startswith(("SHEAF_", "XDG_")) and key not in ("NO_COLOR", "FORCE_COLOR")
        }
        self.environment |= {
            "HOME": str(self.home), "USER": "tester", "SHEAF_NATS_SERVER": nats_server,
            "SHEAF_DEV_DIR": str(self.data),
        }

    def popen(self, *arguments, **options):
        return subprocess.Popen([self.sheaf, *arguments], cwd=self.home, env=self.environment,
                                **options)

    def run(self, *arguments):
        done = subprocess.run([self.sheaf, *arguments], cwd=self.home, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE_S,
                              check=False)
        return Result(arguments, done)

    def expect(self, status, *arguments):
        result = self.run(*arguments)
        assert result.status == status, f"wanted {status}: {result}"
        return result

    def ok(self, *arguments):
        return self.expect(0, *arguments)

    def refused(self, status, code, *arguments):
        """The error of that number is on stderr, and nothing on stdout."""
        result = self.expect(status, *arguments)
        assert f"SHEAF-{code}" in result.err, result
        assert "  next: " in result.err, result
        return result

    def context(self):
        return json.loads((self.data / "dev.json").read_text())

    def leaf(self, domain):
        return next(l for l in self.context()["leaves"] if l["domain"] == domain)

    def write(self, name, text):
        path = self.home / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def grant(self, product, consumer, *flags):
        owner = product.split("/")[0]
        asked = self.ok("access", "request", product, "--as", consumer, "--purpose", "test",
                        "--for", "9d", "-o", "json", *flags).json()
        return self.ok("access", "approve", asked["id"], "--as", owner, "-o", "json").json()

    def end(self):
        self.run("dev", "stop")
        shutil.rmtree(self.home, ignore_errors=True)


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """The first true value of condition(); polled, because what is waited for is another process."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        select_for(0.02)


def select_for(seconds):
    """Lets time pass between two looks."""
    import select
    select.select([], [], [], seconds)


def main(tests):
    """Runs every test on one mesh, TAP on stdout: SHEAF NATS_SERVER [NAME ...]"""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the mesh is ended
    mesh = Mesh(sys.argv[1], sys.argv[2])
    chosen = [t for t in tests if len(sys.argv) == 3 or t.__name__ in sys.argv[3:]]
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    try:
        for number, test in enumerate(chosen, 1):
            name = test.__name__.replace("_", " ")
            try:
                test(mesh)
                print(f"ok {number} - {name}", flush=True)
            except (AssertionError, KeyError, ValueError, OSError, subprocess.SubprocessError,
                    StopIteration) as error:
                failed += 1
                print(f"not ok {number} - {name}")
                report.show_logs(mesh.home, lines_max=report.LOG_LINES if failed == 1 else 3)
                report.show_error(error)
                sys.stdout.flush()
    finally:
        mesh.end()
    return 1 if failed else 0
