#include "common/contract/lint.h"

/* Words of field names that usually hold personal data, and pairs of words that do. */
static const char *const pii_words[] = {
    "email", "mail",    "phone",     "mobile",   "iban",    "ssn",      "passport", "birthdate",
    "dob",   "address", "firstname", "lastname", "surname", "fullname", "msisdn",   "telephone",
};
static const char *const pii_pairs[] = {
    "first_name",  "last_name",  "full_name",   "birth_date",  "date_birth",  "ip_address",
    "family_name", "given_name", "national_id", "credit_card", "card_number", "e_mail",
};

/* Whether @word stands in @name between underscores or ends. */
static bool has_word(struct sf_slice name, const char *word)
{
    size_t size = strlen(word);

    for (size_t at = 0; at + size <= name.size; at++) {
        bool starts = at == 0 || name.data[at - 1] == '_';
        bool ends = at + size == name.size || name.data[at + size] == '_';

        if (starts && ends && memcmp(name.data + at, word, size) == 0) {
            return true;
        }
    }
    return false;
}

bool sf_name_suggests_pii(struct sf_slice name)
{
    for (size_t i = 0; i < SF_COUNT(pii_words); i++) {
        if (has_word(name, pii_words[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < SF_COUNT(pii_pairs); i++) {
        if (has_word(name, pii_pairs[i])) {
            return true;
        }
    }
    return false;
}

static void lint_table(const struct sf_table *t, struct sf_issues *issues)
{
    static const struct sf_place nowhere = {0};

    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_field *f = &t->fields[i];

        if (f->class == SF_CLASS_NONE && sf_name_suggests_pii(sf_slice_text(f->name))) {
            sf_issues_warning(issues, nowhere,
                              "%s.%s has no class, but its name suggests personal data: class pii, "
                              "or another one if it is not",
                              t->name, f->name);
        }
    }
    for (size_t i = 0; i < t->key_count; i++) {
        const struct sf_field *f = &t->fields[t->key[i]];

        if (!sf_class_is_open(sf_field_class(f))) {
            sf_issues_warning(issues, nowhere,
                              "%s.%s is part of the key and of class %s: other domains see "
                              "rows without it unless a policy masks it, and cannot ask by it",
                              t->name, f->name, sf_class_name(sf_field_class(f)));
        }
    }
    if (t->kind == SF_TABLE_EVENT && t->event_time < 0) {
        sf_issues_warning(issues, nowhere,
                          "event table '%s' names no event_time: its freshness cannot be measured",
                          t->name);
    }
}

void sf_product_lint(const struct sf_product *p, struct sf_issues *issues)
{
    static const struct sf_place nowhere = {0};

    if (p->owner == NULL) {
        sf_issues_warning(issues, nowhere, "nobody is named as owner");
    }
    if (p->description == NULL) {
        sf_issues_warning(issues, nowhere, "there is no description");
    }
    for (size_t i = 0; i < p->table_count; i++) {
        lint_table(&p->tables[i], issues);
    }
}
