#!/usr/bin/env python3
"""What a contract declares of its input: cleaned, deduplicated, counted, against running processes."""
import sys

import fixture

PRODUCT = """sheaf: product/v1
product: sales/signups
version: 1.0.0
owner: signups@example.org
description: Signups.
tables:
  signups:
    kind: event
    dedupe: {by: [email], within: 1h}
    fields:
      email:  {number: 1, type: string, trim: true, case: lower, missing: ["", "n/a"]}
      amount: {number: 2, type: "decimal(9,2)", parse: "1.234,56"}
      day:    {number: 3, type: date, parse: [iso, "%d.%m.%Y"]}
      source: {number: 4, type: string, missing: {texts: ["-"], as: "null"}, default: web}
  people:
    kind: state
    key: [email]
    unchanged: skip
    fields:
      email: {number: 1, type: string, required: true, case: lower}
      name:  {number: 2, type: string}
"""


def post(m, table, body, kind="application/x-ndjson"):
    answer = m.leaves["sales"].call("POST", f"/v1/products/sales/signups/{table}/records", body,
                                    m.token("sales"), {"Content-Type": kind})
    assert answer.status == 200, answer
    return answer.json()


def rows(m, table):
    return m.rows("sales", f"signups/{table}")


def test_cleaned_and_counted(m):
    """Texts are cleaned as declared, repetitions left out, and the answer counts both"""
    m.apply("sales", PRODUCT)
    said = post(m, "signups", "email,amount,day,source\n"
                              ' Ann@Example.COM ,"1.000,50",20.11.2026,-\n'
                              'ann@example.com,"1,5",2026-11-21,shop\n'
                              'bob@example.com,2,2026-11-22,\n', "text/csv")
    assert (said["accepted"], said["duplicates"], said["last_seq"]) == (3, 1, 2), said
    assert said["cleaned"] == {"email": {"trimmed": 1, "cased": 1}, "amount": {"parsed": 3},
                               "day": {"parsed": 3}, "source": {"missing": 1, "defaulted": 1}}, said
    assert rows(m, "signups") == [
        {"email": "ann@example.com", "amount": "1000.50", "day": "2026-11-20", "source": None},
        {"email": "bob@example.com", "amount": "2.00", "day": "2026-11-22", "source": "web"},
    ], rows(m, "signups")


def test_repetitions_are_known_after_kill(m):
    """kill -9 forgets no fingerprint"""
    leaf = m.leaves["sales"]
    assert post(m, "signups", '{"email":"eve@example.com"}')["last_seq"] == 3
    leaf.end()
    leaf.start()
    said = post(m, "signups", '{"email":" EVE@example.com"}\n{"email":"new@example.com"}')
    assert (said["duplicates"], said["first_seq"], said["last_seq"]) == (1, 4, 4), said


def test_unchanged_rows_take_no_seq(m):
    """An upsert equal to the row that is there takes no position"""
    assert post(m, "people", '{"email":"a","name":"x"}\n{"email":"B","name":"y"}')["last_seq"] == 2
    said = post(m, "people", '{"email":"A","name":"x"}\n{"email":"b","name":"z"}')
    assert (said["accepted"], said["unchanged"], said["first_seq"], said["last_seq"]) == (
        2, 1, 3, 3), said


def test_metrics(m):
    """The metrics count by product, table and step"""
    answer = m.leaves["sales"].call("GET", "/metrics")
    text = answer.body if isinstance(answer.body, str) else answer.body.decode()
    assert ('sheaf_ingest_cleaned_values_total{product="sales/signups",table="people",'
            'step="cased"} 2') in text, text


if __name__ == "__main__":
    sys.exit(fixture.run([test_cleaned_and_counted, test_repetitions_are_known_after_kill,
                 test_unchanged_rows_take_no_seq, test_metrics], ["sales"]))
