/* Where an epoch of a lane ended. */
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

/* Header of the frame that holds @seq, or of the nearest one behind it that is still there. */
static enum sf_code frame_at(const struct store_lane *lane, struct kv_iter *it, uint64_t seq,
                             struct frame_header *ret, struct sf_error *err)
{
    struct keyspace_key key = keyspace_lane_seq(lane->id, seq);
    struct frame f;
    enum sf_code code;

    it->ops->seek_back(it, keyspace_view(&key));
    if (!it->ops->valid(it)) {
        it->ops->first(it); /* The log begins behind it. */
    }
    if (!it->ops->valid(it)) {
        code = it->ops->check(it, err);
        return code != SF_OK ? code
                             : SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                                          "a lane with a head has no log");
    }
    code = frame_decode(it->ops->value(it), /* trust= */ true, &f, err);
    if (code == SF_OK) {
        *ret = f.header;
    }
    return code;
}

enum sf_code store_epoch_end(const struct store_snapshot *snapshot, const struct store_lane *lane,
                             uint32_t epoch, uint64_t *ret, struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range range = {keyspace_view(&from), keyspace_view(&to), .fill_cache = true};
    struct kv *kv = snapshot->store->kv;
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    struct frame_header h;
    struct store_head head;
    uint64_t low = 0;  /* is in @epoch or before */
    uint64_t high = 0; /* the first that is not may be up to here */
    enum sf_code code = store_snapshot_head(snapshot, lane, &head, err);

    if (code != SF_OK || head.epoch <= epoch || head.seq == 0) {
        *ret = head.epoch == epoch ? head.seq : 0;
        return code;
    }
    code = kv->ops->iter_new(kv, snapshot->kv, KV_LOG, &range, &it, err);
    high = head.seq;
    while (code == SF_OK && low + 1 < high) {
        uint64_t middle = low + (high - low) / 2;

        code = frame_at(lane, it, middle, &h, err);
        if (code == SF_OK && h.epoch <= epoch) {
            low = middle; /* A frame has one epoch; its end is met by further halving. */
        } else {
            high = middle;
        }
    }
    if (code == SF_OK && low > 0) {
        code = frame_at(lane, it, low, &h, err);
        low = code == SF_OK && h.epoch == epoch && h.first_seq <= low ? low : 0;
    }
    *ret = low;
    return code;
}
