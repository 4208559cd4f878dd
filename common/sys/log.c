#include "common/sys/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/alloc.h"

enum {
    LINE_MAX_BYTES = 4096,
    EVENTS_TRACKED = 64, /* names whose repeats are counted; others push the oldest out */
    BURST = 20,
    WINDOW_S = 10,
};

/* How often one event was seen in its window. */
struct repeats {
    const char *event; /* a literal of the program; NULL: free */
    time_t since_s;
    unsigned count;
};

/* The state behind the one log of the process. */
static struct {
    _Atomic int level;    /* most that goes out; read without the lock */
    pthread_mutex_t lock; /* guards what follows */
    enum sf_log_format format;
    int fd;
    char *path; /* owned; NULL: stderr */
    struct repeats repeats[EVENTS_TRACKED];
    size_t next_repeat;
} the = {.level = SF_LOG_WARN, .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

static const char *const level_names[] = {
    [SF_LOG_ERROR] = "error",
    [SF_LOG_WARN] = "warn",
    [SF_LOG_INFO] = "info",
    [SF_LOG_DEBUG] = "debug",
};

/* One line in the making. A field that does not fit is left out as a whole. */
struct line {
    char text[LINE_MAX_BYTES];
    size_t size;
    bool json;
    bool full;
};

static void put(struct line *l, const char *bytes, size_t size)
{
    enum { FRAME = 3 }; /* "{", "}\n" */

    if (l->size + size > sizeof(l->text) - FRAME) {
        l->full = true;
    }
    if (!l->full) {
        memcpy(l->text + l->size, bytes, size);
        l->size += size;
    }
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* Bytes of the UTF-8 character at @c, which ends with a NUL; 0 when it is not one. */
static size_t character_size(const unsigned char *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = *c < 0x80 ? 1 : *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : 2;
    uint32_t value = *c & (0xffU >> (size + 1));

    if (size == 1) {
        return 1;
    }
    for (size_t i = 1; i < size; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (c[i] & 0x3fU);
    }
    if (*c < 0xc0 || *c > 0xf4 || value < least[size] || value > 0x10ffff ||
        (value >= 0xd800 && value < 0xe000)) {
        return 0;
    }
    return size;
}

static void put_escaped(struct line *l, const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    while (*c != '\0') {
        size_t size = character_size(c);
        char escape[8];

        if (*c == '"' || *c == '\\') {
            (void)snprintf(escape, sizeof(escape), "\\%c", *c);
            put_text(l, escape);
        } else if (*c < 0x20 || *c == 0x7f) {
            (void)snprintf(escape, sizeof(escape), "\\u%04x", *c);
            put_text(l, escape);
        } else if (size == 0) {
            put_text(l, "\\ufffd");
        } else {
            put(l, (const char *)c, size);
        }
        c += size == 0 ? 1 : size;
    }
}

static bool needs_quotes(const char *text)
{
    if (*text == '\0') {
        return true;
    }
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c <= ' ' || *c == '"' || *c == '=' || *c == '\\' || *c == 0x7f) {
            return true;
        }
    }
    return false;
}

static void put_string(struct line *l, const char *text)
{
    bool quoted = l->json || needs_quotes(text);

    if (quoted) {
        put(l, "\"", 1);
    }
    put_escaped(l, text);
    if (quoted) {
        put(l, "\"", 1);
    }
}

static void put_key(struct line *l, const char *key)
{
    if (l->size > 0) {
        put(l, l->json ? "," : " ", 1);
    }
    if (l->json) {
        put_string(l, key);
        put(l, ":", 1);
    } else {
        put_text(l, key);
        put(l, "=", 1);
    }
}

static void put_pair(struct line *l, const char *key, const char *text)
{
    put_key(l, key);
    put_string(l, text == NULL ? "" : text);
}

static void put_bare(struct line *l, const char *key, const char *value)
{
    put_key(l, key);
    put_text(l, value);
}

static void put_error(struct line *l, const struct sf_error *e)
{
    char number[16];

    put_pair(l, "code", sf_code_name(e->code));
    if (e->number != 0) {
        (void)snprintf(number, sizeof(number), "SHEAF-E%04u", e->number);
        put_pair(l, "number", number);
    }
    put_pair(l, "error", e->text);
    put_pair(l, "where", e->where);
}

static void put_field(struct line *l, const struct sf_log_field *f)
{
    char number[32];

    switch (f->kind) {
    case SF_LOG_TEXT_:
        put_pair(l, f->key, f->text);
        break;
    case SF_LOG_INT_:
        (void)snprintf(number, sizeof(number), "%" PRId64, f->number);
        put_bare(l, f->key, number);
        break;
    case SF_LOG_UINT_:
        (void)snprintf(number, sizeof(number), "%" PRIu64, f->count);
        put_bare(l, f->key, number);
        break;
    case SF_LOG_REAL_:
        (void)snprintf(number, sizeof(number), "%.6g", f->real);
        put_bare(l, f->key, number);
        break;
    case SF_LOG_BOOL_:
        put_bare(l, f->key, f->truth ? "true" : "false");
        break;
    case SF_LOG_FAULT_:
        put_error(l, f->error);
        break;
    case SF_LOG_END_:
        break;
    }
}

static void put_head(struct line *l, enum sf_log_level level, const char *event)
{
    struct timespec now;
    struct tm utc;
    char stamp[48];
    size_t size;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    size = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(stamp + size, sizeof(stamp) - size, ".%03ldZ", now.tv_nsec / 1000000);
    put_pair(l, "ts", stamp);
    put_pair(l, "level", level_names[level]);
    put_pair(l, "event", event);
}

/* With the lock held. */
static void write_line(enum sf_log_level level, const char *event,
                       const struct sf_log_field *fields)
{
    struct line l;
    size_t whole;

    l.size = 0;
    l.full = false;
    l.json = the.format == SF_LOG_JSON;
    put_head(&l, level, event);
    for (; fields->kind != SF_LOG_END_; fields++) {
        whole = l.size;
        put_field(&l, fields);
        if (l.full) {
            l.size = whole;
            break;
        }
    }
    if (l.json) {
        memmove(l.text + 1, l.text, l.size); /* put() kept room for it */
        l.text[0] = '{';
        l.text[++l.size] = '}';
        l.size++;
    }
    l.text[l.size++] = '\n';
    while (write(the.fd, l.text, l.size) < 0 && errno == EINTR) {
        /* One write a line, so that lines of several processes do not mix. */
    }
}

/* With the lock held: whether this one goes out. Says how many before it did not. */
static bool admit(enum sf_log_level level, const char *event, unsigned *ret_left_out)
{
    struct timespec now;
    struct repeats *r = NULL;

    *ret_left_out = 0;
    if (level == SF_LOG_DEBUG) {
        return true;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    for (size_t i = 0; i < EVENTS_TRACKED && r == NULL; i++) {
        if (the.repeats[i].event != NULL && strcmp(the.repeats[i].event, event) == 0) {
            r = &the.repeats[i];
        }
    }
    if (r == NULL) {
        r = &the.repeats[the.next_repeat];
        the.next_repeat = (the.next_repeat + 1) % EVENTS_TRACKED;
        *r = (struct repeats){.event = event, .since_s = now.tv_sec};
    }
    if (now.tv_sec - r->since_s >= WINDOW_S) {
        *ret_left_out = r->count > BURST ? r->count - BURST : 0;
        r->since_s = now.tv_sec;
        r->count = 0;
    }
    return ++r->count <= BURST;
}

void sf_log_event(enum sf_log_level level, const char *event, const struct sf_log_field *fields)
{
    unsigned left_out;

    if (!sf_log_wants(level)) {
        return;
    }
    (void)pthread_mutex_lock(&the.lock);
    if (admit(level, event, &left_out)) {
        if (left_out > 0) {
            const struct sf_log_field said[] = {
                SF_F_TEXT("of", event), SF_F_UINT("count", left_out), {SF_LOG_END_}};

            write_line(SF_LOG_WARN, "log.repeats_left_out", said);
        }
        write_line(level, event, fields);
    }
    (void)pthread_mutex_unlock(&the.lock);
}

bool sf_log_wants(enum sf_log_level level)
{
    return (int)level <= atomic_load_explicit(&the.level, memory_order_relaxed);
}

static enum sf_code open_path(const char *path, int *ret_fd, struct sf_error *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

    if (fd < 0) {
        enum sf_code code = errno == ENOENT || errno == ENOTDIR ? SF_ABSENT
                            : errno == EACCES                   ? SF_DENIED
                                                                : SF_IO;

        return SF_RAISE(err, code, "log file '%s': %m", path);
    }
    *ret_fd = fd;
    return SF_OK;
}

/* Takes @path. */
static void switch_to(int fd, char *path)
{
    if (the.fd != STDERR_FILENO) {
        (void)close(the.fd);
    }
    sf_free(the.path);
    the.fd = fd;
    the.path = path;
}

enum sf_code sf_log_open(const struct sf_log_options *options, struct sf_error *err)
{
    int fd = STDERR_FILENO;
    char *path = NULL;
    enum sf_code r;

    if (options->path != NULL) {
        path = sf_strdup(options->path);
        r = path == NULL ? SF_RAISE(err, SF_NOMEM, "no memory for the log")
                         : open_path(path, &fd, err);
        if (r != SF_OK) {
            sf_free(path);
            return r;
        }
    }
    (void)pthread_mutex_lock(&the.lock);
    switch_to(fd, path);
    the.format = options->format;
    atomic_store(&the.level, (int)options->level);
    (void)pthread_mutex_unlock(&the.lock);
    return SF_OK;
}

enum sf_code sf_log_reopen(struct sf_error *err)
{
    enum sf_code r = SF_OK;
    int fd;

    (void)pthread_mutex_lock(&the.lock);
    if (the.path != NULL) {
        r = open_path(the.path, &fd, err);
        if (r == SF_OK) {
            switch_to(fd, SF_TAKE(the.path));
        }
    }
    (void)pthread_mutex_unlock(&the.lock);
    return r;
}

void sf_log_close(void)
{
    (void)pthread_mutex_lock(&the.lock);
    switch_to(STDERR_FILENO, NULL);
    the.format = SF_LOG_LOGFMT;
    memset(the.repeats, 0, sizeof(the.repeats));
    the.next_repeat = 0;
    atomic_store(&the.level, SF_LOG_WARN);
    (void)pthread_mutex_unlock(&the.lock);
}

enum sf_code sf_log_level_parse(const char *text, enum sf_log_level *ret, struct sf_error *err)
{
    for (int i = SF_LOG_ERROR; i <= SF_LOG_DEBUG; i++) {
        if (strcmp(level_names[i], text) == 0) {
            *ret = (enum sf_log_level)i;
            return SF_OK;
        }
    }
    return SF_RAISE(err, SF_INVALID, "log level '%s' is not one of error, warn, info, debug", text);
}
