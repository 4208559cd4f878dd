#include "leaf/quality/stats_json.h"

#include <inttypes.h>
#include <math.h>

#include "common/base/time.h"
#include "common/base/utf8.h"
#include "leaf/rowcodec/row.h"

static void write_time(struct sf_json_writer *w, const char *name, int64_t us)
{
    char text[SF_TIME_TEXT_SIZE];

    if (us <= 0 || !sf_time_in_range(us)) {
        sf_json_member_text(w, name, NULL);
        return;
    }
    (void)sf_time_format(us, text);
    sf_json_member_text(w, name, text);
}

/* Values that were kept whole, or texts that were cut, at a character. */
static bool can_show(const struct sf_field *f, const struct sketch_value *v)
{
    return v->present && f->type != SF_TYPE_JSON && f->type != SF_TYPE_LIST &&
           f->type != SF_TYPE_STRUCT && (!v->cut || f->type == SF_TYPE_STRING);
}

static void write_value(struct sf_json_writer *w, const char *name, const struct sf_field *f,
                        const struct sketch_value *kept)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    struct sf_value v = sketch_value_of(kept);

    sf_json_key(w, name);
    if (!can_show(f, kept)) {
        sf_json_null(w);
        return;
    }
    while (kept->cut && v.s.size > 0 && !sf_utf8_is_valid(v.s)) {
        v.s.size--;
    }
    row_render_value_json(f, &v, &text);
    sf_json_raw(w, sf_buf_view(&text));
}

static void write_top(struct sf_json_writer *w, const struct sf_field *f, const struct sketch *s)
{
    struct sketch_top top[STATS_TOP];
    const size_t count = sketch_top(s, top, STATS_TOP);

    sf_json_key(w, "top");
    sf_json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        /* A place that was taken over by values that come once says nothing of any of them. */
        if (!can_show(f, top[i].value) || top[i].count - top[i].over <= top[i].over) {
            continue;
        }
        sf_json_object_begin(w);
        write_value(w, "value", f, top[i].value);
        if (top[i].value->cut) {
            sf_json_member_bool(w, "cut", true);
        }
        sf_json_member_uint(w, "count", top[i].count);
        sf_json_member_uint(w, "over", top[i].over);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

/* JSON has no number for what is beyond a double. */
static void write_moment(struct sf_json_writer *w, const char *name, double value)
{
    sf_json_key(w, name);
    if (isfinite(value)) {
        sf_json_double(w, value);
    } else {
        sf_json_null(w);
    }
}

static void write_field(struct sf_json_writer *w, const struct sf_field *f, const struct sketch *s)
{
    char type[64];

    sf_field_type_text(f, type, sizeof(type));
    sf_json_object_begin(w);
    sf_json_member_text(w, "name", f->name);
    sf_json_member_text(w, "type", type);
    sf_json_member_uint(w, "values", s->values);
    sf_json_member_uint(w, "nulls", s->nulls);
    sf_json_member_uint(w, "distinct", sketch_distinct(s));
    if (sketch_has_bounds(f)) {
        write_value(w, "min", f, &s->min);
        write_value(w, "max", f, &s->max);
    }
    if (sketch_has_moments(f) && s->values > 0) {
        write_moment(w, "mean", s->mean);
        write_moment(w, "deviation", sketch_deviation(s));
    }
    write_top(w, f, s);
    sf_json_object_end(w);
}

static void write_freshness(struct sf_json_writer *w, const struct stats_page *page)
{
    const struct store_head *head = store_lane_head(page->table->lane);
    const struct table_stats *s = page->found->stats;

    sf_json_key(w, "freshness");
    sf_json_object_begin(w);
    if (page->table->contract->event_time >= 0 &&
        served_view_shows_field(page->view, (size_t)page->table->contract->event_time)) {
        write_time(w, "event", s->event_us);
        if (s->event_us != INT64_MIN) {
            sf_json_member_int(w, "event_age_us", page->now_us - s->event_us);
        }
    }
    write_time(w, "commit", head->seq == 0 ? 0 : head->commit_us);
    if (head->seq > 0) {
        sf_json_member_int(w, "commit_age_us", page->now_us - head->commit_us);
    }
    sf_json_object_end(w);
}

/* Whether values of the field are seen as they are; what is counted may be of another version. */
static bool shows(const struct served_view *v, uint32_t number)
{
    const int32_t at = sf_table_field_by_number(v->table->contract, number);

    return at >= 0 && served_view_shows_field(v, (size_t)at);
}

enum sf_code stats_write(const struct stats_page *page, struct sf_buf *out, struct sf_error *err)
{
    const struct sf_product *p = page->table->product->contract;
    const struct store_head *head = store_lane_head(page->table->lane);
    const struct table_stats *s = page->found->stats;
    struct sf_json_writer w = {.out = out};

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "TableStats");
    sf_json_key(&w, "product");
    sf_json_printf(&w, "%s/%s", p->domain, p->name);
    sf_json_key(&w, "version");
    sf_json_printf(&w, "%u.%u.%u", p->version.major, p->version.minor, p->version.patch);
    sf_json_member_text(&w, "table", page->table->contract->name);
    sf_json_key(&w, "position");
    sf_json_printf(&w, "%u:%" PRIu64, page->found->epoch, page->found->seq);
    sf_json_key(&w, "head");
    sf_json_printf(&w, "%u:%" PRIu64, head->epoch, head->seq);
    sf_json_member_uint(&w, "rows", s->rows);
    write_time(&w, "counted", page->found->counted_us);
    sf_json_member_bool(&w, "loose", table_stats_is_loose(s));
    write_freshness(&w, page);
    sf_json_key(&w, "fields");
    sf_json_array_begin(&w);
    for (size_t i = 0; i < s->table->field_count; i++) {
        if (shows(page->view, s->table->fields[i].number)) {
            write_field(&w, &s->table->fields[i], &s->fields[i]);
        }
    }
    sf_json_array_end(&w);
    sf_json_object_end(&w);
    return sf_buf_check(out, "statistics", err);
}
