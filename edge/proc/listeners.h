/*
 * Listening sockets. The master opens them, one per address, and keeps them over reloads and
 * respawns: what connects meanwhile waits in the backlog and is not lost.
 */
#pragma once

#include "edge/proc/privileges.h"
#include "policy/config.h"

enum { LISTEN_MAX = 64, LISTEN_ERROR_BYTES = 512 };

struct listener {
    char address[256]; /* as in the policy: what tells listeners apart over a reload */
    int fd;
};

struct listener_set {
    struct listener at[LISTEN_MAX];
    size_t count;
};

/*
 * Opens the addresses of a policy into *set (zeroed), in its order; those that `held` has already
 * are shared with it. False with a line in `error` (LISTEN_ERROR_BYTES), and nothing new is open.
 */
bool listeners_open(const struct policy *policy, const struct listener_set *held,
                    struct listener_set *set, char *error);
/* Closes what `kept` (may be NULL) does not share, removes the unix sockets among it, empties
 * `set`. */
void listeners_close(struct listener_set *set, const struct listener_set *kept);

/*
 * One listening socket, non-blocking and close-on-exec: ":8080" (IPv6 and IPv4), "127.0.0.1:80",
 * "[::1]:80", "unix:/path". `mode` is that of a unix socket. -1 with a line in
 * `error`.
 */
int listener_open(slice address, unsigned mode, char *error);
/* Removes the file of a unix socket; other addresses: nothing. */
void listener_unlink(slice address);
/* Gives the file of a unix socket to the user, if there is one to give it to. 0 or errno. */
__attribute__((warn_unused_result)) int listener_give(slice address,
                                                      const struct user_identity *user);
