/* A client's request in the whole-steps fuzzer, and what has come of it. */
#pragma once

#include "policy/message.h"
#include "tests/fuzz/edge/steps/plan.h"

enum { VISIT_FIELDS = 16, CHAIN_MAX = 16 };

struct visit_field {
    const char *name, *value;
};

/* What was asked for, as the model knows it. */
struct target {
    const char *scheme, *host, *path, *query; /* query: NULL if there is none */
};

struct visit {
    unsigned number;
    const char *method;
    const struct target *target;
    struct visit_field fields[VISIT_FIELDS];
    size_t field_count;
    char etag[16];    /* of If-None-Match */
    char url[32];     /* path and query */
    struct plan plan; /* what the origin answers to fills and passes of this request */
    bool gone_inside; /* `gone` comes inside the last send */
    bool is_h2;       /* leaves by a reset, not by closing */

    /* running */
    struct arena arena; /* of the request: goes with the client */
    struct request request;
    void (*left)(void *owner);
    void *left_owner;
    struct sink *sink;
    uint64_t began; /* event number */
    int64_t began_ms;
    unsigned failures_before; /* failed renders when it began */

    /* what came */
    bool has_head, is_over, is_gone, has_left, is_stalled;
    unsigned logged;
    unsigned status, serial; /* serial of the body; 0: varve's own answer */
    size_t from, until;      /* bytes of that body that are to come */
    size_t got;
    char *parts; /* of a multipart answer, as it comes */
};

/* 8 URLs that have much in common. */
const struct target *target_draw(struct script *script);
void visit_draw(struct script *script, unsigned last_serial, struct visit *visit);
/* NULL if it sends none; else of the first line. */
const char *visit_value(const struct visit *visit, const char *name);
/* Makes `request` in `arena`. */
void visit_make_request(struct visit *visit, struct instant now);
