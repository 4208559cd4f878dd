/*
 * May this product file become a version of a product: read, checked, compared with what stands.
 *
 * Pure: file and standing versions in, findings out.
 *
 *   Memory    The review owns the product it read and its findings: review_done().
 */
#pragma once

#include "common/base/arena.h"
#include "common/contract/contract.h"
#include "common/policy/policy.h"

struct review_input {
    struct sf_slice yaml;
    const char *domain; /* who applies it */
    /* Versions of the file's major in the order of their numbers. */
    const struct sf_product *const *standing;
    size_t standing_count;
    const struct sf_policy_set *policies; /* of the platform; NULL: none */
    int64_t now_us;                       /* for policies that expire */
    struct sf_slice same_version_yaml; /* file of the very same version, newest or not; or empty */
};

struct review_finding {
    uint16_t number; /* SHEAF-E; 0: a warning without one */
    bool is_error;
    const char *text;
};

struct review {
    struct sf_arena arena;
    struct sf_product *product; /* NULL: the file cannot be read */
    struct review_finding *findings;
    size_t finding_count;
    bool accepted;
    bool changed; /* accepted, and new: not the same version with the same bytes */
};

/*
 * Reads the file alone, so that the caller can look up what stands (product, major) before
 * review_check(). SF_OK also when the file is wrong: then review->product is NULL and the findings
 * say why. SF_NOMEM. In every case done with review_done().
 */
enum sf_code review_read(struct review *r, struct sf_slice yaml,
                         struct sf_error *err) SF_MUST_CHECK;
/* Judges what review_read() read; after it, accepted and changed are set. SF_NOMEM. */
enum sf_code review_check(struct review *r, const struct review_input *in,
                          struct sf_error *err) SF_MUST_CHECK;
void review_done(struct review *r);
