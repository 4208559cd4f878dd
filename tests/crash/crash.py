#!/usr/bin/env python3
"""kill -9 of hub, leaves and their nats-servers at random moments under load, again and again.

    crash.py SHEAF SHEAF_HUB SHEAF_LEAF NATS_SERVER STORE_CHECK [--rounds N] [--seed N] [--keep]

TEST_CRASH_ROUNDS and TEST_CRASH_SEED set the same. Domain sales owns two products; writers send
to three tables all the time; `sheaf sub` follows as sales and as marketing through all rounds, and
another one follows while a grant lasts. A round kills one or two processes, starts them again on
the same data and ports, and waits until the mesh has recovered and every subscription has what was
acked before. At the end check.py explains all that is stored by what was sent and answered.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from check import check_follower, check_table, need
from follower import Follower
from load import Pulse, Table, Writer
from mesh import Failure, Mesh, wait_for

STATE = Table("sales/load", "state", "state")
EVENT = Table("sales/load", "event", "event")
NEWS = Table("sales/news", "items", "event")
CATCH_UP_S = 60
GRANT_EVERY = 6  # rounds; the grant ends half way
ENDING_S = 60

FIELDS = """      n: {number: 2, type: int64, required: true, min: 0}
      email: {number: 3, type: string, class: pii}
      note: {number: 4, type: string}
"""
WRITTEN_BY = "      w: {number: 1, type: int32, required: true}\n"
HEAD = "sheaf: product/v1\nproduct: %s\nversion: 1.0.0\nstatus: active\nowner: crash\n" \
       "description: What a test of crashes writes.\ntables:\n"
PRODUCTS = {
    "load": HEAD % "sales/load" + "  state:\n    kind: state\n    key: [k]\n    fields:\n"
            + WRITTEN_BY + FIELDS + "      k: {number: 5, type: string, required: true}\n"
            + "  event:\n    kind: event\n    fields:\n" + WRITTEN_BY + FIELDS,
    "news": HEAD % "sales/news" + "  items:\n    kind: event\n    fields:\n" + WRITTEN_BY + FIELDS,
}
BAD_WORDS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|assert|Assertion")


def say(text):
    print(f"# {text}", flush=True)


class Guest:
    """A grant that is given and taken back, and what its consumer sees meanwhile."""

    def __init__(self, mesh, writer, log):
        self.mesh, self.writer, self.log = mesh, writer, log
        self.grant = self.follower = self.last_n = None
        self.revoked = self.prompt = self.bundle = 0

    def begin(self):
        out = self.mesh.must("access", "request", NEWS.product, "--as", "marketing", "--purpose",
                             "crash", "--for", "1d", "-o", "json")
        out = self.mesh.must("access", "approve", json.loads(out)["id"], "--as", "sales", "-o",
                             "json")
        self.grant = json.loads(out)["grant"]["id"]
        wait_for(self.may_read, "marketing may read what it was granted")
        self.follower = Follower(self.mesh, NEWS, "marketing", "new", self.log)
        self.follower.wait_position(1, CATCH_UP_S)

    def may_read(self):
        status, _, err = self.mesh.cli("read", NEWS.product, "--as", "marketing", "--limit", "1",
                                       "-o", "ndjson")
        need(status in (0, 5, 7), f"sheaf read: exit status {status} {err}")
        return status == 0

    def revoke(self):
        """What is sent from the receipt on is not for the follower any more."""
        out = json.loads(self.mesh.must("access", "revoke", self.grant, "--as", "sales", "-o",
                                        "json"))
        self.revoked += 1
        if out["laggards"]:  # The receipt says that it is not in effect yet.
            say(f"receipt: {', '.join(out['laggards'])} after {out['elapsed_us'] // 1000} ms")
            wait_for(lambda: not self.may_read(), f"{out['laggards']} learn of the revocation")
        else:
            self.prompt += 1
            self.bundle = self.mesh.leaves["sales"].status()["hub"]["bundle"]
        self.last_n = self.writer.last_n
        self.grant = None

    def check(self):
        """Something newer was stored, and did not arrive."""
        if self.last_n is None:
            return
        wait_for(lambda: self.writer.acked_n > self.last_n + 2, "news goes on")
        need(not self.may_read(), "marketing reads after the revocation")
        self.follower.position()
        late = [c for c in self.follower.changes if c["row"]["n"] > self.last_n]
        need(not late, f"sent after the revocation's receipt, delivered: {late[:3]}")

    def end(self):
        if self.follower is not None:
            self.check()
            need(self.follower.stop() in (0, 5, 130), "exit status of the revoked sub")
            self.check()
        self.follower = self.last_n = None

    def step(self, round_no):
        if round_no % GRANT_EVERY == 1:
            self.end()
            self.begin()
        elif round_no % GRANT_EVERY == 4 and self.grant is not None:
            self.revoke()
        elif self.grant is None:
            self.check()


class Test:
    """All of it."""

    def __init__(self, mesh, rng):
        self.mesh, self.rng, self.pulse = mesh, rng, Pulse()
        self.sales = mesh.leaves["sales"]
        plan = [STATE, STATE, STATE, EVENT, EVENT, NEWS]
        self.writers = [Writer(self.sales, table, i, rng.random(), self.pulse, 0.03)
                        for i, table in enumerate(plan)]
        self.followers, self.kills, self.slowest_s = [], {}, 0.0
        self.guest = Guest(mesh, self.writers[-1], mesh.home / "sub.log")

    def begin(self):
        mesh = self.mesh
        mesh.start()
        for name, text in PRODUCTS.items():
            path = mesh.home / f"{name}.yaml"
            path.write_text(text)
            mesh.must("product", "apply", str(path), "--as", "sales")
        mesh.must("access", "request", STATE.product, "--as", "marketing", "--purpose", "crash",
                  "--for", "1d")
        mesh.must("access", "approve", "AR-1", "--as", "sales")
        for table, consumer in ((STATE, "marketing"), (EVENT, "marketing"), (STATE, "sales")):
            self.followers.append(Follower(mesh, table, consumer, "all", mesh.home / "sub.log"))
        for writer in self.writers:
            writer.start()
        self.pulse.wait_more(len(self.writers), "the first records")

    # --- a round ---

    def moment(self):
        """Some time under load, now and then none."""
        if self.rng.random() < 0.8:
            self.pulse.wait_more(self.rng.randrange(1, 12), "before a kill")
        self.writers[0].ending.wait(self.rng.random() * 0.02)

    def kill_one(self):
        """Returns the node to start again, or None when its supervisor does."""
        node = self.rng.choice([self.sales, *self.mesh.nodes])
        if self.rng.random() < 0.4:
            node.kill_nats()
            self.count(f"nats of {node.name}")
            return None
        node.kill()
        self.count(node.name)
        return node

    def count(self, what):
        self.kills[what] = self.kills.get(what, 0) + 1
        self.names.append(what)

    def leaf_alone(self):
        """Without the hub, a leaf that comes back knows all that it had acknowledged."""
        self.mesh.hub.kill()
        self.count("hub")
        self.sales.kill()
        self.count("sales")
        self.sales.start()
        wait_for(lambda: self.sales.ask("/readyz")[0] == 200, "sales serves without the hub")
        bundle = self.sales.status()["hub"]["bundle"]
        need(bundle >= self.guest.bundle,
             f"bundle {self.guest.bundle} was acknowledged, {bundle} is in force after a restart")
        self.pulse.wait_more(len(self.writers), "sales takes records without the hub")
        return self.mesh.hub

    def round(self, round_no):
        self.names = []
        before = self.guest.prompt
        self.guest.step(round_no)
        alone = self.guest.prompt > before and self.rng.random() < 0.5
        if self.guest.last_n is None or (not alone and self.rng.random() < 0.5):
            self.moment()
        began = time.monotonic()
        down = self.leaf_alone() if alone else self.kill_one()
        if down is not None and down is not self.sales and self.rng.random() < 0.5:
            self.pulse.wait_more(self.rng.randrange(1, 20), f"{down.name} is down, sales goes on")
        if down is not None:
            down.start()
        if self.rng.random() < 0.4:
            if down is not self.sales:
                self.moment()
            again = self.kill_one()
            if again is not None:
                again.start()
        self.mesh.wait_back()
        self.pulse.wait_more(len(self.writers), "after recovery")
        self.catch_up()
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        say(f"round {round_no}: killed {' and '.join(self.names)}; "
            f"recovered in {time.monotonic() - began:.2f} s")

    def catch_up(self):
        """Every follower has what was acked until now."""
        for follower in self.followers:
            acked = max(w.acked_seq for w in self.writers if w.table is follower.table)
            follower.wait_position(acked, CATCH_UP_S)

    # --- the end ---

    def finish(self):
        self.guest.end()
        for writer in self.writers:
            writer.end()
        if self.pulse.error is not None:
            raise self.pulse.error
        self.catch_up()
        logs = {}
        for table in (STATE, EVENT, NEWS):
            writers = [w for w in self.writers if w.table is table]
            logs[table], stored, invalid = check_table(self.sales, table, writers)
            say(f"{table.product}.{table.name}: {sum(len(w.attempts) for w in writers)} requests, "
                f"{len(logs[table])} changes, {invalid} invalid records, "
                f"{stored} stored without an answer")
        for follower in self.followers:
            follower.wait_position(len(logs[follower.table]), CATCH_UP_S)
            need(follower.stop() == 130, f"{follower.name}: exit status of an interrupt")
            check_follower(follower, logs[follower.table])
        verdict = json.loads(self.mesh.must("audit", "verify", "-o", "json"))
        need(verdict["holds"], f"audit: {verdict}")
        say(f"audit: {verdict['events']} events hold")
        return sum(map(len, logs.values()))

    def end_processes(self, store_check, changes):
        """Two leave in peace; the owner is killed once more, and its store is looked at."""
        self.sales.kill()
        done = subprocess.run([store_check, self.sales.data / "store"], check=False,
                              capture_output=True, timeout=300)
        text = (done.stdout + done.stderr).decode()
        need(done.returncode == 0 and f" {changes} changes" in text, f"store check: {text}")
        say("store: " + text.strip())
        for node in (self.mesh.leaves["marketing"], self.mesh.hub):
            node.process.terminate()
            status = node.process.wait(ENDING_S)
            need(status == 0, f"{node.name}: exit status {status} at SIGTERM")

    def check_logs(self):
        for log in self.mesh.home.glob("*.log"):
            bad = [x for x in log.read_text(errors="replace").splitlines() if BAD_WORDS.search(x)]
            need(not bad, f"{log.name}: {bad[:3]}")


def show_logs(home):
    for log in sorted([*home.glob("*.log"), *home.glob("*/log/*.log"), *home.glob("*/nats/*.log")]):
        print(f"--- {log}")
        print("\n".join(log.read_text(errors="replace").splitlines()[-15:]))


def main():
    parser = argparse.ArgumentParser()
    names = ["sheaf", "sheaf-hub", "sheaf-leaf", "nats-server", "store-check"]
    for name in names:
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("TEST_CRASH_ROUNDS", 50)))
    parser.add_argument("--seed", type=int,
                        default=int(os.environ.get("TEST_CRASH_SEED", random.getrandbits(32))))
    parser.add_argument("--keep", action="store_true", help="leave data and logs in place")
    o = parser.parse_args()
    programs = {name: str(pathlib.Path(getattr(o, name)).resolve()) for name in names}
    home = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-crash-"))
    rng = random.Random(o.seed)
    say(f"{o.rounds} rounds, --seed {o.seed}, in {home}")
    began = time.monotonic()
    mesh = Mesh(home, programs, ["sales", "marketing"])
    test = Test(mesh, rng)
    failed = True
    try:
        test.begin()
        for round_no in range(1, o.rounds + 1):
            test.round(round_no)
        changes = test.finish()
        test.end_processes(programs["store-check"], changes)
        test.check_logs()
        failed = False
        say(f"kills: {test.kills}; revocations: {test.guest.revoked}, of these at once: "
            f"{test.guest.prompt}; slowest recovery {test.slowest_s:.2f} s")
    except (Failure, subprocess.TimeoutExpired) as e:
        show_logs(home)
        print(f"FAILED with --seed {o.seed}: {e}")
    finally:
        for writer in test.writers:
            writer.ending.set()
        mesh.kill_all()
        if not o.keep:
            shutil.rmtree(home, ignore_errors=True)
    print(f"{'failed' if failed else 'ok'} after {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
