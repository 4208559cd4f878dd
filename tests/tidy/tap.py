"""Runs a unittest.TestCase and prints TAP; the traceback of a failure as a comment."""
import unittest


class Tap(unittest.TestResult):
    def __init__(self, count):
        super().__init__()
        print(f"1..{count}")

    def line(self, test, word, details=""):
        print(f"{word} {self.testsRun} - {test.id().rpartition('.')[2]}")
        for line in details.splitlines():
            print(f"# {line}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line(test, "ok")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, "not ok", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, "not ok", self.errors[-1][1])


def run(case):
    """The exit status."""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = Tap(suite.countTestCases())
    suite.run(result)
    return 0 if result.wasSuccessful() else 1
