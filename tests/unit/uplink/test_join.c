#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "common/sys/http_server.h"
#include "common/wire/json.h"
#include "leaf/uplink/join.h"
#include "proto/errors.h"
#include "proto/join.h"
#include "proto/subjects.h"
#include "tests/lib/test_loop.h"
#include "tests/lib/tmpdir.h"

#define HUB_KEY  "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
#define ACCOUNTS "\"accounts\":{\"domain\":\"ACCD\",\"serve\":\"ACCS\"}"
#define USERS    "\"users\":{\"serve\":{\"jwt\":\"jwt.serve\"},\"domain\":{\"jwt\":\"jwt.domain\"}}"
#define REST                                                                                       \
    ACCOUNTS ",\"hub_key\":\"" HUB_KEY "\",\"expires\":\"2026-12-01T00:00:00.000000Z\","           \
             "\"leafnode_urls\":[\"nats://127.0.0.1:7422\"]," USERS "}"
#define JOINED "{\"mesh\":\"m-1\"," REST

struct fixture {
    struct tmpdir dir;
    struct test_loop loop;
    struct sf_http_server *server;
    struct identity identity;

    const char *mesh_answer; /* to GET /v1/mesh */
    unsigned join_status;
    const char *join_answer;
    unsigned joins; /* POST /v1/join that came */
    bool proof_holds;
    bool has_token;

    /* The call under way. */
    struct join_request request;
    char url[64];
    struct identity_mesh mesh;
    enum sf_code code;
    struct sf_error err;
    struct sf_work work;
    bool done;
};

static const char *text_at(const struct sf_json *v, const char *name)
{
    const char *text = NULL;

    (void)sf_json_as_text(sf_json_get(v, name), &text);
    return text;
}

/* As the hub does: whoever joins holds the domain key it names. */
static void check_proof(struct fixture *f, struct sf_http_request *r)
{
    struct sf_json_doc *doc = NULL;
    const struct sf_json *v;
    struct join_texts t = {.mesh = "m-1", .token = ""};
    struct sf_public_key key;
    struct sf_signature proof;
    char text[JOIN_TEXT_MAX];
    size_t n;

    assert_int_equal(sf_json_parse(sf_http_body(r), &doc, NULL), SF_OK);
    v = sf_json_root(doc);
    f->has_token = text_at(v, "token") != NULL;
    if (f->has_token) {
        t.token = text_at(v, "token");
    }
    t.domain = text_at(v, "domain");
    t.domain_key = text_at(v, "domain_key");
    t.leaf_key = text_at(v, "leaf_key");
    t.serve_user = text_at(v, "serve_user");
    t.user = text_at(v, "user");
    n = join_signed_bytes(&t, text);
    assert_true(n > 0);
    assert_int_equal(
        sf_decode_exact(SF_BASE64, sf_slice_text(t.domain_key), key.bytes, sizeof(key.bytes), NULL),
        SF_OK);
    assert_int_equal(sf_decode_exact(SF_BASE64, sf_slice_text(text_at(v, "proof")), proof.bytes,
                                     sizeof(proof.bytes), NULL),
                     SF_OK);
    f->proof_holds = sf_verify(&key, SIGN_JOIN, sf_slice_of(text, n), &proof, NULL) == SF_OK &&
                     memcmp(&key, &f->identity.keys.domain.public_key, sizeof(key)) == 0;
    sf_json_free(doc);
}

static void handler(struct sf_http_request *r, void *data)
{
    struct fixture *f = data;

    if (strcmp(sf_http_path(r), "/v1/mesh") == 0) {
        assert_string_equal(sf_http_method(r), "GET");
        sf_http_respond(r, 200, "application/json", NULL, 0, sf_slice_text(f->mesh_answer));
        return;
    }
    assert_string_equal(sf_http_path(r), "/v1/join");
    assert_string_equal(sf_http_method(r), "POST");
    f->joins++;
    check_proof(f, r);
    sf_http_respond(r, f->join_status, "application/json", NULL, 0, sf_slice_text(f->join_answer));
}

static void setup(struct fixture *f)
{
    const struct sf_http_options options = {
        .connections_max = 8,
        .body_bytes_max = 100 * 1000,
        .body_total_bytes_max = 100 * 1000,
        .stream_bytes_max = 1000,
        .handler = handler,
        .data = f,
    };

    *f = (struct fixture){
        .mesh_answer = "{\"mesh\":\"m-1\"}", .join_status = 200, .join_answer = JOINED};
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    tmpdir_init(&f->dir);
    test_loop_init(&f->loop);
    assert_int_equal(sf_http_server_new(f->loop.uv, &options, &f->server, NULL), SF_OK);
    (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u", sf_http_server_port(f->server));
    assert_int_equal(identity_open(f->dir.path, "sales", &f->identity, NULL), SF_OK);
}

static void teardown(struct fixture *f)
{
    identity_done(&f->identity);
    sf_http_server_free(f->server);
    test_loop_done(&f->loop);
    tmpdir_done(&f->dir);
}

static void work(struct sf_work *w)
{
    struct fixture *f = SF_CONTAINER_OF(w, struct fixture, work);

    f->code = join_perform(&f->request, &f->mesh, &f->err);
}

static void work_done(struct sf_task *t)
{
    SF_CONTAINER_OF(t, struct fixture, work.done)->done = true;
}

static enum sf_code join(struct fixture *f, const char *token)
{
    f->request = (struct join_request){.identity = &f->identity,
                                       .hub_url = f->url,
                                       .token = token,
                                       .now_us = INT64_C(1796083200000000) - 1000};
    f->err = (struct sf_error){0};
    f->mesh = (struct identity_mesh){0};
    f->done = false;
    f->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = work, .done.run = work_done};
    sf_rt_work(f->loop.rt, &f->work);
    test_loop_until_flag(&f->loop, &f->done, "join", 10000);
    assert_int_equal(f->code, f->err.code);
    return f->code;
}

static bool is_stored(const struct fixture *f)
{
    char path[PATH_MAX];

    return sf_file_exists(tmpdir_join(&f->dir, "identity.json", path));
}

static void a_token_makes_a_member_of_the_mesh(void **state)
{
    struct fixture f;
    struct identity again;
    (void)state;

    setup(&f);
    assert_int_equal(join(&f, "token-1"), SF_OK);
    assert_true(f.proof_holds);
    assert_true(f.has_token);
    assert_true(f.mesh.joined);
    assert_string_equal(f.mesh.mesh, "m-1");
    assert_string_equal(f.mesh.account, "ACCD");
    assert_string_equal(f.mesh.serve_account, "ACCS");
    assert_string_equal(f.mesh.hub_url, f.url);
    assert_string_equal(f.mesh.leafnode_url, "nats://127.0.0.1:7422");
    assert_int_equal(f.mesh.expires_us, INT64_C(1796083200000000));
    assert_int_equal(f.mesh.renew_us, INT64_C(1796083200000000) - 500);
    assert_int_equal(f.mesh.hub_key.bytes[31], 7);
    assert_int_equal(identity_open(f.dir.path, "sales", &again, NULL), SF_OK);
    assert_true(again.mesh.joined);
    assert_string_equal(again.mesh.hub_url, f.url);
    identity_done(&again);

    /* Renewing needs no token. */
    f.identity.mesh = f.mesh;
    assert_int_equal(join(&f, ""), SF_OK);
    assert_true(f.proof_holds);
    assert_false(f.has_token);
    teardown(&f);
}

static void a_refused_token_says_what_the_hub_said(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    f.join_status = 403;
    f.join_answer = "{\"detail\":\"the token is spent\"}";
    assert_int_equal(join(&f, "token-1"), SF_DENIED);
    assert_int_equal(f.err.number, SHEAF_E_JOIN_REFUSED);
    assert_string_equal(f.err.text, "the token is spent");
    f.join_answer = "not JSON";
    assert_int_equal(join(&f, "token-1"), SF_DENIED);
    f.join_status = 503;
    assert_int_equal(join(&f, "token-1"), SF_UNAVAILABLE);
    assert_int_equal(f.err.number, SHEAF_E_HUB_UNREACHABLE);
    assert_false(is_stored(&f));
    teardown(&f);
}

static void a_token_that_cannot_be_one_is_not_sent(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(join(&f, "a\nb"), SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_JOIN_REFUSED);
    assert_int_equal(f.joins, 0);
    teardown(&f);
}

static void the_hub_of_another_mesh_is_told_nothing(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(join(&f, "token-1"), SF_OK);
    f.identity.mesh = f.mesh;
    f.mesh_answer = "{\"mesh\":\"m-2\"}";
    f.joins = 0;
    assert_int_equal(join(&f, "token-2"), SF_CONFLICT);
    assert_non_null(strstr(f.err.text, "is the hub of another mesh than the one joined"));
    assert_int_equal(f.joins, 0);
    /* The same name is not enough: it has another key. */
    f.mesh_answer = "{\"mesh\":\"m-1\"}";
    f.identity.mesh.hub_key.bytes[0]++;
    assert_int_equal(join(&f, ""), SF_CONFLICT);
    teardown(&f);
}

static void an_answer_that_makes_no_sense_is_not_stored(void **state)
{
    static const char *const meshes[] = {"", "no", "{}", "[]", "{\"mesh\":1}"};
    static const char *const answers[] = {
        "",
        "no",
        "{}",
        "[]",
        "{\"mesh\":\"m-1\"}",
        "{" REST,
        "{\"mesh\":\"m-1\"," ACCOUNTS ",\"hub_key\":\"BwcH\",\"expires\":\"2026-12-01T00:00:00Z\","
        "\"leafnode_urls\":[\"x\"]," USERS "}",
        "{\"mesh\":\"m-1\"," ACCOUNTS ",\"hub_key\":\"" HUB_KEY "\",\"expires\":\"soon\","
        "\"leafnode_urls\":[\"x\"]," USERS "}",
        "{\"mesh\":\"m-1\"," ACCOUNTS ",\"hub_key\":\"" HUB_KEY
        "\",\"expires\":\"2026-12-01T00:00:00Z\",\"leafnode_urls\":[]," USERS "}",
        "{\"mesh\":\"m-1\"," ACCOUNTS ",\"hub_key\":\"" HUB_KEY
        "\",\"expires\":\"2026-12-01T00:00:00Z\",\"leafnode_urls\":[\"x\"]}",
    };
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(meshes); i++) {
        f.mesh_answer = meshes[i];
        assert_int_equal(join(&f, "token-1"), SF_CORRUPT);
        assert_int_equal(f.joins, 0);
    }
    f.mesh_answer = "{\"mesh\":\"m-1\"}";
    for (size_t i = 0; i < SF_COUNT(answers); i++) {
        f.join_answer = answers[i];
        if (join(&f, "token-1") != SF_CORRUPT) {
            fail_msg("%s: %s", answers[i], f.err.text);
        }
        assert_false(is_stored(&f));
    }
    teardown(&f);
}

static void without_a_hub_it_says_so(void **state)
{
    struct fixture f;
    uint16_t port = 0;
    (void)state;

    setup(&f);
    assert_int_equal(sf_port_find(11600, &port, NULL), SF_OK);
    (void)snprintf(f.url, sizeof(f.url), "http://127.0.0.1:%u", port);
    assert_int_equal(join(&f, "token-1"), SF_UNAVAILABLE);
    assert_int_equal(f.err.number, SHEAF_E_HUB_UNREACHABLE);
    teardown(&f);
}

/* Who is asked has memory. What was stored before holds, whatever fails. */
static void joining_without_memory_stores_all_or_nothing_and_may_be_repeated(void **state)
{
    struct fixture f;
    bool failed = true;
    long n;
    (void)state;

    setup(&f);
    sf_alloc_spare(true);
    for (n = 0; failed; n++) {
        struct identity again;
        enum sf_code code;

        sf_alloc_fail_after(n, false);
        code = join(&f, n % 2 == 0 ? "token-1" : "");
        failed = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, false);
        if (code != SF_OK && code != SF_NOMEM) {
            fail_msg("%ld: %s", n, f.err.text);
        }
        assert_true(code == SF_OK || !f.mesh.joined);
        assert_int_equal(identity_open(f.dir.path, "sales", &again, NULL), SF_OK);
        assert_int_equal(again.mesh.joined, is_stored(&f));
        assert_true(code != SF_OK || again.mesh.joined);
        identity_done(&again);
        assert_true(n < 500);
    }
    sf_alloc_spare(false);
    assert_int_equal(f.code, SF_OK);
    assert_true(n > 10);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_makes_a_member_of_the_mesh),
        cmocka_unit_test(a_refused_token_says_what_the_hub_said),
        cmocka_unit_test(a_token_that_cannot_be_one_is_not_sent),
        cmocka_unit_test(the_hub_of_another_mesh_is_told_nothing),
        cmocka_unit_test(an_answer_that_makes_no_sense_is_not_stored),
        cmocka_unit_test(without_a_hub_it_says_so),
        cmocka_unit_test(joining_without_memory_stores_all_or_nothing_and_may_be_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
