#include "tests/lib/cmocka.h"

#include <pthread.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/metrics.h"

static void assert_text(const struct sf_metrics *m, const char *expected)
{
    struct sf_buf b = {0};

    sf_metrics_render(m, &b);
    assert_string_equal(sf_buf_cstr(&b), expected);
    sf_buf_done(&b);
}

static void test_families_have_one_head_and_stay_together(void **state)
{
    const struct sf_label sales = {"product", "sales"};
    const struct sf_label odd[] = {{"product", "a\"b\\c\nd"}, {"table", "t"}};
    struct sf_metric_spec rows = {.name = "rows_total", .help = "Rows\nin \\."};
    const struct sf_metric_spec open_spec = {.name = "open", .help = "Open \"things\"."};
    struct sf_counter a;
    struct sf_counter b;
    struct sf_gauge g;
    struct sf_metrics m;

    (void)state;
    sf_metrics_init(&m);
    assert_text(&m, "");
    rows.labels = &sales;
    rows.label_count = 1;
    sf_counter_register(&m, &rows, &a);
    sf_gauge_register(&m, &open_spec, &g);
    rows.labels = odd;
    rows.label_count = 2;
    sf_counter_register(&m, &rows, &b);
    sf_counter_add(&a, 7);
    sf_counter_add(&a, UINT64_C(1) << 60);
    sf_gauge_set(&g, 5);
    sf_gauge_add(&g, -8);
    assert_text(&m, "# HELP sheaf_rows_total Rows\\nin \\\\.\n"
                    "# TYPE sheaf_rows_total counter\n"
                    "sheaf_rows_total{product=\"sales\"} 1152921504606846983\n"
                    "sheaf_rows_total{product=\"a\\\"b\\\\c\\nd\",table=\"t\"} 0\n"
                    "# HELP sheaf_open Open \"things\".\n"
                    "# TYPE sheaf_open gauge\n"
                    "sheaf_open -3\n");
    sf_metric_remove(&a.metric);
    sf_metric_remove(&g.metric);
    sf_metric_remove(&g.metric);
    assert_text(&m, "# HELP sheaf_rows_total Rows\\nin \\\\.\n"
                    "# TYPE sheaf_rows_total counter\n"
                    "sheaf_rows_total{product=\"a\\\"b\\\\c\\nd\",table=\"t\"} 0\n");
}

static void test_buckets_are_cumulative_and_in_seconds(void **state)
{
    const struct sf_label table = {"table", "t"};
    const struct sf_metric_spec spec = {
        .name = "commit_seconds", .help = "Time.", .labels = &table, .label_count = 1};
    struct sf_histogram h;
    struct sf_metrics m;

    (void)state;
    sf_metrics_init(&m);
    sf_histogram_register(&m, &spec, &h);
    sf_histogram_observe(&h, 0);
    sf_histogram_observe(&h, 100000);           /* on the bound: in */
    sf_histogram_observe(&h, 100001);           /* beyond: in the next */
    sf_histogram_observe(&h, 10000000000);      /* the last bound */
    sf_histogram_observe(&h, 10000000001);      /* beyond all */
    sf_histogram_observe(&h, 5000000000000000); /* 5 million seconds */
    assert_text(&m, "# HELP sheaf_commit_seconds Time.\n"
                    "# TYPE sheaf_commit_seconds histogram\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.0001\"} 2\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.00025\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.0005\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.001\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.0025\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.005\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.01\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.025\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.05\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.1\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.25\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"0.5\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"1\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"2.5\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"5\"} 3\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"10\"} 4\n"
                    "sheaf_commit_seconds_bucket{table=\"t\",le=\"+Inf\"} 6\n"
                    "sheaf_commit_seconds_sum{table=\"t\"} 5000020.000200002\n"
                    "sheaf_commit_seconds_count{table=\"t\"} 6\n");
}

static void test_histogram_without_labels(void **state)
{
    const struct sf_metric_spec spec = {.name = "x_seconds", .help = "X."};
    struct sf_histogram h;
    struct sf_metrics m;
    struct sf_buf b = {0};

    (void)state;
    sf_metrics_init(&m);
    sf_histogram_register(&m, &spec, &h);
    sf_metrics_render(&m, &b);
    assert_non_null(strstr(sf_buf_cstr(&b), "\nsheaf_x_seconds_bucket{le=\"0.0001\"} 0\n"));
    assert_non_null(strstr(sf_buf_cstr(&b), "\nsheaf_x_seconds_sum 0\n"));
    sf_buf_done(&b);
}

static void *count_many(void *counter)
{
    for (int i = 0; i < 10000; i++) {
        sf_counter_add(counter, 1);
    }
    return NULL;
}

static void test_threads_count_together(void **state)
{
    const struct sf_metric_spec spec = {.name = "n_total", .help = "N."};
    struct sf_counter c;
    struct sf_metrics m;
    pthread_t threads[4];

    (void)state;
    sf_metrics_init(&m);
    sf_counter_register(&m, &spec, &c);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, &c), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_text(&m, "# HELP sheaf_n_total N.\n# TYPE sheaf_n_total counter\n"
                    "sheaf_n_total 40000\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families_have_one_head_and_stay_together),
        cmocka_unit_test(test_buckets_are_cumulative_and_in_seconds),
        cmocka_unit_test(test_histogram_without_labels),
        cmocka_unit_test(test_threads_count_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
