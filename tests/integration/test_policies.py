#!/usr/bin/env python3
"""Policies of the platform and of an owner, from the file to the bytes that a consumer gets."""
import sys
import time

import fixture

PRODUCT = fixture.orders(
    "email: {number: 2, type: string, class: pii}", "country: {number: 3, type: string}",
    "note: {number: 4, type: string}", key="order_id").replace("owner: orders@example.org\n", "")  # required below
PII = """sheaf: policy/v1
name: pii-default
match: {class: [pii]}
mask: keep_domain
"""
ROWS = [{"order_id": "A", "email": "ada@corp.example", "country": "NO", "note": "first order"},
        {"order_id": "B", "email": "bob@corp.example", "country": "US", "note": "second order"}]


def seen(m, who="marketing"):
    return m.sheaf("read", "sales/orders", "--as", who, "-o", "ndjson").lines()


def reads(m):
    """The same, or None while the way there is being mended."""
    ran = m.sheaf("read", "sales/orders", "--as", "marketing", "-o", "ndjson", status=None)
    return ran if ran.status == 0 else None


def apply(m, text, *flags, status=0):
    (m.directory / "p.yaml").write_text(text)
    return m.sheaf("policy", "apply", "p.yaml", "-o", "json", *flags, status=status)


def effects(ran):
    return {(e["consumer"], e["what"], e["change"], e["after"]) for e in ran.json()["items"]}


def set_up(m):
    m.apply("sales", PRODUCT)
    m.load("sales", "orders/orders", ROWS)
    m.sheaf("access", "request", "sales/orders", "--as", "marketing", "--purpose", "test", "--for", "1h")
    m.sheaf("access", "approve", "AR-1", "--as", "sales")


def test_mask_from_file_to_consumer(m):
    """A platform's policy changes what a consumer gets once apply has answered, and rollback brings it back"""
    ran = m.sheaf("policy", "history")
    assert "there never was a policy; to put one in force: sheaf policy apply FILE" in ran.err, ran
    set_up(m)
    assert seen(m) == [{k: v for k, v in r.items() if k != "email"} for r in ROWS]
    ran = apply(m, PII, "--dry-run")
    assert effects(ran) == {("*", "orders.email", "gains", "keep_domain"),
                            ("marketing", "orders.email", "gains", "keep_domain")}, ran
    assert "email" not in seen(m)[0], "a dry run is none"
    started = time.monotonic()
    ran = apply(m, PII)
    assert ran.json()["version"] == 1
    # All leaves are up, and are waited for: one is named only when it took its second.
    assert "has not said yet" not in ran.err or time.monotonic() - started >= 1, ran
    assert [r["email"] for r in seen(m)] == ["***@corp.example"] * 2
    assert [r["email"] for r in seen(m, "sales")] == [r["email"] for r in ROWS], "the owner sees all"
    ran = apply(m, PII.replace("keep_domain", "redact") + "---\nsheaf: policy/v1\nname: north\n"
                "match: {product: sales/orders}\nfilter: country = 'NO'\n")
    assert ("marketing", "orders (rows)", "loses", "filter country = 'NO'") in effects(ran), ran
    assert seen(m) == [{**ROWS[0], "email": "***"}]
    m.sheaf("policy", "rollback", "1")
    assert [r["email"] for r in seen(m)] == ["***@corp.example"] * 2
    m.sheaf("policy", "rm", "pii-default")
    assert "email" not in seen(m)[0]
    versions = m.sheaf("policy", "history", "-o", "ndjson").lines()
    assert [(v["version"], v["applied"], v["removed"], v["rolled_back_to"]) for v in versions] == [
        (4, [], ["pii-default"], None), (3, ["pii-default"], ["north"], 1),
        (2, ["pii-default", "north"], [], None), (1, ["pii-default"], [], None)], versions


def test_policies_outlive_the_hub(m):
    """Policies and their versions are there again after the hub has started anew"""
    before = m.sheaf("policy", "history", "-o", "ndjson").lines()
    apply(m, PII)
    m.hub.end()
    m.hub.start()
    after = m.sheaf("policy", "history", "-o", "ndjson").lines()
    assert after[1:] == before and after[0]["version"] == 5, (before, after)
    m.hub.end()
    started = time.monotonic()
    m.hub.start()
    ran = apply(m, PII + "---\nsheaf: policy/v1\nname: soon\nmatch: {domain: support}\ndeny: true\n")
    # None has been heard of yet: one is a laggard when its six seconds are over.
    assert "has not said yet" not in ran.err or time.monotonic() - started >= 6, ran
    m.sheaf("policy", "rm", "soon")
    ran = fixture.until(lambda: reads(m), "marketing reads again")
    assert [r["email"] for r in ran.lines()] == ["***@corp.example"] * 2, ran


def test_owner_tightens(m):
    """An owner's policy holds beside the platform's; it hides more and never less"""
    own = PRODUCT.replace("1.0.0", "1.1.0") + ("policies:\n  - {name: cut, match: {field: note}, mask: keep_first(5)}\n"
                                              "  - {name: mail, match: {field: email}, mask: redact}\n")
    m.apply("sales", own)
    fixture.until(lambda: seen(m)[0]["note"] == "first***", "the version is served")
    assert seen(m)[0]["email"] == "***", seen(m)
    ran = m.sheaf("access", "explain", "--who", "marketing", "--what", "sales/orders.email", "-o", "json").json()
    assert ran["items"][0]["by"] == "policy mail of the owner" and ran["items"][0]["place"] == "sales/orders:17", ran
    for what in "orders", "orders.email", "orders@1.orders.email":
        named = m.sheaf("access", "explain", "--who", "marketing", "--what", f"sales/{what}", "-o", "json").json()["items"]
        assert "orders.email" in [i["what"] for i in named], (what, named)
    table = m.sheaf("access", "explain", "--who", "marketing", "--what", "sales/orders.orders", "-o", "json").json()["items"]
    assert table == m.sheaf("access", "explain", "--who", "marketing", "--what", "sales/orders", "-o", "json").json()["items"], table
    ran = m.apply("sales", own.replace("1.1.0", "1.2.0").replace("redact", "redakt"), status=3)
    assert "no mask is called so" in ran.err and "did you mean 'redact'?" in ran.err, ran


def test_requirements_are_checked_at_apply(m):
    """What a policy requires is refused or warned of when a product is applied, naming the policy"""
    need = "---\nsheaf: policy/v1\nname: owners\nmatch: {domain: sales}\nbreach: refuse\nrequire: {owner: present}\n"
    ran = apply(m, PII + need)
    assert "the product has no owner (policy owners)" in ran.err, ran
    newer = PRODUCT.replace("1.0.0", "1.3.0")
    ran = m.apply("sales", newer, status=3)
    assert "SHEAF-E0412" in ran.err and "the product has no owner (policy owners, p.yaml:10)" in ran.err, ran
    apply(m, PII + need.replace("refuse", "warn"))
    ran = m.apply("sales", newer)
    assert "the product has no owner" in ran.err, ran


def test_only_the_platform_changes_policies(m):
    """A domain reads the policies and cannot change them; explanations are for those they are about"""
    (m.directory / "p.yaml").write_text(PII)
    ran = m.sheaf("policy", "apply", "p.yaml", "--as", "sales", status=5)
    assert "SHEAF-E0415" in ran.err, ran
    assert "pii-default" in m.sheaf("policy", "show", "pii-default", "--as", "marketing").out
    m.sheaf("access", "explain", "--who", "support", "--what", "sales/orders", "--as", "marketing", status=5)
    m.sheaf("access", "explain", "--who", "support", "--what", "sales/orders", "--as", "sales")
    ran = apply(m, PII.replace("keep_domain", "keep_domian"), status=3)
    assert "p.yaml:4:7" in ran.err and "did you mean 'keep_domain'?" in ran.err, ran
    ran = m.sheaf("policy", "rollback", "99", status=4)
    assert "SHEAF-E0414" in ran.err and "see 'sheaf policy history'" in ran.err, ran


def numbered(count, more=""):
    return "---\n".join(f"sheaf: policy/v1\nname: p{i}\nmatch: {{domain: d{i}}}\ndeny: true\n{more}" for i in range(count))


def test_policies_have_limits(m):
    """More policies than the hub holds, by number or by bytes, are refused with the limit; those before stay"""
    before = m.sheaf("policy", "ls", "-o", "json").json()["items"]
    ran = apply(m, numbered(10001), "--dry-run", status=6)
    assert "SHEAF-E0622" in ran.err and f"{10001 + len(before)} policies of " in ran.err, ran
    assert "more than the limit: 10000, 786432 bytes" in ran.err, ran
    note = "description: " + "x" * 8000 + "\n"
    ran = apply(m, numbered(100, note), "--dry-run", status=6)
    assert "SHEAF-E0622" in ran.err and f"{100 + len(before)} policies of " in ran.err, ran
    apply(m, numbered(90, note), "--dry-run")
    assert m.sheaf("policy", "ls", "-o", "json").json()["items"] == before


def test_a_denied_table_says_so(m):
    """Who is denied a table by a policy is sent to the rule, not to ask for what is granted"""
    (m.directory / "p.yaml").write_text(
        "sheaf: policy/v1\nname: nobody\nmatch: {product: sales/orders}\ndeny: true\n")
    m.sheaf("policy", "apply", "p.yaml")
    fixture.until(lambda: reads(m) is None, "the leaf serves by it")
    explain = "sheaf access explain --who marketing --what sales/orders"
    for command in (["read", "sales/orders"], ["read", "sales/orders.orders"],
                    ["sub", "sales/orders", "--since", "all", "--count", "1"],
                    ["product", "stats", "sales/orders.orders"], ["product", "checks", "sales/orders"]):
        denied = m.sheaf(*command, "--as", "marketing", status=5)
        assert "SHEAF-E0416" in denied.err and f"next: see which: {explain}\n" in denied.err, denied
    ran = m.sheaf(*explain.split()[1:], "--as", "marketing")
    assert "p.yaml:4" in ran.out and "policy nobody" in ran.out, ran
    m.sheaf("policy", "rm", "nobody")
    assert seen(m)


def test_too_many_effects_are_counted(m):
    """Of more effects than are told the hub says how many it leaves out"""
    fields = "".join(f"      f{i}: {{number: {i + 1}, type: string}}\n" for i in range(950))
    m.apply("support", "sheaf: product/v1\nproduct: support/wide\nversion: 1.0.0\ntables:\n" + "".join(
        f"  t{t}:\n    kind: event\n    fields:\n{fields}" for t in range(11)))
    ran = apply(m, "sheaf: policy/v1\nname: all\nmatch: {product: support/wide}\nmask: redact\n", "--dry-run")
    assert len(ran.json()["items"]) == 10000, ran
    assert "450 more gains, losses and changes are not shown" in ran.err, ran.err


def test_rollback_to_before_the_first(m):
    """A rollback to version 0 takes every policy away, and history and audit log say what it was"""
    apply(m, PII)
    m.sheaf("policy", "rollback", "0")
    newest = m.sheaf("policy", "history", "-o", "ndjson").lines()[0]
    assert newest["applied"] == [] and "pii-default" in newest["removed"] and newest["rolled_back_to"] == 0, newest
    assert m.sheaf("policy", "ls", "-o", "ndjson").lines() == []
    detail = m.sheaf("audit", "ls", "-o", "ndjson").lines()[-1]["detail"]
    assert detail["rolled_back_to"] == 0, detail


if __name__ == "__main__":
    sys.exit(fixture.run([test_mask_from_file_to_consumer, test_policies_outlive_the_hub, test_owner_tightens,
                          test_requirements_are_checked_at_apply, test_only_the_platform_changes_policies,
                          test_policies_have_limits,
                          test_a_denied_table_says_so, test_too_many_effects_are_counted,
                          test_rollback_to_before_the_first],
                         ["sales", "marketing", "support"]))
