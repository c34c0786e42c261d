/*
 * What the origin of the whole-steps fuzzer answers: drawn as meaning (numbers that the model
 * reads), then written as header fields. The model never parses what it judges.
 */
#pragma once

#include "base/fields.h"
#include "tests/fuzz/edge/steps/rules.h"

/* What one Cache-Control, or one targeted field, says. Seconds; NONE: not said. */
struct claims {
    int64_t max_age, s_maxage, while_revalidate, if_error;
    bool no_store, is_private, no_cache, must_revalidate, is_public, must_understand;
    bool limits_secret; /* no-cache="x-secret" or private="x-secret" */
    bool is_given;      /* the field is there and can be read */
};

enum vary_name {
    VARY_LANGUAGE,
    VARY_X_FOO,
    VARY_AGENT,
    VARY_COOKIE,
    VARY_ORIGINAL_URL,
    VARY_AUTHORIZATION,
    VARY_CODING,
    VARY_STAR,
    VARY_COUNT
};
extern const char *const vary_names[VARY_COUNT];

enum ending { END_CLEAN, END_CUT, END_BY_CLOSING };
enum hold { HOLD_NOT, HOLD_HEAD, HOLD_BODY, HOLD_END };
enum set_cookie { SET_NO_COOKIE, SET_SESSION, SET_ANALYTICS };

struct plan {
    bool fails; /* no head comes */
    unsigned failure;
    unsigned status;
    struct claims plain, targeted;
    const char *plain_text[2], *targeted_text;
    int64_t date, expires, modified; /* seconds from the time of sending; see the flags */
    bool has_date, date_is_invalid, has_expires, expires_is_invalid, has_modified;
    int64_t age; /* NONE: no valid one */
    const char *age_text;
    bool has_etag, etag_is_weak;
    unsigned vary; /* bit set of enum vary_name */
    enum set_cookie set_cookie;
    unsigned tag;      /* 0: none; 1, 2 */
    bool names_itself; /* Content-Location: the URL that was asked for */
    const char *type;
    size_t body_bytes;
    bool is_coded; /* says so; its bytes are the same, which is no gzip */
    bool length_is_known, has_interim, answers_304_unasked;
    enum ending ending;
    enum hold hold;
};

struct plan plan_draw(struct script *script);
/* The claims that are in force: the targeted ones alone, if there are any (RFC 9213 §2.2). */
const struct claims *plan_claims(const struct plan *plan);
/* Header fields of answer `serial`, with status `status`, sent at `now_ms` of wall time.
 * `location`: for Content-Location. */
void plan_fields(const struct plan *plan, unsigned serial, unsigned status, int64_t now_ms,
                 const char *location, struct fields *fields);

/* Byte `at` of the body of answer `serial`. */
char plan_body_byte(unsigned serial, size_t at);
