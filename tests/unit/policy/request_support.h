/*
 * Requests from text and policies from YAML, for the tests of the request side. A request is
 * written as it reads: "GET http://shop.example/p/7?a=1\nAccept: text/html".
 */
#pragma once

#include "policy/load.h"
#include "policy/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_slice(actual, expected) assert_slice_at(actual, expected, __FILE__, __LINE__)

static inline void assert_slice_at(slice actual, const char *expected, const char *file, int line)
{
    if (slice_equal(actual, slice_of_string(expected)))
        return;
    print_error("%s:%d: \"%" SLICE_FMT "\" is not \"%s\"\n", file, line, SLICE_ARG(actual),
                expected);
    _fail(file, line);
}

static inline struct policy *policy_of(const char *yaml)
{
    struct arena arena;
    struct diag diag;
    arena_init(&arena);
    diag_init(&diag, &arena);
    struct policy *policy = policy_load_text(slice_of_string(yaml), SLICE("test.yaml"), &diag);
    if (!policy) {
        slice text = diag_text(&diag);
        print_error("%" SLICE_FMT "\n", SLICE_ARG(text));
    }
    arena_fini(&arena);
    assert_non_null(policy);
    return policy;
}

static inline void add_request_lines(struct request *request, slice lines)
{
    slice line;
    while (slice_next(&lines, '\n', &line)) {
        size_t colon = slice_find(line, ':', 0);
        slice name = arena_copy_lower(request->arena, slice_until(line, colon));
        fields_add(&request->fields, name, slice_trim(slice_from(line, colon + 1)));
    }
}

/* `text` and everything in the request live in `arena`. */
static inline struct request request_of(struct arena *arena, const char *text)
{
    slice rest = arena_copy(arena, slice_of_string(text)), line, method;
    struct request r = {.arena = arena, .http_major = 1, .http_minor = 1, .id = SLICE("id-1")};
    slice_next(&rest, '\n', &line);
    slice_next(&line, ' ', &method);
    size_t scheme = slice_search(line, SLICE("://"));
    slice behind = slice_from(line, scheme + 3);
    size_t slash = slice_find(behind, '/', 0);
    r.method_text = method;
    r.method = method_of(method);
    r.scheme = slice_until(line, scheme);
    r.host = r.host_raw = slice_until(behind, slash);
    r.target = slice_from(behind, slash);
    size_t mark = slice_find(r.target, '?', 0);
    r.path = slice_until(r.target, mark);
    r.query = slice_from(r.target, mark + 1);
    r.has_query = mark < r.target.len;
    fields_init(&r.fields, arena);
    ip_parse(SLICE("192.0.2.7"), &r.peer);
    r.client = r.peer;
    add_request_lines(&r, rest);
    return r;
}

/* One policy, and an arena for whatever a test makes. */
struct setup {
    struct arena arena;
    struct policy *policy;
    struct request request;
    struct decision decision;
    struct field_names names;
    struct forward forward;
};

static inline void setup_init(struct setup *s, const char *yaml)
{
    *s = (struct setup){.policy = policy_of(yaml)};
    arena_init(&s->arena);
}

static inline void setup_fini(struct setup *s)
{
    policy_free(s->policy);
    arena_fini(&s->arena);
}

static inline const struct decision *receive(struct setup *s, const char *text)
{
    s->request = request_of(&s->arena, text);
    rules_receive(s->policy, &s->request, SLICE("b42"), &s->decision);
    return &s->decision;
}

/* The union is given as "name name". */
static inline void set_union(struct setup *s, const char *names)
{
    slice rest = slice_of_string(names), name;
    s->names = (struct field_names){.count = 0};
    while (slice_next(&rest, ' ', &name))
        if (name.len)
            assert_true(field_names_add(&s->names, name));
}

static inline const struct fields *fill(struct setup *s, const char *text)
{
    receive(s, text);
    forward_fill(s->policy, &s->request, &s->decision, &s->names, true, &s->forward);
    return &s->forward.fields;
}

static inline const struct fields *pass(struct setup *s, const char *text)
{
    receive(s, text);
    forward_pass(s->policy, &s->request, &s->decision, &s->forward);
    return &s->forward.fields;
}

/* "name=value; name=value" of a head, without what is the same in each. */
static inline slice head_text(struct arena *arena, const struct fields *fields)
{
    slice text = SLICE("");
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->at[i];
        bool is_constant = f->id == FIELD_X_REQUEST_ID || f->id == FIELD_X_FORWARDED_HOST ||
                           f->id == FIELD_X_FORWARDED_PROTO || f->id == FIELD_ACCEPT_ENCODING ||
                           (f->id == FIELD_VIA && slice_equal(f->value, SLICE("1.1 varve")));
        if (!is_constant)
            text = arena_concat(
                arena,
                (slice[]){text, text.len ? SLICE("; ") : SLICE_NONE, f->name, SLICE("="), f->value},
                5);
    }
    return text;
}

static inline void assert_field(const struct fields *fields, const char *name, const char *expected)
{
    const struct field *field = fields_find(fields, slice_of_string(name));
    if (!expected) {
        if (field)
            fail_msg("%s is sent: %" SLICE_FMT, name, SLICE_ARG(field->value));
        return;
    }
    if (!field)
        fail_msg("%s is not sent", name);
    else
        assert_slice(field->value, expected);
}
