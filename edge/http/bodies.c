#include "edge/http/bodies.h"

void bodies_init(struct bodies *bodies, const struct policy *policy)
{
    pthread_mutex_init(&bodies->mutex, NULL);
    fair_init(&bodies->addresses);
    bodies->addresses.percent = policy->limits.per_client_percent;
    bodies->policy = policy;
    bodies->bytes = 0;
}

void bodies_fini(struct bodies *bodies)
{
    fair_fini(&bodies->addresses);
    pthread_mutex_destroy(&bodies->mutex);
}

/* One body of the greatest size is possible, whatever the percentage. */
static uint64_t share(const struct bodies *bodies)
{
    uint64_t limit = bodies->policy->limits.request_bodies_bytes;
    uint64_t one = bodies->policy->limits.request_body_bytes;
    uint64_t share = fair_share(&bodies->addresses, limit);
    share = share > one ? share : one;
    return share < limit ? share : limit;
}

static bool has_room(const struct bodies *bodies, const struct fair_client *client, uint64_t more)
{
    uint64_t limit = bodies->policy->limits.request_bodies_bytes, all = bodies->bytes + more;
    if (all > limit)
        return false;
    return !client || client->body_bytes + more <= share(bodies) || all <= limit - share(bodies);
}

static bool change(struct bodies *bodies, const struct ip_address *address, uint64_t before,
                   uint64_t after, bool must_fit)
{
    pthread_mutex_lock(&bodies->mutex);
    struct fair_client *client = address ? fair_client(&bodies->addresses, address) : NULL;
    bool fits = after <= before || !must_fit || has_room(bodies, client, after - before);
    if (fits) {
        bodies->bytes += after - before; /* wraps when it shrinks: so does the sum */
        if (client)
            client->body_bytes += after - before;
    }
    fair_settle(&bodies->addresses, client);
    pthread_mutex_unlock(&bodies->mutex);
    return fits;
}

bool bodies_reserve(struct bodies *bodies, const struct ip_address *address, uint64_t before,
                    uint64_t after)
{
    return before == after || change(bodies, address, before, after, true);
}

void bodies_account(struct bodies *bodies, const struct ip_address *address, uint64_t before,
                    uint64_t after)
{
    if (before != after)
        change(bodies, address, before, after, false);
}
