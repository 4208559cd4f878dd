/* The libuv loop under a runtime: for the other files of this directory that own handles. */
#pragma once

#include <uv.h>

struct rt_uv;

/* Handles have to be closed, and closed to the end, before rt_uv_free() returns: it waits. */
uv_loop_t *rt_uv_loop(struct rt_uv *u);
