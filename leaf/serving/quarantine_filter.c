#include "leaf/serving/quarantine_filter.h"

#include <stdio.h>

#include "common/base/str.h"
#include "common/contract/contract.h"
#include "proto/errors.h"

static enum sf_code read_code(const char *text, uint16_t *ret, struct sf_error *err)
{
    uint64_t number = 0;
    struct sf_slice digits = sf_slice_text(text);

    if (sf_slice_starts_with(digits, SF_LITERAL("SHEAF-"))) {
        digits = sf_slice_of(digits.data + 6, digits.size - 6);
    }
    if (sf_slice_starts_with(digits, SF_LITERAL("E"))) {
        digits = sf_slice_of(digits.data + 1, digits.size - 1);
    }
    if (sf_parse_u64(digits, &number) != SF_PARSE_OK || number == 0 || number > 9999) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'code' must be the number of an error: SHEAF-E0204");
    }
    *ret = (uint16_t)number;
    return SF_OK;
}

/* The point in time that lies @text before now; @missing when there is none. */
static enum sf_code read_age(const char *name, const char *text, int64_t now_us, int64_t *ret,
                             struct sf_error *err)
{
    int64_t span_us = 0;

    if (text == NULL) {
        return SF_OK;
    }
    if (sf_parse_duration(sf_slice_text(text), &span_us) != SF_PARSE_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%s' must be a span of time: 30s, 15m, 12h, 90d", name);
    }
    *ret = span_us >= now_us ? 1 : now_us - span_us;
    return SF_OK;
}

enum sf_code quarantine_filter_read(const struct quarantine_filter_form *form, int64_t now_us,
                                    struct quarantine_filter *ret, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    *ret = (struct quarantine_filter){0};
    if (form->code != NULL) {
        code = read_code(form->code, &ret->code, err);
    }
    if (code == SF_OK && form->field != NULL) {
        if (!sf_name_is_table(sf_slice_text(form->field))) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                              "'field' must be the name of a field");
        }
        (void)snprintf(ret->field, sizeof(ret->field), "%s", form->field);
    }
    if (code == SF_OK) {
        code = read_age("older_than", form->older_than, now_us, &ret->to_us, err);
    }
    return code == SF_OK ? read_age("newer_than", form->newer_than, now_us, &ret->from_us, err)
                         : code;
}

bool quarantine_filter_takes(const struct quarantine_filter *f, const struct store_quarantined *e)
{
    bool has_code = f->code == 0;

    for (size_t i = 0; i < e->code_count && !has_code; i++) {
        has_code = e->codes[i] == f->code;
    }
    return has_code && (f->field[0] == '\0' || sf_slice_equal(sf_slice_text(f->field), e->field)) &&
           e->commit_us >= f->from_us && (f->to_us == 0 || e->commit_us < f->to_us);
}
