/*
 * Cookies are split at ';' and nowhere else, quoted or not: what one parser takes for one cookie
 * and another for two is either kept whole, and then keyed whole, or unknown, and then logs in. So
 * no cookie travels inside another one into a shared page.
 */
#include "policy/identity.h"

#include "base/glob.h"

static const slice ignored_cookies[] = {
#define IGNORED_COOKIE(pattern) {"" pattern, sizeof(pattern) - 1},
#include "policy/ignored_cookies.def"
#undef IGNORED_COOKIE
};

/* Most rows end in their only '*', or have none. */
static bool row_matches(slice pattern, slice name)
{
    size_t star = slice_find(pattern, '*', 0);
    if (star + 1 < pattern.len)
        return glob_matches(pattern, name);
    if (star == pattern.len)
        return slice_equal(pattern, name);
    return slice_starts_with(name, slice_until(pattern, star));
}

static bool is_ignored(slice name)
{
    for (size_t i = 0; name.len > 1 && i < sizeof(ignored_cookies) / sizeof(ignored_cookies[0]);
         i++)
        if (name.ptr[0] == ignored_cookies[i].ptr[0] && name.ptr[1] == ignored_cookies[i].ptr[1] &&
            row_matches(ignored_cookies[i], name))
            return true;
    return false;
}

static bool is_listed(const struct slices *patterns, slice name)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (glob_matches(patterns->at[i], name))
            return true;
    return false;
}

static bool is_kept(const struct policy *policy, slice name)
{
    for (size_t i = 0; i < policy->vary_count; i++)
        if (policy->vary[i].kind == VARY_COOKIES && is_listed(&policy->vary[i].keep, name))
            return true;
    return false;
}

/* A name that the operator listed as identity is that, whatever other list holds it too. */
enum cookie_kind cookie_kind_of(const struct policy *policy, const struct route *route, slice name)
{
    const struct identity_config *identity = &policy->identity;
    if (route->ignore_cookies)
        return COOKIE_IGNORED;
    if (identity->cookies == COOKIES_LISTED && is_listed(&identity->cookie_names, name))
        return COOKIE_IDENTITY;
    if (is_kept(policy, name))
        return COOKIE_KEPT;
    if (is_listed(&identity->ignore_cookies, name) || is_ignored(name))
        return COOKIE_IGNORED;
    return identity->cookies == COOKIES_AUTO ? COOKIE_IDENTITY : COOKIE_UNLISTED;
}

static void parse_line(const struct policy *policy, const struct route *route, slice line,
                       struct cookies *cookies)
{
    slice text;
    while (slice_next(&line, ';', &text)) {
        text = slice_trim(text);
        if (text.len == 0)
            continue;
        if (cookies->count == COOKIES_MAX) {
            cookies->overflows = true;
            return;
        }
        slice name = slice_trim(slice_until(text, slice_find(text, '=', 0)));
        cookies->at[cookies->count++] =
            (struct cookie){text, name, cookie_kind_of(policy, route, name)};
    }
}

static size_t count_at_most(const struct fields *fields)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        slice value = fields->at[i].value;
        if (fields->at[i].id != FIELD_COOKIE)
            continue;
        count++;
        for (size_t at = slice_find(value, ';', 0); at < value.len && count < COOKIES_MAX;
             at = slice_find(value, ';', at + 1))
            count++;
    }
    return count < COOKIES_MAX ? count : COOKIES_MAX;
}

void cookies_parse(const struct policy *policy, const struct route *route,
                   const struct request *request, struct cookies *cookies)
{
    const struct fields *fields = &request->fields;
    size_t most = count_at_most(fields);
    *cookies = (struct cookies){0};
    if (most == 0)
        return;
    cookies->at = arena_array(request->arena, struct cookie, most);
    for (size_t i = 0; i < fields->count && !cookies->overflows; i++)
        if (fields->at[i].id == FIELD_COOKIE)
            parse_line(policy, route, fields->at[i].value, cookies);
}

/* Puts one more into a list sorted by name, behind its equals. */
static void insert_sorted(const struct cookie **sorted, size_t count, const struct cookie *cookie)
{
    while (count && slice_compare(sorted[count - 1]->name, cookie->name) > 0) {
        sorted[count] = sorted[count - 1];
        count--;
    }
    sorted[count] = cookie;
}

slice cookies_kept_text(const struct cookies *cookies, struct arena *arena)
{
    if (cookies->count == 0)
        return SLICE_NONE;
    const struct cookie **sorted = arena_array(arena, const struct cookie *, cookies->count);
    size_t kept = 0, bytes = 0, len = 0;
    for (size_t i = 0; i < cookies->count; i++) {
        if (cookies->at[i].kind != COOKIE_KEPT)
            continue;
        insert_sorted(sorted, kept++, &cookies->at[i]);
        bytes += cookies->at[i].text.len + 2;
    }
    char *out = arena_alloc(arena, bytes + 1);
    for (size_t i = 0; i < kept; i++) {
        if (i) {
            out[len++] = ';';
            out[len++] = ' ';
        }
        memcpy(out + len, sorted[i]->text.ptr, sorted[i]->text.len);
        len += sorted[i]->text.len;
    }
    return kept ? slice_of(out, len) : SLICE_NONE;
}

bool identity_is_header(const struct policy *policy, slice name)
{
    for (size_t i = 0; i < policy->identity.headers.count; i++)
        if (slice_equal(policy->identity.headers.at[i], name))
            return true;
    return false;
}

static bool by_header(const struct policy *policy, const struct request *request, slice *header)
{
    for (size_t i = 0; i < policy->identity.headers.count; i++) {
        *header = policy->identity.headers.at[i];
        if (fields_find(&request->fields, *header))
            return true;
    }
    return false;
}

static bool by_cookie(const struct policy *policy, const struct route *route,
                      const struct request *request, slice *name)
{
    struct cookies cookies;
    if (policy->identity.cookies == COOKIES_NONE || route->ignore_cookies)
        return false;
    cookies_parse(policy, route, request, &cookies);
    for (size_t i = 0; i < cookies.count; i++) {
        *name = cookies.at[i].name;
        if (cookies.at[i].kind == COOKIE_IDENTITY)
            return true;
    }
    *name = SLICE("(too many)");
    return cookies.overflows;
}

bool identity_find(const struct policy *policy, const struct route *route,
                   const struct request *request, slice *identified_by)
{
    slice name, kind;
    if (by_header(policy, request, &name))
        kind = SLICE("header:");
    else if (by_cookie(policy, route, request, &name))
        kind = SLICE("cookie:");
    else
        return false;
    *identified_by = arena_concat(request->arena, (slice[]){kind, name}, 2);
    return true;
}
