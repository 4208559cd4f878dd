#include "leaf/serving/deprecation.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/str.h"
#include "common/base/time.h"
#include "proto/subjects.h"

#define S_PER_DAY INT64_C(86400)
#define ALLOWED   "abcdefghijklmnopqrstuvwxyz0123456789-_/@=; "

enum { SUCCESSOR_MAX = 140 };

static void add(char *ret, const char *name, const char *value)
{
    const size_t used = strlen(ret);

    (void)snprintf(ret + used, DEPRECATION_TEXT - used, "%s%s=%s", used == 0 ? "" : "; ", name,
                   value);
}

bool deprecation_text(const struct sf_product *p, char ret[DEPRECATION_TEXT])
{
    char day[SF_DATE_TEXT_SIZE];

    *ret = '\0';
    if (p->status != SF_STATUS_DEPRECATED && p->status != SF_STATUS_RETIRED) {
        return false;
    }
    add(ret, "status", sf_status_name(p->status));
    if (p->has_since) {
        (void)sf_date_format(p->since_days, day);
        add(ret, "since", day);
    }
    if (p->has_sunset) {
        (void)sf_date_format(p->sunset_days, day);
        add(ret, "sunset", day);
    }
    if (p->successor != NULL && strlen(p->successor) <= SUCCESSOR_MAX) {
        add(ret, "successor", p->successor);
    }
    return true;
}

/* The member of that name; empty: there is none. */
static struct sf_slice member(const char *text, const char *name)
{
    const size_t n = strlen(name);

    while (*text != '\0') {
        const size_t size = strcspn(text, ";");

        if (size > n && strncmp(text, name, n) == 0 && text[n] == '=') {
            return sf_slice_of(text + n + 1, size - n - 1);
        }
        text += size;
        text += strspn(text, "; ");
    }
    return sf_slice_text(NULL);
}

static void tell_since(struct sf_http_request *r, struct sf_slice day)
{
    char value[32];
    int32_t days;

    if (sf_date_parse(day, &days) == SF_PARSE_OK) {
        (void)snprintf(value, sizeof(value), "@%" PRId64, days * S_PER_DAY);
        sf_http_add_header(r, "Deprecation", value);
    }
}

/* The last second of the day: it may be gone the day after. */
static void tell_sunset(struct sf_http_request *r, struct sf_slice day)
{
    static const char *const weekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char value[64];
    struct tm tm;
    time_t at;
    int32_t days;

    if (sf_date_parse(day, &days) != SF_PARSE_OK) {
        return;
    }
    at = (time_t)((days + 1) * S_PER_DAY - 1);
    if (gmtime_r(&at, &tm) != NULL) {
        (void)snprintf(value, sizeof(value), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                       weekdays[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
                       tm.tm_hour, tm.tm_min, tm.tm_sec);
        sf_http_add_header(r, "Sunset", value);
    }
}

void deprecation_tell(struct sf_http_request *r, const char *text)
{
    const struct sf_slice successor = member(text == NULL ? "" : text, "successor");
    char link[SUCCESSOR_MAX + 64];

    if (text == NULL || *text == '\0' || strlen(text) >= DEPRECATION_TEXT ||
        strspn(text, ALLOWED) != strlen(text)) {
        return;
    }
    sf_http_add_header(r, HEADER_DEPRECATED, text);
    tell_since(r, member(text, "since"));
    tell_sunset(r, member(text, "sunset"));
    if (successor.size > 0 && successor.size <= SUCCESSOR_MAX) {
        (void)snprintf(link, sizeof(link), "</v1/products/%.*s>; rel=\"successor-version\"",
                       SF_SLICE_ARG(successor));
        sf_http_add_header(r, "Link", link);
    }
}

void deprecation_tell_of(struct sf_http_request *r, const struct sf_product *p)
{
    char text[DEPRECATION_TEXT];

    if (deprecation_text(p, text)) {
        deprecation_tell(r, text);
    }
}
