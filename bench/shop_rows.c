#include "bench/shop_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "leaf/rowcodec/row.h"

static const struct sf_field fields[SHOP_FIELDS] = {
    {.number = 1, .name = "order_id", .type = SF_TYPE_STRING},
    {.number = 2, .name = "customer_id", .type = SF_TYPE_STRING},
    {.number = 3, .name = "email", .type = SF_TYPE_STRING},
    {.number = 4, .name = "country", .type = SF_TYPE_STRING},
    {.number = 5, .name = "amount", .type = SF_TYPE_DECIMAL, .precision = 12, .scale = 2},
    {.number = 6, .name = "quantity", .type = SF_TYPE_INT32},
    {.number = 7, .name = "ordered_at", .type = SF_TYPE_TIMESTAMP},
    {.number = 8, .name = "note", .type = SF_TYPE_STRING},
};
const struct sf_table shop_table = {
    .name = "orders", .fields = fields, .field_count = SHOP_FIELDS, .event_time = -1};

void bench_must(enum sf_code code, const struct sf_error *err)
{
    if (code != SF_OK) {
        (void)fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

void shop_rows(const struct sf_table *t, struct sf_buf *rows, struct sf_slice row[SHOP_ROWS])
{
    static const char *const countries[] = {"NO", "SE", "DK", "DE", "FR"};
    size_t start[SHOP_ROWS + 1] = {0};
    char text[4][64];

    for (unsigned i = 0; i < SHOP_ROWS; i++) {
        unsigned h = i * 2654435761U;
        struct sf_value values[SHOP_FIELDS] = {
            [3] = {.present = true, .s = sf_slice_text(countries[i % 5])},
            [4] = {.present = true, .i = h % 50000},
            [5] = {.present = true, .i = h / 8 % 12},
            [6] = {.present = true, .i = INT64_C(1767225600000000) + h * INT64_C(8000)},
        };
        struct sf_error err;

        (void)snprintf(text[0], sizeof(text[0]), "ord-%08u", i);
        (void)snprintf(text[1], sizeof(text[1]), "cust-%06u", h % 100000);
        (void)snprintf(text[2], sizeof(text[2]), "Customer.%u@example.com", h % 100000);
        (void)snprintf(text[3], sizeof(text[3]), "leave it at the door number %u", h % 100);
        for (unsigned k = 0; k < 4; k++) {
            values[k < 3 ? k : 7] =
                (struct sf_value){.present = k < 3 || h % 3 == 0, .s = sf_slice_text(text[k])};
        }
        bench_must(row_encode(t, values, rows, &err), &err);
        start[i + 1] = rows->size;
    }
    for (unsigned i = 0; i < SHOP_ROWS; i++) {
        row[i] = sf_slice_of(rows->data + start[i], start[i + 1] - start[i]);
    }
}
