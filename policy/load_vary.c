/* `vary:` — how header fields enter the key (semantics 2.4). */
#include "policy/loader.h"

#include "policy/head.h"
#include "policy/normalise.h"
#include "policy/seal.h"

enum { FIELDS_MAX = 32, MAP_MAX = 32, REGEX_ERROR_BYTES = 256 };

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

/*
 * Classes of user agents that can be named without a pattern. They exclude each other but for bots
 * that imitate phones, so `bot` is tried first; what is sent is one real agent of each kind.
 */
static const struct vary_class built_in[] = {
    {.name = TEXT("bot"),
     .pattern = TEXT("(?i)bot|crawl|spider|slurp|facebookexternalhit|embedly|preview"),
     .send = TEXT("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")},
    {.name = TEXT("tablet"),
     .pattern = TEXT("(?i)iPad|Tablet|Kindle|Silk/|PlayBook|Android(?!.*Mobile)"),
     .send = TEXT("Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
                  "Gecko) Version/17.0 Mobile/15E148 Safari/604.1")},
    {.name = TEXT("mobile"),
     .pattern =
         TEXT("(?i)^(?!.*(?:iPad|Tablet)).*(?:Mobi|iPhone|iPod|BlackBerry|Opera Mini|IEMobile)"),
     .send = TEXT("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
                  "Chrome/124.0.0.0 Mobile Safari/537.36")},
    {.name = TEXT("desktop"),
     .send =
         TEXT("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
              "Chrome/124.0.0.0 Safari/537.36")},
};

enum { BUILT_IN = sizeof(built_in) / sizeof(built_in[0]) };

/* Keeps a compiled pattern until policy_free(). */
static bool compile(struct loader *l, const struct yaml_node *node, slice pattern,
                    struct regex **regex)
{
    char error[REGEX_ERROR_BYTES];
    size_t offset = 0;
    *regex = regex_compile(pattern, false, error, &offset);
    if (!*regex)
        fail(l, node, "bad regular expression at its character %zu: %s", offset + 1, error);
    return *regex != NULL;
}

/* --- map --- */

static bool has_fallback(const struct vary_config *vary)
{
    return vary->map_count && vary->map[vary->map_count - 1].pattern.len == 0;
}

static void add_class(struct loader *l, const struct yaml_node *node, struct vary_config *vary,
                      struct vary_class class)
{
    if (has_fallback(vary)) {
        fail(l, node,
             "class \"%" SLICE_FMT "\" is never reached: \"%" SLICE_FMT
             "\" before it has no \"match\"",
             SLICE_ARG(class.name), SLICE_ARG(vary->map[vary->map_count - 1].name));
        return;
    }
    if (class.pattern.len && !compile(l, node, class.pattern, &class.match))
        return;
    vary->map[vary->map_count++] = class;
}

static const struct yaml_node *item_named(const struct yaml_node *list, slice name)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->kind == YAML_SCALAR && slice_equal(list->items[i]->text, name))
            return list->items[i];
    return NULL;
}

/* The order of the table, not of the list: a bot that calls itself Mobile is a bot. */
static void parse_built_in(struct loader *l, const struct setting *s, const struct yaml_node *node,
                           struct vary_config *vary)
{
    unsigned index;
    for (size_t i = 0; i < node->count; i++)
        if (node->items[i]->kind != YAML_SCALAR ||
            !word_index("mobile|tablet|desktop|bot", node->items[i]->text, &index))
            fail_word(l, s, node->items[i], "mobile|tablet|desktop|bot");
        else if (item_named(node, node->items[i]->text) != node->items[i])
            fail(l, node->items[i], "\"%" SLICE_FMT "\" is listed twice",
                 SLICE_ARG(node->items[i]->text));
    for (size_t i = 0; i < BUILT_IN; i++) {
        const struct yaml_node *item = item_named(node, built_in[i].name);
        if (item)
            add_class(l, item, vary, built_in[i]);
    }
}

static void parse_vary_class(struct loader *l, const struct setting *s,
                             const struct yaml_entry *entry, struct vary_config *vary)
{
    struct vary_class class = {.name = arena_copy(l->arena, entry->key->text)};
    size_t errors = l->diag->count + l->diag->dropped;
    if (!is_identifier(class.name))
        fail(l, entry->key, "class name \"%" SLICE_FMT "\": use letters, digits, - and _",
             SLICE_ARG(slice_until(class.name, 70)));
    section_parse(l, s->section, entry->value, &class);
    if (entry->value->kind == YAML_MAP && !yaml_get(entry->value, SLICE("send")))
        fail(l, entry->key,
             "class \"%" SLICE_FMT "\" needs \"send\": the value that the renderer is sent",
             SLICE_ARG(class.name));
    const struct yaml_node *match = yaml_get(entry->value, SLICE("match"));
    if (l->diag->count + l->diag->dropped == errors)
        add_class(l, match ? match : entry->key, vary, class);
}

static void parse_vary_map(struct loader *l, const struct setting *s, const struct yaml_node *node,
                           void *base)
{
    struct vary_config *vary = base;
    if (node->kind == YAML_SCALAR || node->count == 0 || node->count > MAP_MAX) {
        fail_expected(l, s, node,
                      "[mobile, desktop], or a mapping such as {mobile: {match: \"Mobile\", send: "
                      "\"…\"}}");
        return;
    }
    vary->map = arena_array(l->arena, struct vary_class, node->count);
    if (node->kind == YAML_LIST)
        parse_built_in(l, s, node, vary);
    for (size_t i = 0; node->kind == YAML_MAP && i < node->count; i++)
        parse_vary_class(l, s, &node->entries[i], vary);
}

static void print_vary_map(struct writer *w, const struct setting *s, const void *base)
{
    const struct vary_config *vary = base;
    if (vary->map_count == 0)
        return;
    write_key(w, s->key);
    write_format(w, "\n");
    w->indent += 2;
    for (size_t i = 0; i < vary->map_count; i++) {
        write_key(w, vary->map[i].name);
        write_format(w, "\n");
        w->indent += 2;
        section_print(w, s->section, &vary->map[i]);
        w->indent -= 2;
    }
    w->indent -= 2;
}

/* --- one field --- */

static void parse_vary_sort(struct loader *l, const struct setting *s, const struct yaml_node *node,
                            void *base)
{
    if (scalar_is(node, "true"))
        ((struct vary_config *)base)->kind = VARY_SORT;
    else if (!scalar_is(node, "false"))
        fail_word(l, s, node, "true|false");
}

static bool print_vary_sort(struct writer *w, const struct setting *s, const void *base)
{
    (void)s;
    write_format(w, "true");
    return ((const struct vary_config *)base)->kind == VARY_SORT;
}

/* Which of the normalisers is given; more than one is an error. */
static void settle_kind(struct loader *l, const struct yaml_node *node, struct vary_config *vary)
{
    static const slice keys[] = {{"choose", 6}, {"map", 3}, {"keep", 4}, {"sort", 4}};
    static const enum vary_kind kinds[] = {VARY_CHOOSE, VARY_MAP, VARY_COOKIES, VARY_SORT};
    unsigned given = 0;
    for (size_t i = 0; i < 4; i++) {
        const struct yaml_entry *entry = yaml_find(node, keys[i]);
        if (!entry || scalar_is(entry->value, "false"))
            continue;
        vary->kind = kinds[i];
        if (++given == 2)
            fail(l, entry->key, "only one of choose, map, keep and sort for one field");
    }
}

static void check_choice(struct loader *l, const struct yaml_node *node, struct vary_config *vary)
{
    const struct yaml_node *choice = yaml_get(node, SLICE("default"));
    const struct yaml_node *choose = yaml_get(node, SLICE("choose"));
    if (choose && vary->choices.count == 0)
        fail(l, choose, "\"choose\": expected at least one value");
    if (choice && !choose)
        fail(l, choice, "\"default\" belongs to \"choose\": add that, or remove this");
    if (vary->default_choice.len == 0 && vary->choices.count)
        vary->default_choice = vary->choices.at[0];
    for (size_t i = 0; choice && i < vary->choices.count; i++)
        if (slice_equal(vary->choices.at[i], vary->default_choice))
            return;
    if (choice && choose)
        fail(l, choice, "\"default\": \"%" SLICE_FMT "\" is not one of \"choose\"",
             SLICE_ARG(slice_until(vary->default_choice, 60)));
}

static void check_vary_field(struct loader *l, const struct yaml_node *node,
                             const struct yaml_node *key, struct vary_config *vary)
{
    bool is_cookie = slice_equal(vary->field, SLICE("cookie"));
    const struct yaml_node *keep = yaml_get(node, SLICE("keep")), *as = yaml_get(node, SLICE("as"));
    if (is_cookie && !keep)
        fail(l, key, "\"cookie\" needs \"keep\": the names of the cookies that pages depend on");
    if (!is_cookie && keep)
        fail(l, keep, "\"keep\" names cookies: it belongs under \"cookie\"");
    if (is_cookie && as)
        fail(l, as, "\"as\" does not go with \"cookie\"");
    if (as && !is_cookie && vary->kind != VARY_MAP && vary->kind != VARY_CHOOSE)
        fail(l, as,
             "\"as\" belongs to \"map\" or \"choose\": it names the field that carries the class");
    check_choice(l, node, vary);
}

/* Fields that can never be part of the key by policy. */
static const char *field_problem(slice name)
{
    const struct fields none = {0};
    const struct field field = {field_id_of(name), name, SLICE_NONE};
    if (field.id == FIELD_ACCEPT_ENCODING)
        return "one page is kept in all its codings: see \"compress\"";
    if (field.id == FIELD_AUTHORIZATION)
        return "it says who asks: see \"identity\"";
    if (field.id == FIELD_VIA || head_is_ours(field.id) || seal_is_conditional(field.id) ||
        seal_is_hop_by_hop(&none, &field))
        return "varve sets it itself";
    return NULL;
}

static bool is_known_field(struct loader *l, slice field, const struct yaml_node *key)
{
    const char *problem = field_problem(field);
    if (!is_token(field) || slice_find(field, '_', 0) < field.len) {
        fail_unknown_key(l, &section_vary, key);
        return false;
    }
    for (size_t i = 0; i < l->policy->vary_count && !problem; i++)
        if (slice_equal(l->policy->vary[i].field, field))
            problem = "it is given twice";
    if (problem)
        fail(l, key, "\"%" SLICE_FMT "\" cannot be under \"vary\": %s", SLICE_ARG(field), problem);
    return !problem;
}

static void parse_vary_field(struct loader *l, const struct section *section,
                             const struct yaml_entry *entry)
{
    struct policy *policy = l->policy;
    slice field = arena_copy_lower(l->arena, entry->key->text);
    if (!is_known_field(l, field, entry->key))
        return;
    struct vary_config *vary = &policy->vary[policy->vary_count++];
    vary->field = field;
    section_parse(l, section, entry->value, vary);
    if (entry->value->kind != YAML_MAP)
        return;
    settle_kind(l, entry->value, vary);
    check_vary_field(l, entry->value, entry->key, vary);
}

static const char *as_problem(const struct policy *policy, const struct vary_config *vary)
{
    if (slice_equal(vary->as, SLICE("cookie")))
        return "it carries cookies: see \"keep\"";
    for (size_t i = 0; i < policy->vary_count; i++) {
        const struct vary_config *other = &policy->vary[i];
        if (other == vary)
            continue;
        if (slice_equal(other->field, vary->as))
            return "it is itself a field of \"vary\"";
        if (other < vary && slice_equal(other->as, vary->as))
            return "it carries another class";
    }
    return field_problem(vary->as);
}

/* Once all entries are known: two classes must not travel in one field, nor one in the field that
 * another entry is about. */
static void check_as(struct loader *l, const struct yaml_node *node, const struct policy *policy)
{
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_entry *entry = &node->entries[i];
        const struct vary_config *vary =
            vary_find(policy, arena_copy_lower(l->arena, entry->key->text));
        const struct yaml_node *as = yaml_get(entry->value, SLICE("as"));
        const char *problem = vary && vary->as.len && as ? as_problem(policy, vary) : NULL;
        if (problem)
            fail(l, as, "\"%" SLICE_FMT "\" cannot be sent \"as\": %s", SLICE_ARG(vary->as),
                 problem);
    }
}

static void parse_vary(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       void *base)
{
    struct policy *policy = base;
    if (node->kind != YAML_MAP || node->count > FIELDS_MAX) {
        fail_expected(
            l, s, node,
            "a mapping of at most 32 fields, such as {accept-language: {choose: [en, de]}}");
        return;
    }
    policy->vary = arena_array(l->arena, struct vary_config, node->count);
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_entry *entry = &node->entries[i];
        const struct setting *row = section_find(&section_vary, entry->key->text);
        if (row)
            row->type->parse(l, row, entry->value, base);
        else
            parse_vary_field(l, s->section, entry);
    }
    check_as(l, node, policy);
}

static void print_vary(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    write_key(w, s->key);
    write_format(w, "\n");
    w->indent += 2;
    section_print(w, &section_vary, base);
    for (size_t i = 0; i < policy->vary_count; i++) {
        write_key(w, policy->vary[i].field);
        write_format(w, "\n");
        w->indent += 2;
        section_print(w, s->section, &policy->vary[i]);
        w->indent -= 2;
    }
    w->indent -= 2;
}

/* --- regular expressions of routes --- */

static void parse_regexes(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    struct route *route = base;
    struct setting texts = *s;
    const struct yaml_node *const *items;
    size_t count;
    texts.type = &setting_texts;
    texts.offset = offsetof(struct route, reject_body_patterns);
    setting_texts.parse(l, &texts, node, base);
    if (route->reject_body_patterns.count == 0 || !node_items(l, s, node, &items, &count))
        return;
    route->reject_body = arena_array(l->arena, struct regex *, count);
    for (size_t i = 0; i < count; i++)
        if (items[i]->kind == YAML_SCALAR && items[i]->text.len &&
            compile(l, items[i], items[i]->text, &route->reject_body[route->reject_body_count]))
            route->reject_body_count++;
}

static bool print_regexes(struct writer *w, const struct setting *s, const void *base)
{
    const struct route *route = base;
    (void)s;
    if (route->reject_body_count)
        write_list(w, &route->reject_body_patterns);
    return route->reject_body_count > 0;
}

const struct setting_type setting_vary_map = {.name = "list of classes or name: mapping",
                                              .expected = "one of mobile, tablet, desktop, bot",
                                              .parse = parse_vary_map,
                                              .print_block = print_vary_map};
const struct setting_type setting_vary_sort = {
    .name = "true or false", .parse = parse_vary_sort, .print = print_vary_sort};
const struct setting_type setting_vary = {
    .name = "field: mapping", .parse = parse_vary, .print_block = print_vary};
const struct setting_type setting_regexes = {
    .name = "list of regular expressions", .parse = parse_regexes, .print = print_regexes};
