/* `origins:` and its short form `renderer:`. */
#include "policy/loader.h"

enum { ORIGINS_MAX = 64, WORKERS_MAX = 256 };

struct origin_config *origin_named(const struct policy *policy, slice name)
{
    for (size_t i = 0; i < policy->origin_count; i++)
        if (slice_equal(policy->origins[i].name, name))
            return &policy->origins[i];
    return NULL;
}

/* --- workers --- */

static bool is_host_byte(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
}

static bool is_host(slice host)
{
    for (size_t i = 0; i < host.len; i++)
        if (!is_host_byte(host.ptr[i]))
            return false;
    return host.len > 0 && host.len <= 253;
}

/* Cuts HOST or [ADDRESS] off *rest. */
static bool take_host(slice *rest, slice *host)
{
    struct ip_address ip;
    if (rest->len && rest->ptr[0] == '[') {
        size_t end = slice_find(*rest, ']', 0);
        *host = slice_from(slice_until(*rest, end), 1);
        bool is_closed = end < rest->len;
        *rest = slice_from(*rest, end + 1);
        return is_closed && slice_find(*host, ':', 0) < host->len && ip_parse(*host, &ip);
    }
    size_t end = slice_find(*rest, ':', 0);
    *host = slice_until(*rest, end);
    *rest = slice_from(*rest, end);
    return is_host(*host);
}

static bool take_port(slice rest, uint16_t *port)
{
    uint64_t value;
    if (rest.len == 0)
        return true; /* the scheme's own */
    if (rest.ptr[0] != ':' || rest.len > 6 || !slice_to_u64(slice_from(rest, 1), &value) ||
        value == 0 || value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

bool parse_authority(slice text, slice *host, uint16_t *port)
{
    return take_host(&text, host) && take_port(text, port);
}

bool parse_worker_url(slice text, struct worker_config *worker, const char **problem)
{
    struct worker_config w = {.url = text};
    *problem = "expected http://HOST:PORT, https://HOST:PORT or unix:/PATH";
    if (slice_starts_with(text, SLICE("unix:"))) {
        w.unix_path = slice_from(text, 5);
        *problem = "expected unix: and the path of a socket, at most 107 bytes";
        if (w.unix_path.len == 0 || w.unix_path.len > 107)
            return false;
        *worker = w;
        return true;
    }
    w.is_tls = slice_starts_with_nocase(text, SLICE("https://"));
    if (!w.is_tls && !slice_starts_with_nocase(text, SLICE("http://")))
        return false;
    slice rest = slice_from(text, w.is_tls ? 8 : 7);
    size_t slash = slice_find(rest, '/', 0);
    *problem = "a worker has no path: write http://HOST:PORT, and use \"target\" for the path";
    if (slash + 1 < rest.len)
        return false;
    *problem = "the host or the port is not valid: write http://HOST:PORT";
    w.port = w.is_tls ? 443 : 80;
    if (!parse_authority(slice_until(rest, slash), &w.host, &w.port))
        return false;
    *worker = w;
    return true;
}

static void parse_worker(struct loader *l, const struct setting *s, const struct yaml_node *node,
                         struct origin_config *origin)
{
    struct worker_config *worker = &origin->workers[origin->worker_count];
    slice text;
    const char *problem;
    if (!scalar_text(l, s, node, &text))
        return;
    if (!parse_worker_url(text, worker, &problem)) {
        fail(l, node, "worker \"%" SLICE_FMT "\": %s", SLICE_ARG(slice_until(text, 100)), problem);
        return;
    }
    for (size_t i = 0; i < origin->worker_count; i++)
        if (slice_equal(origin->workers[i].url, worker->url))
            fail(l, node, "worker \"%" SLICE_FMT "\" is listed twice",
                 SLICE_ARG(slice_until(text, 100)));
    origin->worker_count++;
}

static void parse_workers(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    struct origin_config *origin = base;
    const struct yaml_node *const *items;
    size_t count;
    if (!node_items(l, s, node, &items, &count))
        return;
    if (count == 0 || count > WORKERS_MAX) {
        fail(l, node, "\"workers\": expected 1 to %d workers, got %zu", WORKERS_MAX, count);
        return;
    }
    origin->workers = arena_array(l->arena, struct worker_config, count);
    for (size_t i = 0; i < count; i++)
        parse_worker(l, s, items[i], origin);
}

static bool print_workers(struct writer *w, const struct setting *s, const void *base)
{
    const struct origin_config *origin = base;
    (void)s;
    if (origin->spawn.is_set)
        return false; /* they come from there */
    for (size_t i = 0; i < origin->worker_count; i++) {
        write_format(w, i ? ", " : "[");
        write_scalar(w, origin->workers[i].url);
    }
    write_format(w, "]");
    return true;
}

/* --- the mapping --- */

static void check_times(struct loader *l, const struct yaml_node *node,
                        struct origin_config *origin)
{
    const struct yaml_node *slot_max = yaml_get(node, SLICE("slot_max"));
    if (slot_max && origin->slot_max.ms < origin->first_byte.ms)
        fail(l, slot_max,
             "\"slot_max\" is shorter than timeouts.first_byte: raise it, or lower that");
    if (!slot_max)
        origin->slot_max.ms = origin->first_byte.ms > 60000 ? origin->first_byte.ms : 60000;
}

static void check_tls(struct loader *l, const struct yaml_node *node,
                      const struct origin_config *origin)
{
    const struct yaml_node *tls = yaml_get(node, SLICE("tls"));
    if (!yaml_get(tls, SLICE("name")) && !yaml_get(tls, SLICE("ca")))
        return;
    for (size_t i = 0; i < origin->worker_count; i++)
        if (origin->workers[i].is_tls)
            return;
    if (origin->worker_count)
        fail(l, tls,
             "\"tls\" without a worker that begins with https://: remove it, or change the "
             "worker");
}

static void parse_origin(struct loader *l, const struct section *section, slice name,
                         const struct yaml_node *node, const struct yaml_node *key)
{
    struct policy *policy = l->policy;
    if (!is_identifier(name) || slice_equal(name, SLICE("pass")) ||
        slice_equal(name, SLICE("shell")) || slice_equal(name, SLICE("cache"))) {
        fail(l, key,
             "origin name \"%" SLICE_FMT "\": use letters, digits, - and _, and not pass, shell or "
             "cache",
             SLICE_ARG(slice_until(name, 70)));
        return;
    }
    struct origin_config *origin = &policy->origins[policy->origin_count];
    origin->name = arena_copy(l->arena, name);
    origin->index = (unsigned)policy->origin_count++;
    section_defaults(l, section, origin);
    section_parse(l, section, node, origin);
    if (node->kind != YAML_MAP)
        return;
    if (!yaml_get(node, SLICE("workers")) && !origin->spawn.is_set)
        fail(l, key,
             "origin \"%" SLICE_FMT "\" needs \"workers\", such as [\"http://127.0.0.1:3000\"]",
             SLICE_ARG(name));
    if (yaml_get(node, SLICE("workers")) && origin->spawn.is_set)
        fail(l, yaml_find(node, SLICE("spawn"))->key,
             "\"spawn\" starts the workers itself: remove \"workers\", or \"spawn\"");
    if (!yaml_get(node, SLICE("slots_cover")))
        origin->slots_cover_assets = origin->slots == 1; /* semantics 7.1 */
    check_times(l, node, origin);
    check_tls(l, node, origin);
    check_probe(l, node);
    check_share(l, node, origin);
}

static void fail_origins(struct loader *l, const struct setting *s, const struct yaml_node *node)
{
    static const char EXPECTED[] =
        "a mapping of 1 to 64 origins, such as {renderer: {workers: [\"http://127.0.0.1:3000\"]}}";
    if (node->kind == YAML_MAP)
        fail(l, node, "\"%" SLICE_FMT "\": expected %s, got %zu", SLICE_ARG(s->key), EXPECTED,
             node->count);
    else
        fail_expected(l, s, node, EXPECTED);
}

static void parse_origins(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    struct policy *policy = base;
    if (node->kind != YAML_MAP || node->count == 0 || node->count > ORIGINS_MAX) {
        fail_origins(l, s, node);
        return;
    }
    policy->origins = arena_array(l->arena, struct origin_config, (size_t)ORIGINS_MAX + 1);
    for (size_t i = 0; i < node->count; i++)
        parse_origin(l, s->section, node->entries[i].key->text, node->entries[i].value,
                     node->entries[i].key);
}

static void print_origins(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    write_key(w, s->key);
    write_format(w, "\n");
    for (size_t i = 0; i < policy->origin_count; i++) {
        w->indent += 2;
        write_key(w, policy->origins[i].name);
        write_format(w, "\n");
        w->indent += 2;
        section_print(w, s->section, &policy->origins[i]);
        w->indent -= 4;
    }
}

/* `renderer: URL` is `origins: {renderer: {workers: [URL]}}`. Its row stands behind `origins`. */
static void parse_renderer(struct loader *l, const struct setting *s, const struct yaml_node *node,
                           void *base)
{
    struct policy *policy = base;
    if (origin_named(policy, SLICE("renderer"))) {
        fail(l, node, "origin \"renderer\" is given twice: here and under \"origins\"");
        return;
    }
    if (node->kind == YAML_MAP || (node->kind == YAML_SCALAR && node->text.len == 0)) {
        fail_expected(l, s, node, s->type->expected);
        return;
    }
    if (!policy->origins)
        policy->origins = arena_array(l->arena, struct origin_config, (size_t)ORIGINS_MAX + 1);
    struct yaml_node *map = yaml_empty_new(&l->scratch, YAML_MAP, node);
    struct yaml_node *key = yaml_scalar_new(&l->scratch, SLICE("workers"), node->file);
    yaml_set(&l->scratch, map, key, (struct yaml_node *)(uintptr_t)node);
    parse_origin(l, &section_origin, SLICE("renderer"), map, node);
}

const struct setting_type setting_workers = {.name = "list of URLs",
                                             .expected = "http://HOST:PORT, https://HOST:PORT or "
                                                         "unix:/PATH",
                                             .parse = parse_workers,
                                             .print = print_workers};
const struct setting_type setting_origins = {
    .name = "name: mapping", .parse = parse_origins, .print_block = print_origins};
const struct setting_type setting_renderer = {
    .name = "URL", .expected = "one URL such as http://127.0.0.1:3000", .parse = parse_renderer};
