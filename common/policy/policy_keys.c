/* The keys of the format, each said once: for reading and for docs/reference/policies.md. */
#include "common/policy/policy_private.h"

static const struct sf_policy_key keys[] = {
    {"policy", "sheaf", "policy/v1", "the format"},
    {"policy", "name", "[a-z][a-z0-9-]*", "what it is called; the set has it once"},
    {"policy", "description", "text", "why it is there"},
    {"policy", "match", "map, or all", "what it is about: all conditions must hold"},
    {"policy", "except", "map, or list of maps", "whom it is not about: any of the maps"},
    {"policy", "mask", "mask", "what stands in the place of the fields' values"},
    {"policy", "filter", "expression", "the only rows that are seen"},
    {"policy", "deny", "true", "nothing of the table is seen"},
    {"policy", "require", "map", "what a product must have to be applied"},
    {"policy", "breach", "refuse (default), warn", "of require: what becomes of a product without"},
    {"policy", "expires", "date or time", "it holds until then; of a date until its end, UTC"},
    {"policy", "tests", "list of maps", "cases that 'sheaf policy test' runs"},
    {"match", "class", "classes", "class of the field, or of a field inside it"},
    {"match", "tag", "texts", "a tag of the product or of the field"},
    {"match", "domain", "domains", "the domain that owns the product"},
    {"match", "product", "products", "domain/product, or product of any domain"},
    {"match", "field", "fields", "name of the field"},
    {"match", "type", "types", "type of the field, without its arguments"},
    {"match", "status", "draft, active, deprecated, retired", "status of the product"},
    {"except", "consumer_domain", "domains, or owner", "the domain that asks"},
    {"except", "roles", "texts", "a role of the user who asks"},
    {"except", "purposes", "texts", "the purpose of the grant"},
    {"require", "owner", "present", "the product names its owner"},
    {"require", "support", "present", "the product says where help is"},
    {"require", "tags", "present", "the product has a tag"},
    {"require", "description", "present, min_length(n)",
     "the product is described, in n characters"},
    {"require", "field_descriptions", "present, min_length(n)", "so is each field"},
    {"require", "fields_have_class", "true", "each field has a class"},
    {"require", "pii_fields_have_class", "true", "so has each whose name suggests personal data"},
    {"require", "product_name", "pattern", "all of the product's name matches"},
    {"require", "field_name", "pattern", "all of each field's name matches"},
    {"require", "types", "types", "the only types of fields"},
    {"require", "retention", "{min: span, max: span}", "how long rows are kept: slo.retention"},
    {"tests", "who", "domain, or domain/role", "who asks"},
    {"tests", "purpose", "text", "of its grant"},
    {"tests", "what", "domain/product[.table][.field]", "what it asks for"},
    {"tests", "expect", "text",
     "of a field: clear, or the mask; else denied, all rows, filter ..."},
};

const struct sf_policy_key *sf_policy_key_at(size_t i)
{
    return i < SF_COUNT(keys) ? &keys[i] : NULL;
}

size_t sf_policy_key_names(const char *of, const char *ret[SF_POLICY_KEYS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < SF_COUNT(keys) && count < SF_POLICY_KEYS_MAX; i++) {
        if (strcmp(keys[i].of, of) == 0) {
            ret[count++] = keys[i].name;
        }
    }
    return count;
}
