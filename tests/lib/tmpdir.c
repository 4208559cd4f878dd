#include "tests/lib/tmpdir.h"

#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/sys/file.h"

void tmpdir_init(struct tmpdir *t)
{
    const char *above = getenv("TMPDIR");

    (void)snprintf(t->path, sizeof(t->path), "%s/sheaf-test.XXXXXX",
                   above == NULL ? "/tmp" : above);
    if (mkdtemp(t->path) == NULL) {
        fail_msg("mkdtemp %s: %m", t->path);
    }
}

char *tmpdir_join(const struct tmpdir *t, const char *name, char *ret)
{
    if (snprintf(ret, PATH_MAX, "%s/%s", t->path, name) >= PATH_MAX) {
        fail_msg("path too long: %s/%s", t->path, name);
    }
    return ret;
}

void tmpdir_done(struct tmpdir *t)
{
    struct sf_error err;

    if (getenv("TEST_KEEP_TMP") != NULL) {
        print_message("# kept: %s\n", t->path);
        return;
    }
    if (sf_dir_remove(t->path, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
}
