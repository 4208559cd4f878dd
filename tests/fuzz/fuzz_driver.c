/*
 * A fuzzer as a test, without libFuzzer: every file of the corpus, then mutations of them.
 *
 *     fuzz_<name> CORPUS_DIR...       all; files may be named too
 *
 * TEST_FUZZ_SECONDS=N  mutates for N seconds instead of 3,000 times.
 * TEST_FUZZ_SEED=N     other mutations; 1 when not given. A mutation follows from seed and number
 *                       alone, and a crash names both.
 * TEST_FUZZ_AT=N       only mutation N, which is written to ./fuzz-input first.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "tests/fuzz/fuzz.h"

enum { MUTATIONS = 3000, INPUT_BYTES_MAX = 64 * 1024, EDITS_MAX = 6 };

struct corpus {
    struct sf_buf *files;
    size_t count;
};

/* For the signal handler: what runs now. */
static volatile sig_atomic_t current_is_file;
static volatile unsigned long current;
static unsigned long seed = 1;

static void say_current(void)
{
    char text[160];
    int size = snprintf(text, sizeof(text),
                        current_is_file ? "fuzz_driver: file %lu of the corpus\n"
                                        : "fuzz_driver: TEST_FUZZ_AT=%lu TEST_FUZZ_SEED=%lu\n",
                        current, seed);

    (void)!write(STDERR_FILENO, text, (size_t)size);
}

static void on_abort(int number)
{
    say_current();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* There with the address sanitizer only. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static size_t random_below(uint64_t *state, size_t below)
{
    return below == 0 ? 0 : (size_t)(random_next(state) % below);
}

static _Noreturn void die(const char *what, const char *name)
{
    (void)fprintf(stderr, "fuzz_driver: %s: %s\n", name, what);
    exit(2);
}

static void add_file(struct corpus *c, const char *path)
{
    FILE *file = fopen(path, "rb");
    struct sf_buf *files = sf_realloc(c->files, c->count + 1, sizeof(*files));
    struct sf_buf bytes = {0};
    uint8_t *room;

    if (file == NULL || files == NULL) {
        die("cannot be read", path);
    }
    room = sf_buf_reserve(&bytes, INPUT_BYTES_MAX);
    if (room == NULL) {
        die("out of memory", path);
    }
    bytes.size = fread(room, 1, INPUT_BYTES_MAX, file);
    (void)fclose(file);
    c->files = files;
    c->files[c->count++] = bytes;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* not by the locale's order */
}

static void add_path(struct corpus *c, const char *path)
{
    struct dirent **names;
    struct stat st;
    char child[4096];
    int count;

    if (stat(path, &st) != 0) {
        die("is not there", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        add_file(c, path);
        return;
    }
    count = scandir(path, &names, NULL, by_name);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            (void)snprintf(child, sizeof(child), "%s/%s", path, names[i]->d_name);
            add_file(c, child);
        }
        sf_free(names[i]);
    }
    if (count >= 0) {
        sf_free(names);
    }
}

/* Replaces @cut bytes at @at by @bytes. */
static void splice(struct sf_buf *b, size_t at, size_t cut, struct sf_slice bytes)
{
    struct sf_buf next = {0};

    if (b->size - cut + bytes.size > INPUT_BYTES_MAX) {
        return;
    }
    sf_buf_append(&next, b->data, at);
    sf_buf_slice(&next, bytes);
    sf_buf_append(&next, b->data + at + cut, b->size - at - cut);
    sf_buf_done(b);
    *b = next;
}

static void edit(const struct corpus *c, struct sf_buf *b, uint64_t *r)
{
    static const uint8_t bytes[] = {0,    1,    0x7f, 0x80, 0xff, '"',  '\\', ',',
                                    '\n', '\r', '{',  '}',  '[',  ']',  ':',  '0',
                                    '9',  '-',  '.',  'e',  ' ',  0xc3, 0xed};
    const struct sf_buf *other = &c->files[random_below(r, c->count)];
    size_t at = random_below(r, b->size + 1);
    size_t size = random_below(r, 8 + random_below(r, 64));
    size_t from = random_below(r, other->size + 1);
    uint8_t one = bytes[random_below(r, sizeof(bytes))];
    uint8_t any = (uint8_t)random_next(r);

    size = size > b->size - at ? b->size - at : size;
    switch (random_below(r, 9)) {
    case 0:
        if (at < b->size) {
            b->data[at] ^= (uint8_t)(1U << random_below(r, 8));
        }
        return;
    case 1:
        if (at < b->size) {
            b->data[at] = (uint8_t)(b->data[at] + random_below(r, 5) - 2);
        }
        return;
    case 2:
        splice(b, at, at < b->size, sf_slice_of(&one, 1));
        return;
    case 3:
        splice(b, at, 0, sf_slice_of(&one, 1));
        return;
    case 4:
        splice(b, at, 0, sf_slice_of(&any, 1));
        return;
    case 5: /* take out */
        splice(b, at, size, sf_slice_of(NULL, 0));
        return;
    case 6: /* double */
        splice(b, at, 0, sf_slice_of(b->data + at, size));
        return;
    case 7: /* a piece of another */
        size = random_below(r, other->size - from + 1);
        splice(b, at, 0, sf_slice_of(other->data + from, size));
        return;
    default: /* go on as another */
        splice(b, at, b->size - at, sf_slice_of(other->data + from, other->size - from));
        return;
    }
}

static void mutate(const struct corpus *c, unsigned long number, struct sf_buf *ret)
{
    uint64_t r = seed * UINT64_C(0x100000001) + number;
    const struct sf_buf *from = &c->files[random_below(&r, c->count)];
    size_t edits = 1 + random_below(&r, EDITS_MAX);

    sf_buf_clear(ret);
    sf_buf_append(ret, from->data, from->size);
    for (size_t i = 0; i < edits; i++) {
        edit(c, ret, &r);
    }
}

/* In memory of its own size, so that the sanitizer sees every byte read behind the end. */
static void run(struct sf_slice input)
{
    uint8_t *copy = sf_alloc(input.size);

    if (copy == NULL) {
        die("out of memory", "input");
    }
    if (input.size > 0) {
        memcpy(copy, input.data, input.size);
    }
    (void)LLVMFuzzerTestOneInput(copy, input.size);
    sf_free(copy);
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

static void keep_input(const struct sf_buf *input)
{
    FILE *file = fopen("fuzz-input", "wb");

    if (file == NULL || fwrite(input->data, 1, input->size, file) != input->size ||
        fclose(file) != 0) {
        die("cannot be written", "fuzz-input");
    }
}

static unsigned long run_mutations(const struct corpus *c)
{
    unsigned long only = setting("TEST_FUZZ_AT", 0);
    double seconds = (double)setting("TEST_FUZZ_SECONDS", 0);
    double end = now_s() + seconds;
    struct sf_buf input = {0};

    current_is_file = 0;
    current = only == 0 ? 1 : only;
    for (;; current++) {
        mutate(c, current, &input);
        if (only != 0) {
            keep_input(&input);
        }
        run(sf_buf_view(&input));
        if (only != 0 || (seconds > 0 ? now_s() > end : current >= MUTATIONS)) {
            break;
        }
    }
    sf_buf_done(&input);
    return current;
}

int main(int argc, char **argv)
{
    struct corpus c = {0};
    unsigned long count;

    seed = setting("TEST_FUZZ_SEED", 1);
    for (int i = 1; i < argc; i++) {
        add_path(&c, argv[i]);
    }
    if (c.count == 0) {
        die("a corpus is needed", argv[0]);
    }
    (void)signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(say_current);
    }
    current_is_file = 1;
    for (current = 0; current < c.count; current++) {
        run(sf_buf_view(&c.files[current]));
    }
    count = run_mutations(&c);
    (void)printf("%zu files, %lu mutations of seed %lu\n", c.count, count, seed);
    for (size_t i = 0; i < c.count; i++) {
        sf_buf_done(&c.files[i]);
    }
    sf_free(c.files);
    return 0;
}
