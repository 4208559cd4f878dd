"""Writers over HTTP that keep what they sent and what was answered, for check.py to hold against
what is stored.

A writer has its own keys and one request under way. A request without an answer is sent again, the
same bytes, until there is one; so at any time at most one of its requests is in doubt.
"""
import http.client
import json
import random
import threading

from mesh import DEADLINE_S, Failure

KEYS = 12  # of a writer in a state table
ANSWER_S = 60  # that a server which lives may take

ACKED, REFUSED, UNANSWERED = "acked", "refused", "unanswered"


class Line:
    """One record as sent. @op: upsert, delete, or invalid (quarantine takes it)."""

    def __init__(self, op, key, row, raw):
        self.op, self.key, self.row, self.raw = op, key, row, raw


class Attempt:
    """One request as sent once, and what became of it."""

    def __init__(self, lines, query):
        self.lines, self.query = lines, query
        self.outcome, self.answer = UNANSWERED, None


class Table:
    """Where a writer writes. Kind: state or event."""

    def __init__(self, product, name, kind):
        self.product, self.name, self.kind = product, name, kind

    def path(self, what):
        return f"/v1/products/{self.product}/{self.name}/{what}"


class Pulse:
    """Counts acks; others wait for some more of them."""

    def __init__(self):
        self.changed, self.count, self.error = threading.Condition(), 0, None

    def beat(self):
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def fail(self, error):
        with self.changed:
            self.error = self.error or error
            self.changed.notify_all()

    def wait_more(self, n, why):
        with self.changed:
            until = self.count + n
            if not self.changed.wait_for(lambda: self.count >= until or self.error, DEADLINE_S):
                raise Failure(f"no {n} acks within {DEADLINE_S} s: {why}")
            if self.error:
                raise self.error


class Writer(threading.Thread):
    """Writer number @number of @table, at most one request per @interval_s on average."""

    def __init__(self, leaf, table, number, seed, pulse, interval_s):
        super().__init__(daemon=True)
        self.leaf, self.table, self.number, self.pulse = leaf, table, number, pulse
        self.rng, self.interval_s = random.Random(seed), interval_s
        self.attempts, self.last_n, self.acked_n, self.acked_seq = [], 0, 0, 0
        self.ending = threading.Event()
        self.connection = None

    # --- what is sent ---

    def upsert(self):
        self.last_n += 1
        row = {"w": self.number, "n": self.last_n, "email": f"pii-{self.number}-{self.last_n}@example.com",
               "note": "x" * self.rng.randrange(60)}
        key = None
        if self.table.kind == "state":
            key = row["k"] = f"w{self.number}-{self.rng.randrange(KEYS)}"
        return Line("upsert", key, row, json.dumps(row))

    def delete(self):
        key = f"w{self.number}-{self.rng.randrange(KEYS)}"
        return Line("delete", key, None, json.dumps({"k": key}))

    def invalid(self):
        line = self.upsert()
        row = dict(line.row, note="refused")
        ways = [lambda: row.update(n=-row["n"]), lambda: row.pop("w"),
                lambda: row.update(n="refused"), lambda: row.update(refused=True),
                lambda: row.update(w=None)]
        self.rng.choice(ways)()
        raw = json.dumps(row)
        return Line("invalid", None, None, raw[:-3] if self.rng.random() < 0.15 else raw)

    def make_request(self):
        """(lines, query): 1 to 40 records, half of the requests just one."""
        rng = self.rng
        lines = [self.upsert() for _ in range(1 if rng.random() < 0.5 else rng.randrange(2, 40))]
        query = ""
        if self.table.kind == "state" and rng.random() < 0.4:
            query = "?envelope=change"
            lines += [self.delete() for _ in range(rng.randrange(1, 4))]
        if rng.random() < 0.2:
            lines += [self.invalid() for _ in range(rng.randrange(1, 3))]
            if query == "" and rng.random() < 0.3:
                query = "?on_invalid=reject"
        rng.shuffle(lines)
        if query == "?envelope=change":
            for line in lines:
                op = "delete" if line.op == "delete" else "upsert"
                line.raw = f'{{"op":"{op}","row":{line.raw}}}'
        return lines, query

    # --- sending ---

    def post(self, body, query):
        """(status, answer), or None: no whole answer came."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.leaf.http,
                                                             timeout=ANSWER_S)
            self.connection.request(
                "POST", self.table.path("records") + query, body=body,
                headers={"Content-Type": "application/x-ndjson",
                         "Authorization": "Bearer " + self.leaf.mesh.token(self.leaf.domain)})
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except TimeoutError as e:
            raise Failure(f"writer {self.number}: no answer within {ANSWER_S} s") from e
        except (OSError, http.client.HTTPException, ValueError):
            self.connection.close()
            self.connection = None
            return None

    def judge(self, attempt, answered):
        """Records the outcome; true: the request is over."""
        if answered is None:
            return False
        status, attempt.answer = answered
        if status == 200:
            attempt.outcome = ACKED
            self.acked_n = max([self.acked_n] + [x.row["n"] for x in attempt.lines if x.row])
            self.acked_seq = max(self.acked_seq, attempt.answer["last_seq"])
            self.pulse.beat()
            return True
        attempt.outcome = REFUSED
        if status == 422 and "reject" in attempt.query:
            self.pulse.beat()
            return True
        if status not in (429, 503):
            raise Failure(f"writer {self.number}: answered {status} {attempt.answer}")
        return False

    def send(self, lines, query):
        body = "".join(line.raw + "\n" for line in lines)
        while True:
            attempt = Attempt(lines, query)
            self.attempts.append(attempt)
            if self.judge(attempt, self.post(body, query)):
                return
            self.ending.wait(self.rng.random() * 0.04)  # The server may not be there.

    def run(self):
        try:
            while not self.ending.is_set():
                self.send(*self.make_request())
                self.ending.wait(self.rng.random() * 2 * self.interval_s)
        except Exception as e:  # pylint: disable=broad-except
            self.pulse.fail(e)

    def end(self):
        """Its last request gets its answer first."""
        self.ending.set()
        self.join(DEADLINE_S)
        if self.is_alive():
            raise Failure(f"writer {self.number} gets no answer")
