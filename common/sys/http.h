/* What the HTTP server and the HTTP client share. */
#pragma once

/* A header to send; both borrowed for the call. */
struct sf_http_header {
    const char *name;
    const char *value;
};
