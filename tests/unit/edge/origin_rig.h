/*
 * What the tests of the origin client share: a server that answers as a script says, loops in
 * threads of their own, and calls whose outcome is waited for. Included by one test file each.
 */
#pragma once

#include "base/arena.h"
#include "edge/origin/origin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a server: one thread that accepts, one per connection --- */

enum ending { KEEP, CLOSE, RESET, HANG, TRICKLE };

struct script {
    slice head, repeated;
    unsigned times;
    slice tail;
    enum ending ending;
};

struct server {
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool is_stopping, is_released; /* released: what hangs is closed */
    atomic_uint connections, requests, threads;
    atomic_uint now, most; /* requests that are being worked on */
    /* answers a request, whose head is in `head`; false: close */
    bool (*answer)(struct server *server, int fd, slice head);
    void *arg;
};

struct server_connection {
    struct server *server;
    int fd;
};

static inline bool send_all(int fd, slice bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes = slice_from(bytes, (size_t)sent);
    }
    return true;
}

static inline void wait_for_release(struct server *server, int fd)
{
    while (!server->is_released && !server->is_stopping) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};
        if (poll(&poll_fd, 1, 10) > 0)
            return; /* the client closed or reset it */
    }
}

static inline void reset_connection(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static _Thread_local bool is_rendering;

/* Before the first byte of an answer is sent: with the last one the client may already ask again.
 */
static inline void end_rendering(struct server *server)
{
    if (is_rendering)
        server->now--;
    is_rendering = false;
}

static inline bool play(struct server *server, int fd, const struct script *script)
{
    end_rendering(server);
    bool is_sent = send_all(fd, script->head);
    for (unsigned i = 0; is_sent && i < script->times && !server->is_released; i++) {
        is_sent = send_all(fd, script->repeated);
        if (script->ending == TRICKLE)
            poll(NULL, 0, 2);
    }
    is_sent = is_sent && send_all(fd, script->tail);
    if (script->ending == RESET)
        reset_connection(fd);
    if (script->ending == HANG || script->ending == TRICKLE)
        wait_for_release(server, fd);
    return is_sent && script->ending == KEEP;
}

/* Reads one request head; its length, 0 at the end. Bodies are the answer()'s to read. */
static inline size_t read_head(int fd, char *buffer, size_t size)
{
    size_t bytes = 0;
    while (bytes + 1 < size) {
        ssize_t got = recv(fd, buffer + bytes, 1, 0);
        if (got <= 0)
            return 0;
        bytes += (size_t)got;
        if (bytes >= 4 && memcmp(buffer + bytes - 4, "\r\n\r\n", 4) == 0)
            return bytes;
    }
    return 0;
}

static inline void *serve_connection(void *arg)
{
    struct server_connection connection = *(struct server_connection *)arg;
    struct server *server = connection.server;
    char head[8192];
    size_t bytes;
    free(arg);
    while (!server->is_stopping && (bytes = read_head(connection.fd, head, sizeof(head))) > 0) {
        server->requests++;
        unsigned now = ++server->now;
        is_rendering = true;
        for (unsigned most = server->most;
             now > most && !atomic_compare_exchange_weak(&server->most, &most, now);)
            ;
        bool goes_on = server->answer(server, connection.fd, slice_of(head, bytes));
        end_rendering(server);
        if (!goes_on)
            break;
    }
    close(connection.fd);
    server->threads--;
    return NULL;
}

static inline void *accept_connections(void *arg)
{
    struct server *server = arg;
    while (!server->is_stopping) {
        struct pollfd poll_fd = {.fd = server->listener, .events = POLLIN};
        if (poll(&poll_fd, 1, 10) <= 0)
            continue;
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        struct timeval patience = {.tv_usec = 20000};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 5}, sizeof(patience));
        server->connections++;
        server->threads++;
        struct server_connection *connection = mem_alloc(sizeof(*connection));
        *connection = (struct server_connection){server, fd};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, serve_connection, connection), 0);
        pthread_detach(thread);
    }
    return NULL;
}

/* Bound, but refusing until server_listen(). */
static inline void server_bind(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int on = 1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, bytes), 0);
    getsockname(server->listener, (struct sockaddr *)&address, &bytes);
    server->port = ntohs(address.sin_port);
}

static inline void server_listen(struct server *server)
{
    assert_int_equal(listen(server->listener, 128), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, accept_connections, server), 0);
}

static inline void server_start(struct server *server, bool (*answer)(struct server *, int, slice),
                                void *arg)
{
    memset(server, 0, sizeof(*server));
    server->answer = answer;
    server->arg = arg;
    server_bind(server);
    server_listen(server);
}

/* The connections' threads end when the client has closed its side, so call it after rig_stop(). */
static inline void server_stop(struct server *server)
{
    server->is_stopping = true;
    pthread_join(server->thread, NULL);
    while (server->threads > 0)
        poll(NULL, 0, 1);
    close(server->listener);
}

/* --- loops --- */

enum { RIG_LOOPS = 2, RIG_WORKERS = 4 };

struct rig {
    struct origin_config config;
    struct worker_config workers[RIG_WORKERS];
    struct policy policy;
    struct origins *origins;
    void *slots;
    size_t loop_count;
};

/* The threads live as long as the test program: libh2o's buffers belong to the thread that made
 * them. */
static struct loop rig_loops[RIG_LOOPS];
static bool rig_loops_are_made;
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_running[RIG_LOOPS];
} rig_orders = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void rig_order(size_t index, bool is_running)
{
    pthread_mutex_lock(&rig_orders.lock);
    rig_orders.is_running[index] = is_running;
    pthread_cond_broadcast(&rig_orders.changed);
    pthread_mutex_unlock(&rig_orders.lock);
}

static inline void rig_await(size_t index, bool is_running)
{
    pthread_mutex_lock(&rig_orders.lock);
    while (rig_orders.is_running[index] != is_running)
        pthread_cond_wait(&rig_orders.changed, &rig_orders.lock);
    pthread_mutex_unlock(&rig_orders.lock);
}

static inline void *rig_run(void *arg)
{
    struct loop *loop = arg;
    for (;;) {
        rig_await(loop->index, true);
        loop->is_stopping = false;
        loop_run(loop);
        rig_order(loop->index, false);
    }
    return NULL;
}

static inline void rig_make_loops(void)
{
    static h2o_globalconf_t globalconf;
    if (rig_loops_are_made)
        return;
    signal(SIGPIPE, SIG_IGN);
    h2o_config_init(&globalconf);
    h2o_config_register_host(&globalconf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    for (unsigned i = 0; i < RIG_LOOPS; i++) {
        pthread_t thread;
        loop_init(&rig_loops[i], i, &globalconf);
        assert_int_equal(pthread_create(&thread, NULL, rig_run, &rig_loops[i]), 0);
        pthread_detach(thread);
    }
    rig_loops_are_made = true;
}

static inline void rig_add_worker(struct rig *rig, uint16_t port)
{
    rig->workers[rig->config.worker_count++] = (struct worker_config){
        .url = SLICE("http://127.0.0.1"), .host = SLICE("127.0.0.1"), .port = port};
}

/* Patient defaults: nothing here ends by time unless a test says so. */
static inline void rig_init(struct rig *rig, uint16_t port)
{
    duration patience = {60000};
    memset(rig, 0, sizeof(*rig));
    rig->config = (struct origin_config){.name = SLICE("renderer"),
                                         .workers = rig->workers,
                                         .slots = 8,
                                         .shed_at = 1000,
                                         .queue_is_per_slot = true,
                                         .connections = 64,
                                         .slot_max = patience,
                                         .connect = patience,
                                         .first_byte = patience,
                                         .between_bytes = patience,
                                         .retries = 1,
                                         .dns = patience,
                                         .tls_verify = true};
    if (port != 0)
        rig_add_worker(rig, port);
    rig->policy.origins = &rig->config;
    rig->policy.origin_count = 1;
}

static inline void rig_start_with(struct rig *rig, void *slots, size_t loop_count)
{
    char error[256] = "";
    rig_make_loops();
    rig->slots = slots;
    rig->loop_count = loop_count;
    rig->origins = origins_new(&rig->policy, rig_loops, loop_count, slots, error);
    if (!rig->origins)
        fail_msg("%s", error);
    for (size_t i = 0; i < loop_count; i++)
        rig_order(i, true);
}

static inline void *shared_region(void)
{
    void *region =
        mmap(NULL, slots_region_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(region != MAP_FAILED);
    slots_region_init(region);
    return region;
}

static inline void rig_start(struct rig *rig, size_t loop_count)
{
    rig_start_with(rig, shared_region(), loop_count);
}

struct rig_leave {
    struct loop_message message;
    struct origins *origins;
    struct loop *loop;
};

static inline void rig_leave(struct loop_message *message)
{
    struct rig_leave *leave = container_of(message, struct rig_leave, message);
    origins_leave(leave->origins, leave->loop);
}

static inline void rig_stop_loops(struct rig *rig)
{
    struct rig_leave leaves[RIG_LOOPS];
    for (size_t i = 0; i < rig->loop_count; i++) {
        leaves[i] = (struct rig_leave){{.deliver = rig_leave}, rig->origins, &rig_loops[i]};
        loop_post(&rig_loops[i], &leaves[i].message);
        loop_stop(&rig_loops[i]);
    }
    for (size_t i = 0; i < rig->loop_count; i++)
        rig_await(i, false);
    origins_free(rig->origins);
}

static inline void rig_stop(struct rig *rig)
{
    rig_stop_loops(rig);
    munmap(rig->slots, slots_region_bytes());
}

/* True as soon as the origin's state satisfies `is_so`; gives up after a minute. */
static inline bool rig_wait(struct rig *rig, bool (*is_so)(struct origin_state state))
{
    for (int i = 0; i < 60000; i++) {
        if (is_so(origin_state(rig->origins, &rig->config)))
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

static inline bool is_idle(struct origin_state state)
{
    return state.busy_slots == 0 && state.waiting == 0;
}

/* --- calls --- */

struct probe_call {
    struct rig *rig;
    struct loop_message start, act;
    struct call_request request;
    struct forward forward;
    struct arena arena;
    struct call *call;
    void (*action)(struct probe_call *probe); /* for do_on_loop() */
    void (*on_body)(struct probe_call *probe, slice bytes);
    struct loop *loop;
    /* on the loop's thread, until is_done */
    unsigned status, interims;
    size_t body_bytes, length;
    char body[64];
    bool is_clean, has_failed;
    enum call_failure failure;
    char detail[128];
    char worker[32];
    struct call_timing timing;
    /* shared */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done, has_head, is_acted;
};

static inline void probe_set(struct probe_call *probe, bool *flag)
{
    pthread_mutex_lock(&probe->lock);
    *flag = true;
    pthread_cond_broadcast(&probe->changed);
    pthread_mutex_unlock(&probe->lock);
}

static inline void probe_await(struct probe_call *probe, const bool *flag)
{
    pthread_mutex_lock(&probe->lock);
    while (!*flag)
        pthread_cond_wait(&probe->changed, &probe->lock);
    pthread_mutex_unlock(&probe->lock);
}

static inline void on_interim(struct call *call, void *owner, const struct response *response)
{
    struct probe_call *probe = owner;
    (void)call;
    assert_true(response->status >= 100 && response->status < 200);
    probe->interims++;
}

static inline void on_head(struct call *call, void *owner, const struct response *response,
                           size_t length)
{
    struct probe_call *probe = owner;
    (void)call;
    probe->status = response->status;
    probe->length = length;
    probe_set(probe, &probe->has_head);
}

static inline void on_body(struct call *call, void *owner, slice bytes)
{
    struct probe_call *probe = owner;
    (void)call;
    for (size_t i = 0; i < bytes.len && probe->body_bytes + i + 1 < sizeof(probe->body); i++)
        probe->body[probe->body_bytes + i] = bytes.ptr[i];
    probe->body_bytes += bytes.len;
    if (probe->on_body)
        probe->on_body(probe, bytes);
}

static inline void probe_over(struct probe_call *probe)
{
    probe->timing = call_timing(probe->call);
    snprintf(probe->worker, sizeof(probe->worker), "%" SLICE_FMT,
             SLICE_ARG(call_worker_name(probe->call)));
    call_free(probe->call);
    probe->call = NULL;
    probe_set(probe, &probe->is_done);
}

static inline void on_end(struct call *call, void *owner, bool is_clean)
{
    struct probe_call *probe = owner;
    (void)call;
    probe->is_clean = is_clean;
    probe_over(probe);
}

static inline void on_fail(struct call *call, void *owner, enum call_failure failure, slice detail)
{
    struct probe_call *probe = owner;
    (void)call;
    probe->has_failed = true;
    probe->failure = failure;
    snprintf(probe->detail, sizeof(probe->detail), "%" SLICE_FMT, SLICE_ARG(detail));
    probe_over(probe);
}

static const struct call_events PROBE_EVENTS = {
    .interim = on_interim, .head = on_head, .body = on_body, .end = on_end, .fail = on_fail};

static inline void probe_begin(struct loop_message *message)
{
    struct probe_call *probe = container_of(message, struct probe_call, start);
    probe->call = call_new(probe->rig->origins, probe->loop, &probe->request, &PROBE_EVENTS, probe);
}

static inline void probe_init(struct probe_call *probe, struct rig *rig, slice method, slice target)
{
    memset(probe, 0, sizeof(*probe));
    probe->rig = rig;
    probe->loop = &rig_loops[0];
    arena_init(&probe->arena);
    fields_init(&probe->forward.fields, &probe->arena);
    probe->forward.method = method;
    probe->forward.target = target;
    bool is_safe = slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD"));
    probe->request = (struct call_request){.origin = &rig->config,
                                           .forward = &probe->forward,
                                           .is_retryable = is_safe,
                                           .host_header = SLICE("shop.example")};
    probe->start.deliver = probe_begin;
    pthread_mutex_init(&probe->lock, NULL);
    pthread_cond_init(&probe->changed, NULL);
}

static inline void probe_start(struct probe_call *probe)
{
    loop_post(probe->loop, &probe->start);
}

static inline void probe_act(struct loop_message *message)
{
    struct probe_call *probe = container_of(message, struct probe_call, act);
    probe->action(probe);
    probe_set(probe, &probe->is_acted);
}

/* Runs `action` on the call's loop, after it was started, and waits for it. */
static inline void do_on_loop(struct probe_call *probe, void (*action)(struct probe_call *))
{
    probe->action = action;
    probe->act.deliver = probe_act;
    probe->is_acted = false;
    loop_post(probe->loop, &probe->act);
    probe_await(probe, &probe->is_acted);
}

static inline void probe_fini(struct probe_call *probe)
{
    arena_fini(&probe->arena);
    pthread_mutex_destroy(&probe->lock);
    pthread_cond_destroy(&probe->changed);
}

/* "CLEAN", "UNCLEAN" or the failure's name. */
static inline slice probe_outcome(const struct probe_call *probe)
{
    if (probe->has_failed)
        return call_failure_name(probe->failure);
    return probe->is_clean ? SLICE("CLEAN") : SLICE("UNCLEAN");
}

/* Makes a call and waits for its outcome. */
static inline void probe_run(struct probe_call *probe, struct rig *rig, slice method, slice target)
{
    probe_init(probe, rig, method, target);
    probe_start(probe);
    probe_await(probe, &probe->is_done);
}
