/*
 * What consumers see of rows, for test_python.py. Reads from stdin, answers on stdout:
 *
 *     product SIZE        a product file of that many bytes follows; its first table it is about
 *     platform SIZE       so does a file of policies: the platform's from now on (0: none)
 *     owner SIZE          a product file with policies: the owner's from now on
 *     view DOMAIN PURPOSE COLUMNS
 *                         who asks from now on, "-" for none: "view" or "denied"
 *     {...}               a row: as it is seen, or "-"
 */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/contract/record.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/leaf_world.h"
#include "tests/lib/policies.h"

enum { COLUMNS_MAX = 16, FIELDS_MAX = 32, LINE_MAX_BYTES = 16384 };

struct seen {
    struct leaf_world w;
    const struct served_table *table;
    struct sf_record_reader *reader;
    struct sf_policy_set *platform;
    struct sf_policy_set *owner;
    struct served_view *view;
    uint64_t serial;
    uint8_t hash_key[SF_HASH_KEY_SIZE];
    struct sf_buf row;
    struct sf_buf scratch;
    struct sf_buf out;
};

/* The text of that many bytes behind a line. */
static char *take_text(size_t size)
{
    char *text = sf_calloc(1, size + 1);

    sf_assert(text != NULL && fread(text, 1, size, stdin) == size);
    return text;
}

static void set_product(struct seen *s, const char *text)
{
    s->table = &leaf_world_add(&s->w, text)->tables[0];
    sf_assert(s->table->contract->field_count <= FIELDS_MAX);
    sf_assert(sf_record_reader_new(s->table->contract, &s->reader, NULL) == SF_OK);
}

static void set_platform(struct seen *s, const char *text)
{
    sf_policy_set_free(s->platform);
    s->platform = *text == '\0' ? NULL : policies_set(text);
}

static void set_owner(struct seen *s, const char *text)
{
    struct sf_product *p = policies_product(text);

    sf_policy_set_free(s->owner);
    s->owner = sf_policy_set_new();
    sf_assert(sf_policy_set_add_product(s->owner, p, NULL) == SF_OK);
    sf_product_free(p);
}

static void set_view(struct seen *s, const char *domain, const char *purpose, char *columns)
{
    const char *names[COLUMNS_MAX];
    struct sf_policy_input in = {
        .platform = s->platform,
        .owner = s->owner,
        .product = s->table->product->contract,
        .table = s->table->contract,
        .subject = {.domain = domain, .purpose = strcmp(purpose, "-") == 0 ? NULL : purpose},
        .columns = names,
        .now_us = leaf_world_now(&s->w),
    };
    struct served_view_spec spec = {.table = s->table,
                                    .serial = ++s->serial,
                                    .domain = domain,
                                    .purpose = in.subject.purpose,
                                    .hash_key = s->hash_key};
    char *rest = NULL;
    enum sf_code code;

    for (char *at = strtok_r(columns, ",", &rest); at != NULL && strcmp(at, "-") != 0;
         at = strtok_r(NULL, ",", &rest)) {
        sf_assert(in.column_count < COLUMNS_MAX);
        names[in.column_count++] = at;
    }
    served_view_unref(SF_TAKE(s->view));
    sf_assert(sf_policy_decide(&in, &spec.decision, NULL) == SF_OK);
    code = served_view_new(&spec, &s->view, NULL);
    sf_assert(code == SF_OK || code == SF_DENIED);
    (void)puts(code == SF_OK ? "view" : "denied");
}

static void show_row(struct seen *s, struct sf_slice line)
{
    struct sf_value values[FIELDS_MAX];
    struct sf_verdict verdict;
    struct sf_slice masked;
    bool shown;

    sf_assert(sf_record_from_json(s->reader, line, values, &verdict, NULL) == SF_OK);
    sf_assert(verdict.found == 0);
    sf_buf_clear(&s->row);
    sf_assert(row_encode(s->table->contract, values, &s->row, NULL) == SF_OK);
    sf_assert(served_view_row(s->view, sf_buf_view(&s->row), &s->scratch, &shown, &masked, NULL) ==
              SF_OK);
    sf_buf_clear(&s->out);
    if (shown) {
        sf_assert(row_render_json(s->view->columns, masked, &s->out, NULL) == SF_OK);
    } else {
        sf_buf_text(&s->out, "-");
    }
    sf_buf_text(&s->out, "\n");
    (void)fwrite(s->out.data, 1, s->out.size, stdout);
}

static void do_line(struct seen *s, char *line, size_t size)
{
    char what[16];
    char domain[64];
    char purpose[64];
    char columns[256];
    size_t bytes;

    if (*line == '{') {
        show_row(s, sf_slice_of(line, size));
    } else if (sscanf(line, "view %63s %63s %255s", domain, purpose, columns) == 3) {
        set_view(s, domain, purpose, columns);
    } else {
        sf_assert(sscanf(line, "%15s %zu", what, &bytes) == 2);
        char *text = take_text(bytes);

        if (strcmp(what, "product") == 0) {
            set_product(s, text);
        } else if (strcmp(what, "platform") == 0) {
            set_platform(s, text);
        } else {
            set_owner(s, text);
        }
        sf_free(text);
    }
}

int main(void)
{
    static struct seen s;
    static char line[LINE_MAX_BYTES];

    sf_assert(sf_crypto_init(NULL) == SF_OK);
    leaf_world_init(&s.w, 1);
    for (size_t i = 0; i < SF_HASH_KEY_SIZE; i++) {
        s.hash_key[i] = (uint8_t)i;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        do_line(&s, line, strlen(line));
    }
    served_view_unref(s.view);
    sf_policy_set_free(s.platform);
    sf_policy_set_free(s.owner);
    sf_record_reader_free(s.reader);
    sf_buf_done(&s.row);
    sf_buf_done(&s.scratch);
    sf_buf_done(&s.out);
    leaf_world_done(&s.w);
    return 0;
}
