#include "common/identity/creds.h"

static const char jwt_begin[] = "-----BEGIN NATS USER JWT-----\n";
static const char jwt_end[] = "\n------END NATS USER JWT------\n";
static const char seed_begin[] = "-----BEGIN USER NKEY SEED-----\n";
static const char seed_end[] = "\n------END USER NKEY SEED------\n";

void sf_creds_format(struct sf_slice jwt, const struct sf_seed *user, struct sf_buf *ret)
{
    char seed[SF_NKEY_SEED_MAX];

    sf_nkey_format_seed(SF_NKEY_USER, user, seed);
    sf_buf_text(ret, jwt_begin);
    sf_buf_slice(ret, jwt);
    sf_buf_text(ret, jwt_end);
    sf_buf_text(ret, "\n");
    sf_buf_text(ret, seed_begin);
    sf_buf_text(ret, seed);
    sf_buf_text(ret, seed_end);
    sf_wipe(seed, sizeof(seed));
}

/* What stands between the two marks, behind which *rest is moved; false when one is missing. */
static bool take_between(struct sf_slice *rest, const char *begin, const char *end,
                         struct sf_slice *ret)
{
    const uint8_t *from = memmem(rest->data, rest->size, begin, strlen(begin));
    const uint8_t *to = NULL;

    if (from != NULL) {
        from += strlen(begin);
        to = memmem(from, rest->size - (size_t)(from - rest->data), end, strlen(end));
    }
    if (to == NULL) {
        return false;
    }
    *ret = sf_slice_of(from, (size_t)(to - from));
    rest->size -= (size_t)(to - rest->data) + strlen(end);
    rest->data = to + strlen(end);
    return true;
}

enum sf_code sf_creds_parse(struct sf_slice text, struct sf_slice *ret_jwt,
                            struct sf_seed *ret_user, struct sf_error *err)
{
    struct sf_slice rest = text;
    struct sf_slice jwt;
    struct sf_slice seed;
    struct sf_seed user = {0};
    enum sf_nkey_kind kind;
    enum sf_code code;

    if (text.size == 0 || !take_between(&rest, jwt_begin, jwt_end, &jwt) ||
        !take_between(&rest, seed_begin, seed_end, &seed)) {
        return SF_RAISE(err, SF_INVALID, "not a credentials file of NATS");
    }
    code = sf_nkey_parse_seed(seed, &kind, &user, err);
    if (code != SF_OK) {
        return code;
    }
    if (kind != SF_NKEY_USER) {
        sf_seed_done(&user);
        return SF_RAISE(err, SF_INVALID, "the seed in the credentials is of kind %s, not user",
                        sf_nkey_kind_name(kind));
    }
    *ret_jwt = jwt;
    *ret_user = user;
    return SF_OK;
}
