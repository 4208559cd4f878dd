/* Between compat.c, compat_field.c and compat_promises.c. */
#pragma once

#include "common/contract/compat.h"

#define BACKWARD ((unsigned)SF_BREAKS_BACKWARD)
#define FORWARD  ((unsigned)SF_BREAKS_FORWARD)
#define STORAGE  ((unsigned)SF_BREAKS_STORAGE)
#define BOTH     (BACKWARD | FORWARD)

/* One table or field of both versions, for the path of its notes. */
struct sf_compat_subject {
    struct sf_compat *c;
    const char *table; /* or the path of a struct: "orders.lines" */
    const char *field; /* or NULL */
    bool is_key;       /* the field belongs to the key */
};

/* The arena's copy of @text, which it takes; "" and failed without memory. */
const char *sf_compat_keep(struct sf_compat *c, struct sf_buf *text);
bool sf_compat_same(const char *a, const char *b); /* also NULL */
void sf_compat_breaking(const struct sf_compat_subject *s, unsigned breaks, const char *what,
                        const char *before, const char *after);
void sf_compat_harmless(const struct sf_compat_subject *s, const char *what, const char *before,
                        const char *after);

/* Fields of a table or struct, those of structs in them too. */
void sf_compat_fields(struct sf_compat *c, const char *path, const struct sf_table *before,
                      const struct sf_table *after);
/* Numbers and names that @after no longer reserves. */
void sf_compat_reserved(const struct sf_compat_subject *s, const struct sf_table *before,
                        const struct sf_table *after);

void sf_compat_policies(struct sf_compat *c, const struct sf_product *before,
                        const struct sf_product *after);
void sf_compat_checks(struct sf_compat *c, const struct sf_table *before,
                      const struct sf_table *after);

bool sf_compat_is_reserved(const struct sf_table *t, uint32_t number);
bool sf_compat_is_reserved_name(const struct sf_table *t, const char *name);
/* A note of this, when @f is removed and @after does not reserve its number and its name. */
extern const char sf_compat_not_reserved[];
void sf_compat_unreserved(const struct sf_compat_subject *s, const struct sf_field *f,
                          const struct sf_table *after);
