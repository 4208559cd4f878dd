/*
 * What store_open() changes in a store of an older format, before anything else reads it.
 *
 * Format 1 kept the head that the rows of a lane show in the family of the rows, under lane id 0.
 */
#include "leaf/store/store_internal.h"

enum { V1_APPLIED_KEY_BYTES = 8 }; /* lane id 0, lane */

/* One batch, synced: a crash leaves the one format or the other. */
static enum sf_code write_upgrade(struct store *s, const struct kv_range *v1, struct sf_error *err)
{
    struct keyspace_key format = keyspace_meta_format();
    struct kv_batch *b = s->group.batch;
    uint8_t version[4];

    sf_write_be32(version, KEYSPACE_FORMAT);
    b->ops->remove_range(b, KV_STATE, v1->from, v1->to);
    b->ops->put(b, KV_META, kv_one(keyspace_view(&format)),
                kv_one(sf_slice_of(version, sizeof(version))));
    return s->kv->ops->write(s->kv, b, KV_SYNC, err);
}

enum sf_code store_upgrade_from_1(struct store *s, struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(0);
    struct keyspace_key to = keyspace_lane(1);
    struct kv_range v1 = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    struct kv_batch *b = s->group.batch;
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = s->kv->ops->iter_new(s->kv, NULL, KV_STATE, &v1, &it, err);

    if (code != SF_OK) {
        return code;
    }
    b->ops->clear(b);
    for (it->ops->first(it); it->ops->valid(it); it->ops->next(it)) {
        struct sf_slice key = it->ops->key(it);

        /* Any other is no head; without one a lane's rows are made again from its log. */
        if (key.size == V1_APPLIED_KEY_BYTES) {
            struct keyspace_key applied = keyspace_meta_applied(sf_read_be32(key.data + 4));

            b->ops->put(b, KV_META, kv_one(keyspace_view(&applied)), kv_one(it->ops->value(it)));
        }
    }
    code = it->ops->check(it, err);
    return code == SF_OK ? write_upgrade(s, &v1, err) : code;
}
