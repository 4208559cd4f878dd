#!/usr/bin/env python3
"""Rights that change while the owner's leaf is down: a plain client sees by Sheaf-Prev what it has not got, and
who asks for what is missing, as `sheaf sub` and the example for nats-py do, has every change once."""
import json
import os
import pathlib
import signal
import sys
import time

import fixture
from consumers import CONSUMERS, Listener, Sub, change, load, open_up, policy, set_up
from test_clients import EXAMPLES, connection_of, no_nats_py, python_path


class Example:
    """examples/clients/follow.py as an app of a domain."""

    def __init__(self, m, domain, since):
        self.domain, self.path = f"nats-py of {domain}", m.directory / f"follow-{domain}.ndjson"
        self.path.unlink(missing_ok=True)
        self.process = m.spawn([sys.executable, EXAMPLES / "follow.py", *connection_of(m, domain), "sales", "orders",
                                "orders", "1", f"1:{since}"], self.path, m.environment | {"PYTHONPATH": python_path(m)})

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines() if line.startswith('{"seq"')]

    def finish(self, last):
        def has_all():
            assert self.process.poll() is None, self.path.read_text()
            return any(line["seq"] >= last for line in self.lines())
        fixture.until(has_all, f"{self.domain} has {last}")
        self.process.kill()
        self.process.wait()
        return self.lines()


def tell(listeners, first, last):
    print(f"# {last - first} changes; shown as missing: {[len(one.shown) for one in listeners]}, "
          f"repeated: {[one.repeats for one in listeners]}")
    for one in listeners:
        one.client.close()


def server_of(node):
    tasks = pathlib.Path(f"/proc/{node.process.pid}/task").glob("*/children")
    return next(pid for task in tasks for pid in map(int, task.read_text().split())
                if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("nats-server"))


def kill_before_it_sends(m, keys):
    """What is stored is sent to nobody: the server of the leaf takes nothing, and dies with it."""
    os.kill(server_of(m.leaves["sales"]), signal.SIGSTOP)
    last = load(m, keys)["last_seq"]
    m.leaves["sales"].end()
    return last


def plain_clients(m):
    """Of both, from one place on."""
    listeners = [Listener(m, domain) for domain in CONSUMERS]
    open_up(m, listeners)
    first = load(m, ["first"])["last_seq"]
    for one in listeners:
        one.wait(first)
        one.shown.clear()
    return first, listeners


def replaying_clients(m, first):
    replaying = [Sub(m, domain, first - 1) for domain in CONSUMERS]
    if not no_nats_py(m):
        replaying.append(Example(m, "marketing", first - 1))
    for one in replaying:
        fixture.until(one.lines, f"{one.domain} has begun")
    return replaying


def check_listeners(listeners, first, last):
    """Nothing is missing that was not shown."""
    wanted = set(range(first, last + 1))
    for one in listeners:
        def told(one=one):
            one.poll()
            return wanted <= one.seen.keys() | one.shown
        fixture.until(told, f"{one.domain} has or misses all up to {last}")


def check_replaying(replaying, first, last):
    for one in replaying:
        lines = one.finish(last)
        assert [line["seq"] for line in lines] == list(range(first, last + 1)), f"{one.domain}: not each once"
        yield lines


def test_policies(m):
    """Policies that end, go or come while the owner's leaf is down: nothing is lost without being shown, nor doubled"""
    set_up(m)
    first, listeners = plain_clients(m)
    replaying = replaying_clients(m, first)
    sales = m.leaves["sales"]

    # It ends by the clock: what parted the two is not there any more when the leaf starts.
    ends = time.time() + 5
    text = time.strftime("expires: %Y-%m-%dT%H:%M:%SZ\n", time.gmtime(ends))
    change(m, text=policy("note", "redact", "marketing") + text)
    last = load(m, ["parted"])["last_seq"]
    notes = [one.wait(last)["note"] for one in listeners]
    assert notes == ["clear", "***"] or time.time() > ends, notes  # a slow machine may be too late
    kill_before_it_sends(m, ["unsent1", "unsent2"])
    fixture.until(lambda: time.time() > ends + 1, "the policy is over")
    sales.start()
    last = load(m, ["ended"])["last_seq"]
    check_listeners(listeners, first, last)

    # The hub changes them.
    for does, what in (("apply", {"files": [{"file": "p.yaml", "text": policy("note", "redact", "marketing")}]}),
                       ("remove", {"remove": ["note"]})):
        kill_before_it_sends(m, [f"{does}1", f"{does}2"])
        answer = m.hub.call("POST", "/v1/policies/change", what, m.token("platform"))
        assert answer.status == 200, answer
        sales.start()
        last = load(m, [does])["last_seq"]
        check_listeners(listeners, first, last)
    open_up(m, listeners)

    def is_clear():
        nonlocal last
        last = load(m, ["last"])["last_seq"]
        return [one.wait(last)["note"] for one in listeners] == ["clear"] * 2
    fixture.until(is_clear, "both see notes")
    for lines in check_replaying(replaying, first, last):
        assert lines[-1]["row"]["note"] == "clear", lines[-1]
    tell(listeners, first, last)


def test_another_grant(m):
    """A grant that another takes the place of while the owner's leaf is down: the subscription stays, its gap is shown"""
    first, listeners = plain_clients(m)
    marketing = listeners[0]
    before = set(marketing.audiences)
    kill_before_it_sends(m, ["unsent3", "unsent4"])
    answer = m.hub.call("POST", "/v1/access/grants/G-1/revoke", {"reason": "test"}, m.token("platform"))
    assert answer.status == 200, answer
    asked = m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "test", "--for", "1d",
                    "--columns", "id", "-o", "json").json()["id"]
    approval = m.spawn([m.programs["sheaf"], "access", "approve", asked, "--as", "sales"], m.directory / "approve.log",
                       m.environment | {"SHEAF_DEV_DIR": str(m.directory)})  # m.sheaf() would wait for the leaf
    assert approval.wait(fixture.WITHIN_S) == 0, (m.directory / "approve.log").read_text()
    for one in listeners:
        one.poll()  # what came before the leaf was killed
        one.audiences.clear()
    m.leaves["sales"].start()
    last = load(m, ["moved"])["last_seq"]
    check_listeners(listeners, first, last)
    open_up(m, listeners)
    last = load(m, ["last"])["last_seq"]
    assert [one.wait(last) for one in listeners] == [{"id": "last"}, {"id": "last", "note": "clear"}]
    check_listeners(listeners, first, last)
    assert not marketing.audiences & before, (before, marketing.audiences)
    # Without any grant for a moment `sheaf sub` may have ended; from its position on nothing is missing.
    for lines, fields in zip(check_replaying(replaying_clients(m, first), first, last), (1, 2, 1)):
        assert {len(line["row"]) for line in lines} == {fields}, lines
    tell(listeners, first, last)


if __name__ == "__main__":
    sys.exit(fixture.run([test_policies, test_another_grant], ["sales", "marketing", "support"]))
