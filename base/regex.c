/*
 * Regular expressions on PCRE2, 8 bit. Subjects are bytes from the network and patterns are the
 * operator's, so what is limited is the work of a match: a match that exceeds a limit is no match.
 * Bytes, never UTF: invalid UTF-8 is input like any other.
 */
#include "base/regex.h"

#include "base/arena.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MATCH_LIMIT = 100000,
    DEPTH_LIMIT = 1000,
    HEAP_LIMIT_KIB = 1024,
    NESTING_LIMIT = 50,
    PATTERN_BYTES_MAX = 4096,
    ERROR_BYTES = 256,
};

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits; /* read only once made: shared by threads */
};

static pcre2_match_context *limits_new(void)
{
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    if (!limits)
        return NULL;
    pcre2_set_match_limit(limits, MATCH_LIMIT);
    pcre2_set_depth_limit(limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(limits, HEAP_LIMIT_KIB);
    return limits;
}

static pcre2_code *compile(slice pattern, uint32_t options, int *code, size_t *offset)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) {
        *code = PCRE2_ERROR_NOMEMORY;
        *offset = 0;
        return NULL;
    }
    pcre2_set_parens_nest_limit(context, NESTING_LIMIT);
    pcre2_set_max_pattern_length(context, PATTERN_BYTES_MAX);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(pattern.ptr ? pattern.ptr : ""), pattern.len,
                                         options, code, offset, context);
    pcre2_compile_context_free(context);
    return compiled;
}

struct regex *regex_compile(slice pattern, bool ignore_case, char *error, size_t *offset)
{
    /* NEVER_UTF: else "(*UTF)" in a pattern would make PCRE2 refuse subjects. */
    uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | (ignore_case ? PCRE2_CASELESS : 0);
    int code = 0;
    size_t where = 0;
    pcre2_code *compiled = compile(pattern, options, &code, &where);
    if (!compiled) {
        PCRE2_UCHAR text[ERROR_BYTES];
        pcre2_get_error_message(code, text, sizeof(text));
        snprintf(error, ERROR_BYTES, "%s", (const char *)text);
        *offset = where < pattern.len ? where : pattern.len;
        return NULL;
    }
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* where there is no JIT, it is interpreted */
    struct regex *regex = mem_alloc(sizeof(*regex));
    *regex = (struct regex){compiled, limits_new()};
    return regex;
}

bool regex_matches(const struct regex *regex, slice subject)
{
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match || !regex->limits) {
        pcre2_match_data_free(match);
        return false;
    }
    int result = pcre2_match(regex->code, (PCRE2_SPTR)(subject.ptr ? subject.ptr : ""), subject.len,
                             0, 0, match, regex->limits);
    pcre2_match_data_free(match);
    return result >= 0;
}

void regex_free(struct regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    pcre2_match_context_free(regex->limits);
    free(regex);
}
