/*
 * What every front under test is given: small limits, one listener, handlers of the test's. For the
 * unit tests (front_fixture.h: a loop in a thread) and the fuzzers (front_rig.h: a loop turned by
 * hand). Static, as both are included by one program each.
 */
#pragma once

#include "edge/http/front.h"

enum { FRONT_BODY_MAX = 1000 };

/* In a zeroed policy. */
static void front_setup_limits(struct policy *policy)
{
    policy->limits.header_bytes = 4096;
    policy->limits.headers = 20;
    policy->limits.url_bytes = 256;
    policy->limits.request_body_bytes = FRONT_BODY_MAX;
    policy->limits.request_bodies_bytes = FRONT_BODY_MAX * 3 / 2;
    policy->limits.header_timeout = policy->limits.idle = (duration){60000};
    policy->limits.stall = (duration){20000};
    policy->limits.connections = 20;
    policy->reload_drain = (duration){60000};
}

/* All of it is the caller's and outlives the front; NULL and a text in `error` as front_new(). */
static struct front *front_setup_new(const struct policy *policy, struct front_listener *listener,
                                     h2o_globalconf_t *globalconf, front_handler on_request,
                                     front_refused on_refused, char *error)
{
    static unsigned char ticket_key[80] = {1, 2, 3};
    struct front_setup setup = {.policy = policy,
                                .listeners = listener,
                                .listener_count = 1,
                                .on_request = on_request,
                                .on_admin_request = on_request,
                                .on_refused = on_refused,
                                .ticket_key = ticket_key,
                                .ticket_key_bytes = sizeof(ticket_key)};
    h2o_config_init(globalconf);
    return front_new(&setup, globalconf, error);
}
