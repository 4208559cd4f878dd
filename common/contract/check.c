#include "common/contract/check.h"

#include <string.h>

#include "common/base/str.h"
#include "common/contract/value.h"

struct reader {
    const char *text;
    size_t at;
    const struct sf_table *table;
    struct sf_check_error *err;
};

static const struct {
    const char *name;
    enum sf_check_metric metric;
    bool has_fields;
    bool has_percent;
    bool of_numbers;
} metrics[] = {
    {"rows", SF_CHECK_ROWS, false, false, false},
    {"invalid", SF_CHECK_INVALID, false, true, false},
    {"nulls", SF_CHECK_NULLS, true, true, false},
    {"duplicates", SF_CHECK_DUPLICATES, true, true, false},
    {"distinct", SF_CHECK_DISTINCT, true, false, false},
    {"min", SF_CHECK_MIN, true, false, true},
    {"max", SF_CHECK_MAX, true, false, true},
    {"mean", SF_CHECK_MEAN, true, false, true},
};

const char *const *sf_check_metric_names(size_t *ret_count)
{
    static const char *const names[] = {"rows",     "invalid", "nulls", "duplicates",
                                        "distinct", "min",     "max",   "mean"};

    _Static_assert(SF_COUNT(names) == SF_COUNT(metrics), "one name per metric");
    *ret_count = SF_COUNT(names);
    return names;
}

static bool fail(const struct reader *r, size_t at, const char *what)
{
    *r->err = (struct sf_check_error){.at = at, .what = what};
    return false;
}

/* What stands right before is no name of its kind. */
static bool fail_name(const struct reader *r, struct sf_slice given, enum sf_check_names names,
                      const char *what)
{
    *r->err = (struct sf_check_error){r->at - given.size, what, names, given};
    return false;
}

static void skip_blanks(struct reader *r)
{
    while (r->text[r->at] == ' ') {
        r->at++;
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static struct sf_slice take_word(struct reader *r)
{
    size_t start;

    skip_blanks(r);
    start = r->at;
    while (is_letter(r->text[r->at])) {
        r->at++;
    }
    return sf_slice_of((const uint8_t *)r->text + start, r->at - start);
}

static bool take(struct reader *r, const char *what)
{
    const size_t n = strlen(what);

    skip_blanks(r);
    if (strncmp(r->text + r->at, what, n) != 0) {
        return false;
    }
    r->at += n;
    return true;
}

static bool is_number(enum sf_type type)
{
    return type == SF_TYPE_INT32 || type == SF_TYPE_INT64 || type == SF_TYPE_FLOAT ||
           type == SF_TYPE_DOUBLE || type == SF_TYPE_DECIMAL || type == SF_TYPE_DECIMAL_WIDE;
}

static bool read_field(struct reader *r, bool of_numbers, struct sf_check *c)
{
    struct sf_slice name = take_word(r);
    const size_t at = r->at - name.size;
    const int32_t index = sf_table_field_index(r->table, name);

    if (name.size == 0 || index < 0) {
        return fail_name(r, name, SF_CHECK_NAMES_FIELDS, "there is no such field");
    }
    if (!sf_type_is_scalar(r->table->fields[index].type) ||
        r->table->fields[index].type == SF_TYPE_JSON) {
        return fail(r, at, "a list, struct or json cannot be checked");
    }
    if (of_numbers && !is_number(r->table->fields[index].type)) {
        return fail(r, at, "the field is not a number");
    }
    if (c->field_count == SF_CHECK_FIELDS_MAX) {
        return fail(r, at, "a check names at most 8 fields");
    }
    c->fields[c->field_count++] = (uint16_t)index;
    return true;
}

static bool read_fields(struct reader *r, bool of_numbers, struct sf_check *c)
{
    if (!take(r, "(")) {
        return fail(r, r->at, "here a field stands in parentheses");
    }
    do {
        if (!read_field(r, of_numbers, c)) {
            return false;
        }
    } while (c->metric == SF_CHECK_DUPLICATES && take(r, ","));
    return take(r, ")") || fail(r, r->at, "a closing parenthesis is missing");
}

static bool read_op(struct reader *r, enum sf_check_op *ret)
{
    static const struct {
        const char *text;
        enum sf_check_op op;
    } ops[] = {{"!=", SF_CHECK_NE}, {"<=", SF_CHECK_LE}, {">=", SF_CHECK_GE},
               {"=", SF_CHECK_EQ},  {"<", SF_CHECK_LT},  {">", SF_CHECK_GT}};

    for (size_t i = 0; i < SF_COUNT(ops); i++) {
        if (take(r, ops[i].text)) {
            *ret = ops[i].op;
            return true;
        }
    }
    return fail(r, r->at, "here stands one of = != < <= > >=");
}

/* The number as the field of min or max keeps its values, unless it has more digits behind the
 * point than they. One beyond all of them is as good as any such. */
static void read_exact(const struct sf_table *table, struct sf_slice number, struct sf_check *c)
{
    const struct sf_field *f = &table->fields[c->fields[0]];
    enum sf_parse parsed;

    if ((c->metric != SF_CHECK_MIN && c->metric != SF_CHECK_MAX) || f->type == SF_TYPE_FLOAT ||
        f->type == SF_TYPE_DOUBLE) {
        return;
    }
    parsed = sf_decimal_wide_parse(number, SF_DECIMAL_WIDE_PRECISION_MAX, f->scale, c->exact);
    if (parsed == SF_PARSE_RANGE) {
        const __int128 most = (__int128)(~(unsigned __int128)0 >> 1);

        sf_decimal_wide_put(c->value < 0 ? -most : most, c->exact);
    }
    c->is_exact = parsed == SF_PARSE_OK || parsed == SF_PARSE_RANGE;
}

static bool read_number(struct reader *r, bool may_be_percent, struct sf_check *c)
{
    struct sf_slice number;
    size_t start;

    skip_blanks(r);
    start = r->at;
    while (r->text[r->at] != '\0' && r->text[r->at] != '%' && r->text[r->at] != ' ') {
        r->at++;
    }
    number = sf_slice_of((const uint8_t *)r->text + start, r->at - start);
    if (sf_parse_double(number, &c->value) != SF_PARSE_OK) {
        return fail(r, start, "here stands a number");
    }
    read_exact(r->table, number, c);
    c->percent = take(r, "%");
    if (c->percent && !may_be_percent) {
        return fail(r, r->at - 1, "a percentage is of nulls, duplicates or invalid");
    }
    skip_blanks(r);
    return r->text[r->at] == '\0' || fail(r, r->at, "the check should end here");
}

bool sf_check_parse(const char *text, const struct sf_table *table, struct sf_check *ret,
                    struct sf_check_error *err)
{
    struct reader r = {.text = text, .table = table, .err = err};
    struct sf_slice name = take_word(&r);

    *ret = (struct sf_check){.text = text};
    for (size_t i = 0; i < SF_COUNT(metrics); i++) {
        if (!sf_slice_equal(name, sf_slice_text(metrics[i].name))) {
            continue;
        }
        ret->metric = metrics[i].metric;
        return (!metrics[i].has_fields || read_fields(&r, metrics[i].of_numbers, ret)) &&
               read_op(&r, &ret->op) && read_number(&r, metrics[i].has_percent, ret);
    }
    return fail_name(&r, name, SF_CHECK_NAMES_METRICS,
                     "a check begins with rows, invalid, nulls, duplicates, distinct, min, max or "
                     "mean");
}

bool sf_check_holds_at(const struct sf_check *check, int order)
{
    switch (check->op) {
    case SF_CHECK_EQ:
        return order == 0;
    case SF_CHECK_NE:
        return order != 0;
    case SF_CHECK_LT:
        return order < 0;
    case SF_CHECK_LE:
        return order <= 0;
    case SF_CHECK_GT:
        return order > 0;
    case SF_CHECK_GE:
        return order >= 0;
    }
    return false;
}

bool sf_check_holds(const struct sf_check *check, double actual)
{
    return sf_check_holds_at(check, (actual > check->value) - (actual < check->value));
}

int sf_check_compare(const struct sf_check *check, const struct sf_field *field,
                     const struct sf_value *actual)
{
    uint8_t wide[SF_DECIMAL_WIDE_SIZE];
    const uint8_t *value = wide;
    int order;

    if (field->type == SF_TYPE_DECIMAL_WIDE) {
        value = actual->s.data;
    } else {
        sf_decimal_wide_put(actual->i, wide);
    }
    order = sf_decimal_wide_compare(value, check->exact);
    return (order > 0) - (order < 0);
}
