/* Writing <data>/dev.json. Private to dev_*.c; context.h reads it. */
#pragma once

#include "cli/dev_node.h"

struct dev_file {
    const char *data_dir;
    const char *mesh;
    const char *hub_key;
    const char *error; /* or NULL */
    int64_t pid;       /* of the supervisor; 0: stopped */
    const struct dev_node *hub;
    const struct dev_node *leaves;
    size_t leaf_count;
};

enum sf_code dev_file_write(const struct dev_file *f, struct sf_error *err) SF_MUST_CHECK;
