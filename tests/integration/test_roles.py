#!/usr/bin/env python3
"""Roles of a user, as its own domain vouches for them, reach the owner's leaf and change what is seen there."""
import json
import re
import signal
import sys
import time

import fixture
from nats import Client

PRODUCT = """sheaf: product/v1
product: sales/people
version: 1.0.0
description: People.
tables:
  people:
    kind: state
    key: [id]
    fields:
      id:    {number: 1, type: string, required: true}
      email: {number: 2, type: string, class: pii}
      kind:  {number: 3, type: string}
"""
POLICIES = """sheaf: policy/v1
name: emails
match: {class: pii}
except: {roles: analyst}
mask: redact
---
sheaf: policy/v1
name: open-rows
match: {product: sales/people}
filter: kind = 'open' OR caller.role = 'auditor'
"""
ROWS = [{"id": "A", "email": "ada@corp.example", "kind": "open"},
        {"id": "B", "email": "bob@corp.example", "kind": "shut"}]
HIDDEN, CLEAR = "***", "ada@corp.example"


def set_up(m):
    m.apply("sales", PRODUCT)
    m.load("sales", "people/people", ROWS)
    (m.directory / "p.yaml").write_text(POLICIES)
    m.sheaf("policy", "apply", "p.yaml")
    for n, consumer in enumerate(("marketing", "support"), 1):
        m.sheaf("access", "request", "sales/people", "--as", consumer, "--purpose", "test", "--for", "1d")
        m.sheaf("access", "approve", f"AR-{n}", "--as", "sales")
    fixture.until(lambda: all(m.sheaf("read", "sales/people", "--as", c, status=None).status == 0
                              for c in ("marketing", "support")), "granted")


def read(m, *flags, who="marketing"):
    return {r["id"]: r["email"]
            for r in m.sheaf("read", "sales/people", "--as", who, "-o", "ndjson", *flags).lines()}


def assertion(m, *roles, who="marketing", product="sales/people"):
    return m.sheaf("token", "create", "--as", who, "--role", ",".join(roles), "--for", product).out.strip()


def over_nats(client, token, op="scan", body=None):
    return client.ask(f"q.sales.people.{op}", {"limit": 1} if body is None else body,
                      headers={"Sheaf-Roles": token} if token else None)[0]


def app(m, domain):
    return Client(m.leaves[domain].nats, m.leaves[domain].data / "keys" / "app.nk")


def test_role_through_the_relay(m):
    """A token with the role sees the field and the rows by HTTP; one without it, or with another, does not"""
    set_up(m)
    assert read(m) == {"A": HIDDEN}
    assert read(m, "--role", "clerk") == {"A": HIDDEN}
    assert read(m, "--role", "analyst") == {"A": CLEAR}
    assert read(m, "--role", "auditor") == {"A": HIDDEN, "B": HIDDEN}
    assert read(m, "--role", "analyst,auditor,clerk") == {r["id"]: r["email"] for r in ROWS}
    assert read(m, "--role", "analyst", "--where", "email LIKE 'ada%'") == {"A": CLEAR}
    assert read(m, "--where", "email LIKE 'ada%'") == {}, "a filter sees what its reader sees"
    leaf, path = m.leaves["marketing"], "/v1/products/sales/people"
    for roles, email in ((["analyst"], CLEAR), ([], HIDDEN)):
        token = m.token("marketing", roles=roles)
        for more in ("/people/records/A", "/people/changes", "/people/changes?snapshot&seconds=1"):
            answer = leaf.call("GET", path + more, token=token)
            assert answer.status == 200 and email.encode() in answer.body, (more, answer)
            assert (CLEAR.encode() in answer.body) == (email == CLEAR), (more, answer)


def test_role_over_nats(m):
    """A client presents the assertion of its domain; each that does not hold is refused and says why"""
    client, other = app(m, "marketing"), app(m, "support")
    good = assertion(m, "analyst")
    assert json.loads(over_nats(client, None).data)["email"] == HIDDEN
    assert json.loads(over_nats(client, good).data)["email"] == CLEAR
    assert json.loads(over_nats(client, good, "get", {"key": ["A"]}).data)["email"] == CLEAR
    head, claims, signature = good.split(".")
    user = m.token("marketing", roles=["analyst"])
    for bad, why in ((assertion(m, "analyst", product="sales/orders"), "it is for another product"),
                     (assertion(m, "analyst", product="support/people"), "it is for another product"),
                     (assertion(m, "analyst", who="support"), "its issuer is not the domain that asks"),
                     (f"{head}.{claims}.{signature[:-4]}AAAA", "its signature does not hold"),
                     (user, "it is malformed"), ("x" * 5000, "it is malformed")):
        answer = over_nats(client, bad)
        assert answer.headers["Sheaf-Error"] == "SHEAF-E0506" and why in answer.data.decode(), (bad, answer)
        assert "sheaf token create --for" in answer.data.decode(), answer
    answer = over_nats(other, good)
    assert answer.headers["Sheaf-Error"] == "SHEAF-E0506", "it is marketing's alone"
    assert json.loads(over_nats(other, None).data)["email"] == HIDDEN


def test_an_assertion_opens_nothing_else(m):
    """Whoever holds an assertion can do nothing with it on any HTTP port"""
    token = assertion(m, "analyst")
    for node, path in ((m.leaves["marketing"], "/v1/products"), (m.leaves["sales"], "/v1/products"),
                       (m.leaves["marketing"], "/v1/products/sales/people/people/records"), (m.hub, "/v1/products")):
        answer = node.call("GET", path, token=token)
        assert answer.status == 401 and answer.json()["code"] == "SHEAF-E0502", (path, answer)


def sees(m, who):
    ran = m.sheaf("access", "explain", "--who", who, "--what", "sales/people.email", "--as", "sales", "-o", "json")
    return {i["what"]: i["sees"] for i in ran.json()["items"]}["people.email"]


def test_explanations_agree(m):
    """explain says of each role what the leaf does"""
    for role, email in (("analyst", CLEAR), ("clerk", HIDDEN)):
        told = sees(m, f"marketing/{role}")
        assert read(m, "--role", role)["A"] == email
        assert told == ("clear" if email == CLEAR else "redact"), (role, told)


def preview(m, *flags, who="marketing", product="sales/people"):
    return m.sheaf("access", "preview", product, "--as", who, "-o", "json", *flags).json()


def test_preview(m):
    """The owner sees what a consumer gets, row by row, also before a grant, and which rule masks what"""
    for flags in ((), ("--role", "analyst"), ("--role", "auditor,clerk"), ("--role", "analyst,auditor")):
        got = m.sheaf("read", "sales/people", "--as", "marketing", "-o", "ndjson", *flags).lines()
        seen = preview(m, *flags)
        assert seen["items"] == got, (flags, seen)
        assert (seen["grant"], seen["purpose"], seen["position"]) == ("G-1", "test", "1:2"), seen
    fields = {f["field"]: f for f in preview(m)["fields"]}
    assert fields["email"]["sees"] == "redact" and fields["email"]["policy"] == "emails", fields
    assert fields["email"]["place"] == "p.yaml:5" and fields["kind"]["sees"] == "clear", fields
    ran = m.sheaf("access", "preview", "sales/people", "--as", "finance", "--limit", "1")
    assert "finance has no grant: this is what it would see with one of all columns" in ran.err, ran
    assert "email: redact, by policy emails of the platform (p.yaml:5)" in ran.err, ran
    assert "rows: kind = 'open' OR caller.role = 'auditor', by policy open-rows" in ran.err, ran
    assert preview(m, "--limit", "1", who="finance")["items"] == [{"id": "A", "email": HIDDEN, "kind": "open"}]


def test_preview_is_for_the_owner(m):
    """Nobody but the owner looks so, and a table that a policy denies is named with the policy"""
    leaf, path = m.leaves["marketing"], "/v1/products/sales/people/people/preview?as=support"
    answer = leaf.call("GET", path, token=m.token("marketing"))
    assert answer.problem() == (403, "SHEAF-E0405"), answer
    answer = m.leaves["sales"].call("GET", path, token=m.token("marketing"))
    assert answer.problem() == (403, "SHEAF-E0504"), answer
    for bad in ("sales", "UP", ""):
        answer = m.leaves["sales"].call("GET", path.replace("support", bad), token=m.token("sales"))
        assert answer.problem() == (400, "SHEAF-E0301"), answer
    (m.directory / "d.yaml").write_text("sheaf: policy/v1\nname: none\nmatch: {domain: sales}\n"
                                        "except: {purposes: audit}\ndeny: true\n")
    m.sheaf("policy", "apply", "d.yaml")
    for ran in (m.sheaf("access", "preview", "sales/people", "--as", "support", status=5),
                m.sheaf("read", "sales/people.people", "--as", "support", status=5)):
        assert "SHEAF-E0416" in ran.err and "table 'people': policy none of the platform" in ran.err, ran
        assert "sheaf access explain" in ran.err, ran
    assert preview(m, "--purpose", "audit", who="support")["items"], "as if it had another purpose"
    m.sheaf("policy", "rm", "none")


def test_what_a_filter_or_a_mask_forbids_says_what_to_do(m):
    """Statistics under a row filter and a get by a masked key are refused with a next step that helps"""
    ran = m.sheaf("product", "stats", "sales/people", "--as", "marketing", status=5)
    assert "SHEAF-E0416" in ran.err and "sheaf access explain" in ran.err, ran
    (m.directory / "k.yaml").write_text("sheaf: policy/v1\nname: keys\nmatch: {field: id}\nmask: redact\n")
    m.sheaf("policy", "apply", "k.yaml")
    ran = m.sheaf("read", "sales/people", "--key", "A", "--as", "marketing", status=5)
    assert "SHEAF-E0416" in ran.err and "'where' goes by what you see" in ran.err, ran
    m.sheaf("policy", "rm", "keys")


def test_a_request_tells_what_it_would_come_to(m):
    """Who asks for access hears what the policies in force would let through for that purpose"""
    ran = m.sheaf("access", "request", "sales/people", "--as", "finance", "--purpose", "x", "--for", "1d")
    assert ("you would see: 3 of 3 columns, masked: email (redact), rows where kind = 'open' OR caller.role = "
            "'auditor'") in ran.out, ran
    assert "3 of 3, 1 masked, some rows" in m.sheaf("access", "ls", "--as", "sales").out


def test_hidden_rows_are_not_counted_for_others(m):
    """How many rows there are is told to the owner and the platform, not to whom a filter hides some"""
    def rows(who):
        answer = m.hub.call("GET", "/v1/status", token=m.token(who)).json()
        return [t.get("rows") for t in answer["products"] if t["product"] == "sales/people"]

    fixture.until(lambda: rows("sales") == [2], "the hub has heard of the rows")
    assert rows("platform") == [2]
    assert rows("marketing") == [None] and rows("support") == [None]
    assert "2 rows" not in m.sheaf("status", "--as", "marketing", status=None).out
    assert "2 rows" in m.sheaf("status", "--as", "sales", status=None).out


def limit(m, name):
    """used, max and refused of a limit of the owner's leaf."""
    text = m.leaves["sales"].call("GET", "/metrics").body.decode()
    return [int(re.search(rf'^sheaf_limit_{what}{{limit="{name}"}} (\d+)$', text, re.M)[1])
            for what in ("used", "max", "refused_total")]


def test_invented_roles_cost_nobody_else(m):
    """A domain that asserts roles it makes up fills its own share of views, and what others see stays ready"""
    client, now = app(m, "marketing"), int(time.time())
    rows = over_nats(app(m, "support"), assertion(m, "auditor", who="support"), "count", {}).data
    before = limit(m, "views_by_role")
    for n in range(100):
        word = fixture.make_token(m.seed("marketing"), {"alg": "EdDSA", "typ": "sheaf-roles+jwt"}, iss="marketing",
                                  roles=[f"made-up-{n}"], iat=now, exp=now + 250, aud=f"{m.id}/sales/people")
        assert json.loads(over_nats(client, word).data)["email"] == HIDDEN
    after = limit(m, "views_by_role")
    assert after[:2] == [64, 64] and after[2] - before[2] >= 36, (before, after)
    assert limit(m, "views")[2] == 0, "views without roles stay"
    assert over_nats(app(m, "support"), assertion(m, "auditor", who="support"), "count", {}).data == rows


def test_the_catalog_goes_by_roles(m):
    """The hub shows a product as the user who asks sees it, by the roles of the token, and its export is that"""
    def shown(*roles):
        answer = m.hub.call("GET", "/v1/products/sales/people", token=m.token("marketing", roles=list(roles))).json()
        return {f["name"]: f["sees"] for f in answer["tables"][0]["fields"]}, "min_length: 3" in answer["contract"]

    assert shown() == ({"id": "clear", "email": "redact", "kind": "clear"}, True)
    assert shown("clerk", "analyst") == ({"id": "clear", "email": "clear", "kind": "clear"}, False)
    assert "email  string  false     pii    redact  emails" in m.sheaf("product", "show", "sales/people", "--as", "marketing").out


def test_the_hub_is_not_asked(m):
    """Roles are checked while the hub does nothing"""
    token = m.token("marketing", roles=["analyst", "auditor"])
    client, word = app(m, "marketing"), assertion(m, "analyst", "dpo")
    m.hub.process.send_signal(signal.SIGSTOP)
    try:
        answer = m.leaves["marketing"].call("GET", "/v1/products/sales/people/people/records", token=token)
        assert [r["email"] for r in answer.json()["items"]] == [r["email"] for r in ROWS], answer
        assert json.loads(over_nats(client, word).data)["email"] == CLEAR
    finally:
        m.hub.process.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(fixture.run([test_role_through_the_relay, test_role_over_nats, test_an_assertion_opens_nothing_else,
                          test_explanations_agree, test_preview, test_preview_is_for_the_owner,
                          test_what_a_filter_or_a_mask_forbids_says_what_to_do,
                          test_a_request_tells_what_it_would_come_to, test_hidden_rows_are_not_counted_for_others,
                          test_the_catalog_goes_by_roles,
                          test_invented_roles_cost_nobody_else, test_the_hub_is_not_asked],
                         ["sales", "marketing", "support", "finance"]))
