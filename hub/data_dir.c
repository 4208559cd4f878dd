#include "hub/data_dir.h"

#include <stdio.h>
#include <string.h>

#include "common/wire/json.h"
#include "proto/errors.h"

#define FORMAT "sheaf-hub 1\n"

void data_dir_path(const struct data_dir *d, const char *name, char *ret)
{
    (void)snprintf(ret, DATA_PATH_MAX, "%s/%s", d->root, name);
}

static enum sf_code take_lock(struct data_dir *d, struct sf_error *err)
{
    char path[DATA_PATH_MAX];
    enum sf_code code;

    data_dir_path(d, "LOCK", path);
    code = sf_lock_take(path, &d->lock, err);
    if (code == SF_CONFLICT) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE, "%s is used by another hub",
                          d->root);
    }
    return code;
}

static enum sf_code check_format(const struct data_dir *d, struct sf_error *err)
{
    struct sf_buf text = {0};
    char path[DATA_PATH_MAX];
    enum sf_code code;

    data_dir_path(d, "FORMAT", path);
    code = sf_file_read(path, 64, &text, err);
    if (code == SF_ABSENT) {
        code = sf_file_write(path, SF_LITERAL(FORMAT), 0644, err);
    } else if (code == SF_BUSY ||
               (code == SF_OK && !sf_slice_equal(sf_buf_view(&text), SF_LITERAL(FORMAT)))) {
        code = SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_VERSION,
                          "%s was not written by this version of the hub", d->root);
    }
    sf_buf_done(&text);
    return code;
}

enum sf_code data_dir_open(const char *path, struct data_dir *ret, struct sf_error *err)
{
    static const char *const dirs[] = {"",           "accounts", "nats", "nats/jetstream",
                                       "nats/cache", "log"};
    struct data_dir d = {0};
    enum sf_code code = SF_OK;

    if (strlen(path) == 0 || strlen(path) >= sizeof(d.root)) {
        return SF_RAISE(err, SF_INVALID, "the path of the data directory is empty or too long");
    }
    memcpy(d.root, path, strlen(path) + 1);
    for (size_t i = 0; code == SF_OK && i < SF_COUNT(dirs); i++) {
        char dir[DATA_PATH_MAX];

        data_dir_path(&d, dirs[i], dir);
        code = sf_dir_make(dir, 0700, err);
        if (code == SF_OK && i == 0) {
            code = take_lock(&d, err);
        }
        if (code == SF_OK && i == 0) {
            code = check_format(&d, err);
        }
    }
    if (code != SF_OK) {
        data_dir_done(&d);
        return code;
    }
    *ret = d;
    return SF_OK;
}

void data_dir_done(struct data_dir *d)
{
    sf_lock_done(&d->lock);
}

static uint16_t port_of(const struct sf_json *root, const char *name)
{
    const struct sf_json_range range = {1, 65535};
    int64_t port = 0;

    if (sf_json_read_int(root, name, SF_JSON_OPTIONAL, range, &port, NULL) != SF_OK) {
        return 0;
    }
    return (uint16_t)port;
}

bool data_dir_has_run(const struct data_dir *d)
{
    char path[DATA_PATH_MAX];

    data_dir_path(d, "hub.json", path);
    return sf_file_exists(path);
}

struct data_dir_ports data_dir_last_ports(const struct data_dir *d)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct data_dir_ports ports = {0};
    struct sf_buf text = {0};
    char path[DATA_PATH_MAX];

    data_dir_path(d, "hub.json", path);
    if (sf_file_read(path, 65536, &text, NULL) == SF_OK &&
        sf_json_parse(sf_buf_view(&text), &doc, NULL) == SF_OK) {
        const struct sf_json *root = sf_json_root(doc);

        ports.http = port_of(root, "http");
        ports.nats = port_of(root, "nats");
        ports.leafnode = port_of(root, "leafnode");
    }
    sf_buf_done(&text);
    return ports;
}
