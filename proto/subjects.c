#include "proto/subjects.h"

#include <stdio.h>
#include <string.h>

void subject_live_source(char ret[SUBJECT_MAX], const struct subject_lane *lane,
                         const char *audience)
{
    (void)snprintf(ret, SUBJECT_MAX, "dp.%s.%s.%s.v%u.%u.%s", lane->domain, lane->product,
                   lane->table, lane->major, lane->partition, audience);
}

void subject_live(char ret[SUBJECT_MAX], const struct subject_lane *lane)
{
    (void)snprintf(ret, SUBJECT_MAX, "dp.%s.%s.%s.v%u.%u", lane->domain, lane->product, lane->table,
                   lane->major, lane->partition);
}

void subject_live_all(char ret[SUBJECT_MAX], const struct subject_lane *lane)
{
    (void)snprintf(ret, SUBJECT_MAX, "dp.%s.%s.%s.v%u.>", lane->domain, lane->product, lane->table,
                   lane->major);
}

void subject_import_source(char ret[SUBJECT_MAX], const char *domain, const char *product,
                           uint32_t major, const char *audience)
{
    (void)snprintf(ret, SUBJECT_MAX, "dp.%s.%s.*.v%u.*.%s", domain, product, major, audience);
}

void subject_import_local(char ret[SUBJECT_MAX], const char *domain, const char *product,
                          uint32_t major)
{
    (void)snprintf(ret, SUBJECT_MAX, "dp.%s.%s.$1.v%u.$2", domain, product, major);
}

void subject_live_export(char ret[SUBJECT_MAX], const char *domain)
{
    (void)snprintf(ret, SUBJECT_MAX, "dp.%s.>", domain);
}

void subject_own(char ret[SUBJECT_MAX], const struct subject_lane *lane)
{
    (void)snprintf(ret, SUBJECT_MAX, "own.%s.%s.v%u.%u", lane->product, lane->table, lane->major,
                   lane->partition);
}

void subject_own_quality(char ret[SUBJECT_MAX], const struct subject_lane *lane)
{
    (void)snprintf(ret, SUBJECT_MAX, "own.%s.%s.v%u.quality", lane->product, lane->table,
                   lane->major);
}

void subject_request_listen(char ret[SUBJECT_MAX], const char *domain)
{
    (void)snprintf(ret, SUBJECT_MAX, "dpq.%s.*.>", domain);
}

void subject_request_source(char ret[SUBJECT_MAX], const char *domain, const char *account)
{
    (void)snprintf(ret, SUBJECT_MAX, "dpq.%s.%s.>", domain, account);
}

void subject_request_local(char ret[SUBJECT_MAX], const char *domain)
{
    (void)snprintf(ret, SUBJECT_MAX, "q.%s.>", domain);
}

void subject_request(char ret[SUBJECT_MAX], const char *domain, const char *product, const char *op)
{
    (void)snprintf(ret, SUBJECT_MAX, "q.%s.%s.%s", domain, product, op);
}

/* Copies the token at *at (up to the next dot) and moves behind it; false: empty or too long. */
static bool take_token(const char **at, char *ret, size_t size)
{
    size_t n = strcspn(*at, ".");

    if (n == 0 || n >= size) {
        return false;
    }
    memcpy(ret, *at, n);
    ret[n] = '\0';
    *at += n + ((*at)[n] == '.');
    return true;
}

bool subject_request_parse(const char *subject, struct subject_request_parts *ret)
{
    char root[8];
    char domain[64];

    *ret = (struct subject_request_parts){0};
    if (!take_token(&subject, root, sizeof(root)) ||
        !take_token(&subject, domain, sizeof(domain))) {
        return false;
    }
    if (strcmp(root, "dpq") == 0) {
        if (!take_token(&subject, ret->account, sizeof(ret->account))) {
            return false;
        }
    } else if (strcmp(root, "q") != 0) {
        return false;
    }
    return take_token(&subject, ret->product, sizeof(ret->product)) &&
           take_token(&subject, ret->op, sizeof(ret->op)) && *subject == '\0';
}

bool subject_is_reserved(const char *subject)
{
    static const char *const roots[] = {"dp.",     "dpq.",  "out.", "in.",
                                        "ingest.", "mesh.", "own.", "$SYS."};

    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        if (strncmp(subject, roots[i], strlen(roots[i])) == 0) {
            return true;
        }
    }
    return false;
}

void subject_service(char ret[SUBJECT_MAX], const char *name, const char *id)
{
    (void)snprintf(ret, SUBJECT_MAX, "$SRV.*%s%s%s%s", name == NULL ? "" : ".",
                   name == NULL ? "" : name, id == NULL ? "" : ".", id == NULL ? "" : id);
}

void subject_request_any(char ret[SUBJECT_MAX], const char *domain, const char *op)
{
    (void)snprintf(ret, SUBJECT_MAX, "q.%s.*.%s", domain, op);
}

void subject_ingest_listen(char ret[SUBJECT_MAX])
{
    (void)snprintf(ret, SUBJECT_MAX, "in.>");
}

void subject_ingest(char ret[SUBJECT_MAX], const struct subject_lane *lane)
{
    (void)snprintf(ret, SUBJECT_MAX, "in.%s.%s.v%u", lane->product, lane->table, lane->major);
}

/* v1 to v4294967295, without leading zeros. */
static bool parse_major(const char *text, uint32_t *ret)
{
    uint64_t value = 0;

    if (text[0] != 'v' || text[1] < '1' || text[1] > '9') {
        return false;
    }
    for (const char *c = text + 1; *c != '\0'; c++) {
        if (*c < '0' || *c > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(*c - '0');
        if (value > UINT32_MAX) {
            return false;
        }
    }
    *ret = (uint32_t)value;
    return true;
}

bool subject_ingest_parse(const char *subject, struct subject_ingest_parts *ret)
{
    char root[4];
    char major[16];

    *ret = (struct subject_ingest_parts){0};
    if (!take_token(&subject, root, sizeof(root)) || strcmp(root, "in") != 0 ||
        !take_token(&subject, ret->product, sizeof(ret->product)) ||
        !take_token(&subject, ret->table, sizeof(ret->table))) {
        return false;
    }
    if (*subject == '\0') {
        bool is_major = parse_major(ret->table, &ret->major);

        ret->table[0] = '\0';
        return is_major;
    }
    return take_token(&subject, major, sizeof(major)) && *subject == '\0' &&
           parse_major(major, &ret->major);
}

void subject_control_listen(char ret[SUBJECT_MAX])
{
    (void)snprintf(ret, SUBJECT_MAX, "mesh.ctl.*.>");
}

void subject_control_source(char ret[SUBJECT_MAX], const char *account)
{
    (void)snprintf(ret, SUBJECT_MAX, "mesh.ctl.%s.>", account);
}

void subject_control(char ret[SUBJECT_MAX], const char *op)
{
    (void)snprintf(ret, SUBJECT_MAX, "mesh.%s", op);
}

bool subject_control_parse(const char *subject, char *ret_account, char *ret_op)
{
    static const char root[] = "mesh.ctl.";

    if (strncmp(subject, root, sizeof(root) - 1) != 0) {
        return false;
    }
    subject += sizeof(root) - 1;
    if (!take_token(&subject, ret_account, 64) || *subject == '\0' || strlen(subject) >= 64) {
        return false;
    }
    memcpy(ret_op, subject, strlen(subject) + 1);
    return true;
}

void subject_control_local(char ret[SUBJECT_MAX])
{
    (void)snprintf(ret, SUBJECT_MAX, "mesh.>");
}
