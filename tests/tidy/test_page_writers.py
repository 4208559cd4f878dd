#!/usr/bin/env python3
"""Programs that compare or write pages refuse to run without the programs that the pages show."""
import pathlib
import subprocess
import sys
import unittest

import tap

INTEGRATION = pathlib.Path(__file__).resolve().parents[1] / "integration"


class Writers(unittest.TestCase):
    def refused(self, script, *arguments):
        """@arguments name no page that exists: what is not refused writes nothing."""
        ran = subprocess.run([sys.executable, INTEGRATION / script, "--write", *arguments],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr),
                         (1, "", f"{INTEGRATION / script}: no program: ''\n"))

    def test_pages_are_not_written_with_an_empty_nats_server(self):
        self.refused("docs.py", sys.executable, sys.executable, sys.executable, "", "no-page.md")

    def test_the_readme_is_not_written_with_an_empty_nats_server(self):
        self.refused("quickstart.py", "/no/readme.md", sys.executable, "")


if __name__ == "__main__":
    sys.exit(tap.run(Writers))
