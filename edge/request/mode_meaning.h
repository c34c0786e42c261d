/*
 * What the operator's mode (`varve mode`, edge/proc/mode.h) means for a request. Pure.
 *
 * `shell`: who may be given stale or the shell gets it as if the render had failed, without asking
 * for one: navigations to pages that renderers make. Crawlers (`never_shell`), data, and whoever
 * can have neither go on as under `auto`. Fresh pages are given as ever, and nothing is refreshed
 * behind people.
 * `ssr`: the shell is nobody's fallback; `when_logged_in: shell` is none, and stays.
 */
#pragma once

#include "edge/proc/mode.h"
#include "policy/rules.h"

/* Is what it asks for made by renderers? What has no slots is no renderer, and files of `assets`
 * cost none (semantics 7.1). */
bool is_render(const struct decision *decision);

bool mode_orders_fallback(enum mode mode, const struct decision *decision);
bool mode_stops_refreshes(enum mode mode, const struct decision *decision);
bool mode_allows_shell(enum mode mode, const struct decision *decision);
