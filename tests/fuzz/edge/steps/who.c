/* The request side of the judge: who asks, for what, and what a renderer would be told of it. */
#include "tests/fuzz/edge/steps/model.h"

#include <stdio.h>

bool visit_is_logged_in(const struct rules *rules, const struct visit *visit)
{
    const char *cookie = visit_value(visit, "cookie");
    if (!rules->has_login || rules->login_is_ignored)
        return false;
    return visit_value(visit, "authorization") || (cookie && strstr(cookie, "sid=")) ||
           (cookie && strstr(cookie, "ab=") && !rules->keeps_cookie);
}

/* RFC 4647 look-up among en and de, for the values that clients send here. */
static const char *chosen_language(const char *value)
{
    return value && strncmp(value, "de", 2) == 0 ? "de" : "en";
}

static const char *kept_cookie(const struct rules *rules, const char *cookie)
{
    const char *kept = rules->keeps_cookie && cookie ? strstr(cookie, "ab=") : NULL;
    return !kept ? NULL : kept[3] == '1' ? "ab=1" : "ab=2";
}

/* Fields that a fill carries as they came, under these rules. */
static bool is_passed_on(const struct rules *rules, unsigned name)
{
    if (rules->seal == RULES_SEALED_STRICT)
        return false;
    switch (name) {
    case VARY_COOKIE:
    case VARY_ORIGINAL_URL:
        return rules_are_open(rules);
    case VARY_AUTHORIZATION:
        return !rules->has_login;
    default:
        return true;
    }
}

bool visit_would_send(const struct rules *rules, const struct visit *visit, unsigned name,
                      char text[SENT_MAX])
{
    const char *value = visit_value(visit, vary_names[name]);
    if (name == VARY_LANGUAGE && rules->chooses_language)
        value = chosen_language(value);
    else if (name == VARY_COOKIE && !rules_are_open(rules))
        value = kept_cookie(rules, value);
    else if (!is_passed_on(rules, name))
        value = NULL;
    if (value)
        normal_form(slice_of_string(value), text);
    return value != NULL;
}

/* --- what is asked for --- */

static bool is_kept(const struct rules *rules, slice parameter)
{
    switch (rules->query) {
    case QUERY_AS_IS:
        return true;
    case QUERY_DROP_UTM:
        return !slice_starts_with(parameter, SLICE("utm="));
    case QUERY_KEEP_A:
        return slice_starts_with(parameter, SLICE("a="));
    }
    return true;
}

static void kept_query(const struct rules *rules, const char *query, char text[SENT_MAX])
{
    slice rest = slice_of_string(query), parameter;
    size_t length = 0;
    text[0] = 0;
    while (query && slice_next(&rest, '&', &parameter))
        if (is_kept(rules, parameter))
            length += (size_t)snprintf(text + length, SENT_MAX - length, "%" SLICE_FMT "&",
                                       SLICE_ARG(parameter));
}

bool target_is_same(const struct rules *rules, const struct target *a, const struct target *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && target_is_purged_with(rules, a, b);
}

/* A purge covers both schemes (semantics 6.4). */
bool target_is_purged_with(const struct rules *rules, const struct target *a,
                           const struct target *b)
{
    char of_a[SENT_MAX], of_b[SENT_MAX];
    kept_query(rules, a->query, of_a);
    kept_query(rules, b->query, of_b);
    return strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0 &&
           strcmp(of_a, of_b) == 0;
}
