#include "common/contract/export_proto.h"

/* Names of domains and products as protobuf allows them. */
static void put_identifier(const char *name, struct sf_buf *out)
{
    for (; *name != '\0'; name++) {
        sf_buf_byte(out, *name == '-' ? '_' : (uint8_t)*name);
    }
}

/* order_lines -> OrderLines. */
static void put_message_name(const char *name, struct sf_buf *out)
{
    bool upper = true;

    for (; *name != '\0'; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        sf_buf_byte(out, upper && *name >= 'a' && *name <= 'z' ? (uint8_t)(*name - 'a' + 'A')
                                                               : (uint8_t)*name);
        upper = false;
    }
}

/* Message names of two tables may fall together ("a_b" and "ab"): then both keep their own name. */
static bool message_name_is_shared(const struct sf_product *p, const struct sf_table *t)
{
    struct sf_buf mine = {0};
    struct sf_buf other = {0};
    bool shared = false;

    put_message_name(t->name, &mine);
    for (size_t i = 0; i < p->table_count && !shared; i++) {
        sf_buf_clear(&other);
        put_message_name(p->tables[i].name, &other);
        shared = &p->tables[i] != t && sf_slice_equal(sf_buf_view(&mine), sf_buf_view(&other));
    }
    sf_buf_done(&mine);
    sf_buf_done(&other);
    return shared;
}

/* How the row encoding holds a type (DESIGN.md 5). */
static const char *proto_type(enum sf_type type)
{
    switch (type) {
    case SF_TYPE_BOOL:
        return "bool";
    case SF_TYPE_INT32:
    case SF_TYPE_DATE:
        return "sint32";
    case SF_TYPE_INT64:
    case SF_TYPE_DECIMAL:
        return "sint64";
    case SF_TYPE_FLOAT:
        return "float";
    case SF_TYPE_DOUBLE:
        return "double";
    case SF_TYPE_STRING:
    case SF_TYPE_JSON:
        return "string";
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
    case SF_TYPE_DECIMAL_WIDE:
        return "bytes";
    case SF_TYPE_TIMESTAMP:
        return "sfixed64";
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
    return "";
}

static const char *encoding_note(enum sf_type type)
{
    switch (type) {
    case SF_TYPE_DATE:
        return "days since 1970-01-01";
    case SF_TYPE_TIMESTAMP:
        return "microseconds since 1970-01-01T00:00:00Z";
    case SF_TYPE_UUID:
        return "16 bytes";
    case SF_TYPE_JSON:
        return "canonical JSON text";
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DECIMAL_WIDE:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
    case SF_TYPE_BOOL:
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
        return NULL;
    }
    return NULL;
}

static void put_indent(unsigned depth, struct sf_buf *out)
{
    for (unsigned i = 0; i < depth; i++) {
        sf_buf_text(out, "  ");
    }
}

/* A description on as many comment lines as it has. */
static void put_comment(unsigned depth, const char *text, struct sf_buf *out)
{
    if (text == NULL) {
        return;
    }
    put_indent(depth, out);
    sf_buf_text(out, "// ");
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            sf_buf_byte(out, '\n');
            put_indent(depth, out);
            sf_buf_text(out, "// ");
        } else {
            sf_buf_byte(out, (uint8_t)*text < ' ' ? ' ' : (uint8_t)*text);
        }
    }
    sf_buf_byte(out, '\n');
}

/* What a reader must know of a field beside its protobuf type. */
static void put_notes(unsigned depth, const struct sf_field *f, struct sf_buf *out)
{
    const struct sf_field *item = sf_field_item(f);
    const char *note = encoding_note(item->type);
    char type[24];

    sf_field_type_text(f, type, sizeof(type));
    put_comment(depth, f->description, out);
    put_indent(depth, out);
    sf_buf_printf(out, "// %s%s", type, f->required ? ", required" : "");
    if (item->type == SF_TYPE_DECIMAL) {
        sf_buf_printf(out, ": value * 10^%u", item->scale);
    } else if (item->type == SF_TYPE_DECIMAL_WIDE) {
        sf_buf_printf(out, ": value * 10^%u, 16 bytes, big-endian, two's complement", item->scale);
    } else if (note != NULL) {
        sf_buf_printf(out, ": %s", note);
    }
    if (f->unit != NULL) {
        sf_buf_text(out, ", unit ");
        for (const char *c = f->unit; *c != '\0'; c++) {
            sf_buf_byte(out, (uint8_t)*c < ' ' ? ' ' : (uint8_t)*c);
        }
    }
    if (f->class != SF_CLASS_NONE) {
        sf_buf_printf(out, ", class %s", sf_class_name(f->class));
    }
    sf_buf_byte(out, '\n');
}

/* Whether the struct of another field of the same message would have the same name. */
static bool nested_name_is_shared(const struct sf_table *t, const struct sf_field *f)
{
    struct sf_buf mine = {0};
    struct sf_buf other = {0};
    bool shared = false;

    put_message_name(f->name, &mine);
    for (size_t i = 0; i < t->field_count && !shared; i++) {
        sf_buf_clear(&other);
        put_message_name(t->fields[i].name, &other);
        shared = &t->fields[i] != f && sf_field_shape(&t->fields[i]) != NULL &&
                 sf_slice_equal(sf_buf_view(&mine), sf_buf_view(&other));
    }
    sf_buf_done(&mine);
    sf_buf_done(&other);
    return shared;
}

/* The message of a struct, which stands inside the one that has the field. */
static void put_nested_name(const struct sf_table *t, const struct sf_field *f, struct sf_buf *out)
{
    put_message_name(f->name, out);
    if (nested_name_is_shared(t, f)) {
        sf_buf_printf(out, "_%u", f->number);
    }
}

/* What stands between the braces of a message. As deep as structs go. */
static void put_body(unsigned depth, const struct sf_table *t, struct sf_buf *out)
{
    for (size_t i = 0; i < t->reserved_count; i++) {
        if (i == 0) {
            put_indent(depth, out);
        }
        sf_buf_printf(out, "%s%u%s", i == 0 ? "reserved " : ", ", t->reserved[i],
                      i + 1 == t->reserved_count ? ";\n" : "");
    }
    for (size_t i = 0; i < t->reserved_name_count; i++) {
        if (i == 0) {
            put_indent(depth, out);
        }
        sf_buf_printf(out, "%s\"%s\"%s", i == 0 ? "reserved " : ", ", t->reserved_names[i],
                      i + 1 == t->reserved_name_count ? ";\n" : "");
    }
    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_field *f = &t->fields[i];
        const struct sf_table *shape = sf_field_shape(f);

        if (shape != NULL) {
            put_indent(depth, out);
            sf_buf_text(out, "message ");
            put_nested_name(t, f, out);
            sf_buf_text(out, " {\n");
            put_body(depth + 1, shape, out);
            put_indent(depth, out);
            sf_buf_text(out, "}\n");
        }
        put_notes(depth, f, out);
        put_indent(depth, out);
        sf_buf_text(out, f->type == SF_TYPE_LIST ? "repeated " : "optional ");
        if (shape != NULL) {
            put_nested_name(t, f, out);
        } else {
            sf_buf_text(out, proto_type(sf_field_item(f)->type));
        }
        /* json_name keeps the contract's name, which would become camelCase otherwise. */
        sf_buf_printf(out, " %s = %u [json_name = \"%s\"];\n", f->name, f->number, f->name);
    }
}

static void put_table(const struct sf_product *p, const struct sf_table *t, struct sf_buf *out)
{
    sf_buf_byte(out, '\n');
    put_comment(0, t->description, out);
    sf_buf_printf(out, "// Rows of table %s, kind %s", t->name,
                  t->kind == SF_TABLE_STATE ? "state" : "event");
    for (size_t i = 0; i < t->key_count; i++) {
        sf_buf_printf(out, "%s%s", i == 0 ? ", key " : ", ", t->fields[t->key[i]].name);
    }
    sf_buf_text(out, ".\nmessage ");
    if (message_name_is_shared(p, t)) {
        sf_buf_text(out, t->name);
    } else {
        put_message_name(t->name, out);
    }
    sf_buf_text(out, " {\n");
    put_body(1, t, out);
    sf_buf_text(out, "}\n");
}

void sf_product_export_proto(const struct sf_product *p, struct sf_buf *out)
{
    sf_buf_printf(out, "// %s/%s %u.%u.%u, made by sheaf: do not edit.\n", p->domain, p->name,
                  p->version.major, p->version.minor, p->version.patch);
    put_comment(0, p->description, out);
    sf_buf_text(out, "syntax = \"proto3\";\n\npackage sheaf.");
    put_identifier(p->domain, out);
    sf_buf_byte(out, '.');
    put_identifier(p->name, out);
    sf_buf_printf(out, ".v%u;\n", p->version.major);
    for (size_t i = 0; i < p->table_count; i++) {
        put_table(p, &p->tables[i], out);
    }
}
