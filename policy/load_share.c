/* `share: 1/2`: this edge is the first of two before the same workers. */
#include "policy/loader.h"

enum { EDGES_MAX = 64 };

static void parse_share(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    struct share *share = setting_member(s, base);
    slice text;
    uint64_t part, of;
    if (!scalar_text(l, s, node, &text))
        return;
    size_t slash = slice_find(text, '/', 0);
    if (!slice_to_u64(slice_until(text, slash), &part) ||
        !slice_to_u64(slice_from(text, slash + 1), &of) || part < 1 || part > of ||
        of > EDGES_MAX) {
        fail_expected(l, s, node, s->type->expected);
        return;
    }
    *share = (struct share){.part = (unsigned)part, .of = (unsigned)of};
}

static bool print_share(struct writer *w, const struct setting *s, const void *base)
{
    const struct share *share = setting_member_view(s, base);
    write_format(w, "%u/%u", share->part, share->of);
    return true;
}

const struct setting_type setting_share = {
    .name = "number/number",
    .expected = "which edge this is, and of how many (at most 64), such as 1/2",
    .parse = parse_share,
    .print = print_share};

static bool is_one_address(const struct worker_config *worker)
{
    struct ip_address ip;
    return worker->unix_path.len > 0 || ip_parse(worker->host, &ip);
}

void check_share(struct loader *l, const struct yaml_node *node, const struct origin_config *origin)
{
    const struct yaml_node *share = yaml_get(node, SLICE("share"));
    size_t fixed = 0;
    if (!share || origin->share.of <= 1)
        return;
    if (origin->spawn.is_set) {
        fail(
            l, share,
            "\"share\" with \"spawn\": the processes that varve runs are nobody else's: remove it");
        return;
    }
    for (size_t i = 0; i < origin->worker_count; i++)
        fixed += is_one_address(&origin->workers[i]);
    if (origin->worker_count > 0 && fixed == origin->worker_count && fixed < origin->share.of)
        fail(l, share, "%u edges cannot share %zu worker%s: one of them would have none",
             origin->share.of, fixed, fixed == 1 ? "" : "s");
}
