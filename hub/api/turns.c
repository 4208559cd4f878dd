#include "hub/api/turns.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/log.h"

struct turns_caller {
    struct sf_list link;    /* in the round */
    struct sf_list waiting; /* struct turn */
    size_t count;           /* waiting and under way */
    size_t bytes;           /* of these */
    size_t told;            /* refusals in this round that were answered */
    bool is_refused;        /* he was, since nothing of his waited last */
    struct sf_label labels[2];
    struct sf_counter refused; /* registered when it counts */
    char name[];
};

static const char *const WAYS[] = {"poll", "control", "http"};

static void caller_free(struct turns_caller *c)
{
    sf_list_remove(&c->link);
    sf_metric_remove(&c->refused.metric);
    while (!sf_list_empty(&c->waiting)) {
        SF_CONTAINER_OF(sf_list_pop(&c->waiting), struct turn, link)->caller = NULL;
    }
    sf_free(c);
}

/* NULL: out of memory. */
static struct turns_caller *caller_of(struct turns *ts, const char *name, enum turns_way way)
{
    struct turns_caller *c = sf_map_get(&ts->callers[way], name);
    const size_t size = strlen(name) + 1;

    if (c != NULL) {
        return c;
    }
    c = sf_calloc(1, sizeof(*c) + size);
    if (c == NULL || sf_map_put(&ts->callers[way], sf_slice_text(name), c) != SF_OK) {
        sf_free(c);
        return NULL;
    }
    sf_list_init(&c->waiting);
    memcpy(c->name, name, size);
    c->labels[0] = (struct sf_label){"caller", c->name};
    c->labels[1] = (struct sf_label){"way", WAYS[way]};
    return c;
}

static void count_refusal(struct turns *ts, struct turns_caller *c)
{
    const struct sf_metric_spec spec = {
        .name = "hub_requests_refused_total",
        .help = "Requests refused because their caller had too many under way.",
        .labels = c->labels,
        .label_count = SF_COUNT(c->labels),
    };

    if (!sf_list_linked(&c->refused.metric.link)) {
        sf_counter_register(ts->metrics, &spec, &c->refused);
    }
    sf_counter_add(&c->refused, 1);
}

static void enter_round(struct turns *ts, struct turns_caller *c)
{
    if (!sf_list_linked(&c->link)) {
        sf_list_push(&ts->round, &c->link);
    }
    if (!sf_list_linked(&ts->next.link)) {
        sf_rt_post(ts->rt, &ts->next);
    }
}

static enum turn_answer refuse(struct turns *ts, struct turns_caller *c)
{
    count_refusal(ts, c);
    if (!c->is_refused) {
        c->is_refused = true;
        sf_log(SF_LOG_WARN, "turns.refused", SF_F_TEXT("caller", c->labels[0].value),
               SF_F_TEXT("way", c->labels[1].value), SF_F_UINT("under_way", c->count));
    }
    if (c->told >= ts->requests_max) {
        return TURN_DROPPED;
    }
    c->told++;
    enter_round(ts, c); /* at its end he may be told again */
    return TURN_REFUSED;
}

enum turn_answer turn_take(struct turns *ts, const char *name, enum turns_way way, size_t size,
                           struct turn *t)
{
    struct turns_caller *c = caller_of(ts, name, way);

    if (c == NULL) {
        return TURN_REFUSED;
    }
    const bool is_first = !sf_list_linked(&c->link);

    /* What others have waiting is no reason to refuse what need not wait. */
    if (c->count >= ts->requests_max || c->bytes + size > TURNS_CALLER_BYTES ||
        (!is_first && ts->bytes + size > TURNS_BYTES)) {
        return refuse(ts, c);
    }
    t->caller = c;
    t->size = size;
    c->count++;
    c->bytes += size;
    ts->bytes += size;
    enter_round(ts, c);
    if (is_first) {
        return TURN_NOW;
    }
    sf_list_push(&c->waiting, &t->link);
    return TURN_LATER;
}

void turn_end(struct turns *ts, struct turn *t)
{
    struct turns_caller *c = SF_TAKE(t->caller);

    if (c != NULL) {
        sf_list_remove(&t->link);
        c->count--;
        c->bytes -= t->size;
        ts->bytes -= t->size;
    }
}

/* A round begins: those who wait have one request each looked at. */
static void on_next(struct sf_task *task)
{
    struct turns *ts = SF_CONTAINER_OF(task, struct turns, next);
    struct sf_list last;

    sf_list_move(&last, &ts->round);
    while (!sf_list_empty(&last)) {
        struct turns_caller *c = SF_CONTAINER_OF(sf_list_pop(&last), struct turns_caller, link);

        c->told = 0;
        if (sf_list_empty(&c->waiting)) {
            c->is_refused = false;
        } else {
            struct turn *t = SF_CONTAINER_OF(sf_list_pop(&c->waiting), struct turn, link);

            enter_round(ts, c);
            t->run(t);
        }
    }
}

void turns_init(struct turns *ts, struct sf_rt *rt, size_t requests_max, struct sf_metrics *metrics)
{
    sf_assert(requests_max > 0);
    *ts = (struct turns){
        .rt = rt, .requests_max = requests_max, .metrics = metrics, .next = {.run = on_next}};
    sf_list_init(&ts->round);
}

void turns_done(struct turns *ts)
{
    sf_list_remove(&ts->next.link);
    for (size_t way = 0; way < TURNS_WAY_COUNT; way++) {
        struct sf_map_entry *entry;
        size_t at = 0;

        while ((entry = sf_map_next(&ts->callers[way], &at)) != NULL) {
            caller_free(entry->value);
        }
        sf_map_done(&ts->callers[way]);
    }
}
