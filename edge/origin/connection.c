/*
 * Connecting, reading, keeping idle. While a connection is idle it stays in the loop's epoll set:
 * whatever happens on it then — Node closes idle connections after 5 s — means that it is of no use
 * any more, so it is closed. MSG_PEEK before reuse catches what has not been reported yet in this
 * turn.
 *
 * The name in a certificate is checked by OpenSSL (tls.c): libh2o's own check is skipped by the
 * library when the handshake ends with bytes to send, as it always does in TLS 1.3, and knows no
 * addresses; so its verdict is not asked.
 */
#include "edge/origin/connection.h"

#include "base/must.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>

/* Without a hint of the origin's: as long as the usual proxies keep them. */
static const duration IDLE_MAX = {60000};
/* Node announces 5 s and closes at 5 s: what is under way then must not be met by a request. */
static const duration IDLE_MARGIN = {1000};
static const duration FRAGILE_IDLE_MAX = {1000};
static const duration SWEEP_EVERY = {5000};

enum { TLS_RECEIVE_BYTES = 256 * 1024 };

static duration idle_limit(const struct connection *connection)
{
    if (!duration_is_given(connection->keep_alive))
        return IDLE_MAX;
    int64_t ms = connection->keep_alive.ms;
    return duration_min(IDLE_MAX,
                        (duration){ms > 2 * IDLE_MARGIN.ms ? ms - IDLE_MARGIN.ms : ms / 2});
}

/* --- life --- */

static void connection_free(struct connection *connection)
{
    atomic_fetch_sub(&connection->worker->users, 1);
    free(connection);
}

static void leave_idle(struct connection *connection)
{
    if (!list_is_linked(&connection->node))
        return;
    list_remove(&connection->node);
    list_remove(&connection->worker_node);
    connection->worker->idle_count[connection->home->loop->index]--;
}

void connection_close(struct connection *connection)
{
    leave_idle(connection);
    if (connection->home->is_over)
        close(h2o_socket_get_fd(connection->socket)); /* its buffers were the ended thread's */
    else
        h2o_socket_close(connection->socket);
    connection_free(connection);
}

h2o_socket_t *connection_take_socket(struct connection *connection)
{
    h2o_socket_t *socket = connection->socket;
    h2o_socket_read_stop(socket);
    h2o_socket_dont_read(socket, 0);
    socket->data = NULL;
    connection_free(connection);
    return socket;
}

/* --- reading --- */

/* Bytes that libh2o has decrypted are fed from a buffer that is ours alone while we do it: feeding
 * may close the socket. */
static void read_tls(struct connection *connection, const char *error)
{
    h2o_socket_t *socket = connection->socket;
    struct call *call = connection->call;
    if (socket->input->size > 0) {
        h2o_buffer_t *input = socket->input;
        h2o_buffer_init(&socket->input, &h2o_socket_buffer_prototype);
        call_received(call, slice_of(input->bytes, input->size), error != NULL);
        h2o_buffer_dispose(&input);
    } else if (error) {
        call_closed(call, error != h2o_socket_error_closed);
    }
}

static void read_plain(struct connection *connection)
{
    char *buffer = connection->home->read_buffer;
    ssize_t bytes = recv(h2o_socket_get_fd(connection->socket), buffer, READ_BYTES, 0);
    if (bytes > 0)
        call_received(connection->call, slice_of(buffer, (size_t)bytes), false);
    else if (bytes == 0)
        call_closed(connection->call, false);
    else if (errno != EAGAIN && errno != EINTR)
        call_closed(connection->call, true);
}

static void on_readable(h2o_socket_t *socket, const char *error)
{
    struct connection *connection = socket->data;
    if (connection->call) {
        if (connection->is_tls)
            read_tls(connection, error);
        else
            read_plain(connection);
        return;
    }
    bool is_quiet = connection->is_tls && !error && socket->input->size == 0; /* a session ticket */
    if (!is_quiet)
        connection_close(connection);
}

void connection_read_on(struct connection *connection)
{
    if (!h2o_socket_is_reading(connection->socket))
        h2o_socket_read_start(connection->socket, on_readable);
}

void connection_read_off(struct connection *connection)
{
    if (h2o_socket_is_reading(connection->socket))
        h2o_socket_read_stop(connection->socket);
}

/* --- connecting --- */

static void on_handshake(h2o_socket_t *socket, const char *error)
{
    struct connection *connection = socket->data;
    if (error == h2o_socket_error_ssl_cert_name_mismatch ||
        error == h2o_socket_error_ssl_cert_invalid)
        error = NULL; /* see the head of this file */
    call_connected(connection->call, CALL_TLS, error);
}

static void on_connect(h2o_socket_t *socket, const char *error)
{
    struct connection *connection = socket->data;
    int problem = 0;
    socklen_t bytes = sizeof(problem);
    if (getsockopt(h2o_socket_get_fd(socket), SOL_SOCKET, SO_ERROR, &problem, &bytes) != 0)
        problem = errno;
    connection->problem = problem;
    if (problem != 0 || error) {
        call_connected(connection->call, CALL_REFUSED, problem ? strerrordesc_np(problem) : error);
        return;
    }
    if (!connection->is_tls) {
        h2o_socket_dont_read(socket, 1);
        call_connected(connection->call, CALL_REFUSED, NULL);
        return;
    }
    h2o_socket_ssl_handshake(socket, connection->worker->tls, connection->worker->server_name,
                             on_handshake);
}

static void set_options(int fd, const struct worker *worker)
{
    int on = 1;
    if (worker->address.ss_family != AF_UNIX) {
        /* a slot can wait for a late answer without end: notice when the machine is gone */
        int idle = 30, interval = 10, count = 6;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    }
    /* bounds what libh2o reads in one go */
    int bytes = TLS_RECEIVE_BYTES;
    if (worker->tls)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* A connecting socket, or -1 with errno. */
static int start_connect(const struct worker *worker)
{
    int fd = socket(worker->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_options(fd, worker);
    const struct sockaddr *address = (const struct sockaddr *)&worker->address;
    if (connect(fd, address, worker->address_bytes) == 0 || errno == EINPROGRESS)
        return fd;
    int problem = errno; /* EAGAIN: the backlog of a unix socket is full */
    close(fd);
    errno = problem;
    return -1;
}

struct connection *connection_open(struct home *home, struct worker *worker, struct call *call)
{
    int fd = start_connect(worker);
    if (fd < 0)
        return NULL;
    struct connection *connection = mem_alloc(sizeof(*connection));
    *connection = (struct connection){.home = home,
                                      .worker = worker,
                                      .call = call,
                                      .is_tls = worker->tls != NULL,
                                      .keep_alive = DURATION_NONE};
    connection->socket = h2o_evloop_socket_create(home->loop->evloop, fd, 0);
    connection->socket->data = connection;
    atomic_fetch_add(&worker->users, 1);
    h2o_socket_notify_write(connection->socket, on_connect);
    return connection;
}

/* --- idle ones --- */

static bool is_still_open(const struct connection *connection)
{
    char byte;
    ssize_t bytes = recv(h2o_socket_get_fd(connection->socket), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return bytes < 0 && errno == EAGAIN;
}

struct connection *connection_take_idle(struct home *home, struct worker *worker, bool is_fragile,
                                        struct call *call)
{
    mono_time now = loop_now(home->loop).mono;
    struct list *idle = &worker->idle[home->loop->index];
    while (!list_is_empty(idle)) {
        struct connection *connection = list_first_entry(idle, struct connection, worker_node);
        duration rested = mono_since(now, connection->idle_since);
        if (is_fragile && rested.ms >= FRAGILE_IDLE_MAX.ms)
            return NULL; /* the others have rested longer */
        leave_idle(connection);
        if (rested.ms < idle_limit(connection).ms && is_still_open(connection)) {
            connection->call = call;
            connection->is_reused = true;
            return connection;
        }
        connection_close(connection);
    }
    return NULL;
}

void connection_keep(struct connection *connection, duration keep_alive)
{
    struct home *home = connection->home;
    struct worker *worker = connection->worker;
    unsigned *count = &worker->idle_count[home->loop->index];
    if (*count >= IDLE_PER_WORKER_MAX) {
        connection_close(connection);
        return;
    }
    connection->call = NULL;
    connection->idle_since = loop_now(home->loop).mono;
    if (duration_is_given(keep_alive))
        connection->keep_alive = keep_alive;
    list_prepend(&home->idle, &connection->node);
    list_prepend(&worker->idle[home->loop->index], &connection->worker_node);
    ++*count;
    connection_read_on(connection);
    if (home->sweep.position == 0)
        loop_timer_set(home->loop, &home->sweep, SWEEP_EVERY);
}

/* A renderer that is to leave may wait for its connections to end. */
static bool is_worker_leaving(const struct worker *worker)
{
    pthread_mutex_lock(&worker->pool->lock);
    bool is_leaving = worker->state == WORKER_GONE || slots_entry(worker->slots) != GATE_OPEN;
    pthread_mutex_unlock(&worker->pool->lock);
    return is_leaving;
}

static void sweep_idle(struct loop_timer *timer)
{
    struct home *home = container_of(timer, struct home, sweep);
    mono_time now = loop_now(home->loop).mono;
    for (struct list *node = home->idle.next, *next; node != &home->idle; node = next) {
        next = node->next;
        struct connection *connection = container_of(node, struct connection, node);
        if (mono_since(now, connection->idle_since).ms >= idle_limit(connection).ms ||
            is_worker_leaving(connection->worker))
            connection_close(connection);
    }
    if (!list_is_empty(&home->idle))
        loop_timer_set(home->loop, &home->sweep, SWEEP_EVERY);
}

void home_init(struct home *home, struct origins *origins, struct loop *loop)
{
    *home = (struct home){.origins = origins, .loop = loop, .sweep.fire = sweep_idle};
    home->read_buffer = mem_alloc(READ_BYTES);
    list_init(&home->idle);
    list_init(&home->calls);
}

void home_close_idle(struct home *home)
{
    while (!list_is_empty(&home->idle))
        connection_close(list_first_entry(&home->idle, struct connection, node));
}

void home_fini(struct home *home)
{
    home_close_idle(home);
    free(home->read_buffer);
}
