/* `probe:` and `warmup:` of an origin: what varve asks its workers by itself (semantics 7.6). */
#include "policy/loader.h"

static bool is_target(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] == '#' || text.ptr[i] == 0x7f)
            return false;
    return slice_starts_with(text, SLICE("/"));
}

static void parse_request_target(struct loader *l, const struct setting *s,
                                 const struct yaml_node *node, void *base)
{
    slice text;
    if (!scalar_text(l, s, node, &text))
        return;
    if (slice_equal(text, SLICE("none")))
        *(slice *)setting_member(s, base) = SLICE_NONE;
    else if (is_target(text))
        *(slice *)setting_member(s, base) = text;
    else
        fail_expected(l, s, node, s->type->expected);
}

static bool print_request_target(struct writer *w, const struct setting *s, const void *base)
{
    const slice *text = setting_member_view(s, base);
    write_scalar(w, text->len > 0 ? *text : SLICE("none"));
    return true;
}

const struct setting_type setting_request_target = {
    .name = "path or none",
    .expected = "none, or a path that begins with / such as /healthz, without spaces",
    .parse = parse_request_target,
    .print = print_request_target};

void check_probe(struct loader *l, const struct yaml_node *node)
{
    const struct yaml_node *probe = yaml_get(node, SLICE("probe"));
    if (probe && probe->kind == YAML_MAP && !yaml_get(probe, SLICE("path")))
        fail(l, probe, "\"probe\" needs \"path\", such as /healthz");
}
