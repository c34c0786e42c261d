/*
 * What varve counts (docs/operations.md, "Metrics"). Any loop thread. Counters live in shared
 * memory, so that they survive reloads; series of routes, classes and outcomes are looked up once.
 */
#pragma once

#include "edge/request/exchange.h"

struct metrics *metrics_new(struct counters *counters, const struct policy *policy);
void metrics_free(struct metrics *metrics);

/* A request is over: varve_requests_total, _request_duration_seconds, _shell_total, _shed_total,
 * _identified_total. */
void metrics_request(struct metrics *metrics, const struct exchange *ex, duration took);
/* A request that the front refused before it became one: varve_refused_requests_total{status}. */
void metrics_refused(struct metrics *metrics, unsigned status);
/* The head of a render came: varve_queue_wait_seconds and varve_render_seconds, never one number.
 */
void metrics_render(struct metrics *metrics, const struct decision *decision,
                    const struct flight_head *head);
/* An interim response of the renderer: varve_interim_responses_total{result}. */
void metrics_interim(struct metrics *metrics, bool is_dropped);
void metrics_not_stored(struct metrics *metrics, enum reason reason);
void metrics_stored(struct metrics *metrics, const struct decision *decision, enum stored stored);
/* varve_upstream_errors_total{worker,kind}; gives the series. */
counter *metrics_upstream_error(struct metrics *metrics, slice worker, enum call_failure failure);
/* The operator has changed it: varve_mode_changes_total{to}. */
void metrics_mode(struct metrics *metrics, enum mode to);
/* Has origins count varve_retries_total and varve_over_share_total{origin}. Before the loops run.
 */
void metrics_count_origins(struct metrics *metrics, struct origins *origins);
/* All workers of an origin are down, or no longer: varve_origin_changes_total{origin,to}. */
void metrics_origin_changed(struct metrics *metrics, slice origin, bool is_down);
void metrics_purge(struct metrics *metrics, enum purge_kind kind, uint64_t count);

/* All of it as Prometheus text (GET /metrics) or JSON (GET /v1/stats). malloc'ed; the caller frees.
 * Not on the hot path. */
char *metrics_prometheus(struct server *server);
char *metrics_json(struct server *server);
