#include "common/bus/bus.h"

#include "common/bus/subject.h"

enum { SUBJECT_SIZE_MAX = 1024 };

const char *sf_bus_msg_header(const struct sf_bus_msg *m, const char *name)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (strcmp(m->headers[i].name, name) == 0) {
            return m->headers[i].value;
        }
    }
    return NULL;
}

/* Printable, or of UTF-8, and nothing the protocol gives a meaning. */
static bool is_plain(unsigned char c)
{
    return c > ' ' && c != 0x7f && c != '.' && c != '*' && c != '>';
}

static bool check_subject(const char *subject, bool allows_wildcards)
{
    for (const char *at = subject; at != NULL; at++) {
        const char *token = at;

        while (is_plain((unsigned char)*at)) {
            at++;
        }
        if (at == token && allows_wildcards && (*at == '*' || (*at == '>' && at[1] == '\0'))) {
            at++;
        }
        if (at == token || at - subject > SUBJECT_SIZE_MAX || (*at != '.' && *at != '\0')) {
            return false;
        }
        if (*at == '\0') {
            return true;
        }
    }
    return false;
}

bool sf_subject_is_literal(const char *subject)
{
    return check_subject(subject, /* allows_wildcards= */ false);
}

bool sf_subject_is_pattern(const char *subject)
{
    return check_subject(subject, /* allows_wildcards= */ true);
}

bool sf_subject_matches(const char *pattern, const char *subject)
{
    for (;;) {
        size_t want = strcspn(pattern, ".");
        size_t have = strcspn(subject, ".");

        if (want == 1 && *pattern == '>') {
            return true;
        }
        if (!(want == 1 && *pattern == '*') &&
            (want != have || memcmp(pattern, subject, want) != 0)) {
            return false;
        }
        if (pattern[want] == '\0' || subject[have] == '\0') {
            return pattern[want] == subject[have];
        }
        pattern += want + 1;
        subject += have + 1;
    }
}

static bool is_header(const struct sf_bus_header *h)
{
    const char *name = h->name;

    while ((unsigned char)*name > ' ' && *name != ':') {
        name++;
    }
    return name != h->name && *name == '\0' && strchr(h->value, '\r') == NULL &&
           strchr(h->value, '\n') == NULL;
}

enum sf_code sf_bus_msg_check(const struct sf_bus_msg *m, struct sf_error *err)
{
    if (!sf_subject_is_literal(m->subject)) {
        return SF_RAISE(err, SF_INVALID, "not a subject to publish to");
    }
    if (m->reply != NULL && m->reply[0] != '\0' && !sf_subject_is_literal(m->reply)) {
        return SF_RAISE(err, SF_INVALID, "not a subject to reply to");
    }
    for (size_t i = 0; i < m->header_count; i++) {
        if (!is_header(&m->headers[i])) {
            return SF_RAISE(err, SF_INVALID, "header %zu is not one that NATS allows", i + 1);
        }
    }
    return SF_OK;
}
