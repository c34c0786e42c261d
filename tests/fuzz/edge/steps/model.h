/*
 * The judge of the whole-steps fuzzer. It knows what was asked and what the origin answered, as
 * numbers, and shares no code with what it judges: for each answer that a client gets it works out
 * anew whether RFC 9111 and the rules in force allow it. It asks what is forbidden, not what is
 * best: not to reuse is always right.
 *
 * Each answer of the origin has a serial number: its head carries the field x-hN, and each byte of
 * its body is made of it. A 304 that is merged leaves its x-hN beside that of the stored response,
 * so a delivered head tells every answer that it was made of.
 */
#pragma once

#include "edge/origin/origin.h"
#include "edge/request/sink.h"
#include "tests/fuzz/edge/steps/world.h"

enum { SENT_NAMES = VARY_AUTHORIZATION + 1, SENT_MAX = 64 };

/* One request to the origin, and its answer. */
struct render {
    unsigned serial; /* from 1 */
    struct visit *visit;
    struct plan plan;
    struct rules rules; /* in force when it was asked for */
    unsigned status;
    size_t body_bytes;
    bool is_head, is_get, has_validators, has_range, is_clean;
    bool is_behind;                  /* its visit has been answered: a refresh */
    char sent[SENT_NAMES][SENT_MAX]; /* what it was sent, in normal form */
    bool was_sent[SENT_NAMES];
    uint64_t asked_event, answered_event, ended_event; /* 0: not yet */
    int64_t sent_ms, answered_ms;
};

void model_begin(void);
void model_visit_began(struct visit *visit);
struct render *model_asked(struct visit *visit, const struct call_request *request);
void model_sent(struct render *render);
void model_answered(struct render *render); /* its head is there */
void model_ended(struct render *render, bool is_clean);
void model_failed(struct render *render);
/* `purge` but for its event. */
void model_purged(const struct purge *purge);

/* What clients get. */
void model_interim_given(const struct visit *visit, unsigned status, const struct fields *fields);
void model_head_given(struct visit *visit, const struct sink_head *head);
void model_bytes_given(struct visit *visit, slice bytes);
void model_end_given(struct visit *visit, bool is_whole);
void model_visit_is_over(const struct visit *visit);

unsigned model_last_serial(void);

/* --- reuse.c: may this visit be given what others' renders made? --- */

extern struct purge model_purges[];
extern size_t model_purge_count;
unsigned model_failures(void);
/* Has the origin ever said 304 since this was rendered? */
bool model_was_validated(const struct render *render);
/* By `reject_body`, by what it matches or because it cannot be decoded. */
bool model_is_rejected(const struct render *render);

/* The answers that a delivered head is made of, oldest first: a response, and 304s. */
struct chain {
    const struct render *at[CHAIN_MAX];
    size_t count;
};

/* --- parts.c: a 206 of varve's own --- */

void parts_expect(struct visit *visit, const struct chain *chain, const struct sink_head *head);
void parts_take(struct visit *visit, slice bytes);
void parts_end(struct visit *visit, const struct render *body, bool is_whole);

void reuse_check(const struct visit *visit, const struct chain *chain,
                 const struct sink_head *head);
/* --- who.c: who asks, and for what --- */

bool target_is_same(const struct rules *rules, const struct target *a, const struct target *b);
bool target_is_purged_with(const struct rules *rules, const struct target *a,
                           const struct target *b);
/* Is this request somebody's own, under these rules? */
bool visit_is_logged_in(const struct rules *rules, const struct visit *visit);
/* What a fill would tell the renderer of this field, in normal form; false: nothing. */
bool visit_would_send(const struct rules *rules, const struct visit *visit, unsigned name,
                      char text[SENT_MAX]);
void normal_form(slice value, char text[SENT_MAX]);

/* A broken rule: says which, and what the visit was, and aborts. */
_Noreturn void model_fail(const struct visit *visit, const struct chain *chain, const char *rule);
#define FORBID(condition, rule)                                                                    \
    do {                                                                                           \
        if (condition)                                                                             \
            model_fail(visit, chain, rule);                                                        \
    } while (0)
