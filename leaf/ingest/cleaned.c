#include "leaf/ingest/cleaned.h"

#include "common/base/alloc.h"
#include "common/wire/json.h"

enum { STEPS = 5 };

static const char *const steps[STEPS] = {"trimmed", "cased", "parsed", "missing", "defaulted"};

static void split(const struct sf_clean_counts *c, uint64_t ret[STEPS])
{
    ret[0] = c->trimmed;
    ret[1] = c->cased;
    ret[2] = c->parsed;
    ret[3] = c->missing;
    ret[4] = c->defaulted;
}

/* What the map holds of a lane. */
struct cleaned_table {
    struct sf_map fields; /* by name: struct sf_clean_counts, owned */
    struct sf_counter counters[STEPS];
    struct sf_label labels[STEPS][3];
};

void cleaned_init(struct cleaned *c, struct sf_metrics *metrics)
{
    *c = (struct cleaned){.metrics = metrics};
}

static void table_free(struct cleaned_table *t)
{
    struct sf_clean_counts *counts;
    size_t at = 0;
    struct sf_map_entry *e;

    while ((e = sf_map_next(&t->fields, &at)) != NULL) {
        counts = e->value;
        sf_free(counts);
    }
    sf_map_done(&t->fields);
    for (size_t i = 0; i < STEPS; i++) {
        sf_metric_remove(&t->counters[i].metric);
    }
    sf_free(t);
}

void cleaned_done(struct cleaned *c)
{
    size_t at = 0;
    struct sf_map_entry *e;

    while ((e = sf_map_next(&c->tables, &at)) != NULL) {
        table_free(e->value);
    }
    sf_map_done(&c->tables);
}

static struct sf_slice key_of(const struct served_table *table, uint32_t *ret)
{
    *ret = store_lane_id(table->lane);
    return sf_slice_of((const uint8_t *)ret, sizeof(*ret));
}

/* Names of a lane live as long as the store, and so do the labels. */
static void register_counters(struct cleaned *c, const struct served_table *table,
                              struct cleaned_table *t)
{
    const struct store_lane_name *name = store_lane_name(table->lane);

    for (size_t i = 0; i < STEPS; i++) {
        t->labels[i][0] = (struct sf_label){"product", name->product};
        t->labels[i][1] = (struct sf_label){"table", name->table};
        t->labels[i][2] = (struct sf_label){"step", steps[i]};
        sf_counter_register(c->metrics,
                            &(struct sf_metric_spec){
                                .name = "ingest_cleaned_values_total",
                                .help = "Values changed as their fields declare, by step.",
                                .labels = t->labels[i],
                                .label_count = 3,
                            },
                            &t->counters[i]);
    }
}

static struct cleaned_table *find_or_make(struct cleaned *c, const struct served_table *table)
{
    uint32_t id;
    const struct sf_slice key = key_of(table, &id);
    struct cleaned_table *t = sf_map_find(&c->tables, key);

    if (t != NULL) {
        return t;
    }
    t = sf_calloc(1, sizeof(*t));
    if (t == NULL) {
        return NULL;
    }
    if (sf_map_put(&c->tables, key, t) != SF_OK) {
        sf_free(t);
        return NULL;
    }
    register_counters(c, table, t);
    return t;
}

static void add_field(struct cleaned_table *t, const char *name, const struct sf_clean_counts *c)
{
    struct sf_clean_counts *sum = sf_map_get(&t->fields, name);
    uint64_t by_step[STEPS];

    if (sum == NULL) {
        sum = sf_calloc(1, sizeof(*sum));
        if (sum == NULL || sf_map_put(&t->fields, sf_slice_text(name), sum) != SF_OK) {
            sf_free(sum);
            return;
        }
    }
    sf_clean_counts_add(sum, c);
    split(c, by_step);
    for (size_t i = 0; i < STEPS; i++) {
        sf_counter_add(&t->counters[i], by_step[i]);
    }
}

void cleaned_add(struct cleaned *c, const struct served_table *table,
                 const struct sf_clean_counts *counts)
{
    struct cleaned_table *t;

    if (!cleaned_any(table->contract, counts)) {
        return;
    }
    t = find_or_make(c, table);
    for (size_t i = 0; t != NULL && i < table->contract->field_count; i++) {
        if (sf_clean_counts_any(&counts[i])) {
            add_field(t, table->contract->fields[i].name, &counts[i]);
        }
    }
}

const struct sf_clean_counts *cleaned_of(const struct cleaned *c, const struct served_table *table,
                                         const char *field)
{
    uint32_t id;
    const struct cleaned_table *t = sf_map_find(&c->tables, key_of(table, &id));

    return t == NULL ? NULL : sf_map_get(&t->fields, field);
}

bool cleaned_any(const struct sf_table *table, const struct sf_clean_counts *counts)
{
    for (size_t i = 0; counts != NULL && i < table->field_count; i++) {
        if (sf_clean_counts_any(&counts[i])) {
            return true;
        }
    }
    return false;
}

void cleaned_write(const struct sf_table *table, const struct sf_clean_counts *counts,
                   struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    sf_json_object_begin(&w);
    for (size_t i = 0; i < table->field_count; i++) {
        uint64_t by_step[STEPS];

        if (!sf_clean_counts_any(&counts[i])) {
            continue;
        }
        split(&counts[i], by_step);
        sf_json_key(&w, table->fields[i].name);
        sf_json_object_begin(&w);
        for (size_t s = 0; s < STEPS; s++) {
            if (by_step[s] > 0) {
                sf_json_member_uint(&w, steps[s], by_step[s]);
            }
        }
        sf_json_object_end(&w);
    }
    sf_json_object_end(&w);
}
