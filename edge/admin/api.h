/*
 * The admin API (docs/operations.md, "Admin listener"; semantics 10.2): JSON over a unix socket or
 * TCP with a bearer token. Runs on the loops; what reads the store or waits runs on a thread of its
 * own and posts back.
 */
#pragma once

#include "edge/server.h"

struct api;

/* Reads the token file. NULL with a line in `error` (>= 256 bytes). */
struct api *api_new(struct server *server, char *error);
/* Ends its thread; jobs under way are dropped. Before the loops stop. */
void api_stop(struct api *api);
/* front_setup.on_admin_request; `arg` is the struct server, which has the api. */
void api_on_request(struct loop *loop, h2o_req_t *h2o_req, struct request *request, void *arg);
/* Does the request carry the debug token (`X-Varve-Debug`; semantics 10.2)? */
bool api_may_debug(const struct api *api, const struct request *request);
