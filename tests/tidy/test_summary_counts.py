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

    def why(self, *tests):
        _, out = self.run_on(list(tests), 1)
        return [part.partition("\n\nfailed:")[0] for part in out.split("\n--- why ")[1:]]

    def test_why_it_failed_is_said_again_at_the_end(self):
        logs = "".join(f"# log {i}\n" for i in range(50))
        why = self.why(
            program("a", "ERROR", f"ok 1 - x\nnot ok 2 - y\n{logs}# KeyError\nnot ok 3 - z\n# more\n"),
            program("b", "OK", "ok 1 - z\n"),
            program("c", "TIMEOUT", "so far\n"),
        )
        self.assertEqual(why[0].splitlines(), [
            "a failed: ERROR, exit status 0", "not ok 2 - y", "[...]",
            *(f"# log {i}" for i in range(31, 50)), "# KeyError", "not ok 3 - z"])
        self.assertEqual(why[1], "c failed: TIMEOUT, exit status 0\nso far")

    def test_what_stands_only_on_stderr_is_said_again_too(self):
        report = "noise\n==7==ERROR: AddressSanitizer: heap-use-after-free\n#0 f\n" + "tail\n" * 90
        asan, plain = self.why(program("a", "ERROR", "ok 1 - x\n", report),
                               program("b", "ERROR", "not ok 1 - x\n", "b.c:7: 1 != 2\n"))
        self.assertTrue(asan.startswith("a failed: ERROR, exit status 0\n==7==ERROR: Addr"), asan)
        self.assertIn("\n#0 f\ntail\n", asan)
        self.assertEqual(plain, "b failed: ERROR, exit status 0\nnot ok 1 - x\nb.c:7: 1 != 2")

    def test_many_failures_are_said_again_in_fewer_lines(self):
        text = "not ok 1 - x\n" + "# line\n" * 40
        _, out = self.run_on([program(f"t{i}", "ERROR", text) for i in range(50)], 1)
        self.assertEqual(out.partition("\n--- why ")[2].count("# line"), 50 * 4)

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
