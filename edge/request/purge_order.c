#include "edge/request/purge_order.h"

#include "policy/twins.h"

struct purge_order purge_order_of(const struct request *request, const struct decision *decision)
{
    return (struct purge_order){.kind = PURGE_URL,
                                .host = request->host,
                                .path = request->path,
                                .query = decision->query,
                                .has_query = decision->has_query};
}

bool purge_order_of_twins(const struct policy *policy, const struct purge_order *page,
                          struct arena *arena, struct purge_order *twins)
{
    if (policy->purge_twins.count == 0)
        return false;
    *twins = (struct purge_order){.kind = PURGE_TAG,
                                  .is_soft = page->is_soft,
                                  .tag = twins_tag(page->host, page->path, arena)};
    return true;
}
