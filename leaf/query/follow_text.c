#include "leaf/query/follow_text.h"

#include <string.h>

#include "common/wire/problem.h"

static const char *const names[] = {
    [FOLLOW_SNAPSHOT] = "snapshot",
    [FOLLOW_ROWS] = "rows",
    [FOLLOW_POSITION] = "position",
    [FOLLOW_CHANGES] = "changes",
    [FOLLOW_HEARTBEAT] = "heartbeat",
    [FOLLOW_EPOCH] = "epoch",
    [FOLLOW_END] = "end",
};

const char *follow_kind_name(enum follow_kind kind)
{
    return names[kind];
}

bool follow_kind_parse(const char *name, enum follow_kind *ret)
{
    for (size_t i = 0; i < SF_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = (enum follow_kind)i;
            return true;
        }
    }
    return false;
}

static void member_position(struct sf_json_writer *w, const char *name, uint32_t epoch,
                            uint64_t seq)
{
    sf_json_key(w, name);
    sf_json_printf(w, "%u:%llu", epoch, (unsigned long long)seq);
}

static void write_problem(const struct sf_error *err, struct sf_json_writer *w)
{
    const struct sheaf_error_info *info = sf_problem_info(err);

    sf_json_member_text(w, "event", "error");
    sf_json_key(w, "code");
    sf_json_printf(w, "SHEAF-E%04u", info->number);
    sf_json_member_uint(w, "status", info->http_status);
    sf_json_member_text(w, "title", info->title);
    sf_json_member_text(w, "detail", err->text);
    sf_json_member_text(w, "next", info->next);
}

static void write_members(const struct follow_event *e, struct sf_json_writer *w)
{
    sf_json_member_text(w, "event", names[e->kind]);
    switch (e->kind) {
    case FOLLOW_SNAPSHOT:
        member_position(w, "head", e->epoch, e->head_seq);
        break;
    case FOLLOW_HEARTBEAT:
        member_position(w, "position", e->epoch, e->seq);
        member_position(w, "head", e->epoch, e->head_seq);
        break;
    case FOLLOW_EPOCH:
        sf_json_member_uint(w, "epoch", e->epoch);
        member_position(w, "head", e->epoch, e->head_seq);
        break;
    case FOLLOW_POSITION:
    case FOLLOW_END:
    case FOLLOW_ROWS:
    case FOLLOW_CHANGES:
        member_position(w, "position", e->epoch, e->seq);
        break;
    }
}

void follow_write(const struct follow_event *e, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    if (e->kind == FOLLOW_ROWS || e->kind == FOLLOW_CHANGES) {
        sf_buf_slice(out, e->lines);
        return;
    }
    sf_json_object_begin(&w);
    if (e->err != NULL) {
        write_problem(e->err, &w);
    } else {
        write_members(e, &w);
    }
    sf_json_object_end(&w);
    sf_buf_byte(out, '\n');
}

/* --- server-sent events ----------------------------------------------------------------------- */

/* The seq of a line {"seq":N,...; 0 when it has none. */
static uint64_t seq_of(struct sf_slice line)
{
    static const char begin[] = "{\"seq\":";
    const size_t n = sizeof(begin) - 1;
    uint64_t seq = 0;

    if (line.size < n || memcmp(line.data, begin, n) != 0) {
        return 0;
    }
    for (size_t i = n; i < line.size && line.data[i] >= '0' && line.data[i] <= '9'; i++) {
        seq = seq * 10 + (uint64_t)(line.data[i] - '0');
    }
    return seq;
}

static void write_one(enum follow_kind kind, uint32_t epoch, uint64_t seq, struct sf_slice line,
                      struct sf_buf *out)
{
    if (kind != FOLLOW_ROWS && kind != FOLLOW_CHANGES) {
        const bool is_error = line.size > 16 && memcmp(line.data, "{\"event\":\"error\"", 16) == 0;

        sf_buf_printf(out, "event: %s\n", is_error ? "error" : names[kind]);
    }
    if (kind == FOLLOW_CHANGES) {
        seq = seq_of(line);
    }
    if (kind == FOLLOW_CHANGES || kind == FOLLOW_POSITION || kind == FOLLOW_HEARTBEAT) {
        sf_buf_printf(out, "id: %u:%llu\n", epoch, (unsigned long long)seq);
    }
    sf_buf_text(out, "data: ");
    sf_buf_slice(out, line);
    sf_buf_text(out, "\n\n");
}

void follow_write_sse(enum follow_kind kind, uint32_t epoch, uint64_t seq, struct sf_slice lines,
                      struct sf_buf *out)
{
    while (lines.size > 0) {
        const uint8_t *end = memchr(lines.data, '\n', lines.size);
        const size_t n = end == NULL ? lines.size : (size_t)(end - lines.data);

        if (n > 0) {
            write_one(kind, epoch, seq, sf_slice_of(lines.data, n), out);
        }
        lines.data += n + (end != NULL);
        lines.size -= n + (end != NULL);
    }
}
