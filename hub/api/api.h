/*
 * The HTTP interface of the hub: JSON in, JSON out.
 *
 * Answers are {"apiVersion":"sheaf/v1","kind":KIND,...}; errors are application/problem+json with
 * type, title, status, detail, code ("SHEAF-E0401") and next. Binary values are base64 with
 * padding; times are RFC 3339, UTC, with six decimals; durations are microseconds in members ending
 * in _us. Everything but /livez, /readyz, /metrics, GET /v1/mesh and POST /v1/join wants
 * `Authorization: Bearer` with a token of a joined domain or of "platform" (aud = mesh id).
 *
 *   GET  /livez, /readyz, /metrics
 *   GET  /v1/mesh                        Mesh: mesh, hub_key, version, leafnode_urls[], nats_url,
 *                                        nats_server
 *   POST /v1/join-tokens                 platform; {domain, ttl_us?} -> 201 JoinToken: domain,
 *                                        token, expires
 *   POST /v1/join                        {domain, token?, domain_key, leaf_key, serve_user, user,
 *                                        proof}; proof: base64 of the signature (SIGN_JOIN) over
 *                                        proto/join.h -> 200 Joined: mesh, domain, hub_key,
 *                                        operator (JWT), system_account, leafnode_urls[],
 *                                        accounts{serve,domain}, users{serve{user,jwt},
 *                                        domain{user,jwt}}, expires. The first time a token is
 *                                        spent; again with the same domain_key (no token needed):
 *                                        new JWTs for the users named. Another leaf_key needs a
 *                                        new token.
 *   GET  /v1/domains                     DomainList: items[Domain]
 *   GET  /v1/domains/{d}                 Domain: name, domain_key, leaf_key, accounts{serve,
 *                                        domain}, joined, products, leaf{state: up|down|never,
 *                                        seen_age_us?, version, nats_server}
 *   GET  /v1/products                    ProductList: items[Product without contract, tables]
 *   GET  /v1/products/{d}/{p}[@MAJOR]    Product: product, domain, name, version, major, status,
 *                                        owner, description, tags[], access, granted (bool),
 *                                        grant?, contract (YAML), tables[{name, kind, key[],
 *                                        description, fields[{name, number, type, required, class,
 *                                        shared, description, unit}]}], versions[{version, applied,
 *                                        applied_by}]. shared: false for what never leaves the
 *                                        owner (class pii, secret).
 *   POST /v1/access/requests             {product: "d/p" or "d/p@1", purpose, duration_us,
 *                                        columns?[]} -> 201 AccessRequest
 *   GET  /v1/access                      ?role=owner|consumer &state=pending|approved|denied|
 *                                        active|revoked|expired -> AccessList: requests[], grants[]
 *   GET  /v1/access/AR-n                 AccessRequest: id, product, major, owner, consumer,
 *                                        purpose, duration_us, columns[], state
 *                                        (pending|approved|denied), auto_approvable, created,
 *                                        requested_by, grant?, note?
 *   GET  /v1/access/G-n                  Grant: id, request, product, major, owner, consumer,
 *                                        purpose, columns[], audience, sole_audience, until, state
 *                                        (active|revoked|expired), decided_by, ended?, reason?
 *   POST /v1/access/requests/AR-n/decision   {decision: base64 of Signed(Decision)}
 *                                        -> AccessDecision: request, approved, grant?, effective,
 *                                        laggards[], elapsed_us (waits at most 2 s)
 *   POST /v1/access/grants/G-n/revoke    {revocation: base64 of Signed(Revocation)}, or a platform
 *                                        token and {reason} -> RevocationReceipt: grant, effective,
 *                                        laggards[], elapsed_us (waits at most 1 s)
 *   GET  /v1/audit                       ?after=N&limit=M (at most 1000) -> AuditPage: hub_key,
 *                                        head, items[{number, time, actor, kind, detail{}, hash,
 *                                        payload, signature, key}]
 *   GET  /v1/status                      Status: mesh, version, events, nats{server, state},
 *                                        leaves[{domain, state, seen_age_us, version,
 *                                        nats_server, bundle, bundle_in_force}], products[{product,
 *                                        major, table, partition, position, rows, quarantined,
 *                                        commit_age_us, leaf}]
 *
 * A consumer's request acts under the domain of its token ("iss"). In this release the catalog of
 * products and the audit log are visible to every joined domain; access requests and grants are
 * visible to their owner, their consumer and the platform, and to nobody else (404).
 */
#pragma once

#include "common/sys/http_server.h"
#include "common/sys/metrics.h"
#include "hub/api/state.h"

struct api;
struct rt_uv;

struct api_options {
    struct rt_uv *uv;
    struct hub_state *state; /* borrowed */
    const char *address;
    uint16_t port; /* 0: any free one */
};

/* Serves from now on; everything but /livez answers 503 until state->open. Codes of
 * sf_http_server_new(). */
enum sf_code api_new(const struct api_options *o, struct api **ret,
                     struct sf_error *err) SF_MUST_CHECK;
uint16_t api_port(const struct api *a);
/* Aborts what is open; appends under way must have ended (event_log_close()). NULL is fine. */
void api_free(struct api *a);
