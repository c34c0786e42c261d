#include "edge/request/union.h"

void union_start_with_learned(const struct server *server, const struct decision *decision,
                              struct vary_record **record)
{
    const struct route *route = decision->route;
    if ((*record)->is_known || (*record)->names.count || !decision->is_sealed ||
        route == &server->policy->route_pass)
        return;
    struct field_names names;
    learned_names(server->learned, route->index, &names);
    if (names.count == 0)
        return;
    struct vary_record *with_names = vary_record_with_names(*record, &names);
    vary_record_unref(record);
    *record = with_names;
}
