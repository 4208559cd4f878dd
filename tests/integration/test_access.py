#!/usr/bin/env python3
"""What may be asked for and granted is what the policies in force give, and who looks at a grant sees what it opens."""
import json
import re
import sys

import fixture
from nats import Client

PRODUCT = """sheaf: product/v1
product: sales/people
version: 1.{minor}.0
description: People.
tables:
  people:
    kind: state
    key: [id]
    fields:
      id:    {{number: 1, type: string, required: true}}
      email: {{number: 2, type: string, class: pii, format: email}}
      phone: {{number: 3, type: string, class: pii}}
      city:  {{number: 4, type: string}}
"""
OWN = "policies:\n  - {name: big-towns, match: all, filter: \"city = 'Bergen'\"}\n"
EMAILS = """sheaf: policy/v1
name: emails
match: {field: email}
mask: keep_domain
"""
PHONES = """---
sheaf: policy/v1
name: phones
match: {field: phone}
except: {roles: dispatcher}
mask: omit
---
sheaf: policy/v1
name: not-for-support
match: {field: [email, phone]}
except: {consumer_domain: marketing}
mask: omit
"""
ROWS = [{"id": "A", "email": "ada@corp.example", "phone": "+47 1", "city": "Bergen"}]


def policies(m, text):
    (m.directory / "p.yaml").write_text(text)
    m.sheaf("policy", "apply", "p.yaml")


def ask(m, columns, who="marketing", status=0):
    return m.sheaf("access", "request", "sales/people", "--as", who, "--purpose", "letters", "--for", "1d",
                   "--columns", columns, status=status)


def over_nats(m):
    client = Client(m.leaves["marketing"].nats, m.leaves["marketing"].data / "keys" / "app.nk")
    return json.loads(client.ask("q.sales.people.scan", {"limit": 1})[0].data)


def ports(m):
    """The row of A as each port gives it."""
    path, token = "/v1/products/sales/people/people", m.token("marketing")
    leaf = m.leaves["marketing"]
    changes = leaf.call("GET", path + "/changes", token=token).json()["items"]
    get = leaf.call("GET", path + "/records/A", token=token).json()
    scan = m.sheaf("read", "sales/people", "--as", "marketing", "-o", "ndjson").lines()
    live = m.sheaf("sub", "sales/people", "--as", "marketing", "--since", "all", "--count", "1").lines()
    return [get["row"] if "row" in get else get, scan[0], over_nats(m), changes[0]["row"], live[0]["row"]]


def test_a_closed_column_is_refused_with_its_reason(m):
    """A column that no policy opens is refused, and says so; one that is not there is another error"""
    m.apply("sales", PRODUCT.format(minor=0))
    m.load("sales", "people/people", ROWS)
    ran = ask(m, "id,email", status=5)
    assert "SHEAF-E0416" in ran.err, ran
    assert ("field 'email' is not for marketing: it is of class pii, and no policy says what others see in its place"
            in ran.err), ran
    assert "SHEAF-E0304" in ask(m, "id,emial", status=None).err


def test_a_masked_column_may_be_asked_for(m):
    """A column that a policy shows masked is asked for by name, granted, and masked on every port"""
    policies(m, EMAILS)
    ran = ask(m, "id,email")
    assert "you would see: 2 of 4 columns, masked: email (keep_domain)\n" in ran.out, ran
    m.sheaf("access", "approve", "AR-1", "--as", "sales")
    fixture.until(lambda: m.sheaf("read", "sales/people", "--as", "marketing", status=None).status == 0, "granted")
    for row in ports(m):
        assert row == {"id": "A", "email": "***@corp.example"}, row
    shown = m.sheaf("product", "show", "sales/people", "--as", "marketing").out.split("\n")
    sees = {line.split()[0]: line for line in shown if line}
    assert " closed " in sees["phone"] and "  not granted: clear" in sees["city"] and "  keep_domain  " in sees["email"], shown
    assert "city" not in m.sheaf("product", "export", "sales/people", "yaml", "--as", "marketing").out


def test_a_rule_that_hides_is_named(m):
    """Who asks for what a rule hides from its domain is told the rule and where it stands"""
    policies(m, EMAILS + PHONES)
    ran = ask(m, "id,email", who="support", status=5)
    assert "field 'email' is not for support: policy not-for-support of the platform hides it (p.yaml:16)" in ran.err, ran
    assert "next: see which: sheaf access explain --who support --what sales/people" in ran.err, ran


def test_what_a_role_opens_may_be_asked_for(m):
    """A column that only users of a role get may be asked for by their domain"""
    m.sheaf("access", "revoke", "G-1", "--as", "sales")
    ran = ask(m, "id,phone,email")
    assert "you would see: 2 of 4 columns, without phone (pii), masked: email (keep_domain)\n" in ran.out, ran
    m.sheaf("access", "approve", "AR-2", "--as", "sales")
    fixture.until(lambda: m.sheaf("read", "sales/people", "--as", "marketing", status=None).status == 0, "granted")

    def seen(*flags):
        return m.sheaf("read", "sales/people", "--as", "marketing", "-o", "ndjson", *flags).lines()[0]

    assert seen() == {"id": "A", "email": "***@corp.example"}
    assert seen("--role", "dispatcher") == {"id": "A", "email": "***@corp.example", "phone": "+47 1"}


def test_what_a_grant_opens_is_shown(m):
    """Owner and consumer see in ls and show what a grant opens now: masks, what is closed, rows, roles, the policy version"""
    m.apply("sales", PRODUCT.format(minor=1) + OWN)
    ran = m.sheaf("access", "ls", "--as", "marketing")
    assert "2 of 4, 1 masked, some rows" in ran.out, ran
    shown = {}
    for who in ("sales", "marketing"):
        ran = m.sheaf("access", "show", "G-2", "--as", who)
        shown[who] = dict(re.split(r"\s{2,}", line, 1) for line in ran.out.splitlines())
        for name, value in (("columns", "id, email (keep_domain)"), ("closed", "phone (phones), city (columns)"),
                            ("roles", "dispatcher: phone clear"), ("policies", "version 2"),
                            ("purpose", "letters"), ("state", "active")):
            assert shown[who].get(name) == value, (name, ran)
    assert shown["sales"]["rows"] == "city = 'Bergen' (big-towns)", shown
    assert shown["marketing"]["rows"] == "some (big-towns)", "the constant is the owner's"
    both = m.sheaf("access", "show", "G-2", "--as", "marketing", "-o", "json")
    assert "Bergen" not in both.out and both.json()["opens"]["by_role"] == [
        {"role": "dispatcher", "table": "people", "field": "phone", "sees": "clear"}], both
    assert "opens" not in m.sheaf("access", "show", "G-1", "--as", "sales", "-o", "json").json(), "it was revoked"
    assert "Bergen" not in m.sheaf("access", "explain", "--who", "marketing", "--what", "sales/people", "--as", "marketing",
                                   "-o", "json").out


def test_the_policy_goes_and_so_does_the_column(m):
    """Without the policy the granted column is not there; a request for it can no longer be approved as it is"""
    m.sheaf("policy", "rm", "not-for-support")
    ask(m, "id,email", who="support")
    m.sheaf("policy", "rm", "emails")
    fixture.until(lambda: all(row == {"id": "A"} for row in ports(m)), "the column is left out")
    ran = m.sheaf("access", "approve", "AR-3", "--as", "sales", status=5)
    assert "field 'email' is not for support: it is of class pii, and no policy" in ran.err, ran
    m.sheaf("access", "approve", "AR-3", "--columns", "id", "--as", "sales")
    policies(m, EMAILS)
    fixture.until(lambda: all(row == {"id": "A", "email": "***@corp.example"} for row in ports(m)), "it is back")


if __name__ == "__main__":
    sys.exit(fixture.run([test_a_closed_column_is_refused_with_its_reason, test_a_masked_column_may_be_asked_for,
                          test_a_rule_that_hides_is_named, test_what_a_role_opens_may_be_asked_for,
                          test_what_a_grant_opens_is_shown,
                          test_the_policy_goes_and_so_does_the_column],
                         ["sales", "marketing", "support"]))
