/* The real loop in a test: runs until something holds, with a deadline. */
#pragma once

#include "common/sys/rt_uv.h"

struct test_loop {
    struct rt_uv *uv;
    struct sf_rt *rt;
};

/* Fails the test when it cannot be made. */
void test_loop_init(struct test_loop *l);
void test_loop_done(struct test_loop *l);
/* Runs the loop until @holds; fails the test, naming @what, after @deadline_ms. */
void test_loop_until(struct test_loop *l, bool (*holds)(void *data), void *data, const char *what,
                     unsigned deadline_ms);
/* The same, but false at the deadline: for what must not happen, or may. */
bool test_loop_wait(struct test_loop *l, bool (*holds)(void *data), void *data,
                    unsigned deadline_ms);
/* For the common conditions: *counter >= want, and *flag. */
void test_loop_until_count(struct test_loop *l, const size_t *counter, size_t want,
                           const char *what, unsigned deadline_ms);
void test_loop_until_flag(struct test_loop *l, const bool *flag, const char *what,
                          unsigned deadline_ms);
/* Lets pass @ms in which nothing is waited for: only to show that something does not happen. */
void test_loop_idle(struct test_loop *l, unsigned ms);
