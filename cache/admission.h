/*
 * Who may fill the cache at all: without `hosts` in the policy, at most 16 hosts at a time
 * (semantics 1.5); with `max_queries`, so many queries of a path, and beyond it a query only at its
 * second request within 10 minutes (semantics 1.6). In memory only, bounded; any thread.
 */
#pragma once

#include "base/clock.h"
#include "cache/key.h"

struct admission;

enum { ADMITTED_HOSTS = 16, ADMITTED_HOST_BYTES = 256 };

struct admission *admission_new(void);
void admission_free(struct admission *admission);

enum host_admission {
    HOST_ADMITTED,
    HOST_REPLACES, /* admitted in place of `gone`, whose objects are to be purged */
    HOST_REFUSED,  /* all places are taken by hosts that had a request a moment ago */
};
/* `gone` is NUL-terminated. Without a lock for a host that is in. */
enum host_admission admission_host(struct admission *admission, slice host, mono_time now,
                                   char gone[ADMITTED_HOST_BYTES]);
/* Would admission_host() not refuse it? Changes nothing. */
bool admission_has_place(struct admission *admission, slice host, mono_time now);
/* A URL with a query that is not stored yet: may it be? However often it is asked for, it is one
 * query. `path` stands for host and path, `url` for the whole URL. */
bool admission_query(struct admission *admission, const struct key *path, const struct key *url,
                     unsigned max_queries, mono_time now);
/* What admission_query() would say. Changes nothing. */
bool admission_would_query(struct admission *admission, const struct key *path,
                           const struct key *url, unsigned max_queries, mono_time now);
