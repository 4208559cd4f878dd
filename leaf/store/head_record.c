#include "leaf/store/head_record.h"

#include "leaf/store/store_internal.h"
#include "proto/errors.h"

static const uint8_t magic[3] = {'S', 'F', 'H'};

enum { ENTRY_FIXED = 2 + 4 + 8 + 8 + SF_HASH256_SIZE };

/* --- encoding --- */

static void encode_lane(const struct store_lane *lane, struct sf_buf *out)
{
    const size_t at = out->size;
    size_t name_size;

    sf_buf_append(out, "\0\0", 2);
    keyspace_lane_encode(&lane->name, out);
    name_size = out->size - at - 2;
    if (out->failed != SF_OK) {
        return;
    }
    out->data[at] = (uint8_t)(name_size >> 8);
    out->data[at + 1] = (uint8_t)name_size;
    sf_buf_be32(out, lane->head.epoch);
    sf_buf_be64(out, lane->head.seq);
    sf_buf_be64(out, lane->head.quarantined);
    sf_buf_append(out, lane->head.hash, SF_HASH256_SIZE);
}

void head_record_encode(const struct store *s, struct sf_buf *out)
{
    const size_t begin = out->size;
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_slice all;
    uint32_t count = 0;

    for (size_t i = 0; i < s->lane_count; i++) {
        count += s->lanes[i]->recorded ? 1 : 0;
    }
    sf_buf_append(out, magic, sizeof(magic));
    sf_buf_byte(out, HEAD_RECORD_FORMAT);
    sf_buf_be32(out, s->epoch);
    sf_buf_be64(out, s->last.commit);
    sf_buf_be64(out, (uint64_t)s->last.commit_us);
    sf_buf_be32(out, count);
    for (size_t i = 0; i < s->lane_count; i++) {
        if (s->lanes[i]->recorded) {
            encode_lane(s->lanes[i], out);
        }
    }
    if (out->failed == SF_OK) {
        all = sf_slice_of(out->data + begin, out->size - begin);
        sf_hash256(&all, 1, hash);
        sf_buf_append(out, hash, sizeof(hash));
    }
}

/* --- decoding --- */

static enum sf_code damaged(struct sf_error *err)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "the head record is damaged");
}

enum sf_code head_record_decode(struct sf_slice bytes, struct head_record *ret,
                                struct sf_error *err)
{
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_slice body;

    if (bytes.size < HEAD_RECORD_FIXED + SF_HASH256_SIZE) {
        return damaged(err);
    }
    body = sf_slice_of(bytes.data, bytes.size - SF_HASH256_SIZE);
    sf_hash256(&body, 1, hash);
    if (memcmp(hash, body.data + body.size, SF_HASH256_SIZE) != 0 ||
        memcmp(body.data, magic, sizeof(magic)) != 0) {
        return damaged(err);
    }
    if (body.data[3] != HEAD_RECORD_FORMAT) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_VERSION,
                          "the head record has format %u, not %d", (unsigned)body.data[3],
                          HEAD_RECORD_FORMAT);
    }
    *ret = (struct head_record){
        .epoch = sf_read_be32(body.data + 4),
        .commit = sf_read_be64(body.data + 8),
        .commit_us = (int64_t)sf_read_be64(body.data + 16),
        .lane_count = sf_read_be32(body.data + 24),
        .lanes = sf_slice_of(body.data + HEAD_RECORD_FIXED, body.size - HEAD_RECORD_FIXED),
    };
    return SF_OK;
}

enum sf_code head_record_next(struct head_record *r, struct head_entry *ret, bool *more,
                              struct sf_error *err)
{
    const uint8_t *p = r->lanes.data;
    size_t name_size;
    enum sf_code code;

    *more = r->lane_count > 0;
    if (!*more) {
        return r->lanes.size == 0 ? SF_OK : damaged(err);
    }
    name_size = r->lanes.size < ENTRY_FIXED ? SIZE_MAX : (size_t)(p[0] << 8 | p[1]);
    if (name_size > r->lanes.size - ENTRY_FIXED || r->lanes.size < ENTRY_FIXED) {
        return damaged(err);
    }
    *ret = (struct head_entry){0};
    code = keyspace_lane_decode(sf_slice_of(p + 2, name_size), &ret->name, &ret->product,
                                &ret->table, err);
    if (code != SF_OK) {
        return code;
    }
    p += 2 + name_size;
    ret->epoch = sf_read_be32(p);
    ret->seq = sf_read_be64(p + 4);
    ret->quarantined = sf_read_be64(p + 12);
    memcpy(ret->hash, p + 20, SF_HASH256_SIZE);
    r->lanes.data += ENTRY_FIXED + name_size;
    r->lanes.size -= ENTRY_FIXED + name_size;
    r->lane_count--;
    return SF_OK;
}

/* --- comparing --- */

void head_lack_done(struct head_lack *l)
{
    sf_buf_done(&l->text);
}

static const struct store_lane *find_lane(const struct store *s, const struct head_entry *e)
{
    for (size_t i = 0; i < s->lane_count; i++) {
        const struct store_lane_name *n = &s->lanes[i]->name;

        if (n->major == e->name.major && n->partition == e->name.partition &&
            sf_slice_equal(sf_slice_text(n->product), e->product) &&
            sf_slice_equal(sf_slice_text(n->table), e->table)) {
            return s->lanes[i];
        }
    }
    return NULL;
}

/* Whether the frame that ends at the entry's seq is the one it names; a log that no longer reaches
 * back so far cannot tell, and is believed. */
static enum sf_code same_frame(struct store *s, const struct store_lane *lane,
                               const struct head_entry *e, bool *ret, struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct keyspace_key at = keyspace_lane_seq(lane->id, e->seq);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    struct frame f;
    enum sf_code code;

    *ret = true;
    if (e->seq == 0) {
        return SF_OK;
    }
    code = s->kv->ops->iter_new(s->kv, NULL, KV_LOG, &range, &it, err);
    if (code != SF_OK) {
        return code;
    }
    it->ops->seek_back(it, keyspace_view(&at));
    if (!it->ops->valid(it)) {
        return it->ops->check(it, err);
    }
    code = frame_decode(it->ops->value(it), /* trust= */ false, &f, err);
    if (code == SF_OK) {
        *ret = frame_last_seq(&f) == e->seq && memcmp(f.hash, e->hash, SF_HASH256_SIZE) == 0;
    }
    return code;
}

static void note(struct head_lack *l, const struct head_entry *e, uint64_t have)
{
    const bool reaches = have >= e->seq;

    l->lanes++;
    l->changes += reaches ? 0 : e->seq - have;
    sf_buf_printf(&l->text, "%.*s@%u.%.*s: ", SF_SLICE_ARG(e->product), (unsigned)e->name.major,
                  SF_SLICE_ARG(e->table));
    if (reaches) {
        sf_buf_printf(&l->text, "another history at %llu (epoch %u)\n", (unsigned long long)e->seq,
                      (unsigned)e->epoch);
    } else {
        sf_buf_printf(&l->text, "%llu to %llu (epoch %u)\n", (unsigned long long)have + 1,
                      (unsigned long long)e->seq, (unsigned)e->epoch);
    }
}

static enum sf_code compare_lane(struct store *s, const struct head_entry *e, struct head_lack *ret,
                                 struct sf_error *err)
{
    const struct store_lane *lane = find_lane(s, e);
    const struct store_head *h = lane == NULL ? &(struct store_head){0} : &lane->head;
    bool same = false;
    enum sf_code code = SF_OK;

    if (h->seq >= e->seq && h->quarantined >= e->quarantined && lane != NULL) {
        code = same_frame(s, lane, e, &same, err);
    }
    if (code == SF_OK && !same) {
        note(ret, e, h->seq);
    }
    return code;
}

enum sf_code head_record_compare(struct store *s, struct sf_slice record, struct head_lack *ret,
                                 struct sf_error *err)
{
    struct head_record r;
    struct head_entry e;
    bool more = true;
    enum sf_code code = head_record_decode(record, &r, err);

    *ret = (struct head_lack){0};
    while (code == SF_OK && more) {
        code = head_record_next(&r, &e, &more, err);
        if (code == SF_OK && more) {
            code = compare_lane(s, &e, ret, err);
        }
    }
    if (code == SF_OK && ret->lanes == 0 && (r.epoch > s->epoch || r.commit > s->last.commit)) {
        ret->lanes = 1;
        sf_buf_printf(&ret->text, "the leaf: commit %llu of epoch %u; the store has %llu of %u\n",
                      (unsigned long long)r.commit, (unsigned)r.epoch,
                      (unsigned long long)s->last.commit, (unsigned)s->epoch);
    }
    code = code == SF_OK ? sf_buf_check(&ret->text, "what is missing", err) : code;
    if (code != SF_OK) {
        head_lack_done(ret);
    }
    return code;
}
