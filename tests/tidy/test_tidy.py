#!/usr/bin/env python3
"""Each rule of tidy.py fails on what it is there for, and passes what is allowed. Prints TAP."""
import sys
import unittest

import tap
import tidy


def messages(rule, tree):
    return [f"{path}:{no}: {message}" for path, no, message in rule(tree)]


class Tidy(unittest.TestCase):
    def finds(self, rule, tree, *expected):
        self.assertEqual(messages(rule, tree), list(expected))

    def test_a_layer_may_not_look_up(self):
        tree = {
            "common/base/a.c": '#include "common/sys/rt.h"\n',
            "common/sys/rt.h": '#include "common/base/b.h"\n',
            "common/base/b.h": "",
        }
        self.finds(tidy.check_layers, tree,
                   "common/base/a.c:1: common/base may not include common/sys/rt.h")

    def test_siblings_do_not_include_each_other(self):
        tree = {
            "leaf/ingest/a.c": '\n#include "leaf/publish/p.h"\n#include "leaf/store/store.h"\n',
            "leaf/publish/p.h": '#include "leaf/serving/s.h"\n',
            "leaf/serving/s.h": '#include "leaf/publish/p.h"\n',
            "leaf/store/store.h": "",
        }
        self.finds(tidy.check_layers, tree,
                   "leaf/ingest/a.c:2: leaf/ingest may not include leaf/publish/p.h",
                   "leaf/serving/s.h:1: leaf/serving may not include leaf/publish/p.h")

    def test_leaf_and_hub_are_strangers_and_the_root_object_sees_its_own(self):
        tree = {
            "leaf/leaf.c": '#include "hub/hub.h"\n#include "leaf/store/store.h"\n',
            "hub/hub.h": '#include "leaf/store/store.h"\n',
            "leaf/store/store.h": "",
        }
        self.finds(tidy.check_layers, tree,
                   "leaf/leaf.c:1: leaf may not include hub/hub.h",
                   "hub/hub.h:1: hub may not include leaf/store/store.h")

    def test_the_longest_directory_decides(self):
        self.assertEqual(tidy.layer_of("leaf/store/keyspace.c"), "leaf/store")
        self.assertEqual(tidy.layer_of("leaf/leaf.c"), "leaf")
        self.assertEqual(tidy.layer_of("leafage/x.c"), None)

    def test_control_messages_are_for_those_who_may_use_proto(self):
        tree = {
            "hub/registry/r.c": '#include "control.pb-c.h"\n',
            "common/sys/x.c": '#include "control.pb-c.h"\n',
        }
        self.finds(tidy.check_layers, tree,
                   "common/sys/x.c:1: common/sys may not include control.pb-c.h")

    def test_an_include_is_written_from_the_top(self):
        tree = {"leaf/store/a.c": '#include "a.h"\n', "leaf/store/a.h": ""}
        self.finds(tidy.check_layers, tree,
                   'leaf/store/a.c:1: "a.h" is not a file here: write the path from the top')

    def test_a_foreign_header_has_one_owner(self):
        tree = {
            "leaf/ingest/a.c": "#include <uv.h>\n#include <stdio.h>\n#include <rocksdb/c.h>\n",
            "common/sys/rt_uv.c": "#include <uv.h>\n",
            "tests/unit/store/t.c": "#include <rocksdb/c.h>\n",
        }
        self.finds(tidy.check_foreign, tree,
                   "leaf/ingest/a.c:1: <uv.h> belongs to common/sys alone",
                   "leaf/ingest/a.c:3: <rocksdb/c.h> belongs to leaf/store alone")

    def test_every_foreign_library_is_known(self):
        for header in ("sodium.h", "microhttpd.h", "curl/curl.h", "nats/nats.h", "yyjson.h",
                       "libfyaml.h", "zlib.h", "zstd.h", "pcre2.h", "protobuf-c/protobuf-c.h", "uv/version.h"):
            tree = {"cli/a.c": f"#include <{header}>\n"}
            self.assertEqual(len(messages(tidy.check_foreign, tree)), 1, header)

    def test_cmocka_comes_by_our_header(self):
        tree = {"tests/unit/a.c": "#include <cmocka.h>\n", "tests/lib/cmocka.h": "#include <cmocka.h>\n"}
        self.finds(tidy.check_foreign, tree,
                   'tests/unit/a.c:1: include "tests/lib/cmocka.h" instead of <cmocka.h>')

    def test_the_own_header_comes_first(self):
        tree = {
            "cli/a.c": '#include <stdio.h>\n#include "cli/a.h"\n', "cli/a.h": "",
            "cli/b.c": '/* why */\n#include "cli/b.h"\n', "cli/b.h": "",
            "cli/main.c": "#include <stdio.h>\n",
        }
        self.finds(tidy.check_own_header_first, tree, 'cli/a.c:1: the first include is "cli/a.h"')

    def test_a_header_is_included_once(self):
        tree = {"cli/a.h": "/* what */\nint x;\n#pragma once\n", "cli/b.h": "/* what */\n#pragma once\n"}
        self.finds(tidy.check_headers, tree, "cli/a.h:1: a header begins with #pragma once")

    def test_banned_calls_are_found_outside_comments_and_strings(self):
        tree = {"cli/a.c": '/* strcpy(a, b) */\nx = "system(x)"; // sleep(1)\nstrcpy(a, b);\nusleep(5);\n'
                           "file_system(x); sf_free(p);\n"}
        self.finds(tidy.check_calls, tree,
                   "cli/a.c:3: strcpy() is banned", "cli/a.c:4: usleep() is banned")

    def test_the_heap_has_one_door(self):
        tree = {
            "leaf/store/a.c": "p = malloc(3);\nfree(p);\nrocksdb_free(e);\nops->free(x);\n",
            "common/base/alloc.c": "p = malloc(3);\n",
            "common/sys/file.c": "p = calloc(3);\nfree(entries);\n",
        }
        self.finds(tidy.check_calls, tree,
                   "leaf/store/a.c:1: malloc(): the heap is used by common/base/alloc.h only",
                   "leaf/store/a.c:2: free(): the heap is used by common/base/alloc.h only",
                   "common/sys/file.c:1: calloc(): the heap is used by common/base/alloc.h only")

    def test_what_is_cleaned_up_has_a_value(self):
        tree = {"cli/a.c": "SF_CLEANUP(a_done) struct a x = {0};\nSF_CLEANUP(a_done)\nstruct a y;\n"
                           "#define SF_CLEANUP(f) __attribute__((cleanup(f)))\nint z;\n"}
        self.finds(tidy.check_cleanups, tree,
                   "cli/a.c:2: what is cleaned up has a value from the start: an early return cleans it up too")

    def test_a_test_script_does_not_sleep(self):
        tree = {
            "tests/integration/a.py": "import time\ntime.sleep(1)\n",
            "tests/lib/wait.py": "time.sleep(0.01)\n",
            "tests/integration/b.sh": "  sleep 1\n",
        }
        self.finds(tidy.check_sleeps_of_scripts, tree,
                   "tests/integration/a.py:2: a test does not sleep: wait for a condition with a helper of tests/lib",
                   "tests/integration/b.sh:1: a test does not sleep: wait for a condition with a helper of tests/lib")

    def test_typedefs_name_function_pointers_only(self):
        tree = {"cli/a.h": "typedef void (*done_fn)(int);\ntypedef struct a a_t;\n"
                           "typedef struct {\n    int x;\n} b_t;\ntypedef void\nvisit_fn(void *arg);\n"}
        self.finds(tidy.check_typedefs, tree,
                   "cli/a.h:2: typedef is for function pointers only",
                   "cli/a.h:3: typedef is for function pointers only")

    def test_sizes_have_limits(self):
        long_function = "int f(void)\n{\n" + "    x();\n" * 81 + "}\n"
        fits = "int f(void)\n{\n" + "    x();\n" * 80 + "}\n"
        tree = {
            "cli/a.c": long_function,
            "cli/b.c": fits,
            "cli/c.c": "\n" * 801,
            "cli/d.c": "x;\n" * 801,
            "cli/e.c": "é" * 100 + "\n" + "y" * 101 + "\n",
        }
        self.finds(tidy.check_sizes, tree,
                   "cli/a.c:2: function of 81 lines (limit 80)",
                   "cli/d.c:800: 801 lines: split it at a seam (limit 800)",
                   "cli/e.c:2: longer than 100 columns")

    def test_subjects_are_built_in_one_place(self):
        tree = {
            "leaf/publish/a.c": '#include "dp.h"\nf("dp.%s");\ng("mesh.poll"); /* "own.x" */\nh("the dp.x");\n'
                                'k("x $SYS.y");\n',
            "proto/subjects.c": 'f("dp.%s");\n',
            "hub/claims/a.c": 'f("dpq.>");\n',
        }
        self.finds(tidy.check_subjects, tree,
                   'leaf/publish/a.c:2: subject "dp.%s" is spelled out: use proto/subjects.h',
                   'leaf/publish/a.c:3: subject "mesh.poll" is spelled out: use proto/subjects.h',
                   'leaf/publish/a.c:5: subject "x $SYS.y" is spelled out: use proto/subjects.h')

    def test_text_is_clean_and_names_no_registry(self):
        host = ".".join(("deb", "debian", "org"))
        tree = {
            "dev": f"fetch http://{host}/debian\n",
            "cli/a.c": "/* TODO: later */\n/* TODO(#12): later */\nx; \n",
            "docs/a.md": "no end",
        }
        self.finds(tidy.check_text, tree,
                   "dev:1: a package registry's host is named",
                   "cli/a.c:1: a TODO names an issue: TODO(#123)",
                   "cli/a.c:3: white space at the end of the line",
                   "docs/a.md:1: no newline at the end of the file")

    def test_every_source_is_built(self):
        tree = {
            "cli/meson.build": "static_library('cli', 'a.c')\nforeach n : ['b']\n",
            "cli/a.c": "", "cli/b.c": "", "cli/cc.c": "", "tests/unit/x.c": "",
        }
        self.finds(tidy.check_built, tree, "cli/cc.c:1: no meson.build names this file")

    def test_links_lead_somewhere(self):
        tree = {
            "README.md": "[a](docs/a.md) [b](docs/b.md#x) [d](docs) [w](https://example.org/x) [s](#here)\n",
            "docs/a.md": "[up](../README.md) [gone](../gone.md)\n",
        }
        self.finds(tidy.check_links, tree,
                   "README.md:1: link to docs/b.md, which is not there",
                   "docs/a.md:1: link to ../gone.md, which is not there")

    def test_decisions_have_four_parts_and_a_number_of_their_own(self):
        good = "**Context.** a\n**Decision.** b\n**Cost.** c\n**What would change our mind.** d\n"
        tree = {
            "docs/adr/0001-a.md": good,
            "docs/adr/0001-b.md": good,
            "docs/adr/0002-c.md": good.replace("**Cost.**", ""),
            "docs/adr/notes.md": "",
        }
        self.finds(tidy.check_decisions, tree,
                   "docs/adr/0001-b.md:1: number 0001 is taken by docs/adr/0001-a.md",
                   "docs/adr/0002-c.md:1: a decision has a part 'Cost'",
                   "docs/adr/notes.md:1: a decision's file is named NNNN-words.md")

    HEADER = ('#define SHEAF_ERRORS(X) \\\n'
              '    X(BAD, 101, 422, 3, "bad | file", "mend it") \\\n'
              '    X(WORSE, 102, 400, 2, "worse", \\\n'
              '      "two " \\\n'
              '      "parts, \\"quoted\\"")\n')

    def test_the_page_of_errors_follows_the_table(self):
        page = tidy.errors_page(self.HEADER)
        self.assertIn("| SHEAF-E0101 | bad \\| file | mend it | 422 | 3 |\n", page)
        self.assertIn('| SHEAF-E0102 | worse | two parts, "quoted" | 400 | 2 |\n', page)
        tree = {tidy.ERRORS_H: self.HEADER, tidy.ERRORS_MD: page}
        self.finds(tidy.check_errors, tree)
        tree[tidy.ERRORS_MD] = page.replace("422", "423")
        self.finds(tidy.check_errors, tree, "docs/reference/errors.md:1: differs from proto/errors.h: "
                                            "run tests/tidy/tidy.py . --write-errors")

    def test_numbers_of_errors_are_unique_ordered_and_readable(self):
        header = self.HEADER.replace("102", "101") + '    X(ODD, 050, 1, 1, "a", "b")\n    X(ODD2, N, 1)\n'
        self.finds(tidy.check_errors, {tidy.ERRORS_H: header},
                   "proto/errors.h:1: 4 entries, but only 3 can be read",
                   "proto/errors.h:1: number 101 stands twice",
                   "proto/errors.h:1: entries stand in the order of their numbers",
                   "proto/errors.h:1: number 50 is in no area")


if __name__ == "__main__":
    sys.exit(tap.run(Tidy))
