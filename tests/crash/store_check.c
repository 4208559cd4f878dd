/*
 * Opens the store of a leaf that does not run, as the leaf would, and checks all of it.
 *
 *     store_check DIRECTORY
 */
#include <stdio.h>

#include "common/sys/rt_uv.h"
#include "leaf/store/check.h"
#include "leaf/store/kv_rocks.h"

static void on_closed(void *data)
{
    rt_uv_stop(data);
}

static enum sf_code run(struct rt_uv *uv, const char *directory, struct sf_error *err)
{
    const struct kv_rocks_options kv_options = {0};
    const struct store_options options = {0};
    struct store_check_result found = {0};
    struct store *store = NULL;
    struct kv *kv = NULL;
    enum sf_code code = kv_rocks_open(directory, &kv_options, &kv, err);

    code = code == SF_OK ? store_open(rt_uv_rt(uv), kv, &options, &store, err) : code;
    if (code != SF_OK) {
        return code;
    }
    code = store_check(store, &found, err);
    store_close(store, on_closed, uv);
    rt_uv_run(uv);
    (void)printf("%llu lanes, %llu frames, %llu changes, %llu rows\n",
                 (unsigned long long)found.lanes, (unsigned long long)found.frames,
                 (unsigned long long)found.changes, (unsigned long long)found.rows);
    return code;
}

int main(int argc, char **argv)
{
    struct rt_uv *uv = NULL;
    struct sf_error err;
    enum sf_code code = rt_uv_new(&uv, &err);

    if (argc != 2) {
        (void)fprintf(stderr, "usage: store_check DIRECTORY\n");
        return 2;
    }
    code = code == SF_OK ? run(uv, argv[1], &err) : code;
    rt_uv_free(uv);
    if (code != SF_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return 0;
}
