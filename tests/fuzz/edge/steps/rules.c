#include "tests/fuzz/edge/steps/rules.h"

#include "base/must.h"
#include "policy/load.h"

#include <stdio.h>

struct rules rules_draw(struct script *script)
{
    static const int64_t ttls[] = {NONE, 10, NONE, 100};
    unsigned life = script_byte(script), who = script_byte(script), more = script_byte(script);
    unsigned extra = script_byte(script);
    bool is_rfc = life >> 7;
    struct rules rules = {
        .ttl = ttls[life & 3],
        .ttl_is_forced = life >> 2 & 1,
        .has_status_ttl = (life >> 3 & 3) == 3,
        .seal = is_rfc ? RULES_OPEN : (who & 7) % 3,
        .has_login = !is_rfc,
        .login_is_ignored = (who >> 3 & 7) == 7,
        .chooses_language = who >> 6 & 1,
        .keeps_cookie = who >> 7,
        .stores_statuses_rfc = is_rfc,
        .stores_set_cookie = is_rfc && life >> 6 & 1,
        .error_max_is_none = is_rfc,
        .has_document_max = (life >> 4 & 7) == 5,
        .stale = more & 3,
        .query = (more >> 2 & 3) % 3,
        .invalidate = is_rfc ? RFC : (more >> 4 & 3) % 3,
        .honours_client = extra & 1,
        .stores_post = extra >> 1 & 1,
        .spares_renderers = extra >> 2 & 1,
        .rejects_bodies = extra >> 3 & 1,
        .has_store = (more >> 5) == 7,
        .max_variants = (life >> 5 & 3) == 3 ? 2 : 64,
        .drawn = life | who << 8 | more << 16 | extra << 24,
    };
    return rules;
}

bool rules_are_sealed(const struct rules *rules)
{
    return rules->seal == RULES_SEALED_STRICT || rules->ttl != NONE || rules->has_status_ttl;
}

bool rules_are_open(const struct rules *rules)
{
    return rules->seal == RULES_OPEN && !rules_are_sealed(rules);
}

static const char *const seals[] = {"standard", "strict", "off"};
static const char *const stales[] = {
    "", "    stale: {while_revalidate: 30s, if_error: 60s}\n",
    "    stale: {while_revalidate: 30s, if_error: 60s, force: true}\n", "    stale: response\n"};
static const char *const queries[] = {"", "    query: {drop: [utm]}\n", "    query: {keep: [a]}\n"};
static const char *const invalidates[] = {"soft", "rfc", "never"};

static size_t write_routes(const struct rules *rules, char *text, size_t room)
{
    char ttl[64] = "";
    if (rules->ttl != NONE)
        snprintf(ttl, sizeof(ttl),
                 rules->ttl_is_forced ? "    ttl: {force: %ds}\n" : "    ttl: %ds\n",
                 (int)rules->ttl);
    int length = snprintf(
        text, room, "routes:\n  - match: \"/**\"\n%s%s%s%s%s%s%s%s%s%s%s%s    invalidate: %s\n",
        ttl, rules->has_status_ttl ? "    status_ttl: {404: 60s}\n" : "", stales[rules->stale],
        queries[rules->query], rules->login_is_ignored ? "    when_logged_in: cache\n" : "",
        rules->stores_statuses_rfc ? "    store_statuses: rfc\n" : "",
        rules->stores_set_cookie ? "    store_set_cookie: true\n" : "",
        rules->error_max_is_none ? "    error_max: none\n" : "",
        rules->honours_client ? "    client_cache_control: honour\n" : "",
        rules->stores_post ? "    post: rfc\n" : "",
        rules->has_document_max ? "    document_max: 50s\n" : "",
        rules->rejects_bodies ? "    reject_body: ['^[3-5]']\n" : "",
        invalidates[rules->invalidate]);
    return (size_t)length;
}

static struct policy *load(const struct rules *rules)
{
    char text[2048];
    int length = snprintf(
        text, sizeof(text),
        "renderer: http://127.0.0.1:3000\nhosts: [a.test, b.test]\nthreads: 1\nseal: %s\n"
        "store: {memory: 8MiB, size: 32MiB}\ncompress: {codings: []}\n%svary:\n  max_variants: "
        "%u\n%s%s",
        seals[rules->seal], rules->has_login ? "" : "identity: {logged_in: none}\n",
        rules->max_variants,
        rules->chooses_language ? "  accept-language: {choose: [en, de]}\n" : "",
        rules->keeps_cookie ? "  cookie: {keep: [ab]}\n" : "");
    size_t bytes = (size_t)length;
    bytes += write_routes(rules, text + bytes, sizeof(text) - bytes);
    MUST(bytes < sizeof(text));
    struct arena arena;
    struct diag diag;
    arena_init(&arena);
    diag_init(&diag, &arena);
    struct policy *policy = policy_load_text(slice_of(text, bytes), SLICE("steps"), &diag);
    if (!policy)
        fprintf(stderr, "%s%s\n", text, diag_text(&diag).ptr);
    MUST(policy);
    arena_fini(&arena);
    return policy;
}

/* Reading a policy file takes longer than most scripts. */
struct policy *rules_load(const struct rules *rules)
{
    static struct loaded {
        struct policy *policy;
        unsigned drawn;
    } table[1024];
    struct loaded *loaded = &table[rules->drawn * 2654435761u >> 22];
    if (loaded->policy && loaded->drawn == rules->drawn)
        return loaded->policy;
    policy_free(loaded->policy);
    *loaded = (struct loaded){load(rules), rules->drawn};
    return loaded->policy;
}
