"""The oracle: what was sent and answered (load.py) against what the owner's leaf has stored.

Every line of the log must be explained by a request that was sent, in the order of its writer; an
acked one is there at the seqs its answer named, an unanswered one as a whole or not at all, a
refused one not at all.
"""
import json
import re

from load import ACKED, REFUSED
from mesh import Failure, call

NDJSON = {"Accept": "application/x-ndjson"}


def need(holds, text):
    if not holds:
        raise Failure(text)


def read_lines(leaf, path):
    """(rows, headers) of one page."""
    status, headers, body = call(leaf.http, "GET", path, leaf.mesh.token(leaf.domain),
                                 headers=NDJSON)
    need(status == 200, f"GET {path}: {status} {body[:300]}")
    return [json.loads(line) for line in body.splitlines()], headers


def read_changes(leaf, table):
    """All changes of the log, whose seqs have no gap."""
    changes = []
    while True:
        page, headers = read_lines(leaf, table.path(f"changes?after=1:{len(changes)}"))
        changes += page
        for i, change in enumerate(page, len(changes) - len(page) + 1):
            need(change["seq"] == i, f"{table.name}: seq {change['seq']} at place {i} of the log")
        if headers["Sheaf-Head"] == f"1:{len(changes)}":
            return changes
        need(page, f"{table.name}: head {headers['Sheaf-Head']}, log ends at {len(changes)}")


def read_rows(leaf, table):
    rows, cursor = [], ""
    while True:
        page, headers = read_lines(leaf, table.path("records" + cursor))
        rows += page
        if not headers.get("Sheaf-Cursor"):
            return rows
        cursor = "?cursor=" + headers["Sheaf-Cursor"]


def read_quarantine(leaf, table):
    raws, after, more = [], 0, True
    while more:
        path = table.path(f"quarantine?after={after}")
        status, _, body = call(leaf.http, "GET", path, leaf.mesh.token(leaf.domain))
        need(status == 200, f"GET {path}: {status} {body[:300]}")
        page = json.loads(body)
        raws += [item["raw"] for item in page["items"]]
        after, more = page["last"], page["more"]
    need(page["total"] == len(raws), f"{table.name}: {len(raws)} of {page['total']} in quarantine")
    return raws


class Walk:
    """Explains one writer's part of a log by its requests."""

    def __init__(self, writer, changes, raws):
        self.writer, self.changes, self.raws = writer, changes, raws
        self.at, self.raw_at, self.keys = 0, 0, {}

    def expect(self, attempt):
        """The changes that the request makes of the rows as they are: (op, key, row)."""
        keys, found = dict(self.keys), []
        for line in attempt.lines:
            if line.op == "upsert":
                found.append(("upsert", line.key, line.row))
                keys[line.key] = line.row
            elif line.op == "delete" and keys.pop(line.key, None) is not None:
                found.append(("delete", line.key, None))
        return found, keys

    def take(self, attempt, what):
        """The request's changes are next; they and its invalid records are taken. First seq."""
        expected, keys = self.expect(attempt)
        got = self.changes[self.at : self.at + len(expected)]
        need([(c["op"], c.get("key", {}).get("k"), c.get("row")) for c in got] == expected,
             f"{what}: the log has {got[:3]}..., sent was {expected[:3]}...")
        need(not got or got[-1]["seq"] - got[0]["seq"] == len(got) - 1, f"{what}: torn apart")
        raws = [line.raw for line in attempt.lines if line.op == "invalid"]
        need(self.raws[self.raw_at : self.raw_at + len(raws)] == raws, f"{what}: quarantine")
        self.at, self.raw_at, self.keys = self.at + len(got), self.raw_at + len(raws), keys
        return got, raws

    def take_acked(self, attempt, what):
        answer = attempt.answer
        got, raws = self.take(attempt, what)
        valid = sum(line.op != "invalid" for line in attempt.lines)
        need(got and (answer["first_seq"], answer["last_seq"]) == (got[0]["seq"], got[-1]["seq"]),
             f"{what}: answered {answer['first_seq']}-{answer['last_seq']}, stored {got}")
        need((answer["epoch"], answer["accepted"], answer["quarantined"]) ==
             (1, valid, len(raws)), f"{what}: answered {answer}")

    def run(self):
        """Number of requests in doubt that were stored."""
        stored = 0
        attempts = self.writer.attempts
        for i, attempt in enumerate(attempts):
            what = f"{self.writer.table.name}: writer {self.writer.number}, request {i}"
            if attempt.outcome == ACKED:
                self.take_acked(attempt, what + ", acked")
            elif attempt.outcome != REFUSED and self.at < len(self.changes):
                known = next((a for a in attempts[i:] if a.outcome == ACKED), None)
                if known is None or self.changes[self.at]["seq"] < known.answer["first_seq"]:
                    self.take(attempt, what + ", unanswered")
                    stored += 1
        need(self.at == len(self.changes), f"writer {self.writer.number}: not sent by anyone: "
             f"{self.changes[self.at:][:3]}")
        need(self.raw_at == len(self.raws), f"writer {self.writer.number}: quarantine has more")
        return stored


def check_rows(changes, rows, table):
    """What a scan gives is what the log says."""
    if table.kind == "event":
        need(rows == [c["row"] for c in changes], f"{table.name}: rows differ from the log")
        return
    newest = {}
    for change in changes:
        newest[change["key"]["k"]] = change.get("row")
    expected = [row for _, row in sorted(newest.items()) if row is not None]
    need(rows == expected, f"{table.name}: rows differ from the log")


def number_of(change):
    return change["row"]["w"] if "row" in change else int(change["key"]["k"][1:].split("-")[0])


def check_table(leaf, table, writers):
    """Returns (changes, requests in doubt that were stored, invalid records)."""
    changes, raws = read_changes(leaf, table), read_quarantine(leaf, table)
    check_rows(changes, read_rows(leaf, table), table)
    parts = {w.number: ([], []) for w in writers}
    for change in changes:
        parts[number_of(change)][0].append(change)
    for raw in raws:
        parts[int(re.search(r"pii-(\d+)-", raw)[1])][1].append(raw)
    stored = sum(Walk(w, *parts[w.number]).run() for w in writers)
    return changes, stored, len(raws)


def check_follower(follower, changes):
    """It printed each change of the log once, in order, without what is not for it."""
    def seen(change):
        if "row" not in change or follower.is_own:
            return change
        return dict(change, row={k: v for k, v in change["row"].items() if k != "email"})
    need(len(follower.changes) == len(changes),
         f"{follower.name}: {len(follower.changes)} of {len(changes)} changes")
    for got, change in zip(follower.changes, changes):
        need(got == seen(change), f"{follower.name}: printed {got}, stored {change}")
