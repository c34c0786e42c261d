#include "edge/origin/fair.h"

#include "base/arena.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void fair_init(struct fair *fair)
{
    *fair = (struct fair){0};
    if (getrandom(&fair->seed, sizeof(fair->seed), GRND_NONBLOCK) != sizeof(fair->seed))
        fair->seed = (uint64_t)(uintptr_t)fair;
    for (size_t i = 0; i < FAIR_BUCKETS; i++)
        list_init(&fair->buckets[i]);
}

static void free_row(struct fair *fair, struct fair_client *client)
{
    list_remove(&client->node);
    fair->clients--;
    free(client);
}

void fair_fini(struct fair *fair)
{
    for (size_t i = 0; i < FAIR_BUCKETS; i++)
        while (!list_is_empty(&fair->buckets[i]))
            free_row(fair, list_first_entry(&fair->buckets[i], struct fair_client, node));
}

static struct ip_address subscriber(const struct ip_address *address)
{
    static const uint8_t V4[12] = {[10] = 0xff, [11] = 0xff};
    struct ip_address subscriber = *address;
    if (memcmp(address->bytes, V4, sizeof(V4)) != 0)
        memset(subscriber.bytes + 8, 0, 8);
    return subscriber;
}

static struct list *bucket_of(struct fair *fair, const struct ip_address *address)
{
    uint64_t halves[2], state = fair->seed;
    memcpy(halves, address->bytes, sizeof(halves));
    state = random_next(&state) ^ halves[0];
    state = random_next(&state) ^ halves[1];
    return &fair->buckets[random_next(&state) % FAIR_BUCKETS];
}

struct fair_client *fair_client(struct fair *fair, const struct ip_address *address)
{
    if (fair->percent == 0 || fair->percent >= FAIR_ALL)
        return NULL;
    struct ip_address key = subscriber(address);
    struct list *bucket = bucket_of(fair, &key);
    for (struct list *node = bucket->next; node != bucket; node = node->next) {
        struct fair_client *client = container_of(node, struct fair_client, node);
        if (ip_equal(&client->address, &key))
            return client;
    }
    struct fair_client *client = mem_alloc(sizeof(*client));
    client->address = key;
    list_append(bucket, &client->node);
    fair->clients++;
    return client;
}

void fair_settle(struct fair *fair, struct fair_client *client)
{
    if (client && client->slots == 0 && client->places == 0 && client->lent == 0 &&
        client->body_bytes == 0)
        free_row(fair, client);
}

uint64_t fair_share(const struct fair *fair, uint64_t all)
{
    uint64_t share = all / FAIR_ALL * fair->percent + all % FAIR_ALL * fair->percent / FAIR_ALL;
    return share > 0 ? share : 1;
}
