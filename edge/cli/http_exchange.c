/*
 * See http_exchange.h. The answer is read until the server closes, then parsed as a whole with
 * picohttpparser, which libh2o exports; the body ends where Content-Length or the last chunk says,
 * and a shorter one is an error.
 */
#include "edge/cli/http_exchange.h"

#include "base/address.h"
#include "base/arena.h"
#include "edge/origin/phr.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ERROR_BYTES = 256, HEADERS_MAX = 64, FIRST_BYTES = 65536 };

/* --- connecting --- */

static bool wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd wait = {.fd = fd, .events = events};
    int count;
    do
        count = poll(&wait, 1, timeout_ms);
    while (count < 0 && errno == EINTR);
    if (count == 0)
        errno = ETIMEDOUT;
    return count > 0;
}

static int connect_to(int family, const struct sockaddr *address, socklen_t length, int timeout_ms)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t size = sizeof(error);
    if (fd < 0)
        return -1;
    if (connect(fd, address, length) == 0)
        return fd;
    if (errno == EINPROGRESS && wait_for(fd, POLLOUT, timeout_ms)) {
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
            return fd;
        errno = error;
    }
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int connect_unix(slice path, int timeout_ms)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, path.ptr, path.len); /* at most 107 bytes: address_parse() */
    return connect_to(AF_UNIX, (struct sockaddr *)&name, sizeof(name), timeout_ms);
}

static int connect_tcp(const struct address *address, int timeout_ms)
{
    char host[256], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    slice name = address->host.len ? address->host : SLICE("127.0.0.1");
    snprintf(port, sizeof(port), "%u", (unsigned)address->port);
    if ((size_t)snprintf(host, sizeof(host), "%" SLICE_FMT, SLICE_ARG(name)) >= sizeof(host) ||
        getaddrinfo(host, port, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *to = found; to && fd < 0; to = to->ai_next)
        fd = connect_to(to->ai_family, to->ai_addr, to->ai_addrlen, timeout_ms);
    int error = errno;
    freeaddrinfo(found);
    errno = error;
    return fd;
}

int http_connect(slice text, int timeout_ms)
{
    struct address address;
    if (!address_parse(text, &address)) {
        errno = EINVAL;
        return -1;
    }
    return address.path.len ? connect_unix(address.path, timeout_ms)
                            : connect_tcp(&address, timeout_ms);
}

/* --- bytes --- */

static bool send_all(int fd, slice bytes, int timeout_ms)
{
    while (bytes.len) {
        if (!wait_for(fd, POLLOUT, timeout_ms))
            return false;
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (sent > 0)
            bytes = slice_from(bytes, (size_t)sent);
    }
    return true;
}

struct buffer {
    char *bytes;
    size_t length, capacity;
};

static bool read_more(int fd, struct buffer *buffer, bool *is_end)
{
    if (buffer->capacity - buffer->length < 2) {
        buffer->capacity = buffer->capacity ? 2 * buffer->capacity : FIRST_BYTES;
        buffer->bytes = mem_grow(buffer->bytes, buffer->capacity);
    }
    ssize_t got =
        recv(fd, buffer->bytes + buffer->length, buffer->capacity - buffer->length - 1, 0);
    *is_end = got == 0;
    if (got > 0)
        buffer->length += (size_t)got;
    return got >= 0 || errno == EAGAIN || errno == EINTR;
}

static bool receive_all(int fd, struct buffer *buffer, int timeout_ms)
{
    bool is_end = false;
    while (!is_end) {
        if (!wait_for(fd, POLLIN, timeout_ms) || !read_more(fd, buffer, &is_end))
            return false;
        if (buffer->length > HTTP_ANSWER_MAX) {
            errno = EMSGSIZE;
            return false;
        }
    }
    buffer->bytes[buffer->length] = '\0';
    return true;
}

/* --- parsing --- */

static slice header(const struct phr_header *headers, size_t count, slice name)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].name &&
            slice_equal_nocase(slice_of(headers[i].name, headers[i].name_len), name))
            return slice_of(headers[i].value, headers[i].value_len);
    return SLICE_NONE;
}

/* The body's length after decoding in place; false: it is cut short. */
static bool decode_body(const struct phr_header *headers, size_t count, char *body, size_t *length)
{
    uint64_t announced;
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    if (slice_equal_nocase(header(headers, count, SLICE("transfer-encoding")), SLICE("chunked")))
        return phr_decode_chunked(&decoder, body, length) >= 0;
    slice text = header(headers, count, SLICE("content-length"));
    if (text.len == 0)
        return true; /* ends by closing */
    if (!slice_to_u64(text, &announced) || announced > *length)
        return false;
    *length = (size_t)announced;
    return true;
}

static bool parse(const struct buffer *buffer, int *status, char **body, size_t *length)
{
    struct phr_header headers[HEADERS_MAX];
    size_t count = HEADERS_MAX, text_length;
    const char *text;
    int minor;
    int head = phr_parse_response(buffer->bytes, buffer->length, &minor, status, &text,
                                  &text_length, headers, &count, 0);
    if (head <= 0)
        return false;
    size_t rest = buffer->length - (size_t)head;
    if (!decode_body(headers, count, buffer->bytes + head, &rest))
        return false;
    *body = mem_alloc(rest + 1);
    memcpy(*body, buffer->bytes + head, rest);
    *length = rest;
    return true;
}

bool http_exchange(int fd, slice request, int timeout_ms, int *status, char **body, size_t *length,
                   char *error)
{
    struct buffer buffer = {0};
    bool is_ok = false;
    if (!send_all(fd, request, timeout_ms) || !receive_all(fd, &buffer, timeout_ms))
        snprintf(error, ERROR_BYTES, "%s", strerror(errno));
    else if (!parse(&buffer, status, body, length))
        snprintf(error, ERROR_BYTES, "the answer is not complete HTTP");
    else
        is_ok = true;
    free(buffer.bytes);
    return is_ok;
}
