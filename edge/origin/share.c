/* See share.h. */
#include "edge/origin/share.h"

#include "cache/key.h"
#include "edge/origin/slots.h"

#include <stdio.h>

static bool divides_entries(const struct origin_config *origin)
{
    return origin->worker_count >= origin->share.of;
}

enum { ENTRY_BYTES = 280 }; /* a host has 253 at most */

/* What is connected to, however it is written. */
static slice entry_text(const struct worker_config *worker, char text[ENTRY_BYTES])
{
    struct ip_address ip;
    char number[IP_TEXT_BYTES];
    slice host = ip_parse(worker->host, &ip) ? ip_format(&ip, number) : worker->host;
    int length =
        worker->unix_path.len > 0
            ? snprintf(text, ENTRY_BYTES, "unix:%" SLICE_FMT, SLICE_ARG(worker->unix_path))
            : snprintf(text, ENTRY_BYTES, "%" SLICE_FMT " %05u", SLICE_ARG(host), worker->port);
    for (int i = 0; i < length && worker->unix_path.len == 0; i++)
        text[i] = ascii_lower(text[i]);
    return slice_of(text, (size_t)length);
}

/* Its place among the texts of all. */
static size_t rank_of(const struct origin_config *origin, size_t index)
{
    char own[ENTRY_BYTES], other[ENTRY_BYTES];
    slice text = entry_text(&origin->workers[index], own);
    size_t rank = 0;
    for (size_t i = 0; i < origin->worker_count; i++)
        rank += slice_compare(entry_text(&origin->workers[i], other), text) < 0;
    return rank;
}

bool share_has_entry(const struct origin_config *origin, size_t index)
{
    const struct share *share = &origin->share;
    return share_is_whole(origin) || !divides_entries(origin) ||
           rank_of(origin, index) % share->of == share->part - 1;
}

static struct key weight(slice address, unsigned part)
{
    char text[SLOT_KEY_BYTES + 16];
    int length = snprintf(text, sizeof(text), "%" SLICE_FMT " %u", SLICE_ARG(address), part);
    return key_of(slice_of(text, (size_t)length));
}

/* The first of the heaviest, from 1. */
static unsigned part_of(slice address, unsigned of)
{
    unsigned best = 1;
    struct key heaviest = weight(address, 1);
    for (unsigned part = 2; part <= of; part++) {
        struct key key = weight(address, part);
        if (memcmp(key.bytes, heaviest.bytes, sizeof(key.bytes)) <= 0)
            continue;
        best = part;
        heaviest = key;
    }
    return best;
}

bool share_has_address(const struct origin_config *origin, const struct sockaddr_storage *address)
{
    char text[SLOT_KEY_BYTES];
    return share_is_whole(origin) || divides_entries(origin) ||
           part_of(slot_key(address, text), origin->share.of) == origin->share.part;
}

unsigned share_entry_count(const struct origin_config *origin)
{
    unsigned count = 0;
    for (size_t i = 0; i < origin->worker_count; i++)
        count += share_has_entry(origin, i);
    return count;
}
