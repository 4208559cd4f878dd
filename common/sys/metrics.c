#include "common/sys/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"

static const uint64_t bounds_ns[SF_HISTOGRAM_BUCKETS] = {
    100000,   250000,    500000,    1000000,   2500000,    5000000,    10000000,   25000000,
    50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000,
};

void sf_metrics_init(struct sf_metrics *m)
{
    sf_list_init(&m->metrics);
}

static struct sf_metric *metric_of(struct sf_list *link)
{
    return SF_CONTAINER_OF(link, struct sf_metric, link);
}

/* Letters, digits and underscores, no digit first: what both metric and label names may be. */
static bool is_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || *c == '_';

        if (!letter && (c == name || *c < '0' || *c > '9')) {
            return false;
        }
    }
    return *name != '\0';
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);

    return size > strlen(end) && strcmp(name + size - strlen(end), end) == 0;
}

static void add(struct sf_metrics *m, struct sf_metric *metric, enum sf_metric_kind kind,
                const struct sf_metric_spec *spec)
{
    struct sf_list *at = &m->metrics;

    sf_assert(is_name(spec->name));
    for (size_t i = 0; i < spec->label_count; i++) {
        sf_assert(is_name(spec->labels[i].name));
    }
    metric->kind = kind;
    metric->spec = *spec;
    for (struct sf_list *other = m->metrics.next; other != &m->metrics; other = other->next) {
        if (strcmp(metric_of(other)->spec.name, spec->name) == 0) {
            sf_assert(metric_of(other)->kind == kind);
            at = other->next; /* behind the last of its family */
        }
    }
    sf_list_push(at, &metric->link);
}

void sf_metric_remove(struct sf_metric *m)
{
    sf_list_remove(&m->link);
}

void sf_counter_register(struct sf_metrics *m, const struct sf_metric_spec *spec,
                         struct sf_counter *c)
{
    sf_assert(ends_with(spec->name, "_total"));
    atomic_init(&c->value, 0);
    add(m, &c->metric, SF_METRIC_COUNTER, spec);
}

void sf_gauge_register(struct sf_metrics *m, const struct sf_metric_spec *spec, struct sf_gauge *g)
{
    atomic_init(&g->value, 0);
    add(m, &g->metric, SF_METRIC_GAUGE, spec);
}

void sf_histogram_register(struct sf_metrics *m, const struct sf_metric_spec *spec,
                           struct sf_histogram *h)
{
    sf_assert(ends_with(spec->name, "_seconds"));
    for (size_t i = 0; i < SF_COUNT(h->counts); i++) {
        atomic_init(&h->counts[i], 0);
    }
    atomic_init(&h->sum_ns, 0);
    add(m, &h->metric, SF_METRIC_HISTOGRAM, spec);
}

void sf_histogram_observe(struct sf_histogram *h, uint64_t duration_ns)
{
    size_t i = 0;

    while (i < SF_HISTOGRAM_BUCKETS && duration_ns > bounds_ns[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&h->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_ns, duration_ns, memory_order_relaxed);
}

/* Text. */

static void put_escaped(struct sf_buf *b, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            sf_buf_text(b, "\\n");
        } else if (*text == '\\' || (quotes && *text == '"')) {
            sf_buf_byte(b, '\\');
            sf_buf_byte(b, (uint8_t)*text);
        } else {
            sf_buf_byte(b, (uint8_t)*text);
        }
    }
}

static void put_head(struct sf_buf *b, const struct sf_metric *m)
{
    static const char *const kinds[] = {
        [SF_METRIC_COUNTER] = "counter",
        [SF_METRIC_GAUGE] = "gauge",
        [SF_METRIC_HISTOGRAM] = "histogram",
    };

    sf_buf_printf(b, "# HELP sheaf_%s ", m->spec.name);
    put_escaped(b, m->spec.help, false);
    sf_buf_printf(b, "\n# TYPE sheaf_%s %s\n", m->spec.name, kinds[m->kind]);
}

/* "sheaf_name_suffix{labels,le="bound"} ", up to the value. @le NULL: no such label. */
static void put_series(struct sf_buf *b, const struct sf_metric *m, const char *suffix,
                       const char *le)
{
    const char *separator = "{";

    sf_buf_printf(b, "sheaf_%s%s", m->spec.name, suffix);
    for (size_t i = 0; i < m->spec.label_count; i++) {
        sf_buf_printf(b, "%s%s=\"", separator, m->spec.labels[i].name);
        put_escaped(b, m->spec.labels[i].value, true);
        sf_buf_byte(b, '"');
        separator = ",";
    }
    if (le != NULL) {
        sf_buf_printf(b, "%sle=\"%s\"", separator, le);
        separator = ",";
    }
    sf_buf_text(b, *separator == ',' ? "} " : " ");
}

/* Seconds without what printf() would round away, and without zeros at the end. */
static void format_seconds(uint64_t ns, char ret[32])
{
    size_t size =
        (size_t)snprintf(ret, 32, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);

    while (ret[size - 1] == '0') {
        size--;
    }
    size -= ret[size - 1] == '.' ? 1 : 0;
    ret[size] = '\0';
}

static void put_histogram(struct sf_buf *b, const struct sf_metric *m)
{
    const struct sf_histogram *h = (const struct sf_histogram *)(const void *)m;
    uint64_t sum_ns = atomic_load_explicit(&h->sum_ns, memory_order_relaxed);
    uint64_t count = 0;
    char text[32];

    for (size_t i = 0; i < SF_HISTOGRAM_BUCKETS; i++) {
        count += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        format_seconds(bounds_ns[i], text);
        put_series(b, m, "_bucket", text);
        sf_buf_printf(b, "%" PRIu64 "\n", count);
    }
    count += atomic_load_explicit(&h->counts[SF_HISTOGRAM_BUCKETS], memory_order_relaxed);
    put_series(b, m, "_bucket", "+Inf");
    sf_buf_printf(b, "%" PRIu64 "\n", count);
    put_series(b, m, "_sum", NULL);
    format_seconds(sum_ns, text);
    sf_buf_printf(b, "%s\n", text);
    put_series(b, m, "_count", NULL);
    sf_buf_printf(b, "%" PRIu64 "\n", count);
}

static void put_metric(struct sf_buf *b, const struct sf_metric *m)
{
    switch (m->kind) {
    case SF_METRIC_COUNTER:
        put_series(b, m, "", NULL);
        sf_buf_printf(b, "%" PRIu64 "\n",
                      atomic_load_explicit(&((const struct sf_counter *)(const void *)m)->value,
                                           memory_order_relaxed));
        break;
    case SF_METRIC_GAUGE:
        put_series(b, m, "", NULL);
        sf_buf_printf(b, "%" PRId64 "\n",
                      atomic_load_explicit(&((const struct sf_gauge *)(const void *)m)->value,
                                           memory_order_relaxed));
        break;
    case SF_METRIC_HISTOGRAM:
        put_histogram(b, m);
        break;
    }
}

void sf_metrics_render(const struct sf_metrics *m, struct sf_buf *b)
{
    const char *family = "";

    for (struct sf_list *at = m->metrics.next; at != &m->metrics; at = at->next) {
        const struct sf_metric *metric = metric_of(at);

        if (strcmp(metric->spec.name, family) != 0) {
            family = metric->spec.name;
            put_head(b, metric);
        }
        put_metric(b, metric);
    }
}
