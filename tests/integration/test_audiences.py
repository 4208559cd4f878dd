#!/usr/bin/env python3
"""Consumers whom policies tell apart are fed each what it sees, live, also while policies come and go under load."""
import signal
import sys
import threading
import time

import fixture
from consumers import CONSUMERS, Listener, Sub, change, load, open_up, policy, set_up

SWITCHES, SWITCHES_MIN, SECONDS = 1000, 100, 40  # as many as there is time for, and that many in any


def expires(m, both):
    """A policy's end needs nobody: it is over at the leaf, by its clock. One that was over before we looked is tried longer."""
    change(m, remove=["email"])
    for life_s in (2, 8, 30):
        ends = int(time.time()) + life_s
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
        change(m, text=policy("note", "redact", "support") + f"expires: {until}\n")
        rows = both("f")
        if time.time() < ends:
            break
    assert rows == [{"id": "f", "note": "***"}, {"id": "f", "note": "clear"}], (rows, life_s)


def test_each_its_own_view(m):
    """Consumers who are told apart get each what it sees, live; those who are not share one message"""
    set_up(m)
    marketing, support = listeners = [Listener(m, domain) for domain in CONSUMERS]
    open_up(m, listeners)
    assert marketing.audiences == support.audiences and len(marketing.audiences) == 1
    shared = marketing.audiences.copy()

    def both(key):
        for one in listeners:
            one.audiences.clear()
        last = load(m, [key])["last_seq"]
        return [one.wait(last) for one in listeners]

    change(m, text=policy("note", "redact", "marketing"))
    assert both("a") == [{"id": "a", "note": "clear"}, {"id": "a", "note": "***"}]
    assert not marketing.audiences & support.audiences and not shared & (marketing.audiences | support.audiences)
    change(m, text=policy("email", "hash"))
    one, other = both("b")
    assert len(one["email"]) == len(other["email"]) == 32 and one["email"] != other["email"], (one, other)
    assert both("c")[0]["email"] == one["email"]
    change(m, remove=["note"])
    one, other = both("d")
    assert one["note"] == other["note"] == "clear" and one["email"] != other["email"]
    change(m, text=policy("email", "keep_domain"))
    assert both("e") == [{"id": "e", "note": "clear", "email": "***@b.example"}] * 2
    assert marketing.audiences == support.audiences == shared
    expires(m, both)
    fixture.until(lambda: both("g") == [{"id": "g", "note": "clear"}] * 2, "the policy is over", every_s=0.2)
    assert marketing.audiences == support.audiences == shared
    assert marketing.gaps + support.gaps == 0, (marketing.gaps, support.gaps)
    for one in listeners:
        one.client.close()


def test_other_hashes(m):
    """A key of hashes that is taken away is made anew at a reload: other hashes on the stream and in reads, also behind a restart"""
    listeners = [Listener(m, domain) for domain in CONSUMERS]
    open_up(m, listeners)
    change(m, text=policy("email", "hash"))
    sales = m.leaves["sales"]
    key = sales.data / "keys" / "masks.seed"

    def asked(row, consumer):
        ran = m.sheaf("read", "sales/orders", "--where", f"id = '{row}'", "--as", consumer, "-o", "ndjson")
        return ran.lines()[0]["email"]

    def hashes(row):
        last = load(m, [row])["last_seq"]
        live = [one.wait(last)["email"] for one in listeners]
        assert live == [asked(row, c) for c in CONSUMERS] and len(set(live)) == 2, live
        return live

    first, seed = hashes("h"), key.read_bytes()
    assert hashes("i") == first
    key.unlink()
    sales.process.send_signal(signal.SIGHUP)
    fixture.until(lambda: "leaf.mask_key_changed" in sales.log.read_text(), "the key is another one")
    second = hashes("h")
    assert not set(first) & set(second), (first, second)
    assert key.read_bytes() != seed and key.stat().st_mode & 0o777 == 0o600
    for one in listeners:
        one.client.close()
    sales.end(signal.SIGTERM)
    sales.start()
    fixture.until(lambda: all(m.sheaf("read", "sales/orders", "--as", c, status=None).status == 0 for c in CONSUMERS),
                  "it serves again")
    assert [asked("h", c) for c in CONSUMERS] == second
    change(m, remove=["email"])


# --- under load -----------------------------------------------------------------------------------


class Rules:
    """version -> what each consumer sees of a note; the words are those of the version that brought them."""

    def __init__(self, version):
        self.of = {version: dict.fromkeys(CONSUMERS, "clear")}
        self.newest = version

    def next(self, m, number):
        word = f"w{number}"
        kind = number % 5
        if kind == 4:
            before = self.newest - 2
            version, sees = change(m, rollback_to=before), self.of[before]
        elif kind == 3:
            version, sees = change(m, remove=["note"]), dict.fromkeys(CONSUMERS, "clear")
        else:
            excepted = (*CONSUMERS, None)[kind]
            version = change(m, text=policy("note", f"constant('{word}')", excepted))
            sees = {c: "clear" if c == excepted else word for c in CONSUMERS}
        self.of[version] = sees
        self.newest = version


class Load(threading.Thread):
    """Loads records until it is ended; of each, the version of the policies that was in force before."""

    def __init__(self, m, rules):
        super().__init__(daemon=True)
        self.m, self.rules, self.ends, self.error = m, rules, False, None
        self.before, self.last = {}, 0

    def run(self):
        try:
            while not self.ends:
                version = self.rules.newest
                answer = load(self.m, [f"k{i}" for i in range(3)])
                self.last = answer["last_seq"]
                for seq in range(answer["first_seq"], self.last + 1):
                    self.before[seq] = version
        except Exception as error:  # told by the test
            self.error = error


def test_switches_under_load(m):
    """Policies applied, removed and rolled back under load: each change once, and as a version shows it that was in force"""
    listeners = [Listener(m, domain) for domain in CONSUMERS]
    open_up(m, listeners)
    rules = Rules(change(m, remove=["note"]))
    first = load(m, ["first"])["last_seq"]
    for one in listeners:
        one.wait(first)
        one.run()
    subs = [Sub(m, domain, first) for domain in CONSUMERS]
    loading = Load(m, rules)
    loading.start()
    deadline = time.monotonic() + SECONDS
    switches = 0
    while switches < SWITCHES and not loading.error and (switches < SWITCHES_MIN or time.monotonic() < deadline):
        rules.next(m, switches)
        switches += 1
    loading.ends = True
    loading.join()
    assert loading.error is None, loading.error
    for one, sub in zip(listeners, subs):
        one.join(loading.last)
        check_live(one, rules, loading, first)
        check_sub(sub, rules, loading, first)
    print(f"# {switches} switches, {loading.last - first} changes, "
          f"repeated for plain clients: {[one.repeats for one in listeners]}")


def check_live(one, rules, loading, first):
    """What came under a version is as the version shows it, and of none older than what stood when it was written."""
    for seq, (version, line) in one.seen.items():
        assert line["row"]["note"] == rules.of[version][one.domain] if version in rules.of else seq <= first, (seq, line)
        assert version >= loading.before.get(seq, 0), (seq, version, loading.before[seq])
    missing = [seq for seq in range(first + 1, loading.last + 1) if seq not in one.seen]
    assert not missing and one.gaps == 0, f"{one.domain} misses {missing[:5]}, {one.gaps} gaps are shown"
    assert one.repeats <= len(one.seen) / 5, f"{one.repeats} of {len(one.seen)} came again"


def check_sub(sub, rules, loading, first):
    lines = sub.finish(loading.last)
    assert [line["seq"] for line in lines] == list(range(first + 1, loading.last + 1)), f"{sub.domain}: not each once"
    for line in lines:
        allowed = {sees[sub.domain] for version, sees in rules.of.items() if version >= loading.before[line["seq"]]}
        assert line["row"]["note"] in allowed, (line, loading.before[line["seq"]])


if __name__ == "__main__":
    sys.exit(fixture.run([test_each_its_own_view, test_other_hashes, test_switches_under_load], ["sales", "marketing", "support"]))
