#include "edge/request/mode_meaning.h"

bool is_render(const struct decision *decision)
{
    return decision->origin->slots > 0 && !decision->route->is_asset;
}

bool mode_orders_fallback(enum mode mode, const struct decision *decision)
{
    return mode == MODE_SHELL && is_render(decision) && decision->is_navigation &&
           decision->class_config->renders && !decision->class_config->never_shell;
}

bool mode_stops_refreshes(enum mode mode, const struct decision *decision)
{
    return mode == MODE_SHELL && is_render(decision);
}

bool mode_allows_shell(enum mode mode, const struct decision *decision)
{
    return mode != MODE_SSR && decision->may_give_shell;
}
