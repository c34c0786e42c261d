/*
 * The policy hash of a route (semantics 4.4): FNV-1a over a length-prefixed list of what shapes the
 * bytes and the key of its objects. Objects carry it on disk, so it must not change with the order
 * of unrelated settings, the machine or the version: change the list only together with
 * HASH_VERSION.
 */
#include "policy/loader.h"

enum { HASH_VERSION = 1 };

struct hash {
    uint64_t value;
};

static void add_bytes(struct hash *h, const void *bytes, size_t length)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < length; i++)
        h->value = (h->value ^ b[i]) * 1099511628211u;
}

static void add_number(struct hash *h, uint64_t number)
{
    for (int i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(number >> (8 * i));
        add_bytes(h, &byte, 1);
    }
}

static void add_text(struct hash *h, slice text)
{
    add_number(h, text.len);
    add_bytes(h, text.ptr, text.len);
}

static void add_texts(struct hash *h, const struct slices *texts)
{
    add_number(h, texts->count);
    for (size_t i = 0; i < texts->count; i++)
        add_text(h, texts->at[i]);
}

static uint64_t vary_hash(const struct vary_config *vary)
{
    struct hash h = {14695981039346656037u};
    add_text(&h, vary->field);
    add_number(&h, vary->kind);
    add_number(&h, vary->always);
    add_texts(&h, &vary->choices);
    add_text(&h, vary->default_choice);
    add_number(&h, vary->map_count);
    for (size_t i = 0; i < vary->map_count; i++) {
        add_text(&h, vary->map[i].name);
        add_text(&h, vary->map[i].pattern);
        add_text(&h, vary->map[i].send);
    }
    add_text(&h, vary->as);
    add_texts(&h, &vary->keep);
    return h.value;
}

static void add_origin(struct hash *h, const struct origin_config *origin)
{
    add_text(h, origin->name);
    add_text(h, origin->target);
    add_number(h, origin->host);
    add_text(h, origin->host_name);
    add_number(h, origin->set_header_count);
    for (size_t i = 0; i < origin->set_header_count; i++) {
        add_text(h, origin->set_headers[i].name);
        add_text(h, origin->set_headers[i].template);
    }
    add_number(h, origin->forward_client_address);
}

static void add_identity(struct hash *h, const struct identity_config *identity)
{
    add_number(h, identity->cookies);
    add_texts(h, &identity->cookie_names);
    add_texts(h, &identity->headers);
    add_texts(h, &identity->ignore_cookies);
}

uint64_t route_policy_hash(const struct policy *policy, const struct route *route)
{
    struct hash h = {14695981039346656037u};
    uint64_t fields = 0;
    for (size_t i = 0; i < policy->vary_count; i++)
        fields += vary_hash(&policy->vary[i]); /* a sum: their order means nothing */
    add_number(&h, HASH_VERSION);
    add_number(&h, fields);
    add_number(&h, policy->seal);
    add_identity(&h, &policy->identity);
    add_origin(&h, route->origin);
    add_number(&h, route->ignore_cookies);
    add_number(&h, route->query_keep_is_set);
    add_texts(&h, &route->query_keep);
    add_texts(&h, &route->query_drop);
    add_number(&h, route->query_sort);
    return h.value;
}
