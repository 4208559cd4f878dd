/*
 * The only place where a NATS subject is built or taken apart, and where the contexts of signatures
 * are named. DESIGN 2 has the table; every builder is named after its row.
 *
 * Builders write into a buffer of SUBJECT_MAX bytes. Names have been checked before (DESIGN 1:
 * letters, digits, '-' and '_'), so a subject always fits; a name that could not be one is a bug.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SUBJECT_MAX = 384 };

/* Signature contexts: signed bytes are context, zero byte, payload. */
#define SIGN_DECISION   "sheaf.v1.decision"
#define SIGN_REVOCATION "sheaf.v1.revocation"
#define SIGN_BUNDLE     "sheaf.v1.bundle"
#define SIGN_EVENT      "sheaf.v1.event"
#define SIGN_MESSAGE    "sheaf.v1.message"
#define SIGN_JOIN       "sheaf.v1.join"

/* Headers of published messages and of answers. */
#define HEADER_POSITION        "Sheaf-Position" /* EPOCH:FIRST-LAST */
#define HEADER_PREV            "Sheaf-Prev"     /* last seq of this audience's previous message */
#define HEADER_CONTRACT        "Sheaf-Contract"
#define HEADER_VIEW            "Sheaf-View"
#define HEADER_POLICY          "Sheaf-Policy" /* version of the policies that made the view */
#define HEADER_ROLES           "Sheaf-Roles"  /* of a request: whose roles it has, as a token */
#define HEADER_SIG             "Sheaf-Sig"
#define HEADER_HEAD            "Sheaf-Head" /* EPOCH:SEQ, on heartbeats */
#define HEADER_COUNT           "Sheaf-Count"
#define HEADER_CURSOR          "Sheaf-Cursor"
#define HEADER_EVENT           "Sheaf-Event"        /* of answers that follow: enum follow_kind */
#define HEADER_FLOW            "Sheaf-Flow"         /* number of a page that is sent on credit */
#define HEADER_EXAMINED        "Sheaf-Examined"     /* of a scan with where: rows looked at */
#define HEADER_WHERE_NULLS     "Sheaf-Where-Nulls"  /* of these, left out as where was null... */
#define HEADER_WHERE_ERRORS    "Sheaf-Where-Errors" /* ...or failed */
#define HEADER_DEPRECATED      "Sheaf-Deprecated"   /* "status=deprecated; sunset=2027-03-01" */
#define HEADER_MSG_ID          "Nats-Msg-Id"
#define HEADER_TYPE            "Content-Type"
#define HEADER_ENCODING        "Content-Encoding"
#define HEADER_IF_MATCH        "If-Match"
#define HEADER_IDEMPOTENCY_KEY "Idempotency-Key"
#define HEADER_REPLAYED        "Idempotency-Replayed"
#define HEADER_ON_INVALID      "Sheaf-On-Invalid"        /* parameter on_invalid of HTTP */
#define HEADER_ENVELOPE        "Sheaf-Envelope"          /* parameter envelope */
#define HEADER_EXPECTED_SEQ    "Sheaf-Expected-Seq"      /* parameter expected_seq */
#define HEADER_ERROR           "Nats-Service-Error"      /* ADR-32 */
#define HEADER_ERROR_CODE      "Nats-Service-Error-Code" /* ADR-32: the HTTP status */
#define HEADER_ERROR_ID        "Sheaf-Error"             /* SHEAF-E0401 */

/* A table's lane as subjects name it. */
struct subject_lane {
    const char *domain;
    const char *product;
    const char *table;
    uint32_t major;
    uint32_t partition;
};

/* dp.<d>.<product>.<table>.v<major>.<partition>.<audience>, in <d>.serve */
void subject_live_source(char ret[SUBJECT_MAX], const struct subject_lane *lane,
                         const char *audience);
/* dp.<d>.<product>.<table>.v<major>.<partition>: what a granted account sees */
void subject_live(char ret[SUBJECT_MAX], const struct subject_lane *lane);
/* dp.<d>.<product>.<table>.v<major>.>: what its consumers subscribe to */
void subject_live_all(char ret[SUBJECT_MAX], const struct subject_lane *lane);
/* dp.<d>.<product>.*.v<major>.*.<audience>: what the import of a grant names... */
void subject_import_source(char ret[SUBJECT_MAX], const char *domain, const char *product,
                           uint32_t major, const char *audience);
/* ...and dp.<d>.<product>.$1.v<major>.$2, what it is renamed to */
void subject_import_local(char ret[SUBJECT_MAX], const char *domain, const char *product,
                          uint32_t major);
/* dp.<d>.>: what <d>.serve exports */
void subject_live_export(char ret[SUBJECT_MAX], const char *domain);
/* own.<product>.<table>.v<major>.<partition>: the owner's unmasked stream, local to its leaf */
void subject_own(char ret[SUBJECT_MAX], const struct subject_lane *lane);
/* own.<product>.<table>.v<major>.quality: verdicts on it that have changed, local too */
void subject_own_quality(char ret[SUBJECT_MAX], const struct subject_lane *lane);

/* dpq.<d>.*.>: where <d>.serve listens for requests of other domains */
void subject_request_listen(char ret[SUBJECT_MAX], const char *domain);
/* dpq.<d>.<ACCOUNT>.>, imported by <ACCOUNT> as q.<d>.> */
void subject_request_source(char ret[SUBJECT_MAX], const char *domain, const char *account);
void subject_request_local(char ret[SUBJECT_MAX], const char *domain);
/* q.<d>.<product>.<op>: what a consumer asks */
void subject_request(char ret[SUBJECT_MAX], const char *domain, const char *product,
                     const char *op);

/* The parts of dpq.<d>.<ACCOUNT>.<product>.<op> or q.<d>.<product>.<op> (account ""). */
struct subject_request_parts {
    char account[64];
    char product[64];
    char op[64];
};
/* Whether the subject is one that a leaf's process speaks on and apps may not: no place for
 * answers, which the process would send there in an app's stead. */
bool subject_is_reserved(const char *subject);
/* false: not a subject of that form. */
bool subject_request_parse(const char *subject, struct subject_request_parts *ret);

/* in.>: where the leaf listens for records, in <d> */
void subject_ingest_listen(char ret[SUBJECT_MAX]);
/* in.<product>.<table>.v<major>: records of a table; the lane's domain and partition do not count
 */
void subject_ingest(char ret[SUBJECT_MAX], const struct subject_lane *lane);
struct subject_ingest_parts {
    char product[64];
    char table[64]; /* "" of in.<product>.v<major>: the records name theirs */
    uint32_t major;
};
/* false: not a subject of that form. */
bool subject_ingest_parse(const char *subject, struct subject_ingest_parts *ret);

/* $SRV.*[.<name>[.<id>]]: where a service answers questions about itself (ADR-32) */
void subject_service(char ret[SUBJECT_MAX], const char *name, const char *id);
/* q.<d>.*.<op>: what the service says that it serves */
void subject_request_any(char ret[SUBJECT_MAX], const char *domain, const char *op);

/* mesh.ctl.<ACCOUNT>.<op> in MESH, seen as mesh.<op> in <d>.serve */
void subject_control_listen(char ret[SUBJECT_MAX]); /* mesh.ctl.*.> */
void subject_control_source(char ret[SUBJECT_MAX], const char *account);
void subject_control(char ret[SUBJECT_MAX], const char *op);
void subject_control_local(char ret[SUBJECT_MAX]); /* mesh.>, what the import is renamed to */
/* false: not of that form. @ret_account 64 bytes, @ret_op 64 bytes. */
bool subject_control_parse(const char *subject, char *ret_account, char *ret_op);
