/* audit ls and verify: the hub's event log, listed, or checked without trusting the hub. */
#include <inttypes.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "common/base/alloc.h"
#include "common/identity/token.h"
#include "common/sys/encoding.h"
#include "control.pb-c.h"
#include "proto/errors.h"
#include "proto/subjects.h"

enum { PAGE_EVENTS = 500, LIMIT_DEFAULT = 1000, PAYLOAD_MAX = 4 * 1024 * 1024 };

/* What is known of the log so far. */
struct audit {
    struct api api;
    uint64_t after; /* number of the last event seen */
    uint64_t head;  /* newest number, as the hub says */
    uint64_t limit; /* 0: none */
    uint64_t seen;
    uint64_t withheld; /* of these: others' affairs, of which the hub tells the hash alone */
    struct sf_public_key hub_key;
    uint8_t last_hash[SF_HASH256_SIZE];
    struct sf_buf payload;
};

/* One page behind a->after; *ret_items is NULL at the end. */
static enum sf_code next_page(struct audit *a, const struct sf_json **ret_items,
                              struct sf_error *err)
{
    char path[96];
    const struct sf_json *root = NULL;
    uint64_t left = a->limit == 0 ? PAGE_EVENTS : a->limit - a->seen;
    enum sf_code code = SF_OK;

    *ret_items = NULL;
    if (left == 0) {
        return SF_OK;
    }
    (void)snprintf(path, sizeof(path), "/v1/audit?after=%" PRIu64 "&limit=%" PRIu64, a->after,
                   left < PAGE_EVENTS ? left : PAGE_EVENTS);
    code = api_get_hub(&a->api, path, &root, err);
    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_uint(sf_json_get(root, "head"), &a->head);
    if (sf_json_count(sf_json_get(root, "items")) > 0) {
        *ret_items = sf_json_get(root, "items");
    }
    return SF_OK;
}

static enum sf_code open_audit(struct cli *cli, struct audit *a, struct sf_error *err)
{
    enum sf_code code = api_open(cli, &a->api, err);

    return code == SF_OK ? api_act(&a->api, SF_TOKEN_PLATFORM, err) : code;
}

/* --- ls --------------------------------------------------------------------------------------- */

static void print_event(struct print *p, const struct sf_json *e)
{
    static const char *const columns[] = {"number", "time", "actor", "kind", "detail"};

    print_row(p);
    for (size_t i = 0; i < SF_COUNT(columns); i++) {
        print_json(p, columns[i], sf_json_get(e, columns[i]));
    }
    if (p->format == PRINT_JSON || p->format == PRINT_NDJSON || p->format == PRINT_YAML) {
        print_json(p, "hash", sf_json_get(e, "hash"));
    }
}

static enum sf_code list(struct cli *cli, struct audit *a, struct sf_error *err)
{
    const struct sf_json *items = NULL;
    enum sf_code code = args_u64(&cli->args, "after", 0, &a->after, err);

    code = code == SF_OK ? args_u64(&cli->args, "limit", LIMIT_DEFAULT, &a->limit, err) : code;
    code = code == SF_OK ? open_audit(cli, a, err) : code;
    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_LIST, "EventList");
    while ((code = next_page(a, &items, err)) == SF_OK && items != NULL) {
        for (struct sf_json_iter it = sf_json_iter(items); sf_json_next(&it);) {
            (void)sf_json_as_uint(sf_json_get(it.value, "number"), &a->after);
            a->seen++;
            print_event(&cli->print, it.value);
        }
    }
    return code == SF_OK ? print_end(&cli->print, err) : code;
}

int cmd_audit_ls(struct cli *cli)
{
    struct audit a = {.after = 0};
    struct sf_error err;
    enum sf_code code = list(cli, &a, &err);

    api_done(&a.api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- verify ----------------------------------------------------------------------------------- */

static enum sf_code decode_member(const struct sf_json *e, const char *name, struct sf_buf *ret,
                                  struct sf_error *err)
{
    struct sf_slice text = {0};

    sf_buf_clear(ret);
    if (!sf_json_as_slice(sf_json_get(e, name), &text) || text.size > PAYLOAD_MAX) {
        return SF_RAISE(err, SF_CORRUPT, "%s is missing", name);
    }
    return sf_buf_decode(ret, SF_BASE64, text, err);
}

/* The event's own fields, as signed: its number and what it says about the one before. */
static enum sf_code check_chain(struct audit *a, struct sf_error *err)
{
    Sheaf__V1__Event *m = sheaf__v1__event__unpack(NULL, a->payload.size, a->payload.data);
    enum sf_code code = SF_OK;

    if (m == NULL) {
        return SF_RAISE(err, SF_CORRUPT, "the payload is not an event");
    }
    if (m->number != a->after + 1) {
        code = SF_RAISE(err, SF_CORRUPT, "the number signed is %" PRIu64, m->number);
    } else if (m->prev_hash.len != SF_HASH256_SIZE ||
               memcmp(m->prev_hash.data, a->last_hash, SF_HASH256_SIZE) != 0) {
        code = SF_RAISE(err, SF_CORRUPT, "the hash of the event before does not match");
    }
    sheaf__v1__event__free_unpacked(m, NULL);
    return code;
}

static enum sf_code check_event(struct audit *a, const struct sf_json *e, struct sf_error *err)
{
    struct sf_signature signature;
    struct sf_buf bytes = {0};
    struct sf_slice payload;
    enum sf_code code = decode_member(e, "signature", &bytes, err);

    if (code == SF_OK && bytes.size != SF_SIGNATURE_SIZE) {
        code = SF_RAISE(err, SF_CORRUPT, "the signature has %zu bytes", bytes.size);
    }
    if (code == SF_OK) {
        memcpy(signature.bytes, bytes.data, SF_SIGNATURE_SIZE);
        code = decode_member(e, "payload", &a->payload, err);
    }
    sf_buf_done(&bytes);
    if (code != SF_OK) {
        return code;
    }
    payload = sf_buf_view(&a->payload);
    code = sf_verify(&a->hub_key, SIGN_EVENT, payload, &signature, err);
    code = code == SF_OK ? check_chain(a, err) : code;
    if (code == SF_OK) {
        sf_hash256(&payload, 1, a->last_hash);
        a->after++;
        a->seen++;
    }
    return code;
}

/* What is not for who asks: the next event that is shown has to follow this hash. */
static enum sf_code pass_withheld(struct audit *a, const struct sf_json *e, struct sf_error *err)
{
    struct sf_slice text = {0};
    uint64_t number = 0;
    enum sf_code code;

    if (!sf_json_as_uint(sf_json_get(e, "number"), &number) || number != a->after + 1) {
        return SF_RAISE(err, SF_CORRUPT, "it is told under number %" PRIu64, number);
    }
    (void)sf_json_as_slice(sf_json_get(e, "hash"), &text);
    code = sf_decode_exact(SF_BASE64, text, a->last_hash, SF_HASH256_SIZE, err);
    if (code == SF_OK) {
        a->after++;
        a->seen++;
        a->withheld++;
    }
    return code;
}

static enum sf_code check_item(struct audit *a, const struct sf_json *e, struct sf_error *err)
{
    bool withheld = false;

    if (strcmp(a->api.who.domain, SF_TOKEN_PLATFORM) != 0) { /* to which all is shown */
        (void)sf_json_as_bool(sf_json_get(e, "withheld"), &withheld);
    }
    return withheld ? pass_withheld(a, e, err) : check_event(a, e, err);
}

/* The key the hub had when this mesh was first seen here; its own word only for a first time. */
static enum sf_code read_hub_key(struct audit *a, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    struct sf_slice text = sf_slice_text(a->api.context.hub_key);
    enum sf_code code = SF_OK;

    if (text.size == 0) {
        code = api_get_hub(&a->api, "/v1/mesh", &root, err);
        (void)sf_json_as_slice(sf_json_get(root, "hub_key"), &text);
    }
    code = code == SF_OK
               ? sf_decode_exact(SF_BASE64, text, a->hub_key.bytes, SF_PUBLIC_KEY_SIZE, err)
               : code;
    return code == SF_OK ? SF_OK : sf_error_wrap(err, "key of the hub");
}

static enum sf_code verify(struct cli *cli, struct audit *a, bool *ret_broken, struct sf_error *err)
{
    const struct sf_json *items = NULL;
    enum sf_code code = open_audit(cli, a, err);

    code = code == SF_OK ? read_hub_key(a, err) : code;
    if (code != SF_OK) {
        return code;
    }
    while ((code = next_page(a, &items, err)) == SF_OK && items != NULL) {
        for (struct sf_json_iter it = sf_json_iter(items); sf_json_next(&it);) {
            code = check_item(a, it.value, err);
            if (code != SF_OK) {
                *ret_broken = true;
                return sf_error_wrap(err, "event %" PRIu64, a->after + 1);
            }
        }
    }
    if (code == SF_OK && a->after < a->head) {
        *ret_broken = true;
        return SF_RAISE(err, SF_CORRUPT,
                        "the hub says there are %" PRIu64 " events and shows %" PRIu64, a->head,
                        a->after);
    }
    return code;
}

int cmd_audit_verify(struct cli *cli)
{
    struct audit a = {.after = 0};
    bool broken = false;
    char hash[2 * SF_HASH256_SIZE + 1];
    struct sf_error err;
    enum sf_code code = verify(cli, &a, &broken, &err);

    if (code != SF_OK && broken) {
        err.number = SHEAF_E_STORE_CORRUPT;
        (void)snprintf(cli->next, sizeof(cli->next), "stop trusting this hub and ask who runs it");
        (void)cli_fail(cli, &err);
    } else if (code != SF_OK) {
        (void)cli_fail(cli, &err);
    } else {
        sf_encode(SF_HEX, sf_slice_of(a.last_hash, SF_HASH256_SIZE), hash);
        cli_did(cli,
                "%" PRIu64 " events: numbers without a gap, chain and signatures hold · head %.16s",
                a.seen, hash);
        if (a.withheld > 0) {
            cli_note(cli,
                     "%" PRIu64 " of them are affairs of others, which %s is not shown; the "
                     "platform checks those",
                     a.withheld, a.api.who.domain);
        }
        if (cli->print.format != PRINT_TABLE) {
            print_begin(&cli->print, PRINT_OBJECT, "AuditVerdict");
            print_row(&cli->print);
            print_uint(&cli->print, "events", a.seen);
            print_uint(&cli->print, "withheld", a.withheld);
            print_text(&cli->print, "head", hash);
            print_bool(&cli->print, "holds", true);
            code = print_end(&cli->print, &err);
        }
    }
    sf_buf_done(&a.payload);
    api_done(&a.api);
    return code == SF_OK ? CLI_OK : broken ? CLI_UNHEALTHY : cli_exit_of(&err);
}
