#include "common/settings/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/str.h"

#define PREFIX "SHEAF_"

enum {
    HELP_COLUMN = 30,
    NAME_SIZE = 64, /* of a variable, with its prefix */
};

struct value {
    enum sf_setting_origin origin;
    const char *text; /* borrowed from argv, the environment, the file or the table */
    int64_t number;
    uint32_t line; /* of the file */
    char derived[24];
};

struct sf_config {
    const struct sf_setting *table;
    size_t count;
    struct value values[]; /* one for each setting */
};

/* Values. */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {0}};
static const struct unit sizes[] = {
    {"", 1}, {"KiB", 1024}, {"MiB", INT64_C(1) << 20}, {"GiB", INT64_C(1) << 30}, {0}};
static const struct unit plain[] = {{"", 1}, {0}};

static bool parse_number(const char *text, const struct unit *units, int64_t *ret)
{
    char *rest;
    long long number;

    if (!isdigit((unsigned char)text[text[0] == '-' ? 1 : 0])) {
        return false;
    }
    errno = 0;
    number = strtoll(text, &rest, 10);
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, rest) == 0) {
            return errno == 0 && !__builtin_mul_overflow(number, units->factor, ret);
        }
    }
    return false;
}

static bool parse_switch(const char *text, int64_t *ret)
{
    *ret = strcmp(text, "true") == 0 ? 1 : 0;
    return *ret == 1 || strcmp(text, "false") == 0;
}

static bool parse_value(const struct sf_setting *s, const char *text, int64_t *ret)
{
    switch (s->type) {
    case SF_SETTING_TEXT:
        *ret = (int64_t)strlen(text);
        return true;
    case SF_SETTING_SWITCH:
        return parse_switch(text, ret);
    case SF_SETTING_NUMBER:
        return parse_number(text, plain, ret);
    case SF_SETTING_DURATION:
        return parse_number(text, durations, ret);
    case SF_SETTING_SIZE:
        return parse_number(text, sizes, ret);
    }
    return false;
}

static const char *form_of(enum sf_setting_type type)
{
    switch (type) {
    case SF_SETTING_TEXT:
        return "a text";
    case SF_SETTING_SWITCH:
        return "true or false";
    case SF_SETTING_NUMBER:
        return "a whole number";
    case SF_SETTING_DURATION:
        return "a duration such as 250ms, 30s, 5m, 1h";
    case SF_SETTING_SIZE:
        return "a size such as 512, 64KiB, 64MiB, 2GiB";
    }
    return "";
}

/* As a user would write it, in the largest unit that divides it. */
static void put_number(struct sf_buf *b, const struct sf_setting *s, int64_t number)
{
    const struct unit *units = s->type == SF_SETTING_DURATION ? durations
                               : s->type == SF_SETTING_SIZE   ? sizes
                                                              : plain;
    const struct unit *best = units;

    for (; units->name != NULL; units++) {
        if (number != 0 && number % units->factor == 0) {
            best = units;
        }
    }
    sf_buf_printf(b, "%" PRId64 "%s", number / best->factor, best->name);
}

static void put_range(struct sf_buf *b, const struct sf_setting *s)
{
    put_number(b, s, s->min);
    sf_buf_text(b, " to ");
    put_number(b, s, s->max);
    sf_buf_text(b, s->type == SF_SETTING_TEXT ? " bytes" : "");
}

static bool is_limited(const struct sf_setting *s)
{
    return s->type != SF_SETTING_SWITCH && (s->min != 0 || s->max != 0);
}

static bool is_chosen(const struct sf_setting *s, const char *text)
{
    const char *const *at = s->choices;

    while (at != NULL && *at != NULL && strcmp(*at, text) != 0) {
        at++;
    }
    return at == NULL || *at != NULL;
}

static void put_choices(struct sf_buf *b, const struct sf_setting *s)
{
    for (size_t i = 0; s->choices[i] != NULL; i++) {
        const char *gap = i == 0 ? "" : s->choices[i + 1] == NULL ? " or " : ", ";

        sf_buf_text(b, gap);
        sf_buf_text(b, s->choices[i]);
    }
}

static bool check_value(const struct sf_setting *s, const char *text, int64_t *ret,
                        struct sf_buf *why)
{
    const char *wanted = NULL;

    if (!parse_value(s, text, ret)) {
        sf_buf_printf(why, "'%s' is not %s", text, form_of(s->type));
        return false;
    }
    if (is_limited(s) && (*ret < s->min || *ret > s->max)) {
        sf_buf_printf(why, "'%s' is out of range, which is ", text);
        put_range(why, s);
        return false;
    }
    if (!is_chosen(s, text)) {
        sf_buf_printf(why, "'%s' is not ", text);
        put_choices(why, s);
        return false;
    }
    if (s->check != NULL) {
        wanted = s->check(text);
    }
    if (wanted != NULL) {
        sf_buf_printf(why, "'%s' is not %s", text, wanted);
    }
    return wanted == NULL;
}

bool sf_setting_check(const struct sf_setting *s, const char *text, struct sf_buf *why)
{
    int64_t number;

    return check_value(s, text, &number, why);
}

static enum sf_code set(struct sf_config *c, size_t i, const char *text,
                        enum sf_setting_origin origin, const char *said, struct sf_error *err)
{
    struct sf_buf why = {0};
    enum sf_code r = SF_OK;
    int64_t number;

    if (check_value(&c->table[i], text, &number, &why)) {
        c->values[i] = (struct value){.origin = origin, .text = text, .number = number};
    } else {
        const char *shown = sf_buf_cstr(&why);

        r = SF_RAISE(err, SF_INVALID, "%s: %s", said, shown == NULL ? "not allowed" : shown);
    }
    sf_buf_done(&why);
    return r;
}

/* Names. */

static void variable_name(const char *key, char ret[NAME_SIZE])
{
    size_t size = sizeof(PREFIX) - 1;

    sf_assert(strlen(key) + size < NAME_SIZE);
    memcpy(ret, PREFIX, size);
    for (; *key != '\0'; key++) {
        ret[size++] = *key == '-' ? '_' : (char)toupper((unsigned char)*key);
    }
    ret[size] = '\0';
}

const struct sf_setting *sf_setting_find(const struct sf_setting *table, size_t count,
                                         struct sf_slice key)
{
    for (size_t i = 0; i < count; i++) {
        if (sf_slice_equal(sf_slice_text(table[i].key), key)) {
            return &table[i];
        }
    }
    return NULL;
}

/* Index of the setting, or the count. */
static size_t find_key(const struct sf_config *c, const char *key, size_t size)
{
    const struct sf_setting *s = sf_setting_find(c->table, c->count, sf_slice_of(key, size));

    return s == NULL ? c->count : (size_t)(s - c->table);
}

static size_t find_variable(const struct sf_config *c, const char *name, size_t size)
{
    char known[NAME_SIZE];
    size_t i = 0;

    for (; i < c->count; i++) {
        variable_name(c->table[i].key, known);
        if (strlen(known) == size && memcmp(known, name, size) == 0) {
            break;
        }
    }
    return i;
}

/* Sources, the weakest first. */

static enum sf_code take_defaults(struct sf_config *c, struct sf_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->table[i].default_text != NULL) {
            enum sf_code r =
                set(c, i, c->table[i].default_text, SF_ORIGIN_DEFAULT, c->table[i].key, err);

            sf_assert(r == SF_OK);
        }
    }
    return SF_OK;
}

/* They were checked by whoever read the file. */
static enum sf_code take_entries(struct sf_config *c, const struct sf_config_source *source,
                                 struct sf_error *err)
{
    for (size_t n = 0; n < source->entry_count; n++) {
        const struct sf_config_entry *e = &source->entries[n];
        const size_t i = find_key(c, e->key, strlen(e->key));
        enum sf_code r;

        sf_assert(i < c->count);
        r = set(c, i, e->text, SF_ORIGIN_FILE, e->key, err);
        if (r != SF_OK) {
            return r;
        }
        c->values[i].line = e->line;
    }
    return SF_OK;
}

static size_t count_names(const char *const *names)
{
    size_t n = 0;

    while (names != NULL && names[n] != NULL) {
        n++;
    }
    return n;
}

static bool is_among(const char *const *names, struct sf_slice name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (sf_slice_equal(sf_slice_text(*names), name)) {
            return true;
        }
    }
    return false;
}

/* Neither ours nor another program's: most likely one of them with a slip. */
static enum sf_code unknown_variable(const struct sf_config *c, const char *const *others,
                                     struct sf_slice name, struct sf_error *err)
{
    const char *meant = sf_text_nearest(name, others, count_names(others));
    char own[NAME_SIZE];

    for (size_t i = 0; meant == NULL && i < c->count; i++) {
        const char *one = own;

        variable_name(c->table[i].key, own);
        meant = sf_text_nearest(name, &one, 1);
    }
    return meant == NULL ? SF_RAISE(err, SF_INVALID, "environment: no setting is called %.*s",
                                    SF_SLICE_ARG(name))
                         : SF_RAISE(err, SF_INVALID,
                                    "environment: no setting is called %.*s; did you mean %s?",
                                    SF_SLICE_ARG(name), meant);
}

static enum sf_code take_environment(struct sf_config *c, const struct sf_config_source *source,
                                     struct sf_error *err)
{
    const char *const *at = source->environment;

    for (; at != NULL && *at != NULL; at++) {
        const char *equals = strchr(*at, '=');
        size_t size = equals == NULL ? 0 : (size_t)(equals - *at);
        char name[NAME_SIZE];
        enum sf_code r;
        size_t i;

        if (equals == NULL || strncmp(*at, PREFIX, sizeof(PREFIX) - 1) != 0) {
            continue;
        }
        i = find_variable(c, *at, size);
        if (i == c->count && is_among(source->others, sf_slice_of(*at, size))) {
            continue;
        }
        if (i == c->count) {
            return unknown_variable(c, source->others, sf_slice_of(*at, size), err);
        }
        variable_name(c->table[i].key, name);
        r = set(c, i, equals + 1, SF_ORIGIN_ENVIRONMENT, name, err);
        if (r != SF_OK) {
            return r;
        }
    }
    return SF_OK;
}

/* One flag at argv[*at]; moves on behind it and its value. */
static enum sf_code take_flag(struct sf_config *c, const struct sf_config_source *source, int *at,
                              struct sf_error *err)
{
    const char *flag = source->argv[(*at)++];
    const char *value = strchr(flag, '=');
    size_t size = value == NULL ? strlen(flag) : (size_t)(value - flag);
    char said[NAME_SIZE];
    size_t i;

    if (size < 3 || flag[0] != '-' || flag[1] != '-') {
        return SF_RAISE(err, SF_INVALID, "'%s' is not a flag; flags are --key value", flag);
    }
    i = find_key(c, flag + 2, size - 2);
    if (i == c->count) {
        return SF_RAISE(err, SF_INVALID, "no flag is called %.*s; see --help", (int)size, flag);
    }
    if (c->values[i].origin == SF_ORIGIN_FLAG) {
        return SF_RAISE(err, SF_INVALID, "--%s is given twice", c->table[i].key);
    }
    if (value != NULL) {
        value++;
    } else if (c->table[i].type == SF_SETTING_SWITCH) {
        value = "true";
    } else if (*at < source->argc) {
        value = source->argv[(*at)++];
    } else {
        return SF_RAISE(err, SF_INVALID, "--%s: its value is missing", c->table[i].key);
    }
    (void)snprintf(said, sizeof(said), "--%s", c->table[i].key);
    return set(c, i, value, SF_ORIGIN_FLAG, said, err);
}

enum sf_code sf_config_parse(const struct sf_config_source *source, struct sf_config **ret,
                             struct sf_error *err)
{
    SF_CLEANUP(sf_config_freep)
    struct sf_config *c = sf_calloc(1, sizeof(*c) + source->table_count * sizeof(c->values[0]));
    enum sf_code r;

    if (c == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no memory for the configuration");
    }
    c->table = source->table;
    c->count = source->table_count;
    r = take_defaults(c, err);
    if (r == SF_OK) {
        r = take_entries(c, source, err);
    }
    if (r == SF_OK) {
        r = take_environment(c, source, err);
    }
    for (int at = 0; r == SF_OK && at < source->argc;) {
        r = take_flag(c, source, &at, err);
    }
    if (r == SF_OK) {
        *ret = SF_TAKE(c);
    }
    return r;
}

void sf_config_free(struct sf_config *c)
{
    sf_free(c);
}

/* Asking. */

static const struct value *value_of(const struct sf_config *c, const char *key, size_t *ret_index)
{
    size_t i = find_key(c, key, strlen(key));

    sf_assert(i < c->count);
    *ret_index = i;
    return &c->values[i];
}

const char *sf_config_text(const struct sf_config *c, const char *key)
{
    size_t i;
    const struct value *v = value_of(c, key, &i);

    sf_assert(c->table[i].type == SF_SETTING_TEXT);
    return v->text;
}

bool sf_config_switch(const struct sf_config *c, const char *key)
{
    size_t i;
    const struct value *v = value_of(c, key, &i);

    sf_assert(c->table[i].type == SF_SETTING_SWITCH);
    return v->number != 0;
}

int64_t sf_config_number(const struct sf_config *c, const char *key)
{
    size_t i;
    const struct value *v = value_of(c, key, &i);

    sf_assert(c->table[i].type != SF_SETTING_TEXT && c->table[i].type != SF_SETTING_SWITCH);
    return v->number;
}

enum sf_setting_origin sf_config_origin(const struct sf_config *c, const char *key)
{
    size_t i;

    return value_of(c, key, &i)->origin;
}

void sf_config_derive(struct sf_config *c, const char *key, int64_t number)
{
    const size_t i = find_key(c, key, strlen(key));
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    struct value *v = &c->values[i];

    sf_assert(i < c->count);
    if (v->origin != SF_ORIGIN_DEFAULT && v->origin != SF_ORIGIN_DERIVED) {
        return;
    }
    put_number(&text, &c->table[i], number);
    v->number = number;
    v->origin = SF_ORIGIN_DERIVED;
    (void)snprintf(v->derived, sizeof(v->derived), "%.*s", (int)text.size,
                   text.data == NULL ? "" : (const char *)text.data);
    v->text = v->derived;
}

size_t sf_config_count(const struct sf_config *c)
{
    return c->count;
}

struct sf_config_item sf_config_item(const struct sf_config *c, size_t i)
{
    sf_assert(i < c->count);
    return (struct sf_config_item){
        .setting = &c->table[i],
        .origin = c->values[i].origin,
        .text = c->values[i].text,
        .line = c->values[i].line,
    };
}

/* Help. */

static const char *placeholder_of(enum sf_setting_type type)
{
    switch (type) {
    case SF_SETTING_TEXT:
        return " TEXT";
    case SF_SETTING_SWITCH:
        return "";
    case SF_SETTING_NUMBER:
        return " N";
    case SF_SETTING_DURATION:
        return " TIME";
    case SF_SETTING_SIZE:
        return " SIZE";
    }
    return "";
}

void sf_config_help(const struct sf_setting *table, size_t count, struct sf_buf *b)
{
    for (size_t i = 0; i < count; i++) {
        const struct sf_setting *s = &table[i];
        char variable[NAME_SIZE];
        char flag[NAME_SIZE + 8];

        variable_name(s->key, variable);
        (void)snprintf(flag, sizeof(flag), "--%s%s", s->key, placeholder_of(s->type));
        sf_buf_printf(b, "  %-*s%s%s\n%*s[", HELP_COLUMN - 2, flag,
                      strlen(flag) < HELP_COLUMN - 2 ? "" : " ", s->doc, HELP_COLUMN, "");
        if (s->default_text != NULL) {
            sf_buf_printf(b, "default %s; ", *s->default_text == '\0' ? "empty" : s->default_text);
        }
        if (is_limited(s)) {
            put_range(b, s);
            sf_buf_text(b, "; ");
        }
        if (s->choices != NULL) {
            put_choices(b, s);
            sf_buf_text(b, "; ");
        }
        sf_buf_printf(b, "%s%s]\n", s->reloadable ? "SIGHUP; " : "", variable);
    }
}
