/*
 * What records of URLs, hosts and tags are found by. The kinds have seeds of their own, so that
 * they share one table, in which 0 is an empty slot.
 */
#include "cache/key.h"
#include "cache/purge_table.h"

static const uint64_t url_seed = 0x9ae16a3b2f90404fu, host_seed = 0xc949d7c7509e6557u,
                      tag_mark = 0xff51afd7ed558ccdu, query_mark = 0x94d049bb133111ebu;

static uint64_t not_zero(uint64_t hash)
{
    return hash ? hash : 1;
}

uint64_t purge_key_url(slice host, slice path, bool has_query, slice query)
{
    uint64_t hash = hash_more(hash_more(url_seed, host), path);
    return not_zero(has_query ? hash_more(hash ^ query_mark, query) : hash);
}

uint64_t purge_key_host(slice host)
{
    return not_zero(hash_more(host_seed, host));
}

uint64_t purge_key_tag(uint64_t tag_hash)
{
    return not_zero(tag_hash ^ tag_mark);
}

uint64_t purge_tag_hash(slice tag)
{
    return hash_of(tag);
}
