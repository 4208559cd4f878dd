/*
 * The quarantine's part of a commit: entries come, go, or stay with other codes, in the batch of
 * the changes that are made of them. How many there are and what they take is counted here, where
 * writes have an order.
 */
#include "leaf/store/store_internal.h"

bool commit_resolves_hold(struct commit_group *g, struct store_lane_write *lw)
{
    lw->resolved_bytes = 0;
    for (size_t i = 0; i < lw->resolve_count; i++) {
        struct keyspace_key key = keyspace_lane_seq(lw->lane->id, lw->resolves[i].qseq);
        bool found = false;

        g->code = g->kv->ops->get(g->kv, NULL, KV_QUARANTINE, keyspace_view(&key), &g->old_entry,
                                  &found, &g->error);
        if (g->code != SF_OK) {
            return false;
        }
        if (!found) {
            lw->unmet = lw->change_count + 1 + i;
            lw->unmet_seq = 0;
            return false;
        }
        lw->resolved_bytes += g->old_entry.size;
    }
    return true;
}

/* Puts an entry; false when there is no memory, on which the group fails before it writes. */
static bool put_entry(struct commit_group *g, struct store_lane *lane, uint64_t qseq,
                      const struct store_reject *r, int64_t commit_us)
{
    struct keyspace_key key = keyspace_lane_seq(lane->id, qseq);

    sf_buf_clear(&g->bytes_out);
    keyspace_reject_encode(r, commit_us, &g->bytes_out);
    g->batch->ops->put(g->batch, KV_QUARANTINE, kv_one(keyspace_view(&key)),
                       (struct kv_parts){sf_buf_view(&g->bytes_out), r->raw});
    lane->work.held.entries++;
    lane->work.held.bytes += g->bytes_out.size + r->raw.size;
    return g->bytes_out.failed == SF_OK;
}

void commit_rejects(struct commit_group *g, struct store_lane_write *lw)
{
    struct store_head *head = &lw->lane->work.head;

    lw->first_qseq = lw->reject_count == 0 ? 0 : head->quarantined + 1;
    for (size_t i = 0; i < lw->reject_count; i++) {
        if (!put_entry(g, lw->lane, ++head->quarantined, &lw->rejects[i], g->commit.commit_us)) {
            return;
        }
    }
    g->counts.rejects += lw->reject_count;
}

void commit_resolves(struct commit_group *g, struct store_lane_write *lw)
{
    struct store_held *held = &lw->lane->work.held;

    g->dirty = g->dirty || lw->resolve_count > 0;
    held->entries -= lw->resolve_count;
    held->bytes -= lw->resolved_bytes;
    for (size_t i = 0; i < lw->resolve_count; i++) {
        const struct store_resolve *r = &lw->resolves[i];
        struct keyspace_key key = keyspace_lane_seq(lw->lane->id, r->qseq);

        if (r->again == NULL) {
            g->batch->ops->remove(g->batch, KV_QUARANTINE, keyspace_view(&key));
            g->counts.resolves++;
        } else if (!put_entry(g, lw->lane, r->qseq, r->again, r->commit_us)) {
            return;
        }
    }
}

void commit_held(struct commit_group *g, const struct store_lane *lane)
{
    const struct store_held *held = &lane->work.held;
    struct keyspace_key key = keyspace_meta_held(lane->id);
    uint8_t record[KEYSPACE_HELD_BYTES];

    if (held->entries == lane->tip_held.entries && held->bytes == lane->tip_held.bytes) {
        return;
    }
    keyspace_held_encode(held, record);
    g->batch->ops->put(g->batch, KV_META, kv_one(keyspace_view(&key)),
                       kv_one(sf_slice_of(record, sizeof(record))));
    g->dirty = true;
}
