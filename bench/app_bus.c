#include "bench/app_bus.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/identity/nkey.h"

void app_bus_must(enum sf_code code)
{
    if (code != SF_OK) {
        (void)fprintf(stderr, "benchmark: code %d\n", (int)code);
        exit(1);
    }
}

static void on_state(struct sf_bus *bus, bool is_connected)
{
    struct app_bus *b = bus->data;

    if (is_connected && b->on_up != NULL) {
        b->on_up(b->data);
        b->on_up = NULL;
    }
}

void app_bus_open(struct app_bus *b, struct sf_rt *rt, const char *url, const char *seed_file,
                  void (*on_up)(void *data), void *data)
{
    struct sf_bus_nats_options o = {.urls = &url, .url_count = 1, .name = "bench"};
    enum sf_nkey_kind kind;
    struct sf_seed seed = {0};
    char text[SF_NKEY_SEED_MAX] = "";
    FILE *f = fopen(seed_file, "r");

    app_bus_must(sf_crypto_init(NULL));
    if (f == NULL || fscanf(f, "%58s", text) != 1) {
        perror(seed_file);
        exit(1);
    }
    (void)fclose(f);
    app_bus_must(sf_nkey_parse_seed(sf_slice_text(text), &kind, &seed, NULL));
    sf_nkey_format(SF_NKEY_USER, &seed.public_key, b->nkey);
    o.user = &seed;
    o.nkey = b->nkey;
    b->on_up = on_up;
    b->data = data;
    app_bus_must(sf_bus_nats_open(rt, &o, &b->bus, NULL));
    b->bus->on_state = on_state;
    b->bus->data = b;
    sf_seed_done(&seed);
}
