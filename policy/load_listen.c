/* Who may come and where to: listeners, hosts, address ranges. */
#include "base/address.h"
#include "policy/loader.h"

#include <stdio.h>

enum { LISTEN_MAX = 64, CERTIFICATES_MAX = 100 };

/* --- addresses to listen on --- */

static void parse_address(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    slice text;
    struct address address;
    if (!scalar_text(l, s, node, &text))
        return;
    if (address_parse_numeric(text, &address))
        *(slice *)setting_member(s, base) = text;
    else if (slice_ends_with(text, SLICE(":0")))
        fail(l, node, "\"%" SLICE_FMT "\": port 0 is none to listen on: give one from 1 to 65535",
             SLICE_ARG(s->key));
    else
        fail_expected(l, s, node, s->type->expected);
}

static bool print_address(struct writer *w, const struct setting *s, const void *base)
{
    write_scalar(w, *(const slice *)setting_member_view(s, base));
    return true;
}

static void parse_certificates(struct loader *l, const struct setting *s,
                               const struct yaml_node *node, void *base)
{
    struct listen_config *listen = base;
    size_t count = node->kind == YAML_LIST ? node->count : 1;
    if (node->kind == YAML_SCALAR || count > CERTIFICATES_MAX || count == 0) {
        fail_expected(l, s, node, "a list such as [{cert: site.pem, key: site.key}]");
        return;
    }
    listen->tls = arena_array(l->arena, struct tls_certificate, count);
    listen->tls_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *item = node->kind == YAML_LIST ? node->items[i] : node;
        struct tls_certificate *tls = &listen->tls[i];
        tls->file = arena_copy(l->arena, item->file);
        tls->line = item->line;
        tls->column = item->column;
        section_parse(l, s->section, item, tls);
        if (item->kind == YAML_MAP &&
            (!yaml_get(item, SLICE("cert")) || !yaml_get(item, SLICE("key"))))
            fail(l, item, "a certificate needs both \"cert\" and \"key\"");
    }
}

static bool print_certificates(struct writer *w, const struct setting *s, const void *base)
{
    const struct listen_config *listen = base;
    (void)s;
    if (listen->tls_count == 0)
        return false;
    for (size_t i = 0; i < listen->tls_count; i++) {
        write_format(w, i == 0 ? "[{cert: " : ", {cert: ");
        write_scalar(w, listen->tls[i].cert_path);
        write_format(w, ", key: ");
        write_scalar(w, listen->tls[i].key_path);
        write_format(w, "}");
    }
    write_format(w, "]");
    return true;
}

static void parse_listener(struct loader *l, const struct setting *s, const struct yaml_node *node,
                           struct listen_config *listen)
{
    section_defaults(l, s->section, listen);
    if (node->kind != YAML_MAP) {
        const struct setting *address = section_find(s->section, SLICE("address"));
        address->type->parse(l, address, node, listen);
        return;
    }
    section_parse(l, s->section, node, listen);
    if (!yaml_get(node, SLICE("address")))
        fail(l, node, "a listener needs an \"address\", such as \":8080\"");
}

static void check_listen_twice(struct loader *l, const struct yaml_node *node, size_t i)
{
    const struct listen_config *listen = l->policy->listen;
    for (size_t j = 0; j < i; j++)
        if (listen[i].address.len && slice_equal(listen[i].address, listen[j].address))
            fail(l, node, "address \"%" SLICE_FMT "\" is listed twice",
                 SLICE_ARG(listen[i].address));
}

static void parse_listen(struct loader *l, const struct setting *s, const struct yaml_node *node,
                         void *base)
{
    struct policy *policy = base;
    size_t count = node->kind == YAML_LIST ? node->count : 1;
    if (count == 0 || count > LISTEN_MAX) {
        fail(l, node, "\"listen\": expected 1 to %d addresses, got %zu", LISTEN_MAX, count);
        return;
    }
    policy->listen = arena_array(l->arena, struct listen_config, count);
    policy->listen_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *item = node->kind == YAML_LIST ? node->items[i] : node;
        parse_listener(l, s, item, &policy->listen[i]);
        check_listen_twice(l, item, i);
    }
}

static void print_listen(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    write_key(w, s->key);
    write_format(w, "\n");
    w->indent += 4;
    for (size_t i = 0; i < policy->listen_count; i++) {
        w->is_item = true;
        section_print(w, s->section, &policy->listen[i]);
    }
    w->indent -= 4;
}

/* --- hosts --- */

static bool is_host_name(slice name)
{
    slice label;
    while (slice_next(&name, '.', &label)) {
        if (label.len == 0 || label.len > 63)
            return false;
        for (size_t i = 0; i < label.len; i++) {
            char c = ascii_lower(label.ptr[i]);
            if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
                return false;
        }
    }
    return true;
}

static bool is_host_pattern(slice text)
{
    struct ip_address ip;
    if (text.len > 2 && text.ptr[0] == '[')
        return ip_parse(text, &ip);
    if (slice_starts_with(text, SLICE("*.")))
        text = slice_from(text, 2);
    return text.len > 0 && text.len <= 253 && is_host_name(text);
}

static void parse_hosts(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    struct policy *policy = base;
    const struct yaml_node *const *items;
    size_t count;
    if (!node_items(l, s, node, &items, &count))
        return;
    policy->hosts.at = arena_array(l->arena, slice, count);
    for (size_t i = 0; i < count; i++) {
        slice host;
        if (!scalar_text(l, s, items[i], &host))
            continue;
        if (host.len > 1 && host.ptr[host.len - 1] == '.')
            host.len--;
        if (slice_equal(host, SLICE("*")))
            fail(l, items[i], "\"hosts\": \"*\" is every host: leave \"hosts\" out");
        else if (!is_host_pattern(host))
            fail_expected(l, s, items[i], s->type->expected);
        else
            policy->hosts.at[policy->hosts.count++] = arena_copy_lower(l->arena, host);
    }
}

static bool print_hosts(struct writer *w, const struct setting *s, const void *base)
{
    const struct policy *policy = base;
    (void)s;
    if (policy->hosts.count)
        write_list(w, &policy->hosts);
    return policy->hosts.count > 0;
}

/* --- address ranges --- */

static void parse_addresses(struct loader *l, const struct setting *s, const struct yaml_node *node,
                            void *base)
{
    struct ip_ranges *ranges = setting_member(s, base);
    const struct yaml_node *const *items;
    size_t count;
    if (!node_items(l, s, node, &items, &count))
        return;
    ranges->at = arena_array(l->arena, struct ip_range, count);
    ranges->count = 0;
    for (size_t i = 0; i < count; i++) {
        slice text;
        if (!scalar_text(l, s, items[i], &text))
            continue;
        if (ip_range_parse(text, &ranges->at[ranges->count]))
            ranges->count++;
        else
            fail_expected(l, s, items[i], s->type->expected);
    }
}

static void write_range(struct writer *w, const struct ip_range *range)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char buffer[IP_TEXT_BYTES], text[IP_TEXT_BYTES + 8];
    slice address = ip_format(&range->network, buffer);
    bool is_v4 =
        memcmp(range->network.bytes, mapped, sizeof(mapped)) == 0 && range->prefix_bits >= 96;
    int length = snprintf(text, sizeof(text), "%" SLICE_FMT "/%u", SLICE_ARG(address),
                          range->prefix_bits - (is_v4 ? 96 : 0));
    write_scalar(w, slice_of(text, (size_t)length));
}

static bool print_addresses(struct writer *w, const struct setting *s, const void *base)
{
    const struct ip_ranges *ranges = setting_member_view(s, base);
    write_format(w, "[");
    for (size_t i = 0; i < ranges->count; i++) {
        write_format(w, i ? ", " : "");
        write_range(w, &ranges->at[i]);
    }
    write_format(w, "]");
    return true;
}

const struct setting_type setting_address = {
    .name = "address",
    .expected =
        "an address such as \":8080\", \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/path\"",
    .parse = parse_address,
    .print = print_address};
const struct setting_type setting_certificates = {
    .name = "list of certificates", .parse = parse_certificates, .print = print_certificates};
const struct setting_type setting_listen = {
    .name = "list of addresses", .parse = parse_listen, .print_block = print_listen};
const struct setting_type setting_hosts = {
    .name = "list of hosts",
    .expected = "a host name, with \"*.\" only in front, and no port",
    .parse = parse_hosts,
    .print = print_hosts};
const struct setting_type setting_addresses = {
    .name = "list of address ranges",
    .expected =
        "an address or a range such as 10.0.0.0/8 or 2001:db8::/32, no bits behind the prefix",
    .parse = parse_addresses,
    .print = print_addresses};
