#include "tests/lib/duckdb.h"

#include <dlfcn.h>
#include <stdio.h>

#include "common/base/alloc.h"

/* duckdb_result of duckdb.h. */
struct result {
    uint64_t column_count;
    uint64_t row_count;
    uint64_t rows_changed;
    void *columns;
    char *error;
    void *internal;
};

struct duckdb {
    void *library;
    void *database;
    void *connection;
    char error[400];
    int (*open)(const char *path, void **ret);
    int (*connect)(void *database, void **ret);
    int (*query)(void *connection, const char *sql, struct result *ret);
    const char *(*result_error)(struct result *r);
    uint64_t (*row_count)(struct result *r);
    bool (*value_is_null)(struct result *r, uint64_t column, uint64_t row);
    bool (*value_boolean)(struct result *r, uint64_t column, uint64_t row);
    void (*destroy_result)(struct result *r);
    void (*disconnect)(void **connection);
    void (*close)(void **database);
};

static bool load(struct duckdb *d, const char *path)
{
    struct {
        const char *name;
        void **place;
    } wanted[] = {
        {"duckdb_open", (void **)&d->open},
        {"duckdb_connect", (void **)&d->connect},
        {"duckdb_query", (void **)&d->query},
        {"duckdb_result_error", (void **)&d->result_error},
        {"duckdb_row_count", (void **)&d->row_count},
        {"duckdb_value_is_null", (void **)&d->value_is_null},
        {"duckdb_value_boolean", (void **)&d->value_boolean},
        {"duckdb_destroy_result", (void **)&d->destroy_result},
        {"duckdb_disconnect", (void **)&d->disconnect},
        {"duckdb_close", (void **)&d->close},
    };

    d->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (d->library == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return false;
    }
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        *wanted[i].place = dlsym(d->library, wanted[i].name);
        if (*wanted[i].place == NULL) {
            (void)fprintf(stderr, "%s has no %s\n", path, wanted[i].name);
            return false;
        }
    }
    return true;
}

struct duckdb *duckdb_start(const char *path)
{
    struct duckdb *d = sf_calloc(1, sizeof(*d));

    if (d == NULL) {
        return NULL;
    }
    if (load(d, path) && d->open(NULL, &d->database) == 0 &&
        d->connect(d->database, &d->connection) == 0 &&
        duckdb_run(d, "SET threads = 1", NULL, 0, 0) &&
        /* What is asked is computed as written: no folding that makes an error disappear. */
        duckdb_run(d, "PRAGMA disable_optimizer", NULL, 0, 0)) {
        return d;
    }
    if (d->error[0] != '\0') {
        (void)fprintf(stderr, "DuckDB does not start: %s\n", d->error);
    }
    duckdb_stop(d);
    return NULL;
}

/* The library stays loaded: it keeps threads and thread-local data. */
void duckdb_stop(struct duckdb *d)
{
    if (d->connection != NULL) {
        d->disconnect(&d->connection);
    }
    if (d->database != NULL) {
        d->close(&d->database);
    }
    sf_free(d);
}

bool duckdb_run(struct duckdb *d, const char *sql, int8_t *ret, size_t columns, size_t rows)
{
    struct result r = {0};
    bool ok = d->query(d->connection, sql, &r) == 0;

    if (!ok) {
        const char *text = d->result_error(&r);

        (void)snprintf(d->error, sizeof(d->error), "%s", text == NULL ? "no text" : text);
    } else if (ret != NULL && d->row_count(&r) != rows) {
        (void)snprintf(d->error, sizeof(d->error), "%zu rows", (size_t)d->row_count(&r));
        ok = false;
    }
    for (size_t i = 0; ok && ret != NULL && i < rows; i++) {
        for (size_t c = 0; c < columns; c++) {
            ret[i * columns + c] =
                d->value_is_null(&r, c, i) ? -1 : (int8_t)d->value_boolean(&r, c, i);
        }
    }
    d->destroy_result(&r);
    return ok;
}

const char *duckdb_error(const struct duckdb *d)
{
    return d->error;
}
