#!/usr/bin/env python3
"""A leaf is backed up while it works, lost, and restored: what comes back, and what does not."""
import json
import os
import shutil
import signal
import subprocess
import sys

import fixture

PRODUCT = fixture.orders("n: {number: 2, type: int64}")
RECORDS = "/v1/products/sales/orders/orders/records"


def put(m, first, last):
    answer = m.load("sales", "orders/orders",
                    [{"k": f"k{n % 50}", "n": n} for n in range(first, last + 1)])
    assert answer.status == 200, answer
    return answer.json()


def grant(m):
    asked = m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "t",
                    "--for", "9d", "-o", "json").json()["id"]
    return m.sheaf("access", "approve", asked, "--as", "sales", "-o", "json").json()


def reads(m):
    return m.sheaf("read", "sales/orders", "--as", "marketing", "--limit", "1", status=None)


def restore(m, backup, **options):
    sales = m.leaves["sales"]
    away = m.directory / f"lost-{len(list(m.directory.glob('lost-*')))}"
    sales.data.rename(away)
    return m.sheaf("leaf", "restore", backup, "--dir", sales.data, **options)


class Sub:
    """`sheaf sub` in the background, its lines as they come."""

    def __init__(self, m, *argv):
        self.path = m.directory / f"sub-{id(self)}.ndjson"
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                [str(m.programs["sheaf"]), "sub", *argv], stdout=out,
                stderr=open(m.directory / "sub.log", "ab"), preexec_fn=fixture.die_with_parent,
                env=m.environment | {"SHEAF_DEV_DIR": str(m.directory)})
        m.processes.append(self.process)

    def lines(self):
        text = self.path.read_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def seqs(self):
        return [line.get("seq", "epoch") for line in self.lines()]


def test_back_up_while_writing(m):
    """A backup of a leaf that takes records is whole, checked, and private"""
    m.apply("sales", PRODUCT)
    put(m, 1, 300)
    done = m.sheaf("leaf", "backup", m.directory / "backups", "--as", "sales", "-o", "json").json()
    put(m, 301, 400)
    assert done["check"]["damages"] == 0 and done["check"]["changes"] == 300, done
    made = m.directory / "backups" / done["name"]
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in made.rglob("*") if p.is_file()}
    assert modes["domain.seed"] == modes["app.nk"] == modes["domain.creds"] == "0o600", modes
    assert all(mode in ("0o600",) for mode in modes.values()), modes
    assert not any(name.startswith("LOG") for name in modes), modes
    assert oct(made.stat().st_mode & 0o777) == "0o700"
    again = m.sheaf("leaf", "backup", m.directory / "backups", "--as", "sales", "--without-keys",
                    "-o", "json").json()
    assert again["linked_bytes"] > 0 and not again["keys"], again
    assert not (m.directory / "backups" / again["name"] / "keys").exists()
    shutil.rmtree(m.directory / "backups" / again["name"])
    m.backup = made


def test_check_of_a_leaf_that_runs(m):
    """A leaf that runs is checked over HTTP, one that is stopped by its directory"""
    found = m.sheaf("leaf", "check", "--as", "sales", "-o", "json").json()
    assert found["changes"] == 400 and found["rows"] == 50 and found["damages"] == 0, found
    ran = m.sheaf("leaf", "check", "--dir", m.leaves["sales"].data, status=6)
    assert "SHEAF-E0606" in ran.err, ran
    answer = m.leaves["sales"].call("POST", "/v1/leaf/check")
    assert answer.problem() == (401, "SHEAF-E0501"), answer


def test_restore_says_what_is_missing_and_begins_an_epoch(m):
    """A restore says which seqs are missing; subscribers get an epoch event and no gap or double"""
    sales = m.leaves["sales"]
    grant(m)
    fixture.until(lambda: reads(m).status == 0, "marketing reads")
    sub = Sub(m, "sales/orders", "--as", "marketing", "--since", "all")
    fixture.until(lambda: len(sub.seqs()) == 400, "all is followed")
    fixture.until(lambda: any(p["position"] == "1:400" for p in m.hub.call(
        "GET", "/v1/status", token=m.token("platform")).json()["products"]), "the hub knows it")
    sales.end(signal.SIGKILL)
    done = restore(m, m.directory / "backups", status=0)
    assert "missing: sales/orders.orders: 301 to 400 (epoch 1)" in done.out, done
    assert "in epoch 2" in done.out, done
    ran = m.sheaf("leaf", "check", "--dir", sales.data)
    assert "nothing is damaged or missing" in ran.out, ran
    sales.start()
    assert put(m, 1001, 1020)["epoch"] == 2
    fixture.until(lambda: len(sub.seqs()) >= 421, f"the new epoch is followed: {sub.seqs()[395:]}")
    assert sub.seqs() == [*range(1, 401), "epoch", *range(301, 321)], sub.seqs()[295:]
    assert sub.lines()[400] == {"event": "epoch", "was": "1:400", "back_to": "1:300"}
    ns = [line["row"]["n"] for line in sub.lines()[401:]]
    assert ns == list(range(1001, 1021)), ns
    sub.process.send_signal(signal.SIGINT)
    sub.process.wait(fixture.WITHIN_S)
    at_300 = m.sheaf("sub", "sales/orders", "--as", "sales", "--since", "1:290", "--count", "30")
    assert [l["seq"] for l in at_300.lines()] == list(range(291, 321)), at_300


def test_nothing_revoked_comes_back(m):
    """What was revoked after the backup stays revoked, also while the hub is away"""
    sales = m.leaves["sales"]
    m.sheaf("leaf", "backup", m.directory / "granted", "--as", "sales")
    assert reads(m).status == 0
    m.sheaf("access", "revoke", "G-1", "--as", "sales", "--note", "t")
    fixture.until(lambda: reads(m).status == 5, "revoked")
    sales.end(signal.SIGKILL)
    restore(m, m.directory / "granted")
    m.hub.process.send_signal(signal.SIGSTOP)  # away, but its nats-server still carries requests
    try:
        sales.process = m.spawn(sales.argv(), sales.log)
        fixture.until(sales.is_ready, "sales is ready")
        status = sales.call("GET", "/v1/status", token=m.token("sales")).json()
        assert status["hub"]["grants"] == 0 and not status["hub"]["bundle_in_force"], status["hub"]
        log = sales.log.read_text()
        assert "leaf.bundle_of_before" in log, log[-2000:]
        answer = m.leaves["marketing"].call("GET", RECORDS, token=m.token("marketing"))
        assert answer.status in (403, 503), answer
    finally:
        m.hub.process.send_signal(signal.SIGCONT)
    fixture.until(lambda: m.state_of("sales") == "up", "sales has found the hub")
    fixture.until(lambda: reads(m).status == 5, "still revoked")


def test_a_damaged_backup_is_refused(m):
    """A damaged or unfinished restore is refused, named, and can be run again"""
    sales = m.leaves["sales"]
    table = next((m.directory / "granted").glob("*/store/db/*.sst"))
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    to = m.directory / "elsewhere"
    ran = m.sheaf("leaf", "restore", m.directory / "granted", "--dir", to, "--no-hub", status=1)
    assert "SHEAF-E0612" in ran.err and table.name in ran.err, ran
    argv = [m.programs["leaf"], "--data", to, "--domain", "sales", "--http", "127.0.0.1:0"]
    ended = subprocess.run([str(a) for a in argv], env=m.environment, capture_output=True,
                           timeout=60, check=False)
    assert ended.returncode == 6 and b"SHEAF-E0611" in ended.stderr, ended
    m.sheaf("leaf", "restore", m.directory / "backups", "--dir", to, "--no-hub")
    assert not (to / "RESTORING").exists()
    ran = m.sheaf("leaf", "restore", m.directory / "backups", "--dir", to, "--no-hub", status=6)
    assert "SHEAF-E0606" in ran.err, ran
    assert sales.is_ready()


def test_kill_during_backup_and_restore(m):
    """kill -9 at any moment of a backup or a restore leaves nothing that passes for whole"""
    sales = m.leaves["sales"]
    put(m, 2000, 2999)
    repository = m.directory / "killed"
    for delay_ms in (0, 5, 20, 60, 150, 400):
        sales.call("POST", "/v1/leaf/backup", {"repository": str(repository)}, m.token("sales"))
        fixture.select.select([], [], [], delay_ms / 1000)
        sales.end(signal.SIGKILL)
        sales.start()
        assert not (sales.data / "checkpoint").exists()
        for whole in repository.glob("*Z*/BACKUP"):
            if whole.parent.name.endswith(".part"):
                continue
            to = m.directory / "from-killed"
            m.sheaf("leaf", "restore", whole.parent, "--dir", to, "--no-hub")
            shutil.rmtree(to)
    m.sheaf("leaf", "backup", repository, "--as", "sales")
    assert not list(repository.glob("*.part"))
    to = m.directory / "killed-restore"
    for delay_ms in (5, 20, 50, 100, 300):
        process = m.spawn([m.programs["leaf"], "restore", "--data", to, "--from", repository],
                          m.directory / "restore.log")
        fixture.select.select([], [], [], delay_ms / 1000)
        process.kill()
        process.wait(fixture.WITHIN_S)
        whole = to.exists() and not (to / "RESTORING").exists() and (to / "heads").exists()
        if whole:
            break
    if not whole:
        m.sheaf("leaf", "restore", repository, "--dir", to, "--no-hub")
    m.sheaf("leaf", "check", "--dir", to)


def test_a_lost_tail_is_noticed(m):
    """A log whose tail was cut off is refused with what is missing, until the loss is accepted"""
    sales = m.leaves["sales"]
    done = put(m, 3000, 3009)
    last = done["last_seq"]
    fixture.until(lambda: heads_commit(sales) >= done["commit"], "the head record has followed")
    sales.end(signal.SIGKILL)
    log = max((sales.data / "store" / "db").glob("*.log"), key=lambda p: int(p.stem))
    os.truncate(log, log.stat().st_size // 3)
    ended = subprocess.run([str(a) for a in sales.argv()], env=m.environment, capture_output=True,
                           timeout=60, check=False)
    assert ended.returncode == 1 and b"SHEAF-E0609" in ended.stderr, ended
    assert f"to {last} (epoch".encode() in ended.stderr, ended
    ran = m.sheaf("leaf", "check", "--dir", sales.data, status=8)
    assert f"to {last} (epoch" in ran.out and "missing: sales/orders@1.orders" in ran.out, ran
    ran = m.sheaf("leaf", "check", "--dir", sales.data, "--accept-loss")
    assert "goes on in epoch" in ran.out, ran
    sales.start()
    put(m, 4000, 4001)


def test_a_damaged_tail_is_cut_off_when_the_owner_says_so(m):
    """A log whose end is damaged, and no power cut has done it: refused, until its owner takes the loss"""
    sales = m.leaves["sales"]
    kept = put(m, 6000, 6009)
    fixture.until(lambda: heads_commit(sales) >= kept["commit"], "the head record has followed")
    sales.end(signal.SIGTERM)
    sales.start()
    put(m, 6010, 6019)
    sales.end(signal.SIGKILL)
    log = max((sales.data / "store" / "db").glob("*.log"), key=lambda p: int(p.stem))
    size = log.stat().st_size
    with open(log, "r+b") as file:
        file.seek(size - 40)
        file.write(bytes(20))
    ended = subprocess.run([str(a) for a in sales.argv()], env=m.environment, capture_output=True,
                           timeout=60, check=False)
    assert ended.returncode == 1 and b"SHEAF-E0613" in ended.stderr, ended
    assert b"the machine was not started since" in ended.stderr and b"--accept-loss" in ended.stderr
    ran = m.sheaf("leaf", "check", "--dir", sales.data, status=8)
    assert "SHEAF-E0613" in ran.out and "--accept-loss" in ran.out, ran
    assert log.stat().st_size == size, "only looked at"
    ran = m.sheaf("leaf", "check", "--dir", sales.data, "--accept-loss")
    assert "cut off the write-ahead log" in ran.out and "goes on in epoch" in ran.out, ran
    assert sum(p.stat().st_size for p in (sales.data / "store" / "cut").iterdir()) > 0
    sales.start()
    assert put(m, 6020, 6020)["epoch"] > kept["epoch"]


def clone_of(m, name):
    """A leaf on a copy of sales' directory, as it stands now."""
    clone = fixture.Node(m, name, "sales")
    shutil.copytree(m.leaves["sales"].data, clone.data)
    return clone


def fenced(node):
    status = node.process.wait(fixture.WITHIN_S)
    log = node.log.read_text()
    assert status == 6 and "error[SHEAF-E0610]" in log, (status, log[-2000:])
    assert (node.data / "FENCED").exists()
    fixture.until(lambda: fixture.is_free(node.http) and fixture.is_free(node.nats), "it is gone")


def test_of_two_leaves_with_one_identity_one_goes_on(m):
    """A copy that lacks what the hub has heard of is fenced; a later start of an equal one takes over"""
    sales = m.leaves["sales"]
    old = clone_of(m, "old-copy")
    done = put(m, 5000, 5004)
    known = f"{done['epoch']}:{done['last_seq']}"
    fixture.until(lambda: any(p["position"] == known for p in m.hub.call(
        "GET", "/v1/status", token=m.token("platform")).json()["products"]), "the hub knows it")
    old.start(wait=False)
    fenced(old)
    assert put(m, 5005, 5005)["first_seq"] == done["last_seq"] + 1  # the right one has gone on
    ended = subprocess.run([str(a) for a in old.argv()], env=m.environment, capture_output=True,
                           timeout=60, check=False)
    assert ended.returncode == 6 and b"SHEAF-E0610" in ended.stderr, ended
    known = f"{done['epoch']}:{done['last_seq'] + 1}"
    fixture.until(lambda: any(p["position"] == known for p in m.hub.call(
        "GET", "/v1/status", token=m.token("platform")).json()["products"]), "the hub knows it")
    equal = clone_of(m, "equal-copy")
    equal.start()
    fenced(sales)
    answer = equal.call("POST", RECORDS, '{"k": "x", "n": 1}\n', m.token("sales"),
                        {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, answer
    ran = m.sheaf("leaf", "check", "--dir", sales.data, status=8)
    assert "another leaf of this domain has taken over" in ran.out, ran
    equal.end(signal.SIGTERM)
    m.sheaf("leaf", "check", "--dir", sales.data, "--accept-loss")
    sales.start()
    assert put(m, 5006, 5006)["epoch"] > done["epoch"]


def heads_commit(node):
    return int.from_bytes((node.data / "heads").read_bytes()[8:16], "big")


if __name__ == "__main__":
    sys.exit(fixture.run([
        test_back_up_while_writing, test_check_of_a_leaf_that_runs,
        test_restore_says_what_is_missing_and_begins_an_epoch, test_nothing_revoked_comes_back,
        test_a_damaged_backup_is_refused, test_kill_during_backup_and_restore,
        test_a_lost_tail_is_noticed, test_a_damaged_tail_is_cut_off_when_the_owner_says_so,
        test_of_two_leaves_with_one_identity_one_goes_on], ["sales", "marketing"]))
