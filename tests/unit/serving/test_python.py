#!/usr/bin/env python3
"""Policies, filters and masks of docs/reference in Python, compared with what a leaf shows of the same rows.

    test_python.py SEEN_ROWS ROWS [SEED]

Policies are drawn as values and written as YAML, filters as trees and written as SQL; what is to come of them is decided on
the values and trees. Beside it: a policy more that denies or filters never adds output, and order never matters.
"""
import datetime
import hashlib
import json
import math
import random
import re
import subprocess
import sys
import threading
from decimal import Decimal

KEY = bytes(range(32))
ROWS_PER_VIEW, POOL = 250, 4000
PRODUCT = """sheaf: product/v1
product: sales/customers
version: 1.0.0
status: active
owner: team-sales
description: Customers.
tags: [eu-only]
tables:
  customers:
    kind: event
    fields:
"""
# name: (type, class, tags, min and max of a decimal's unit)
FIELDS = {
    "id": ("string", "pseudonymous", ()),
    "email": ("string", "pii", ("contact",)),
    "token": ("string", "secret", ()),
    "country": ("string", "public", ()),
    "born": ("date", "pii", ()),
    "amount": ("decimal(12,2)", "confidential", ()),
    "n": ("int64", None, ()),
    "level": ("int32", "confidential", ("contact",)),
    "note": ("string", None, ("contact",)),
    "ok": ("bool", None, ()),
}
KINDS = {name: f[0].split("(")[0] for name, f in FIELDS.items()}
CLASSES = {name: f[1] or "internal" for name, f in FIELDS.items()}
LIMITS = {"n": (-2**63, 2**63 - 1), "level": (-2**31, 2**31 - 1), "amount": (1 - 10**12, 10**12 - 1)}
TODAY = datetime.date(2026, 1, 1)


def product(policies=()):
    lines = []
    for number, (name, (kind, of_class, tags)) in enumerate(FIELDS.items(), 1):
        more = f", class: {of_class}" if of_class else ""
        more += f", tags: [{', '.join(tags)}]" if tags else ""
        lines.append(f'      {name}: {{number: {number}, type: "{kind}"{more}}}\n')
    text = PRODUCT + "".join(lines)
    return text + ("policies:\n" + "".join(f"  - {json.dumps(p)}\n" for p in policies) if policies else "")


# --- filters: trees that are written as SQL and computed here ---------------------------------------------------------


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (str, datetime.date)):
        return quoted(str(value))
    return str(value)


COMPARE = {"=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
           ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}


def like(text, pattern):
    parts = {"%": ".*", "_": "."}
    return re.fullmatch("".join(parts.get(c, re.escape(c)) for c in pattern), text, re.S) is not None


def nothing(_value):
    """Null, once the value is computed: that may fail."""


def three_and(values):
    return False if False in values else None if None in values else True


def three_not(value):
    return None if value is None else not value


class Filters:
    """Draws filters. A node is (SQL, function of row and caller)."""

    def __init__(self, rng, pool):
        self.rng, self.pool = rng, pool

    def operand(self, name):
        """Something of the field's type, and how strange it is."""
        r = self.rng
        kind = KINDS[name]
        if kind == "string" and r.randrange(4) == 0:
            f = r.choice(("lower", "upper"))
            change = {"lower": lambda v: re.sub("[A-Z]", lambda m: m[0].lower(), v),
                      "upper": lambda v: re.sub("[a-z]", lambda m: m[0].upper(), v)}[f]
            return f"{f}({name})", lambda row, who: None if row[name] is None else change(row[name])
        if kind in ("int64", "int32") and r.randrange(3) == 0:
            k, sign = r.randrange(1, 9), r.choice("+-*%")

            def compute(row, who):
                v = row[name]
                if v is None:
                    return None
                v = {"+": v + k, "-": v - k, "*": v * k, "%": int(math.fmod(v, k)) if abs(v) < 2**53 else abs(v) % k * (1 if v > 0 else -1)}[sign]
                if not -2**63 <= v < 2**63:
                    raise OverflowError
                return v
            return f"{name} {sign} {k}", compute
        if r.randrange(5) == 0:
            other = self.value(name)
            while other is None:
                other = self.value(name)
            return f"coalesce({name}, {literal(other)})", lambda row, who: other if row[name] is None else row[name]
        return name, lambda row, who: row[name]

    def value(self, name):
        return self.rng.choice(self.pool)[name]

    def leaf(self):
        r = self.rng
        if r.randrange(10) == 0:
            who = r.choice(("domain", "purpose"))
            v = r.choice(("marketing", "finance", "fraud", "churn"))
            sign = r.choice(("=", "<>"))
            return f"caller.{who} {sign} {quoted(v)}", lambda row, w: None if w[who] is None else COMPARE[sign](w[who], v)
        name = r.choice(list(FIELDS))
        if KINDS[name] == "bool":
            return (name, lambda row, who: row[name]) if r.randrange(2) else (f"{name} = TRUE", lambda row, who: row[name])
        text, get = self.operand(name)
        kind = r.randrange(6)
        if kind == 0:
            negated = r.randrange(2)
            return f"{name} IS {'NOT ' * negated}NULL", lambda row, who: (row[name] is None) != bool(negated)
        if kind == 1:
            values = [self.value(name) for _ in range(r.randrange(1, 4))]
            negated = r.randrange(2)

            def is_in(row, who):
                v = get(row, who)
                found = None if v is None else True if v in [x for x in values if x is not None] else None if None in values else False
                return three_not(found) if negated else found
            return f"{text} {'NOT ' * negated}IN ({', '.join(map(literal, values))})", is_in
        if kind == 2:
            low, high = self.value(name), self.value(name)
            if low is not None and high is not None:
                return (f"{text} BETWEEN {literal(low)} AND {literal(high)}",
                        lambda row, who: None if get(row, who) is None else low <= get(row, who) <= high)
        if kind == 3 and KINDS[name] == "string":
            pattern = "".join(r.choice(("%", "_", "a", "A", "@", "c", "x", "é")) for _ in range(r.randrange(5)))
            return f"{text} LIKE {quoted(pattern)}", lambda row, who: None if get(row, who) is None else like(get(row, who), pattern)
        if kind == 4 and KINDS[name] == "string":
            k = r.randrange(12)
            return f"length({text}) >= {k}", lambda row, who: None if get(row, who) is None else len(get(row, who)) >= k
        value, sign = self.value(name), r.choice(list(COMPARE))
        if value is None:
            return f"{text} {sign} NULL", lambda row, who: nothing(get(row, who))
        return f"{text} {sign} {literal(value)}", lambda row, who: None if get(row, who) is None else COMPARE[sign](get(row, who), value)

    def tree(self, depth):
        r = self.rng
        kind = r.randrange(4) if depth > 0 else 0
        if kind == 0:
            return self.leaf()
        text, get = self.tree(depth - 1)
        if kind == 1:
            return f"NOT ({text})", lambda row, who: three_not(get(row, who))
        text_2, get_2 = self.tree(depth - 1)
        if kind == 2:
            return f"({text}) AND ({text_2})", lambda row, who: three_and([get(row, who), get_2(row, who)])
        return (f"({text}) OR ({text_2})",
                lambda row, who: three_not(three_and([three_not(get(row, who)), three_not(get_2(row, who))])))


# --- masks ----------------------------------------------------------------------------------------------------------------


PARTS = ("hour", "day", "month", "quarter", "year")
LEVELS = {"hash": 2, "redact": 3, "constant": 4, "null": 5, "omit": 6}
CONSTANTS = {"x": (), "2001-02-03": ("date",), "1.50": ("decimal",), "7": ("decimal", "int64", "int32"), "true": ("bool",)}


def fits(mask, name):
    kind, what = KINDS[name], mask[0]
    if what in ("keep_first", "keep_last", "keep_domain"):
        return kind == "string"
    if what == "bucket":
        return kind in ("int64", "int32", "decimal")
    if what == "round":
        return kind in ("int64", "int32", "decimal") and mask[1] < (2 if kind == "decimal" else 0)
    if what == "truncate":
        return kind == "date"
    if what == "constant":
        return kind == "string" or kind in CONSTANTS[mask[1]]
    return True


def combine(a, b, name):
    if a is None or b is None:
        return a or b
    first, second = LEVELS.get(a[0], 1), LEVELS.get(b[0], 1)
    if max(first, second) >= 3:
        if first == second == 4 and a != b:
            return ("null",)
        return a if first >= second else b
    if a[0] != b[0]:
        return ("redact",)
    if a[0] in ("keep_first", "keep_last"):
        return (a[0], min(a[1], b[1]), max(a[2], b[2]))
    if a[0] == "bucket":
        step = math.lcm(a[1], b[1])
        scale = 100 if KINDS[name] == "decimal" else 1
        return ("bucket", step) if step * scale <= LIMITS[name][1] else ("redact",)
    if a[0] == "round":
        return ("round", min(a[1], b[1]))
    if a[0] == "truncate":
        return max(a, b, key=lambda m: PARTS.index(m[1]))
    return a


def mask_text(mask):
    what, *args = mask
    if what == "constant":
        return f"constant({quoted(args[0])})"
    return f"{what}({', '.join(map(str, args))})" if args else what


def to_grid(value, step, half, low, high):
    if half:
        k = (abs(value) * 2 + step) // (2 * step) * (1 if value >= 0 else -1)
    else:
        k = value // step
    while not low <= k * step <= high:
        k += 1 if k < 0 else -1
    return k * step


def hashed(kind, value):
    if kind == "string":
        data = b"s" + value.encode()
    elif kind == "bool":
        data = b"b" + bytes([value])
    elif kind == "date":
        data = b"d" + (value - datetime.date(1970, 1, 1)).days.to_bytes(8, "little", signed=True)
    elif kind == "decimal":
        data = b"n\x02" + int(value * 100).to_bytes(16, "big", signed=True)
    else:
        data = b"i" + value.to_bytes(8, "little", signed=True)
    return hashlib.blake2b(data, digest_size=16, key=KEY).hexdigest()


def masked(mask, name, value):
    """The value as JSON has it."""
    kind, what = KINDS[name], mask[0] if mask else None
    if what == "null":
        return None
    if what == "constant":
        return shown(kind, {"decimal": Decimal, "int64": int, "int32": int, "bool": lambda t: t == "true"}.get(kind, str)(mask[1]))
    if value is None or what is None:
        return shown(kind, value)
    if what == "redact":
        return "***"
    if what == "hash":
        return hashed(kind, value)
    if what in ("keep_first", "keep_last"):
        count = mask[1]
        if len(value) <= mask[2]:
            kept = "*" * count
        else:
            kept = value[:count] if what == "keep_first" else value[-count:]
        return kept + "***" if what == "keep_first" else "***" + kept
    if what == "keep_domain":
        found = re.fullmatch(".*(@[A-Za-z0-9.-]+)", value, re.S)
        return "***" + (found[1] if found else "")
    if what == "truncate":
        month = {"year": 1, "quarter": (value.month - 1) // 3 * 3 + 1, "month": value.month}[mask[1]]
        return str(value.replace(day=1, month=month))
    scale = 100 if kind == "decimal" else 1
    step = mask[1] * scale if what == "bucket" else Decimal(10) ** -mask[1] * scale
    number = to_grid(int(value * scale), int(step), what == "round", *LIMITS[name])
    return shown(kind, Decimal(number) / 100 if kind == "decimal" else number)


def shown(kind, value):
    if value is None or kind in ("bool", "int32"):
        return value
    if kind == "decimal":
        return f"{value:.2f}"
    return value if kind == "int64" else str(value)


# --- policies -------------------------------------------------------------------------------------------------------------


class Policies:
    def __init__(self, rng, filters):
        self.rng, self.filters, self.count = rng, filters, 0

    def mask(self):
        r = self.rng
        n = r.randrange(1, 7)
        return r.choice((("omit",), ("null",), ("redact",), ("hash",), ("hash",), ("keep_domain",), ("keep_domain",),
                         ("keep_first", n, n), ("keep_first", n, n + r.randrange(5)), ("keep_last", n, n), ("keep_last", n, n + 2),
                         ("bucket", r.choice((5, 7, 10, 100, 99991))), ("round", r.choice((1, 0, -1, -3))), ("round", -2),
                         ("truncate", r.choice(PARTS[2:])), ("constant", r.choice(list(CONSTANTS)))))

    def draw(self, is_owner, does=None):
        r = self.rng
        self.count += 1
        conditions = [{"class": r.sample(("pii", "secret", "confidential", "internal", "public"), r.randrange(1, 3))},
                      {"tag": r.sample(("eu-only", "contact", "other"), 1)}, {"field": r.sample(list(FIELDS), r.randrange(1, 4))},
                      {"field": r.sample(list(FIELDS), 2)}, {"type": r.sample(("string", "date", "decimal", "int64"), r.randrange(1, 3))},
                      {"status": r.sample(("active", "draft"), 1)}]
        if not is_owner:
            conditions += [{"domain": ["sales"]}, {"product": ["customers", "sales/orders"]}, {"domain": ["hr"]}]
        match = r.choice(conditions) | (r.choice(conditions) if r.randrange(3) == 0 else {})
        does = does or r.choices(("mask", "filter", "deny"), (12, 4, 1))[0]
        p = {"name": f"p{self.count}", "match": match, "except": [], "expires": r.choices((None, "2020-01-01", "2099-01-01"), (8, 1, 1))[0],
             "mask": None, "filter": None, "deny": does == "deny"}
        if r.randrange(4) == 0:
            p["except"] = [r.choice(({"consumer_domain": ["finance"]}, {"consumer_domain": ["marketing", "hr"]}, {"purposes": ["fraud"]},
                                     {"purposes": ["churn"], "consumer_domain": ["marketing"]}, {"roles": ["dpo"]}))]
        if does == "mask":
            p["mask"] = self.mask()
            if r.randrange(3) == 0:  # so that masks of few types are met
                p["match"] = {"field": [name for name in FIELDS if fits(p["mask"], name)][:3] or ["id"]}
        elif does == "filter":
            p["filter"] = self.filters.tree(r.randrange(4)) if r.randrange(40) else ("elsewhere = 1", None)
        return p


def written(p):
    """The policy as a map of its file."""
    doc = {"name": p["name"], "match": p["match"]}
    if p["except"]:
        doc["except"] = p["except"]
    if p["expires"]:
        doc["expires"] = p["expires"]
    if p["mask"]:
        doc["mask"] = mask_text(p["mask"])
    elif p["filter"]:
        doc["filter"] = p["filter"][0]
    else:
        doc["deny"] = True
    return doc


def document(p):
    return "---\n" + json.dumps({"sheaf": "policy/v1"} | written(p), ensure_ascii=False) + "\n"


def is_about(p, name):
    kind, _, tags = FIELDS[name]
    facts = {"class": [CLASSES[name]], "tag": [*tags, "eu-only"], "field": [name], "type": [KINDS[name]], "status": ["active"],
             "domain": ["sales"], "product": ["customers", "sales/customers"]}
    return all(set(values) & set(facts[key]) for key, values in p["match"].items()) and bool(kind)


def excepts(p, who):
    facts = {"consumer_domain": who["domain"], "purposes": who["purpose"], "roles": None}
    return any(all(facts[key] in values for key, values in e.items()) for e in p["except"])


def decide(policies, who, columns):
    """None: denied. Else masks by field, and filters."""
    rules = [p for p in policies if p["expires"] != "2020-01-01"]
    masks, filters = {name: None for name in FIELDS}, []
    for name in FIELDS:
        about = [p for p in rules if is_about(p, name)]
        named = any(p["mask"] and ("class" in p["match"] or "field" in p["match"]) for p in about)
        if CLASSES[name] in ("pii", "secret") and not named:
            masks[name] = ("omit",)
        for p in about:
            if p["mask"] and not excepts(p, who):
                masks[name] = combine(masks[name], p["mask"] if fits(p["mask"], name) else ("omit",), name)
        if columns and name not in columns:
            masks[name] = ("omit",)
    for p in rules:
        if p["mask"] or excepts(p, who) or not any(is_about(p, name) for name in FIELDS):
            continue
        if p["deny"] or p["filter"][1] is None:
            return None
        filters.append(p["filter"][1])
    return masks, filters


def expected(view, row, who, cache):
    masks, filters = view
    try:
        if not all(f(row, who) is True for f in [*filters]):
            return "-"
    except OverflowError:
        return "-"
    found = {}
    for name, mask in masks.items():
        if mask != ("omit",):
            key = (mask, name, row[name])
            if key not in cache:
                cache[key] = masked(*key)
            found[name] = cache[key]
    return found


# --- rows -----------------------------------------------------------------------------------------------------------------


def draw_row(r):
    text = lambda: "".join(r.choice("abAxc@.é ø'") for _ in range(r.randrange(9)))  # pylint: disable=unnecessary-lambda-assignment
    big = lambda bits: r.choice((r.randrange(-50, 50), r.randrange(-2**bits, 2**bits), 2**bits - 1, -2**bits))  # pylint: disable=unnecessary-lambda-assignment
    row = {"id": text(), "email": r.choice((text(), f"{text()}@corp.example", "a@b@c-d.e", "@x")), "token": text(),
           "country": r.choice(("NO", "SE", "US", "é")), "born": datetime.date(1, 1, 1) + datetime.timedelta(r.randrange(3650000)),
           "amount": Decimal(r.choice((r.randrange(-10**12 + 1, 10**12), r.randrange(-2000, 2000), 10**12 - 1))) / 100,
           "n": big(63), "level": big(31), "note": text(), "ok": bool(r.randrange(2))}
    return {name: None if r.randrange(8) == 0 else value for name, value in row.items()}


def line_of(row):
    return json.dumps({name: value if isinstance(value, (int, str)) else str(value) for name, value in row.items()
                       if value is not None}) + "\n"


# --- the run --------------------------------------------------------------------------------------------------------------


def text_block(what, text):
    data = text.encode()
    return f"{what} {len(data)}\n".encode() + data


class Run:
    def __init__(self, program, rows, seed):
        self.rng = random.Random(seed)
        self.pool = [draw_row(self.rng) for _ in range(POOL)]
        self.lines = [line_of(row).encode() for row in self.pool]
        self.policies = Policies(self.rng, Filters(self.rng, self.pool))
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.views = []
        self.rows_wanted = rows
        self.cache = {}
        self.stats = {"rows": 0, "shown": 0, "denied": 0, "masks": {}}

    def draw_views(self):
        """The same rows by some policies, by these in another order, and with a denial or filter more."""
        r = self.rng
        platform = [self.policies.draw(False) for _ in range(r.randrange(5))]
        owner = [self.policies.draw(True) for _ in range(r.randrange(3))]
        who = {"domain": r.choice(("marketing", "finance", "hr")), "purpose": r.choice((None, "fraud", "churn"))}
        columns = r.sample(list(FIELDS), 4) if r.randrange(5) == 0 else []
        first = r.randrange(POOL - ROWS_PER_VIEW)
        yield platform, owner, who, columns, first
        if r.randrange(8) == 0:
            yield r.sample(platform, len(platform)), r.sample(owner, len(owner)), who, columns, first
            more = self.policies.draw(False, r.choice(("deny", "filter", "filter")))
            yield [*platform, more], owner, who, columns, first

    def feed(self):
        out = self.process.stdin
        out.write(text_block("product", product()))
        sent = 0
        while sent < self.rows_wanted:
            for view in self.draw_views():
                platform, owner, who, columns, first = view
                self.views.append(view)
                out.write(text_block("platform", "".join(map(document, platform))))
                out.write(text_block("owner", product([written(p) for p in owner])))
                out.write(f"view {who['domain']} {who['purpose'] or '-'} {','.join(columns) or '-'}\n".encode())
                if decide(platform + owner, who, columns) is not None:
                    out.write(b"".join(self.lines[first:first + ROWS_PER_VIEW]))
                sent += ROWS_PER_VIEW
        out.close()

    def check(self):
        """What differs, or None."""
        feeder = threading.Thread(target=self.feed)
        feeder.start()
        at, before = 0, {}
        for head in self.process.stdout:
            platform, owner, who, columns, first = self.views[at]
            at += 1
            view = decide(platform + owner, who, columns)
            if head.strip() != (b"denied" if view is None else b"view"):
                return view, head, self.views[at - 1]
            self.stats["denied"] += view is None
            seen = []
            for i in range(first, first + ROWS_PER_VIEW if view else first):
                answer = self.process.stdout.readline()
                wanted = expected(view, self.pool[i], who, self.cache)
                got = "-" if answer == b"-\n" else json.loads(answer)
                if got != wanted:
                    return got, wanted, self.pool[i], self.views[at - 1]
                seen.append(got)
            self.count(view, seen)
            before = self.compare(before, at - 1, seen)
        feeder.join()
        return None if self.process.wait() == 0 and at == len(self.views) else ("ended", at)

    def count(self, view, seen):
        self.stats["rows"] += ROWS_PER_VIEW
        self.stats["shown"] += sum(1 for s in seen if s != "-")
        for mask in view[0].values() if view else ():
            what = mask[0] if mask else "none"
            self.stats["masks"][what] = self.stats["masks"].get(what, 0) + 1

    def compare(self, before, at, seen):
        """Of the same rows, by policies that are the same but for their order, or more."""
        platform, owner, who, columns, first = self.views[at]
        now = {"names": sorted(p["name"] for p in platform + owner), "what": (who, columns, first), "seen": seen}
        if before and before["what"] == now["what"]:
            if before["names"] == now["names"]:
                assert before["seen"] == seen, self.views[at]
            elif seen:
                assert all(s in ("-", b) for s, b in zip(seen, before["seen"])) and before["seen"], self.views[at]
        return now


def main():
    run = Run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    different = run.check()
    if different:
        print("differs:", *different, sep="\n  ")
        run.process.kill()
        return 1
    print(f"{len(run.views)} views agree: {run.stats}")
    masks = run.stats["masks"]
    return 0 if len(masks) == 12 and 0 < run.stats["shown"] < run.stats["rows"] else 1


if __name__ == "__main__":
    sys.exit(main())
