/* What kv.h promises, of RocksDB and of the fake: the same tests run on both. */
#include "tests/lib/cmocka.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/list.h"
#include "common/sys/crypto.h"
#include "common/sys/file.h"
#include "leaf/store/kv_rocks.h"
#include "proto/errors.h"
#include "tests/lib/fake_kv.h"
#include "tests/lib/tmpdir.h"

struct subject {
    bool fake;
    struct fake_disk disk;
    struct tmpdir tmp;
    struct kv *kv;
};

static void subject_open(struct subject *s)
{
    struct sf_error err = {0};
    char path[PATH_MAX];
    enum sf_code code;

    if (s->fake) {
        code = fake_kv_open(&s->disk, &s->kv, &err);
    } else {
        code = kv_rocks_open(tmpdir_join(&s->tmp, "store", path), NULL, &s->kv, &err);
    }
    if (code != SF_OK) {
        fail_msg("open: %s", err.text);
    }
}

static void subject_reopen(struct subject *s)
{
    s->kv->ops->close(s->kv);
    subject_open(s);
}

static int setup(void **state, bool fake)
{
    struct subject *s = sf_calloc(1, sizeof(*s));

    assert_non_null(s);
    s->fake = fake;
    fake_disk_init(&s->disk);
    tmpdir_init(&s->tmp);
    subject_open(s);
    *state = s;
    return 0;
}

static int setup_fake(void **state)
{
    return setup(state, true);
}

static int setup_rocks(void **state)
{
    return setup(state, false);
}

static int teardown(void **state)
{
    struct subject *s = *state;

    s->kv->ops->close(s->kv);
    fake_disk_done(&s->disk);
    tmpdir_done(&s->tmp);
    sf_free(s);
    return 0;
}

/* "put log a 1", "del log a", "drop log a c": a batch in words. */
struct word {
    const char *op;
    enum kv_family family;
    const char *key;
    const char *value;
};

static void write_words(struct kv *kv, const struct word *words, size_t count)
{
    struct kv_batch *b = NULL;
    struct sf_error err = {0};

    assert_int_equal(kv->ops->batch_new(kv, &b, &err), SF_OK);
    for (size_t i = 0; i < count; i++) {
        struct sf_slice key = sf_slice_text(words[i].key);
        struct sf_slice value = sf_slice_text(words[i].value);

        if (words[i].op[0] == 'p') { /* In two pieces each, one of them empty now and then. */
            b->ops->put(
                b, words[i].family,
                (struct kv_parts){sf_slice_of(key.data, key.size / 2),
                                  sf_slice_of(key.data + key.size / 2, key.size - key.size / 2)},
                kv_one(value));
        } else if (words[i].op[0] == 'd') {
            b->ops->remove(b, words[i].family, key);
        } else {
            b->ops->remove_range(b, words[i].family, key, value);
        }
    }
    if (kv->ops->write(kv, b, KV_SYNC, &err) != SF_OK) {
        fail_msg("write: %s", err.text);
    }
    b->ops->free(b);
}
#define WRITE(kv, ...)                                                                             \
    write_words((kv), (const struct word[]){__VA_ARGS__},                                          \
                sizeof((const struct word[]){__VA_ARGS__}) / sizeof(struct word))

static const char *get(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                       const char *key)
{
    static char text[64];
    struct sf_buf value = {0};
    bool found = false;

    assert_int_equal(kv->ops->get(kv, snapshot, f, sf_slice_text(key), &value, &found, NULL),
                     SF_OK);
    (void)snprintf(text, sizeof(text), "%s%.*s", found ? "" : "absent", found ? (int)value.size : 0,
                   (const char *)value.data);
    sf_buf_done(&value);
    return text;
}

static const char *walk(struct kv *kv, const struct kv_snapshot *snapshot, const char *from,
                        const char *to, bool reverse)
{
    static char text[256];
    struct kv_range range = {sf_slice_text(from), sf_slice_text(to), true};
    struct kv_iter *it = NULL;
    size_t used = 0;

    text[0] = '\0';
    assert_int_equal(kv->ops->iter_new(kv, snapshot, KV_STATE, &range, &it, NULL), SF_OK);
    for (reverse ? it->ops->last(it) : it->ops->first(it); it->ops->valid(it);
         reverse ? it->ops->prev(it) : it->ops->next(it)) {
        struct sf_slice key = it->ops->key(it);
        struct sf_slice value = it->ops->value(it);

        used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s=%.*s ", SF_SLICE_ARG(key),
                                 SF_SLICE_ARG(value));
    }
    assert_int_equal(it->ops->check(it, NULL), SF_OK);
    it->ops->free(it);
    return text;
}

static void test_a_batch_is_read_back_from_its_families(void **state)
{
    struct subject *s = *state;

    WRITE(s->kv, {"put", KV_LOG, "a", "log"}, {"put", KV_STATE, "a", "state"},
          {"put", KV_META, "a", ""}, {"put", KV_STATE, "gone", "x"}, {"del", KV_STATE, "gone", ""});
    assert_string_equal(get(s->kv, NULL, KV_LOG, "a"), "log");
    assert_string_equal(get(s->kv, NULL, KV_STATE, "a"), "state");
    assert_string_equal(get(s->kv, NULL, KV_META, "a"), "");
    assert_string_equal(get(s->kv, NULL, KV_IDEM, "a"), "absent");
    assert_string_equal(get(s->kv, NULL, KV_STATE, "gone"), "absent");
    subject_reopen(s);
    assert_string_equal(get(s->kv, NULL, KV_LOG, "a"), "log");
    assert_string_equal(get(s->kv, NULL, KV_STATE, "gone"), "absent");
}

static void test_the_last_put_of_a_key_in_a_batch_holds(void **state)
{
    struct subject *s = *state;

    WRITE(s->kv, {"put", KV_STATE, "k", "1"}, {"del", KV_STATE, "k", ""},
          {"put", KV_STATE, "k", "2"});
    assert_string_equal(get(s->kv, NULL, KV_STATE, "k"), "2");
}

static void test_iterators_keep_their_bounds_both_ways(void **state)
{
    struct subject *s = *state;

    WRITE(s->kv, {"put", KV_STATE, "a", "1"}, {"put", KV_STATE, "b", "2"},
          {"put", KV_STATE, "ba", "3"}, {"put", KV_STATE, "c", "4"}, {"put", KV_LOG, "bb", "no"});
    assert_string_equal(walk(s->kv, NULL, "", "", false), "a=1 b=2 ba=3 c=4 ");
    assert_string_equal(walk(s->kv, NULL, "", "", true), "c=4 ba=3 b=2 a=1 ");
    assert_string_equal(walk(s->kv, NULL, "b", "c", false), "b=2 ba=3 ");
    assert_string_equal(walk(s->kv, NULL, "b", "c", true), "ba=3 b=2 ");
    assert_string_equal(walk(s->kv, NULL, "aa", "az", false), "");
    assert_string_equal(walk(s->kv, NULL, "aa", "az", true), "");
    assert_string_equal(walk(s->kv, NULL, "bb", "", false), "c=4 ");
}

static const char *seek(struct kv *kv, const char *key, bool back)
{
    static char text[64];
    struct kv_range range = {sf_slice_text("b"), sf_slice_text("e"), true};
    struct kv_iter *it = NULL;

    assert_int_equal(kv->ops->iter_new(kv, NULL, KV_STATE, &range, &it, NULL), SF_OK);
    if (back) {
        it->ops->seek_back(it, sf_slice_text(key));
    } else {
        it->ops->seek(it, sf_slice_text(key));
    }
    (void)snprintf(text, sizeof(text), "%.*s", it->ops->valid(it) ? 1 : 0,
                   it->ops->valid(it) ? (const char *)it->ops->key(it).data : "");
    it->ops->free(it);
    return text;
}

static void test_seeks_find_the_nearest_key_in_bounds(void **state)
{
    struct subject *s = *state;

    WRITE(s->kv, {"put", KV_STATE, "a", ""}, {"put", KV_STATE, "b", ""}, {"put", KV_STATE, "d", ""},
          {"put", KV_STATE, "f", ""});
    assert_string_equal(seek(s->kv, "b", false), "b");
    assert_string_equal(seek(s->kv, "c", false), "d");
    assert_string_equal(seek(s->kv, "d", false), "d");
    assert_string_equal(seek(s->kv, "e", false), "");
    assert_string_equal(seek(s->kv, "a", false), "b");
    assert_string_equal(seek(s->kv, "c", true), "b");
    assert_string_equal(seek(s->kv, "d", true), "d");
    assert_string_equal(seek(s->kv, "a", true), "");
    assert_string_equal(seek(s->kv, "z", true), "d");
}

static void test_a_snapshot_stays_as_it_was(void **state)
{
    struct subject *s = *state;
    struct kv_snapshot *snapshot = NULL;

    WRITE(s->kv, {"put", KV_STATE, "a", "1"}, {"put", KV_STATE, "b", "1"});
    assert_int_equal(s->kv->ops->snapshot_new(s->kv, &snapshot, NULL), SF_OK);
    WRITE(s->kv, {"put", KV_STATE, "a", "2"}, {"del", KV_STATE, "b", ""},
          {"put", KV_STATE, "c", "2"});
    assert_string_equal(get(s->kv, snapshot, KV_STATE, "a"), "1");
    assert_string_equal(get(s->kv, snapshot, KV_STATE, "c"), "absent");
    assert_string_equal(walk(s->kv, snapshot, "", "", false), "a=1 b=1 ");
    assert_string_equal(walk(s->kv, snapshot, "", "", true), "b=1 a=1 ");
    assert_string_equal(walk(s->kv, NULL, "", "", false), "a=2 c=2 ");
    s->kv->ops->snapshot_free(s->kv, snapshot);
}

static void test_an_iterator_does_not_see_later_writes(void **state)
{
    struct subject *s = *state;
    struct kv_range all = {0};
    struct kv_iter *it = NULL;

    WRITE(s->kv, {"put", KV_STATE, "b", "1"}, {"put", KV_STATE, "d", "1"});
    assert_int_equal(s->kv->ops->iter_new(s->kv, NULL, KV_STATE, &all, &it, NULL), SF_OK);
    it->ops->first(it);
    WRITE(s->kv, {"put", KV_STATE, "a", "2"}, {"put", KV_STATE, "c", "2"},
          {"del", KV_STATE, "d", ""});
    it->ops->next(it);
    assert_true(it->ops->valid(it));
    assert_memory_equal(it->ops->key(it).data, "d", 1);
    it->ops->prev(it);
    assert_memory_equal(it->ops->key(it).data, "b", 1);
    it->ops->prev(it);
    assert_false(it->ops->valid(it));
    assert_int_equal(it->ops->check(it, NULL), SF_OK);
    it->ops->free(it);
}

static void test_a_range_is_removed_without_its_end(void **state)
{
    struct subject *s = *state;

    WRITE(s->kv, {"put", KV_STATE, "a", "1"}, {"put", KV_STATE, "b", "1"},
          {"put", KV_STATE, "c", "1"}, {"put", KV_STATE, "d", "1"});
    WRITE(s->kv, {"range", KV_STATE, "b", "d"}, {"put", KV_STATE, "ca", "2"});
    assert_string_equal(walk(s->kv, NULL, "", "", false), "a=1 ca=2 d=1 ");
    subject_reopen(s);
    assert_string_equal(walk(s->kv, NULL, "", "", true), "d=1 ca=2 a=1 ");
}

enum { MANY = 700 };

struct found {
    unsigned calls[MANY];
    char values[MANY][8];
};

static void on_value(void *data, size_t i, const struct sf_slice *value)
{
    struct found *f = data;

    f->calls[i]++;
    (void)snprintf(f->values[i], sizeof(f->values[i]), "%.*s", value == NULL ? 1 : (int)value->size,
                   value == NULL ? "-" : (const char *)value->data);
}

/* None of it is on the disk yet, and rows come and go in the middle of others. */
static void test_rows_of_a_lane_are_removed_as_they_are_written(void **state)
{
    struct subject *s = *state;

    WRITE(s->kv, {"put", KV_STATE, "lan0z", "1"}, {"put", KV_STATE, "lan1a", "1"},
          {"put", KV_STATE, "lan1b", "1"}, {"put", KV_STATE, "lan2a", "1"});
    WRITE(s->kv, {"range", KV_STATE, "lan1", "lan2"}, {"put", KV_STATE, "lan2b", "1"});
    assert_string_equal(walk(s->kv, NULL, "", "", false), "lan0z=1 lan2a=1 lan2b=1 ");
    WRITE(s->kv, {"put", KV_STATE, "lan1a", "2"}, {"put", KV_STATE, "lan1c", "2"},
          {"put", KV_STATE, "lan0y", "2"});
    WRITE(s->kv, {"range", KV_STATE, "lan0", "lan1"}, {"range", KV_STATE, "lan2", "lan3"});
    assert_string_equal(walk(s->kv, NULL, "", "", false), "lan1a=2 lan1c=2 ");
    subject_reopen(s);
    assert_string_equal(walk(s->kv, NULL, "", "", false), "lan1a=2 lan1c=2 ");
}

static void test_multi_get_calls_once_per_key(void **state)
{
    static struct found f;
    static char names[MANY][8];
    struct subject *s = *state;
    struct sf_slice keys[MANY];
    struct kv_batch *b = NULL;

    f = (struct found){0};
    assert_int_equal(s->kv->ops->batch_new(s->kv, &b, NULL), SF_OK);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "k%d", (i * 37) % MANY);
        keys[i] = sf_slice_text(names[i]);
        if (i % 3 != 0) {
            b->ops->put(b, KV_STATE, kv_one(keys[i]), kv_one(keys[i]));
        }
    }
    assert_int_equal(s->kv->ops->write(s->kv, b, KV_PLAIN, NULL), SF_OK);
    b->ops->free(b);
    assert_int_equal(s->kv->ops->multi_get(s->kv, KV_STATE, keys, MANY, on_value, &f, NULL), SF_OK);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(f.calls[i], 1);
        assert_string_equal(f.values[i], i % 3 != 0 ? names[i] : "-");
    }
}

static void test_what_was_just_written_is_got_from_memory(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    struct subject *s = *state;
    struct kv_snapshot *before = NULL;
    enum sf_code code;
    bool found = false;

#define GET(snapshot, key)                                                                         \
    s->kv->ops->get_from_memory(s->kv, snapshot, KV_STATE, SF_LITERAL(key), &value, &found, NULL)
    WRITE(s->kv, {"put", KV_STATE, "a", "1"});
    assert_int_equal(s->kv->ops->snapshot_new(s->kv, &before, NULL), SF_OK);
    WRITE(s->kv, {"put", KV_STATE, "a", "2"});
    assert_int_equal(GET(NULL, "a"), SF_OK);
    assert_true(found && sf_slice_equal(sf_buf_view(&value), SF_LITERAL("2")));
    assert_int_equal(GET(before, "a"), SF_OK);
    assert_true(found && sf_slice_equal(sf_buf_view(&value), SF_LITERAL("1")));
    assert_int_equal(GET(NULL, "b"), SF_OK);
    assert_false(found);
    s->kv->ops->snapshot_free(s->kv, before);
    subject_reopen(s); /* On the disk now: memory holds it, or says that it does not. */
    code = GET(NULL, "a");
    assert_true(code == SF_BUSY || (code == SF_OK && found));
    assert_string_equal(get(s->kv, NULL, KV_STATE, "a"), "2");
    code = GET(NULL, "a");
    assert_true(code == SF_OK && found); /* It was read a moment ago. */
#undef GET
}

static void test_a_cleared_batch_writes_nothing_of_before(void **state)
{
    struct subject *s = *state;
    struct kv_batch *b = NULL;

    assert_int_equal(s->kv->ops->batch_new(s->kv, &b, NULL), SF_OK);
    b->ops->put(b, KV_STATE, kv_one(SF_LITERAL("a")), kv_one(SF_LITERAL("1")));
    b->ops->clear(b);
    b->ops->put(b, KV_STATE, kv_one(SF_LITERAL("b")), kv_one(SF_LITERAL("2")));
    assert_int_equal(s->kv->ops->write(s->kv, b, KV_VOLATILE, NULL), SF_OK);
    b->ops->free(b);
    assert_string_equal(walk(s->kv, NULL, "", "", false), "b=2 ");
}

enum { BIG_BYTES = 4096 };

/* Writes @n into the log, and into @rows rows that follow it. */
static bool write_both(struct kv *kv, unsigned n, size_t rows, struct kv_pending *p)
{
    static char value[BIG_BYTES];
    struct kv_batch *b = NULL;
    struct kv_batch *after = NULL;
    struct sf_error err = {0};
    bool pending = false;
    char key[32];

    (void)snprintf(value, sizeof(value), "%u", n);
    assert_int_equal(kv->ops->batch_new(kv, &b, &err), SF_OK);
    assert_int_equal(kv->ops->batch_new(kv, &after, &err), SF_OK);
    b->ops->put(b, KV_LOG, kv_one(SF_LITERAL("n")), kv_one(sf_slice_text(value)));
    for (size_t i = 0; i < rows; i++) {
        (void)snprintf(key, sizeof(key), "row-%zu", i);
        after->ops->put(after, KV_STATE, kv_one(sf_slice_text(key)),
                        kv_one(sf_slice_of(value, rows == 1 ? strlen(value) : BIG_BYTES)));
    }
    if (kv->ops->write_both(kv, b, KV_SYNC, after, p, &pending, &err) != SF_OK) {
        fail_msg("write: %s", err.text);
    }
    b->ops->free(b);
    after->ops->free(after);
    return pending;
}

static void test_two_writes_are_both_there(void **state)
{
    static const size_t rows[] = {1, 100}; /* One after the other; side by side. */
    struct subject *s = *state;
    char text[64];

    for (unsigned n = 0; n < SF_COUNT(rows); n++) {
        assert_false(write_both(s->kv, n, rows[n], NULL));
        (void)snprintf(text, sizeof(text), "%u", n);
        assert_string_equal(get(s->kv, NULL, KV_LOG, "n"), text);
        assert_string_equal(get(s->kv, NULL, KV_STATE, "row-0"), text);
        subject_reopen(s);
        assert_string_equal(get(s->kv, NULL, KV_LOG, "n"), text);
        assert_string_equal(get(s->kv, NULL, KV_STATE, "row-0"), text);
    }
}

struct looker {
    struct kv *kv;
    atomic_bool stop;
    unsigned looks;
    unsigned torn; /* snapshots that showed one of the two */
};

static unsigned number_at(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                          const char *key)
{
    struct sf_buf value = {0};
    bool found = false;
    unsigned n;

    sf_assert(kv->ops->get(kv, snapshot, f, sf_slice_text(key), &value, &found, NULL) == SF_OK &&
              found);
    sf_buf_byte(&value, '\0');
    n = (unsigned)strtoul((const char *)value.data, NULL, 10);
    sf_buf_done(&value);
    return n;
}

static void *look_on(void *data)
{
    struct looker *l = data;

    while (!atomic_load(&l->stop)) {
        struct kv_snapshot *snapshot = NULL;

        sf_assert(l->kv->ops->snapshot_new(l->kv, &snapshot, NULL) == SF_OK);
        l->torn += number_at(l->kv, snapshot, KV_LOG, "n") !=
                   number_at(l->kv, snapshot, KV_STATE, "row-99");
        l->kv->ops->snapshot_free(l->kv, snapshot);
        l->looks++;
    }
    return NULL;
}

static void test_a_snapshot_made_during_two_writes_shows_neither(void **state)
{
    struct subject *s = *state;
    struct looker l = {.kv = s->kv};
    pthread_t thread;

    assert_false(write_both(s->kv, 0, 100, NULL));
    assert_int_equal(pthread_create(&thread, NULL, look_on, &l), 0);
    for (unsigned n = 1; n < 100; n++) {
        assert_false(write_both(s->kv, n, 100, NULL));
    }
    atomic_store(&l.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(l.torn, 0);
    print_message("# %u snapshots\n", l.looks);
}

/* A write that was left pending, and how often its end was told. */
struct left {
    struct kv_pending pending;
    struct kv *kv;
    unsigned n;
    atomic_uint told;
    atomic_uint shown; /* told when snapshots showed it already */
};

static void on_ended(struct kv_pending *p, enum sf_code code, const struct sf_error *err)
{
    struct left *l = SF_CONTAINER_OF(p, struct left, pending);
    struct kv_snapshot *snapshot = NULL;

    (void)err;
    sf_assert(code == SF_OK);
    sf_assert(l->kv->ops->snapshot_new(l->kv, &snapshot, NULL) == SF_OK);
    l->shown += number_at(l->kv, snapshot, KV_LOG, "n") == l->n &&
                number_at(l->kv, snapshot, KV_STATE, "row-99") == l->n;
    l->kv->ops->snapshot_free(l->kv, snapshot);
    atomic_fetch_add(&l->told, 1);
}

static void test_the_next_write_waits_for_one_that_is_pending(void **state)
{
    enum { WRITES = 50 };
    struct subject *s = *state;
    struct left left[WRITES] = {0};
    unsigned pending = 0;

    s->disk.hold_syncs = true;
    for (unsigned n = 0; n < WRITES; n++) {
        bool is_left;

        left[n].pending.ended = on_ended;
        left[n].kv = s->kv;
        left[n].n = n;
        is_left = write_both(s->kv, n, 100, &left[n].pending);
        pending += is_left ? 1 : 0;
        left[n].told += is_left ? 0 : 1;
        left[n].shown += is_left ? 0 : 1;
        assert_int_equal(number_at(s->kv, NULL, KV_STATE, "row-99"), n);
        for (unsigned before = 0; before < n; before++) {
            assert_int_equal(left[before].told, 1);
            assert_int_equal(left[before].shown, 1);
        }
    }
    s->disk.hold_syncs = false;
    assert_false(write_both(s->kv, WRITES, 1, NULL));
    assert_int_equal(left[WRITES - 1].told, 1);
    assert_true(pending > 0 || !s->fake); /* A disk may be faster than memory. */
    subject_reopen(s);
    assert_string_equal(get(s->kv, NULL, KV_LOG, "n"), "50");
}

static void test_one_owner_at_a_time(void **state)
{
    struct subject *s = *state;
    struct kv *second = NULL;
    struct sf_error err = {0};
    char path[PATH_MAX];
    enum sf_code code =
        s->fake ? fake_kv_open(&s->disk, &second, &err)
                : kv_rocks_open(tmpdir_join(&s->tmp, "store", path), NULL, &second, &err);

    assert_int_equal(code, SF_CONFLICT);
    assert_int_equal(err.number, SHEAF_E_DATA_DIR_IN_USE);
    assert_null(second);
}

static void test_space_is_known(void **state)
{
    struct subject *s = *state;
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;

    assert_int_equal(s->kv->ops->disk(s->kv, &free_bytes, &total_bytes, NULL), SF_OK);
    assert_true(total_bytes > 0 && free_bytes <= total_bytes);
    assert_true(s->kv->ops->approximate_size(s->kv, KV_LOG, SF_LITERAL("a"), SF_LITERAL("b")) == 0);
}

static uint64_t log_size(struct kv *kv)
{
    return kv->ops->approximate_size(kv, KV_LOG, SF_LITERAL("a"), SF_LITERAL("z"));
}

static void test_space_of_a_removed_range_comes_back(void **state)
{
    enum { VALUES = 64, VALUE_BYTES = 64 * 1024 };
    struct subject *s = *state;
    struct kv_batch *b = NULL;
    uint8_t *value = sf_alloc(VALUE_BYTES);
    char key[8];

    assert_non_null(value);
    assert_int_equal(s->kv->ops->batch_new(s->kv, &b, NULL), SF_OK);
    for (int i = 0; i < VALUES; i++) {
        sf_random_bytes(value, VALUE_BYTES);
        (void)snprintf(key, sizeof(key), "k%02d", i);
        b->ops->put(b, KV_LOG, kv_one(sf_slice_text(key)), kv_one(sf_slice_of(value, VALUE_BYTES)));
    }
    assert_int_equal(s->kv->ops->write(s->kv, b, KV_VOLATILE, NULL), SF_OK);
    b->ops->free(b);
    sf_free(value);
    assert_int_equal(s->kv->ops->flush(s->kv, KV_LOG, NULL), SF_OK);
    assert_true(log_size(s->kv) >= (uint64_t)VALUES * VALUE_BYTES);
    WRITE(s->kv, {"range", KV_LOG, "a", "k60"});
    assert_int_equal(s->kv->ops->compact(s->kv, KV_LOG, SF_LITERAL("a"), SF_LITERAL("k60"), NULL),
                     SF_OK);
    assert_true(log_size(s->kv) < UINT64_C(8) * VALUE_BYTES);
    assert_string_equal(get(s->kv, NULL, KV_LOG, "k59"), "absent");
}

/* The copy as a kv of its own, opened. */
static struct kv *open_copy(struct subject *s, struct fake_disk *copy)
{
    const struct kv_rocks_options look = {.read_only = true};
    char from[PATH_MAX];
    char to[PATH_MAX];
    struct sf_buf format = {0};
    struct kv *kv = NULL;
    struct sf_error err = {0};

    if (s->fake) {
        assert_int_equal(fake_kv_open(copy, &kv, &err), SF_OK);
        return kv;
    }
    (void)tmpdir_join(&s->tmp, "store/FORMAT", from);
    (void)tmpdir_join(&s->tmp, "copy/FORMAT", to);
    assert_int_equal(sf_file_read(from, 100, &format, &err), SF_OK);
    assert_int_equal(sf_file_write(to, sf_buf_view(&format), 0600, &err), SF_OK);
    sf_buf_done(&format);
    if (kv_rocks_open(tmpdir_join(&s->tmp, "copy", to), &look, &kv, &err) != SF_OK) {
        fail_msg("open: %s", err.text);
    }
    return kv;
}

static void test_a_checkpoint_is_the_kv_of_its_moment(void **state)
{
    struct subject *s = *state;
    struct fake_disk disk;
    struct kv_batch *b = NULL;
    struct kv *copy;
    struct sf_error err = {0};
    char path[PATH_MAX];

    fake_disk_init(&disk);
    s->disk.copy_to = &disk;
    WRITE(s->kv, {"put", KV_LOG, "a", "1"}, {"put", KV_META, "m", "meta"});
    assert_int_equal(s->kv->ops->batch_new(s->kv, &b, NULL), SF_OK);
    b->ops->put(b, KV_STATE, kv_one(SF_LITERAL("s")), kv_one(SF_LITERAL("volatile")));
    assert_int_equal(s->kv->ops->write(s->kv, b, KV_VOLATILE, NULL), SF_OK);
    b->ops->free(b);
    assert_int_equal(sf_dir_make(tmpdir_join(&s->tmp, "copy", path), 0700, &err), SF_OK);
    if (s->kv->ops->checkpoint(s->kv, tmpdir_join(&s->tmp, "copy/db", path), &err) != SF_OK) {
        fail_msg("checkpoint: %s", err.text);
    }
    WRITE(s->kv, {"put", KV_LOG, "a", "2"}, {"put", KV_LOG, "b", "3"});
    copy = open_copy(s, &disk);
    assert_string_equal(get(copy, NULL, KV_LOG, "a"), "1");
    assert_string_equal(get(copy, NULL, KV_META, "m"), "meta");
    assert_string_equal(get(copy, NULL, KV_STATE, "s"), "volatile");
    assert_string_equal(get(copy, NULL, KV_LOG, "b"), "absent");
    copy->ops->close(copy);
    fake_disk_done(&disk);
    s->disk.copy_to = NULL;
}

/* RocksDB only: of what it finds on the disk. */
static void test_what_is_open_for_reading_is_not_changed(void **state)
{
    struct subject *s = *state;
    const struct kv_rocks_options look = {.read_only = true};
    struct kv_batch *b = NULL;
    struct sf_error err = {0};
    char path[PATH_MAX];

    WRITE(s->kv, {"put", KV_LOG, "a", "1"});
    s->kv->ops->close(s->kv);
    assert_int_equal(kv_rocks_open(tmpdir_join(&s->tmp, "none", path), &look, &s->kv, &err),
                     SF_ABSENT);
    assert_false(sf_file_exists(path));
    assert_int_equal(kv_rocks_open(tmpdir_join(&s->tmp, "store", path), &look, &s->kv, &err),
                     SF_OK);
    assert_string_equal(get(s->kv, NULL, KV_LOG, "a"), "1");
    assert_int_equal(s->kv->ops->batch_new(s->kv, &b, NULL), SF_OK);
    b->ops->put(b, KV_LOG, kv_one(SF_LITERAL("b")), kv_one(SF_LITERAL("2")));
    assert_int_equal(s->kv->ops->write(s->kv, b, KV_SYNC, &err), SF_DENIED);
    b->ops->free(b);
}

static void test_a_database_without_its_current_file_is_not_taken_for_a_new_one(void **state)
{
    struct subject *s = *state;
    char path[PATH_MAX];
    char current[PATH_MAX];
    char away[PATH_MAX];
    struct sf_error err = {0};

    WRITE(s->kv, {"put", KV_LOG, "a", "1"});
    s->kv->ops->close(s->kv);
    assert_int_equal(rename(tmpdir_join(&s->tmp, "store/db/CURRENT", current),
                            tmpdir_join(&s->tmp, "CURRENT", away)),
                     0);
    assert_int_not_equal(kv_rocks_open(tmpdir_join(&s->tmp, "store", path), NULL, &s->kv, &err),
                         SF_OK);
    assert_non_null(strstr(err.text, "CURRENT"));
    assert_int_equal(rename(away, current), 0);
    subject_open(s);
    assert_string_equal(get(s->kv, NULL, KV_LOG, "a"), "1");
}

#define ON(setup_of)                                                                               \
    cmocka_unit_test_setup_teardown(test_a_batch_is_read_back_from_its_families, setup_of,         \
                                    teardown),                                                     \
        cmocka_unit_test_setup_teardown(test_the_last_put_of_a_key_in_a_batch_holds, setup_of,     \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_iterators_keep_their_bounds_both_ways, setup_of,      \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_seeks_find_the_nearest_key_in_bounds, setup_of,       \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_a_snapshot_stays_as_it_was, setup_of, teardown),      \
        cmocka_unit_test_setup_teardown(test_an_iterator_does_not_see_later_writes, setup_of,      \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_a_range_is_removed_without_its_end, setup_of,         \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_what_was_just_written_is_got_from_memory, setup_of,   \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_rows_of_a_lane_are_removed_as_they_are_written,       \
                                        setup_of, teardown),                                       \
        cmocka_unit_test_setup_teardown(test_multi_get_calls_once_per_key, setup_of, teardown),    \
        cmocka_unit_test_setup_teardown(test_a_cleared_batch_writes_nothing_of_before, setup_of,   \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_two_writes_are_both_there, setup_of, teardown),       \
        cmocka_unit_test_setup_teardown(test_one_owner_at_a_time, setup_of, teardown),             \
        cmocka_unit_test_setup_teardown(test_space_is_known, setup_of, teardown),                  \
        cmocka_unit_test_setup_teardown(test_a_checkpoint_is_the_kv_of_its_moment, setup_of,       \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_space_of_a_removed_range_comes_back, setup_of,        \
                                        teardown),                                                 \
        cmocka_unit_test_setup_teardown(test_the_next_write_waits_for_one_that_is_pending,         \
                                        setup_of, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(setup_fake), ON(setup_rocks),
        cmocka_unit_test_setup_teardown(test_a_snapshot_made_during_two_writes_shows_neither,
                                        setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_open_for_reading_is_not_changed, setup_rocks,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_a_database_without_its_current_file_is_not_taken_for_a_new_one, setup_rocks,
            teardown)};

    return cmocka_run_group_tests_name("kv", tests, NULL, NULL);
}
