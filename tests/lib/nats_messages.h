/*
 * Messages of a test over the NATS layer of nats_fixture.h: heard, said, asked, each wait with an
 * end. All functions fail the test on what they cannot do.
 */
#pragma once

#include "tests/lib/nats_fixture.h"

/* Hears a subject. Messages are numbers: 0 does not count, it only shows that the way is open. */
struct heard {
    struct sf_bus_sub sub;
    struct sf_bus *bus;
    size_t count;
    size_t opened; /* zeros */
    uint64_t last;
    uint64_t missing; /* numbers left out */
    size_t doubles;   /* numbers not higher than the last */
    char subject[128];
    char reply[256];
};

void heard_start(struct nats_fixture *f, struct heard *h, struct sf_bus *bus, const char *subject);
void heard_stop(struct heard *h);
void say_number(struct sf_bus *bus, const char *subject, uint64_t number);
void say_text(struct sf_bus *bus, const char *subject, const char *text);
/* Says 0 at @subject until @h has heard it. */
void wait_open(struct nats_fixture *f, struct sf_bus *bus, const char *subject,
               const struct heard *h);

/* A request and its outcome. */
struct asked {
    struct sf_bus_call call;
    bool is_done;
    enum sf_bus_outcome outcome;
    char text[256];
};
enum sf_bus_outcome ask_once(struct nats_fixture *f, struct sf_bus *bus, const char *subject,
                             struct sf_slice data, unsigned timeout_ms, struct asked *ret);
/* Asks again and again until it is answered: the way there may be being mended. */
void ask_until_answered(struct nats_fixture *f, struct sf_bus *bus, const char *subject);
