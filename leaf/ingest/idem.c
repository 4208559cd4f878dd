#include "leaf/ingest/idem.h"

#include <string.h>

#include "common/base/alloc.h"

bool idem_key_is_valid(const char *key)
{
    const size_t n = strlen(key);

    for (size_t i = 0; i < n; i++) {
        if (key[i] <= ' ' || key[i] > '~') {
            return false;
        }
    }
    return n >= 1 && n <= IDEM_KEY_MAX;
}

void idem_store_key(const char *caller, const char *product, const char *key, struct sf_buf *ret)
{
    sf_buf_text(ret, caller);
    sf_buf_byte(ret, 0);
    sf_buf_text(ret, product);
    sf_buf_byte(ret, 0);
    sf_buf_text(ret, key);
}

void idem_answer_done(struct idem_answer *answer)
{
    sf_free(answer->owned);
    *answer = (struct idem_answer){0};
}

void idem_value_encode(const uint8_t hash[SF_HASH256_SIZE], const struct idem_answer *answer,
                       struct sf_buf *ret)
{
    sf_buf_append(ret, hash, SF_HASH256_SIZE);
    sf_buf_be64(ret, answer->accepted);
    sf_buf_be64(ret, answer->quarantined);
    if (answer->names_tables) {
        sf_buf_be32(ret, (uint32_t)answer->table_count);
    }
    for (size_t i = 0; i < answer->table_count; i++) {
        const struct ingest_table_result *t = &answer->tables[i];

        sf_buf_byte(ret, (uint8_t)t->table.size);
        sf_buf_slice(ret, t->table);
        sf_buf_be64(ret, t->accepted);
        sf_buf_be64(ret, t->quarantined);
    }
    sf_buf_slice(ret, answer->errors);
}

static enum sf_code damaged(struct sf_error *err)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "a stored answer is damaged");
}

/* Takes @size bytes off the front; false when there are fewer. */
static bool take(struct sf_slice *from, size_t size, struct sf_slice *ret)
{
    if (from->size < size) {
        return false;
    }
    *ret = sf_slice_of(from->data, size);
    *from = sf_slice_of(from->data + size, from->size - size);
    return true;
}

static bool take_table(struct sf_slice *value, struct ingest_table_result *ret)
{
    struct sf_slice at;

    if (!take(value, 1, &at) || !take(value, at.data[0], &ret->table) || !take(value, 16, &at)) {
        return false;
    }
    ret->accepted = sf_read_be64(at.data);
    ret->quarantined = sf_read_be64(at.data + 8);
    return true;
}

/* The tables of an answer; the outcomes of theirs stand at the front of @outcomes. */
static enum sf_code decode_tables(struct sf_slice *value, struct sf_slice outcomes,
                                  struct idem_answer *ret, struct sf_error *err)
{
    struct sf_slice at;
    size_t count;

    if (!take(value, 4, &at)) {
        return damaged(err);
    }
    count = sf_read_be32(at.data);
    if (count > outcomes.size / STORE_OUTCOME_BYTES) {
        return damaged(err);
    }
    ret->owned = sf_calloc(count + 1, sizeof(*ret->owned));
    if (ret->owned == NULL) {
        return SF_RAISE(err, SF_NOMEM, "stored answer");
    }
    for (size_t i = 0; i < count; i++) {
        struct store_outcome o;

        if (!take_table(value, &ret->owned[i]) || !store_outcome_decode(&outcomes, &o)) {
            return damaged(err);
        }
        ret->owned[i].first_seq = o.first_seq;
        ret->owned[i].last_seq = o.last_seq;
        ret->outcome.commit = o.commit > ret->outcome.commit ? o.commit : ret->outcome.commit;
        ret->outcome.epoch = o.epoch > ret->outcome.epoch ? o.epoch : ret->outcome.epoch;
    }
    ret->tables = ret->owned;
    ret->table_count = count;
    return SF_OK;
}

enum sf_code idem_value_decode(struct sf_slice value, const uint8_t hash[SF_HASH256_SIZE],
                               bool names_tables, struct idem_answer *ret, struct sf_error *err)
{
    const struct sf_slice outcomes = value;
    struct store_outcome o = {.more = true};
    struct sf_slice fixed;
    enum sf_code code;

    *ret = (struct idem_answer){.names_tables = names_tables};
    for (size_t i = 0; o.more; i++) {
        if (!store_outcome_decode(&value, &o)) {
            return damaged(err);
        }
        ret->outcome = i == 0 ? o : ret->outcome;
    }
    if (!take(&value, SF_HASH256_SIZE + 2 * 8, &fixed)) {
        return damaged(err);
    }
    if (memcmp(fixed.data, hash, SF_HASH256_SIZE) != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_KEY_REUSED,
                          "the key belongs to a request with another body or other parameters");
    }
    ret->accepted = sf_read_be64(fixed.data + SF_HASH256_SIZE);
    ret->quarantined = sf_read_be64(fixed.data + SF_HASH256_SIZE + 8);
    code = names_tables ? decode_tables(&value, outcomes, ret, err) : SF_OK;
    ret->errors = value;
    return code;
}
