/*
 * See listeners.h. Addresses are numbers: a name would have to be looked up, which can hang, and
 * may mean several. SO_REUSEADDR, or a restart fails while old connections are in TIME_WAIT; no
 * SO_REUSEPORT, or connections would be stranded in the queue of a worker that left.
 */
#include "edge/proc/listeners.h"

#include "base/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 /* the kernel lowers it to net.core.somaxconn */ };

static int fail(char *error, slice address, const char *what)
{
    snprintf(error, LISTEN_ERROR_BYTES, "listen: %" SLICE_FMT ": %s",
             SLICE_ARG(slice_until(address, 200)), what);
    return -1;
}

static int fail_errno(char *error, slice address, int fd)
{
    int code = errno;
    if (fd >= 0)
        close(fd);
    return fail(error, address, strerror(code));
}

/* --- unix --- */

/* False: the address is none of a unix socket. */
static bool unix_address(slice text, struct sockaddr_un *name)
{
    struct address address;
    if (!address_parse(text, &address) || address.path.len == 0)
        return false;
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(name->sun_path, address.path.ptr, address.path.len);
    return true;
}

/* A socket file that nobody answers on is left from a crash. Anything else is not ours to remove.
 */
static bool remove_stale(const struct sockaddr_un *name)
{
    struct stat status;
    if (lstat(name->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool is_stale =
        connect(fd, (const struct sockaddr *)name, sizeof(*name)) != 0 && errno == ECONNREFUSED;
    close(fd);
    return is_stale && unlink(name->sun_path) == 0;
}

static int bind_unix(int fd, const struct sockaddr_un *name, mode_t mode)
{
    mode_t old = umask(0777 & ~mode); /* from the start: never open wider, not for an instant */
    int result = bind(fd, (const struct sockaddr *)name, sizeof(*name));
    if (result != 0 && errno == EADDRINUSE) {
        if (remove_stale(name))
            result = bind(fd, (const struct sockaddr *)name, sizeof(*name));
        else
            errno = EADDRINUSE;
    }
    int code = errno;
    umask(old);
    errno = code;
    return result;
}

static int open_unix(slice address, const struct sockaddr_un *name, mode_t mode, char *error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind_unix(fd, name, mode) != 0)
        return fail_errno(error, address, fd);
    if (listen(fd, BACKLOG) != 0) {
        unlink(name->sun_path);
        return fail_errno(error, address, fd);
    }
    return fd;
}

void listener_unlink(slice address)
{
    struct sockaddr_un name;
    if (unix_address(address, &name))
        unlink(name.sun_path);
}

int listener_give(slice address, const struct user_identity *user)
{
    struct sockaddr_un name;
    if (user->name[0] == '\0' || !unix_address(address, &name))
        return 0;
    return lchown(name.sun_path, user->uid, user->gid) == 0 ? 0 : errno;
}

/* --- TCP --- */

static int bind_tcp(const struct addrinfo *to, bool v6_only)
{
    int on = 1, only = v6_only,
        fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* inherited by what is accepted */
    if ((to->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) != 0) ||
        bind(fd, to->ai_addr, to->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

static int open_tcp_at(const char *host, const char *port, bool v6_only)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM},
                    *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = bind_tcp(found, v6_only);
    int code = errno;
    freeaddrinfo(found);
    errno = code;
    return fd;
}

static int open_tcp(slice text, const struct address *address, char *error)
{
    char host[64], port[8]; /* digits: at most 45 characters */
    snprintf(host, sizeof(host), "%" SLICE_FMT, SLICE_ARG(address->host));
    snprintf(port, sizeof(port), "%u", (unsigned)address->port);
    /* An address that was written means itself alone; none means both families, or IPv4 where the
     * machine has no IPv6. */
    int fd = open_tcp_at(host[0] ? host : "::", port, host[0] != '\0');
    if (fd < 0 && !host[0] && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
        fd = open_tcp_at("0.0.0.0", port, false);
    return fd >= 0 ? fd : fail_errno(error, text, -1);
}

int listener_open(slice text, unsigned mode, char *error)
{
    struct address address;
    struct sockaddr_un name;
    if (unix_address(text, &name))
        return open_unix(text, &name, mode, error);
    if (address_parse_numeric(text, &address))
        return open_tcp(text, &address, error);
    return fail(error, text,
                slice_starts_with(text, SLICE("unix:"))
                    ? "the path of a unix socket has 1 to 107 bytes"
                    : "is not an address: ADDRESS:PORT, :PORT or unix:/PATH");
}

/* --- sets --- */

static int find(const struct listener_set *set, slice address)
{
    for (size_t i = 0; set && i < set->count; i++)
        if (slice_equal(slice_of_string(set->at[i].address), address))
            return set->at[i].fd;
    return -1;
}

static bool add(struct listener_set *set, slice address, const struct listener_set *held,
                char *error)
{
    struct listener *listener = &set->at[set->count];
    if (set->count == LISTEN_MAX || address.len >= sizeof(listener->address))
        return fail(error, address, "too many addresses, or too long a one") == 0;
    if (find(set, address) >= 0)
        return fail(error, address, "is named twice") == 0;
    int fd = find(held, address);
    if (fd < 0)
        fd = listener_open(address, 0666, error); /* as open to all as a port is */
    if (fd < 0)
        return false;
    snprintf(listener->address, sizeof(listener->address), "%" SLICE_FMT, SLICE_ARG(address));
    listener->fd = fd;
    set->count++;
    return true;
}

bool listeners_open(const struct policy *policy, const struct listener_set *held,
                    struct listener_set *set, char *error)
{
    for (size_t i = 0; i < policy->listen_count; i++) {
        if (!add(set, policy->listen[i].address, held, error)) {
            listeners_close(set, held);
            return false;
        }
    }
    return true;
}

static bool holds_fd(const struct listener_set *set, int fd)
{
    for (size_t i = 0; set && i < set->count; i++)
        if (set->at[i].fd == fd)
            return true;
    return false;
}

void listeners_close(struct listener_set *set, const struct listener_set *kept)
{
    for (size_t i = 0; i < set->count; i++) {
        if (holds_fd(kept, set->at[i].fd))
            continue;
        listener_unlink(slice_of_string(set->at[i].address));
        close(set->at[i].fd);
    }
    set->count = 0;
}
