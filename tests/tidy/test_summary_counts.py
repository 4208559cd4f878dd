#!/usr/bin/env python3
"""The last line of a test run: tools/test_summary.py counts what passed and never hides a failure."""
import contextlib
import io
import pathlib
import sys
import unittest

import tap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import test_summary


def program(name, result, stdout="", stderr="", status=0):
    return {"name": name, "result": result, "stdout": stdout, "stderr": stderr, "returncode": status}


class Summary(unittest.TestCase):
    def run_on(self, tests, meson_status=0):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = test_summary.summarize(tests, meson_status)
        return status, out.getvalue()

    def test_cases_of_tap_are_counted_and_other_programs_count_once(self):
        status, out = self.run_on([
            program("a", "OK", "1..2\nok 1 - x\nok 2 - y\nok then\n"),
            program("b", "OK", "all is well\n"),
        ])
        self.assertEqual((status, out), (0, "3 passed, 0 failed\n"))

    def test_a_failed_case_is_shown_and_named(self):
        status, out = self.run_on([
            program("a", "ERROR", "1..2\nok 1 - x\nnot ok 2 - y\n# why\n", "the log", 1),
            program("b", "OK", "ok 1 - z\n"),
        ], 1)
        self.assertEqual(status, 1)
        self.assertIn("--- a: ERROR, exit status 1\n1..2\nok 1 - x\nnot ok 2 - y\n# why\nthe log\n", out)
        self.assertTrue(out.endswith("\nfailed: a\n2 passed, 1 failed\n"), out)

    def test_a_crash_behind_the_last_good_case_is_a_failure(self):
        for result in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"):
            status, out = self.run_on([program("a", result, "ok 1 - x\n")], 1)
            self.assertEqual((status, out.splitlines()[-1]), (1, "1 passed, 1 failed"), result)

    def test_no_test_is_a_failure(self):
        self.assertEqual(self.run_on([]), (1, "no test ran\n0 passed, 1 failed\n"))

    def test_a_bad_end_of_meson_is_a_failure(self):
        status, out = self.run_on([program("a", "OK")], 2)
        self.assertEqual((status, out.splitlines()[-1]), (1, "1 passed, 1 failed"))

    def test_what_was_skipped_is_said(self):
        status, out = self.run_on([
            program("a", "SKIP"),
            program("b", "OK", "ok 1 - x\nok 2 - y # SKIP no disk\n"),
        ])
        self.assertEqual((status, out), (0, "\nskipped: a, b\n1 passed, 0 failed\n"))


if __name__ == "__main__":
    sys.exit(tap.run(Summary))
