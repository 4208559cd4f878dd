/*
 * The one table of errors as users know them: SHEAF-E<number>, on the command line, over HTTP and
 * over NATS. A number never changes its meaning; new ones are added at the end of their range.
 * docs/reference/errors.md is compared with it by tests/tidy.
 *
 *   01xx product file   02xx records   03xx requests   04xx access   05xx identity
 *   06xx storage and limits   07xx processes and mesh   08xx command line
 */
#pragma once

#include <stdint.h>

/* X(symbol, number, HTTP status, exit code, title, next step) */
#define SHEAF_ERRORS(X)                                                                            \
    X(YAML_SYNTAX, 101, 422, 3, "the file is not valid YAML", "mend the marked place")             \
    X(UNKNOWN_KEY, 102, 422, 3, "unknown key", "use one of the names listed, or remove it")        \
    X(BAD_VALUE, 103, 422, 3, "value not allowed here", "use one of the values listed")            \
    X(MISSING_KEY, 104, 422, 3, "a required key is missing", "add it")                             \
    X(DUPLICATE_KEY, 105, 422, 3, "duplicate key or name", "keep one of the two")                  \
    X(BAD_NAME, 106, 422, 3, "name not allowed", "use lower-case letters, digits and separators")  \
    X(BAD_REFERENCE, 107, 422, 3, "refers to something that is not there", "correct the name")     \
    X(CANNOT_INFER, 108, 422, 3, "no contract can be made from this file",                         \
      "mend the file, or begin by hand: sheaf product init")                                       \
    X(BREAKING_CHANGE, 110, 409, 6, "breaking change within a major version",                      \
      "raise the major version, or undo the change")                                               \
    X(VERSION_NOT_HIGHER, 111, 409, 6, "version is not higher than the one in force",              \
      "raise the version")                                                                         \
    X(EXPR_SYNTAX, 112, 422, 3, "the expression cannot be read", "mend the marked place")          \
    X(EXPR_TYPE, 113, 422, 3, "the types of an expression do not fit",                             \
      "compare values of one type")                                                                \
    X(BAD_FRAMING, 201, 400, 3, "the body cannot be split into records",                           \
      "send NDJSON (one object per line), a JSON array, or CSV with a header line")                \
    X(RECORD_INVALID, 202, 422, 3, "record violates the contract",                                 \
      "mend the records; those put aside: 'sheaf product quarantine ls D/P'")                      \
    X(UNKNOWN_FIELD, 203, 422, 3, "field is not in the contract",                                  \
      "remove it, or add it to the contract")                                                      \
    X(WRONG_TYPE, 204, 422, 3, "value has the wrong type", "send the type the contract names")     \
    X(OUT_OF_RANGE, 205, 422, 3, "value is out of range", "see the rules of the field")            \
    X(FIELD_MISSING, 206, 422, 3, "required field is missing", "send it, or give it a default")    \
    X(BAD_UTF8, 207, 422, 3, "text is not valid UTF-8", "send UTF-8")                              \
    X(RECORD_TOO_LARGE, 208, 422, 3, "record is too large or too deep",                            \
      "stay under 256 KiB per row and 1 KiB per key")                                              \
    X(BAD_ENVELOPE, 209, 422, 3, "operation not allowed",                                          \
      "use upsert, patch or delete on state tables, plain rows on event tables")                   \
    X(UNSUPPORTED_MEDIA, 210, 415, 2, "content type or encoding is not supported",                 \
      "send NDJSON, JSON, CSV or protobuf, and changes in NDJSON or JSON; plain, gzip or zstd")    \
    X(BAD_REQUEST, 301, 400, 2, "the request is malformed", "see the parameter named")             \
    X(PRODUCT_UNKNOWN, 302, 404, 4, "no such product", "see 'sheaf product ls'")                   \
    X(TABLE_UNKNOWN, 303, 404, 4, "no such table", "see 'sheaf product show D/P'")                 \
    X(FIELD_UNKNOWN, 304, 400, 2, "no such field", "see 'sheaf product show D/P'")                 \
    X(ROW_ABSENT, 305, 404, 4, "no row with this key", "check the key")                            \
    X(NO_SUCH_PATH, 306, 404, 4, "nothing is served at this path",                                 \
      "see docs/reference/http-leaf.md, http-hub.md")                                              \
    X(METHOD_NOT_ALLOWED, 307, 405, 2, "method is not allowed here",                               \
      "see docs/reference/http-leaf.md, http-hub.md")                                              \
    X(POSITION_GONE, 308, 410, 6, "position is not held", "read a snapshot, then follow")          \
    X(BAD_CURSOR, 309, 400, 2, "cursor is not valid here", "start again without a cursor")         \
    X(KEY_REUSED, 310, 422, 2, "the idempotency key was used for another request",                 \
      "take a new key for a new request")                                                          \
    X(KEY_BUSY, 311, 409, 7, "a request with this idempotency key is under way",                   \
      "wait for its answer, or send it again")                                                     \
    X(NOT_EXPECTED, 312, 409, 6, "not at the expected position", "read it again, then decide")     \
    X(NOT_MATCHED, 313, 412, 6, "not at the position of If-Match", "read it again, then decide")   \
    X(ENTRY_GONE, 314, 404, 4, "no such entry in the quarantine",                                  \
      "see 'sheaf product quarantine ls D/P'")                                                     \
    X(ROW_NEWER, 315, 409, 6, "the row was written after this record came",                        \
      "drop the record, or say that it counts: --overwrite")                                       \
    X(TOO_SLOW, 316, 408, 7, "the reader takes too little",                                        \
      "follow again behind the last position")                                                     \
    X(POSITION_AHEAD, 317, 409, 6, "the table is not there yet",                                   \
      "see where it is: sheaf read D/P --only-count")                                              \
    X(DENIED, 401, 403, 5, "not granted",                                                          \
      "ask for it: sheaf access request D/P --as DOMAIN --purpose TEXT --for 90d")                 \
    X(REQUEST_UNKNOWN, 402, 404, 4, "no such access request", "see 'sheaf access ls'")             \
    X(GRANT_UNKNOWN, 403, 404, 4, "no such grant", "see 'sheaf access ls'")                        \
    X(WRONG_STATE, 404, 409, 6, "its state does not allow that",                                   \
      "see its state: sheaf access ls, sheaf product ls")                                          \
    X(NOT_OWNER, 405, 403, 5, "only the owning domain may do this", "act as the owner domain")     \
    X(CLOSED_PRODUCT, 406, 403, 5, "the product is closed to other domains", "talk to its owner")  \
    X(BAD_SIGNATURE, 407, 403, 5, "signature does not hold", "sign with the domain's own key")     \
    X(GRANT_EXISTS, 408, 409, 6, "there is an active grant already", "see 'sheaf access ls'")      \
    X(NOT_RETIRED, 409, 409, 6, "only a draft or a retired version can be removed",                \
      "retire it first: sheaf product retire D/P@MAJOR")                                           \
    X(GRANTS_IN_FORCE, 410, 409, 6, "others still have the right to read it",                      \
      "revoke them with 'sheaf access revoke G-n', or let them end")                               \
    X(PRODUCT_REMOVED, 411, 409, 6, "the product was removed",                                     \
      "bring it back while its rows are kept: sheaf product restore D/P@MAJOR")                    \
    X(POLICY_BREACH, 412, 422, 3, "a policy requires what the product has not",                    \
      "mend the product, or ask the platform team: sheaf policy show NAME")                        \
    X(POLICY_UNKNOWN, 413, 404, 4, "no such policy", "see 'sheaf policy ls'")                      \
    X(POLICY_VERSION_UNKNOWN, 414, 404, 4, "no such version of the policies",                      \
      "see 'sheaf policy history'")                                                                \
    X(WRONG_ACTOR, 415, 403, 5, "not for this actor to do",                                        \
      "act as the one named: as a domain with --as, as the platform without")                      \
    X(POLICY_DENIES, 416, 403, 5, "a policy denies it",                                            \
      "see which: sheaf access explain --who DOMAIN --what D/P")                                   \
    X(GRANT_HELD_BACK, 417, 403, 5, "a grant that had ended was brought back",                     \
      "its owner revokes it ('sheaf access ls' names it); then ask again: sheaf access request")   \
    X(TOKEN_MISSING, 501, 401, 5, "no token",                                                      \
      "send 'Authorization: Bearer TOKEN', made by 'sheaf token create --as DOMAIN'")              \
    X(TOKEN_INVALID, 502, 401, 5, "token does not verify",                                         \
      "make a new one: sheaf token create --as DOMAIN")                                            \
    X(TOKEN_EXPIRED, 503, 401, 5, "token has expired",                                             \
      "make a new one: sheaf token create --as DOMAIN; check the clock")                           \
    X(TOKEN_FOREIGN, 504, 403, 5, "token of another domain", "ask your own domain's leaf")         \
    X(JOIN_REFUSED, 505, 403, 5, "join token is unknown, spent or expired",                        \
      "ask the platform team for a new one")                                                       \
    X(ROLES_REFUSED, 506, 403, 5, "the assertion of roles does not hold",                          \
      "make a new one for this product: sheaf token create --for D/P; check the clocks")           \
    X(DISK_FULL, 601, 507, 7, "the disk is full", "free space; writing resumes by itself")         \
    X(BUSY, 602, 429, 7, "busy", "try again after the time in Retry-After")                        \
    X(TOO_LARGE, 603, 413, 2, "the body is too large", "send smaller batches")                     \
    X(STORE_FAILED, 604, 500, 1, "storage failed; the leaf is read-only",                          \
      "see the log, then restart")                                                                 \
    X(STORE_CORRUPT, 605, 500, 1, "stored data failed a check", "restore from a backup")           \
    X(DATA_DIR_IN_USE, 606, 409, 6, "the data directory is in use",                                \
      "stop the other process, or name another directory")                                         \
    X(DATA_DIR_VERSION, 607, 409, 6, "the data directory was written by another version",          \
      "use that version, or another directory")                                                    \
    X(DATA_DIR_FOREIGN, 608, 409, 6, "the data directory belongs to another domain",               \
      "give the domain it belongs to, or another directory")                                       \
    X(STORE_BEHIND, 609, 500, 1, "stored data is missing",                                         \
      "restore a backup, or accept the loss: sheaf leaf check --dir DIR --accept-loss")            \
    X(FENCED, 610, 409, 6, "another leaf of this domain has taken over",                           \
      "stop one of the two; see docs/how-to/back-up-and-restore.md")                               \
    X(RESTORE_UNFINISHED, 611, 409, 6, "a restore into this directory was cut off",                \
      "run 'sheaf leaf restore' again")                                                            \
    X(BACKUP_BAD, 612, 500, 1, "the backup is not good", "take another one, or use an older one")  \
    X(LOG_TORN, 613, 500, 1, "the end of the store's log or MANIFEST is damaged",                  \
      "restore a backup, or accept the loss: sheaf leaf check --dir DIR --accept-loss")            \
    X(QUARANTINE_FULL, 620, 507, 7, "the quarantine of the product is full",                       \
      "fix, replay or drop entries: 'sheaf product quarantine ls D/P'")                            \
    X(DEDUPE_FULL, 621, 507, 7, "the window of a dedupe is full",                                  \
      "wait, shorten 'within', or raise --dedupe-max")                                             \
    X(LIMIT, 622, 409, 6, "a limit of the mesh is reached", "remove what is not needed any more")  \
    X(PORT_IN_USE, 701, 409, 6, "the port is in use", "choose another port")                       \
    X(NATS_MISSING, 702, 503, 7, "nats-server was not found",                                      \
      "run './dev setup', or give --nats-server")                                                  \
    X(NATS_TOO_OLD, 703, 503, 7, "nats-server is too old", "install 2.15.1 or newer")              \
    X(HUB_UNREACHABLE, 704, 503, 7, "the hub cannot be reached",                                   \
      "start it; a leaf that has joined goes on without it")                                       \
    X(LEAF_UNREACHABLE, 705, 503, 7, "the leaf of that domain cannot be reached",                  \
      "see 'sheaf status'")                                                                        \
    X(NOT_DURABLE, 706, 503, 7, "JetStream does not sync every write",                             \
      "set sync_interval: always")                                                                 \
    X(BUNDLE_EXPIRED, 707, 503, 7, "the leaf has no valid bundle", "connect it to the hub")        \
    X(INTERNAL, 708, 500, 1, "internal error", "see the log")                                      \
    X(LOG_AWAY, 709, 503, 7, "the event log of the hub does not answer",                           \
      "look whether the change was made, then try again")                                          \
    X(DRAINING, 710, 503, 7, "the leaf is being drained: it takes nothing new",                    \
      "try again when it is back; to end it: sheaf leaf drain --as DOMAIN --undo")                 \
    X(CANCELLED, 711, 409, 6, "it was stopped before its end", "start it again")                   \
    X(NO_ANSWER, 712, 504, 7, "the answer did not come in time",                                   \
      "see 'sheaf status', or give it longer with --timeout")                                      \
    X(USAGE, 801, 400, 2, "wrong usage", "see 'sheaf help'")                                       \
    X(NO_CONTEXT, 802, 400, 2, "no identity to act as",                                            \
      "give --as DOMAIN; where no mesh runs, 'sheaf dev' starts one")                              \
    X(NEEDS_YES, 803, 400, 2, "this needs a confirmation", "give --yes")                           \
    X(FILE_UNREADABLE, 804, 400, 1, "a file cannot be read or written",                            \
      "check its path and rights")                                                                 \
    X(MESH_RUNNING, 805, 409, 6, "a mesh runs here already",                                       \
      "see 'sheaf status', or stop it with 'sheaf dev stop'")                                      \
    X(NO_MESH, 806, 404, 7, "no mesh runs here",                                                   \
      "start one with 'sheaf dev', or say with --data where it is")

enum sheaf_error_number {
#define X(symbol, number, http, exit_code, title, next) SHEAF_E_##symbol = (number),
    SHEAF_ERRORS(X)
#undef X
};

struct sheaf_error_info {
    uint16_t number;
    uint16_t http_status;
    uint8_t exit_code; /* of the command line: docs/reference/cli.md */
    const char *title;
    const char *next;
};

/* The entry of @number; that of INTERNAL for a number that is not in the table. */
const struct sheaf_error_info *sheaf_error_info(uint16_t number);
/* The problem document (RFC 9457, static) of a refusal that a server gives before a request reaches
 * its handler: by HTTP @status, NULL for one that has none. */
const char *sheaf_error_document(unsigned status);
/* The same of any entry, with its title as detail; that of INTERNAL for a number that is not in the
 * table. */
const char *sheaf_error_document_of(uint16_t number);
/* Entries in the order of the table; NULL behind the last. */
const struct sheaf_error_info *sheaf_error_at(unsigned i);
