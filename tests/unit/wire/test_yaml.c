#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/wire/yaml.h"

/* Reads, then renders the issues: "" when there are none. */
struct run {
    struct sf_arena arena;
    struct sf_issues issues;
    struct sf_yaml_node *root;
    struct sf_error err;
    enum sf_code code;
    struct sf_buf text;
};

static void run_text(struct run *r, struct sf_slice text)
{
    memset(r, 0, sizeof(*r));
    sf_arena_init(&r->arena, 0);
    sf_issues_init(&r->issues, "f.yaml", text);
    r->code = sf_yaml_read(&r->arena, &r->issues, &r->root, &r->err);
    sf_issues_render(&r->issues, &r->text);
}

static void run_done(struct run *r)
{
    sf_buf_done(&r->text);
    sf_issues_done(&r->issues);
    sf_arena_done(&r->arena);
}

static void assert_issues(const char *text, enum sf_code code, const char *wanted)
{
    struct run r;

    run_text(&r, sf_slice_text(text));
    assert_string_equal(sf_buf_cstr(&r.text), wanted);
    assert_int_equal(r.code, code);
    run_done(&r);
}

static void assert_place(struct sf_place place, uint32_t line, uint32_t column, uint32_t width)
{
    assert_int_equal(place.line, line);
    assert_int_equal(place.column, column);
    assert_int_equal(place.width, width);
}

static void test_nodes_know_their_text_and_place(void **state)
{
    const struct sf_yaml_node *n;
    struct run r;

    (void)state;
    run_text(&r, SF_LITERAL("# note\n"
                            "name: orders\n"
                            "\"s\xc3\xa9\": {deep: [1, 'two', \"th\\u00e9\"]}\n"
                            "empty:\n"
                            "text: |\n"
                            "  line one\n"
                            "  line two\n"));
    assert_int_equal(r.code, SF_OK);
    assert_int_equal(r.root->kind, SF_YAML_MAP);
    assert_int_equal(r.root->count, 4);
    n = sf_yaml_get(r.root, "name");
    assert_string_equal(n->text.data, "orders");
    assert_true(n->plain);
    assert_place(n->key_place, 2, 1, 4);
    assert_place(n->place, 2, 7, 6);
    n = sf_yaml_get(r.root, "s\xc3\xa9");
    assert_place(n->key_place, 3, 1, 4);
    assert_place(n->place, 3, 7, 1);
    n = sf_yaml_get(n, "deep");
    assert_int_equal(n->count, 3);
    assert_place(n->first->place, 3, 15, 1);
    assert_string_equal(n->first->next->text.data, "two");
    assert_false(n->first->next->plain);
    assert_place(n->first->next->place, 3, 18, 5);
    assert_string_equal(n->first->next->next->text.data, "th\xc3\xa9");
    n = sf_yaml_get(r.root, "empty");
    assert_true(sf_yaml_is_null(n));
    n = sf_yaml_get(r.root, "text");
    assert_string_equal(n->text.data, "line one\nline two\n");
    assert_false(n->plain);
    assert_null(sf_yaml_get(r.root, "nothing"));
    run_done(&r);
}

static void test_folded_text_is_read_whole(void **state)
{
    const struct sf_yaml_node *n;
    struct run r;

    (void)state;
    run_text(&r, SF_LITERAL("d:\n"
                            "        a: >-\n"
                            "        \n"
                            "                b: >-\n"
                            "                    folded\n"
                            "                    text\n"
                            "        c: >\n"
                            "          one\n"
                            "          two\n"
                            "\n"
                            "            three\n"));
    assert_int_equal(r.code, SF_OK);
    n = r.root->first->first;
    assert_string_equal((const char *)n->text.data, "\nb: >-\n    folded\n    text");
    assert_int_equal(n->text.size, strlen((const char *)n->text.data));
    assert_string_equal((const char *)n->next->text.data, "one two\n\n  three\n");
    run_done(&r);
    run_text(&r, SF_LITERAL("a: |\n"));
    assert_int_equal(r.code, SF_OK);
    assert_int_equal(r.root->first->text.size, 0);
    assert_false(sf_yaml_is_null(r.root->first));
    run_done(&r);
}

static void test_documents_are_linked(void **state)
{
    struct run r;

    (void)state;
    run_text(&r, SF_LITERAL("a: 1\n---\nb: 2\n"));
    assert_int_equal(r.code, SF_OK);
    assert_string_equal(sf_yaml_get(r.root, "a")->text.data, "1");
    assert_string_equal(sf_yaml_get(r.root->next, "b")->text.data, "2");
    assert_null(r.root->next->next);
    run_done(&r);
    run_text(&r, SF_LITERAL(""));
    assert_int_equal(r.code, SF_OK);
    assert_null(r.root);
    run_done(&r);
    run_text(&r, SF_LITERAL("# only a note\n"));
    assert_int_equal(r.code, SF_OK);
    assert_null(r.root);
    run_done(&r);
}

static void test_duplicate_keys_are_all_reported(void **state)
{
    (void)state;
    assert_issues("a: 1\nb: {c: 1, c: [2]}\na: 3\n", SF_OK,
                  "f.yaml:2:11: error[SHEAF-E0105]: duplicate key 'c'\n"
                  "b: {c: 1, c: [2]}\n"
                  "          ^\n"
                  "f.yaml:3:1: error[SHEAF-E0105]: duplicate key 'a'\n"
                  "a: 3\n"
                  "^\n");
}

static void test_the_first_of_duplicates_stays(void **state)
{
    struct run r;

    (void)state;
    run_text(&r, SF_LITERAL("a: 1\na: 3\nb: 2\n"));
    assert_int_equal(r.root->count, 2);
    assert_string_equal(sf_yaml_get(r.root, "a")->text.data, "1");
    assert_string_equal(sf_yaml_get(r.root, "b")->text.data, "2");
    run_done(&r);
}

static void test_what_changes_meaning_from_afar_is_refused(void **state)
{
    (void)state;
    assert_issues("a: &x 1\nb: *x\n", SF_INVALID,
                  "f.yaml:1:7: error[SHEAF-E0101]: anchors are not allowed\n"
                  "a: &x 1\n"
                  "      ^\n"
                  "f.yaml:2:5: error[SHEAF-E0101]: aliases are not allowed\n"
                  "b: *x\n"
                  "    ^\n");
    assert_issues("a: !!int 1\n", SF_OK,
                  "f.yaml:1:10: error[SHEAF-E0101]: tags are not allowed\n"
                  "a: !!int 1\n"
                  "         ^\n");
    assert_issues("%YAML 1.1\n---\na: 1\n", SF_INVALID,
                  "f.yaml:1:1: error[SHEAF-E0101]: directives are not allowed\n"
                  "%YAML 1.1\n"
                  "^\n");
    assert_issues("<<: {a: 1}\n", SF_OK,
                  "f.yaml:1:1: error[SHEAF-E0101]: merge keys are not allowed\n"
                  "<<: {a: 1}\n"
                  "^~\n");
    assert_issues("? [a]\n: 1\n", SF_INVALID,
                  "f.yaml:1:3: error[SHEAF-E0101]: a key must be plain text\n"
                  "? [a]\n"
                  "  ^\n");
}

static void test_syntax_errors_have_a_place(void **state)
{
    (void)state;
    assert_issues("a: [1, 2\nb: 3\n", SF_INVALID,
                  "f.yaml:3:1: error[SHEAF-E0101]: flow sequence without a closing bracket\n");
    assert_issues("a: 'open\n", SF_INVALID,
                  "f.yaml:1:5: error[SHEAF-E0101]: single-quoted scalar without closing quote\n"
                  "a: 'open\n"
                  "    ^\n");
    assert_issues("a: 1\n  b: 2\n", SF_INVALID,
                  "f.yaml:1:4: error[SHEAF-E0101]: invalid multiline plain key\n"
                  "a: 1\n"
                  "   ^\n");
    assert_issues("a: 1\nb: @x\n", SF_INVALID,
                  "f.yaml:2:4: error[SHEAF-E0101]: plain scalar cannot start with '@'\n"
                  "b: @x\n"
                  "   ^\n");
}

static void test_bytes_that_are_not_text_are_refused(void **state)
{
    (void)state;
    assert_issues("a: 1\nb: \xff\n", SF_INVALID,
                  "f.yaml:2:4: error[SHEAF-E0101]: not valid UTF-8\n"
                  "b: ?\n"
                  "   ^\n");
    assert_issues("a: 1\r\nb: 2\rc: 3\n", SF_INVALID,
                  "f.yaml:2:5: error[SHEAF-E0101]: a line ends with CR alone\n"
                  "b: 2?c: 3\n"
                  "    ^\n");
    assert_issues("a: \x01\n", SF_INVALID,
                  "f.yaml:1:4: error[SHEAF-E0101]: control characters are not allowed\n"
                  "a: ?\n"
                  "   ^\n");
}

static void test_limits_hold(void **state)
{
    char *text = sf_alloc(SF_YAML_BYTES_MAX + 1);
    struct run r;

    (void)state;
    memset(text, ' ', SF_YAML_BYTES_MAX + 1);
    run_text(&r, sf_slice_of(text, SF_YAML_BYTES_MAX + 1));
    assert_int_equal(r.code, SF_INVALID);
    assert_string_equal(r.err.text, "f.yaml: the file is larger than 1 MiB");
    run_done(&r);

    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    run_text(&r, sf_slice_of(text, 66));
    assert_int_equal(r.code, SF_INVALID);
    assert_string_equal(r.err.text, "f.yaml:1:33: lists and maps are nested deeper than 32");
    run_done(&r);
    run_text(&r, sf_slice_of(text + 1, 64));
    assert_int_equal(r.code, SF_OK);
    run_done(&r);

    memset(text, '\n', SF_YAML_BYTES_MAX);
    for (size_t i = 0; i <= SF_YAML_NODES_MAX; i++) {
        memcpy(text + i * 4, "- 1\n", 4);
    }
    run_text(&r, sf_slice_of(text, (SF_YAML_NODES_MAX + 1) * 4));
    assert_int_equal(r.code, SF_INVALID);
    assert_string_equal(r.err.text, "f.yaml:100000:3: more than 100000 values in one file");
    run_done(&r);
    sf_free(text);
}

static void test_typed_reads_say_what_they_wanted(void **state)
{
    static const char *const names[] = {"state", "event"};
    struct sf_allowed allowed = {names, 2, {0}};
    const struct sf_yaml_node *n;
    struct run r;
    const char *text = NULL;
    uint32_t number = 0;
    size_t choice = 9;
    bool flag = false;

    (void)state;
    run_text(&r, SF_LITERAL("a: true\nb: \"true\"\nc: 12\nd: -1\ne: even\nf: [1]\ng:\nh: event\n"));
    n = r.root->first;
    assert_true(sf_yaml_bool(&r.issues, n, "required", &flag));
    assert_true(flag);
    n = n->next;
    assert_false(sf_yaml_bool(&r.issues, n, "required", &flag));
    n = n->next;
    assert_true(sf_yaml_u32(&r.issues, n, "number", &number));
    assert_int_equal(number, 12);
    n = n->next;
    assert_false(sf_yaml_u32(&r.issues, n, "number", &number));
    n = n->next;
    assert_false(sf_yaml_choice(&r.issues, n, &allowed, "kind", &choice));
    n = n->next;
    assert_false(sf_yaml_text(&r.issues, n, "owner", &text));
    n = n->next;
    assert_false(sf_yaml_expect(&r.issues, n, SF_YAML_MAP, "tables"));
    n = n->next;
    assert_true(sf_yaml_choice(&r.issues, n, &allowed, "kind", &choice));
    assert_int_equal(choice, 1);
    sf_yaml_check_keys(&r.issues, r.root, (const char *const[]){"a", "b", "c", "d", "e", "f", "g"},
                       7);
    sf_buf_clear(&r.text);
    sf_issues_render(&r.issues, &r.text);
    assert_string_equal(
        sf_buf_cstr(&r.text),
        "f.yaml:2:4: error[SHEAF-E0103]: required must be true or false\n"
        "b: \"true\"\n   ^~~~~~\n"
        "f.yaml:4:4: error[SHEAF-E0103]: number must be a whole number, 0 to 4294967295\n"
        "d: -1\n   ^~\n"
        "f.yaml:5:4: error[SHEAF-E0103]: unknown kind 'even'\n"
        "e: even\n   ^~~~\n"
        "  allowed: state event      did you mean 'event'?\n"
        "f.yaml:6:4: error[SHEAF-E0103]: owner must be a single value, not a list\n"
        "f: [1]\n   ^\n"
        "f.yaml:7:1: error[SHEAF-E0103]: tables must be a map, not nothing\n"
        "g:\n^\n"
        "f.yaml:8:1: error[SHEAF-E0102]: unknown key 'h'\n"
        "h: event\n^\n"
        "  allowed: a b c d e f g\n");
    run_done(&r);
}

static void test_survives_every_failed_allocation(void **state)
{
    (void)state;
    for (long after = 0;; after++) {
        struct run r;
        bool hit;

        memset(&r, 0, sizeof(r));
        sf_arena_init(&r.arena, 0);
        sf_issues_init(&r.issues, "f", SF_LITERAL("a: {b: 1, c: [1, 2, {d: 3}]}\na: 2\n"));
        sf_alloc_fail_after(after, 0);
        r.code = sf_yaml_read(&r.arena, &r.issues, &r.root, &r.err);
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        if (hit && r.code == SF_OK) {
            assert_int_equal(sf_issues_check(&r.issues, &r.err), SF_NOMEM);
        } else {
            assert_int_equal(r.code, hit ? SF_NOMEM : SF_OK);
        }
        run_done(&r);
        if (!hit) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_know_their_text_and_place),
        cmocka_unit_test(test_folded_text_is_read_whole),
        cmocka_unit_test(test_documents_are_linked),
        cmocka_unit_test(test_duplicate_keys_are_all_reported),
        cmocka_unit_test(test_the_first_of_duplicates_stays),
        cmocka_unit_test(test_what_changes_meaning_from_afar_is_refused),
        cmocka_unit_test(test_syntax_errors_have_a_place),
        cmocka_unit_test(test_bytes_that_are_not_text_are_refused),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_typed_reads_say_what_they_wanted),
        cmocka_unit_test(test_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
