/* The simulation is the pool: both are given the same loads, of whole milliseconds, and must do the
 * same with them. */
#include "base/random.h"
#include "edge/origin/pool.h"
#include "edge/origin/simulation.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PEOPLE = 1500, WORKERS_MAX = 4 };

/* --- the pool, with a clock that a test turns by hand --- */

struct person {
    struct slot_waiter waiter;
    struct permit permit;
    int64_t end_ms, queued_as;
    bool is_over;
};

struct figures {
    uint64_t rendered, over_shell, late_shells, shed, waited;
    int64_t waits_ms;
    unsigned longest_queue;
};

struct stage {
    const struct simulation_setup *setup;
    const struct simulation_request *requests;
    struct worker_config workers[WORKERS_MAX];
    struct origin_config config;
    void *region;
    struct pool *pool;
    struct person people[PEOPLE];
    int64_t started; /* renders so far: `queued_as` is the order of those that end at one moment */
    struct figures figures;
};

static void open_pool(struct stage *s)
{
    const struct simulation_setup *setup = s->setup;
    char error[256];
    for (unsigned i = 0; i < setup->workers; i++)
        s->workers[i] = (struct worker_config){.host = SLICE("renderer.example"), .port = 3000};
    s->config = (struct origin_config){.name = SLICE("renderer"),
                                       .workers = s->workers,
                                       .worker_count = setup->workers,
                                       .slots = setup->slots,
                                       .balance = setup->balance,
                                       .shell_at = setup->limits.shell_at,
                                       .shed_at = setup->limits.shed_at,
                                       .queue_is_per_slot = setup->limits.per_slot,
                                       .connections = 4,
                                       .first_byte = setup->first_byte,
                                       .slot_max = {1000000}};
    s->region = mem_alloc(slots_region_bytes());
    slots_region_init(s->region);
    s->pool = pool_new(&s->config, s->region, 1, error, sizeof(error));
    assert_non_null(s->pool);
    memcpy(s->pool->reserved, setup->reserved, sizeof(setup->reserved));
    for (unsigned i = 0; i < setup->workers; i++) {
        struct sockaddr_storage at = {0};
        socklen_t bytes = sizeof(struct sockaddr_in);
        struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
        *v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(3000), .sin_addr = {htonl(0xc0000201 + i)}};
        pool_set_addresses(s->pool, i, &at, &bytes, 1, (mono_time){0});
    }
}

static void note_wait(struct stage *s, size_t i, int64_t now)
{
    s->figures.waits_ms += now - s->requests[i].at_us / 1000;
}

static void start(struct stage *s, size_t i, int64_t now)
{
    struct person *person = &s->people[i];
    person->permit = person->waiter.permit;
    person->waiter.state = WAITER_IDLE;
    person->end_ms = now + s->requests[i].render_us / 1000;
    person->queued_as = s->started++;
    note_wait(s, i, now);
}

/* Who was given a slot by what has just happened: one at most, as one became free. */
static void start_granted(struct stage *s, int64_t now)
{
    for (size_t i = 0; i < PEOPLE; i++)
        if (s->people[i].waiter.state == WAITER_GRANTED)
            start(s, i, now);
}

static bool has_shell(const struct stage *s, size_t i)
{
    return s->setup->has_shell && s->requests[i].has_shell;
}

static int64_t late_at(const struct stage *s, size_t i)
{
    return s->requests[i].at_us / 1000 + s->setup->client_wait.ms;
}

static void come(struct stage *s, size_t i, int64_t now)
{
    struct person *person = &s->people[i];
    person->waiter = (struct slot_waiter){
        .wants_slot = true, .has_shell = has_shell(s, i), .rank = s->requests[i].rank};
    /* nobody reads messages here, so they count as posted already */
    static struct loop_message unread = {.is_posted = true};
    person->waiter.message = &unread;
    enum pool_answer answer = pool_ask(s->pool, &person->waiter, false, (mono_time){now});
    s->figures.over_shell += answer == POOL_OVER_SHELL;
    s->figures.shed += answer == POOL_OVER_SHED;
    s->figures.waited += answer == POOL_QUEUED;
    if (answer == POOL_GRANTED)
        start(s, i, now);
    person->is_over = answer != POOL_GRANTED && answer != POOL_QUEUED;
    if (s->pool->slot_queue.waiting > s->figures.longest_queue)
        s->figures.longest_queue = s->pool->slot_queue.waiting;
}

/* The render that ends now and began before the others; PEOPLE: none. */
static size_t next_end(const struct stage *s, size_t come, int64_t now)
{
    size_t first = PEOPLE;
    for (size_t i = 0; i < come; i++) {
        const struct person *p = &s->people[i];
        bool ends = !p->is_over && p->permit.worker && p->end_ms == now;
        if (ends && (first == PEOPLE || p->queued_as < s->people[first].queued_as))
            first = i;
    }
    return first;
}

static void turn(struct stage *s, size_t *coming, int64_t now)
{
    for (size_t i; (i = next_end(s, *coming, now)) < PEOPLE;) {
        bool is_late = has_shell(s, i) && late_at(s, i) < now;
        *(is_late ? &s->figures.late_shells : &s->figures.rendered) += 1;
        s->people[i].is_over = true;
        pool_return(&s->people[i].permit, (mono_time){now});
        start_granted(s, now);
    }
    for (size_t i = 0; i < *coming; i++) {
        struct person *p = &s->people[i];
        if (p->waiter.state != WAITER_QUEUED || !has_shell(s, i) || late_at(s, i) != now)
            continue;
        assert_true(pool_leave(s->pool, &p->waiter));
        p->is_over = true;
        s->figures.late_shells++;
        note_wait(s, i, now);
    }
    for (; *coming < PEOPLE && s->requests[*coming].at_us / 1000 == now; ++*coming)
        come(s, *coming, now);
}

static bool is_anybody_there(const struct stage *s, size_t coming)
{
    if (coming < PEOPLE)
        return true;
    for (size_t i = 0; i < PEOPLE; i++)
        if (!s->people[i].is_over)
            return true;
    return false;
}

static struct figures run_pool(const struct simulation_setup *setup,
                               const struct simulation_request *requests)
{
    struct stage *s = mem_alloc(sizeof(*s));
    size_t coming = 0;
    s->setup = setup;
    s->requests = requests;
    open_pool(s);
    for (int64_t now = 0; is_anybody_there(s, coming); now++)
        turn(s, &coming, now);
    struct figures figures = s->figures;
    pool_free(s->pool);
    free(s->region);
    free(s);
    return figures;
}

/* --- both --- */

struct script {
    const struct simulation_request *requests;
    size_t next;
};

static bool next_of_script(void *arg, struct simulation_request *request)
{
    struct script *script = arg;
    if (script->next == PEOPLE)
        return false;
    *request = script->requests[script->next++];
    return true;
}

static struct simulation_setup any_setup(uint64_t *random)
{
    struct simulation_setup setup = {.workers = (unsigned)(1 + random_next(random) % WORKERS_MAX),
                                     .slots = (unsigned)(1 + random_next(random) % 3),
                                     .balance = (enum balance)(random_next(random) % 5),
                                     .has_shell = random_next(random) % 3 != 0,
                                     .client_wait = {(int64_t)(random_next(random) % 200)},
                                     .first_byte = {(int64_t)(50 + random_next(random) % 400)}};
    setup.limits =
        (struct queue_limits){(unsigned)(random_next(random) % 9),
                              (unsigned)(random_next(random) % 30), random_next(random) % 2};
    setup.reserved[1] = (unsigned)(random_next(random) % 3);
    setup.reserved[2] = setup.reserved[1] + (unsigned)(random_next(random) % 2);
    return setup;
}

static void any_load(uint64_t *random, unsigned slots, struct simulation_request *requests)
{
    int64_t now_us = 0;
    uint64_t longest = 2 + random_next(random) % 60, part = 50 + random_next(random) % 200;
    uint64_t apart =
        longest * 100 / slots / part + 1; /* from half to two and a half times too many */
    for (size_t i = 0; i < PEOPLE; i++) {
        now_us += (int64_t)(random_next(random) % (apart + 1)) * 1000;
        requests[i] = (struct simulation_request){
            .at_us = now_us,
            .render_us = (int64_t)(1 + random_next(random) % longest) * 1000,
            .rank = (unsigned)(random_next(random) % 3),
            .has_shell = random_next(random) % 4 != 0};
    }
}

static void test_the_simulation_does_what_the_pool_does(void **state)
{
    static struct simulation_request requests[PEOPLE];
    struct figures sum = {0};
    uint64_t random = 5;
    (void)state;
    for (int round = 0; round < 60; round++) {
        struct simulation_setup setup = any_setup(&random);
        any_load(&random, setup.workers * setup.slots, requests);
        struct script script = {requests, 0};
        struct simulation_result r = simulation_run(&setup, next_of_script, &script);
        struct figures f = run_pool(&setup, requests);
        assert_int_equal(r.rendered, f.rendered);
        assert_int_equal(r.over_shell, f.over_shell);
        assert_int_equal(r.late_shells, f.late_shells);
        assert_int_equal(r.shed, f.shed);
        assert_int_equal(r.waited, f.waited);
        assert_int_equal(r.longest_queue, f.longest_queue);
        uint64_t counted = r.rendered + r.late_shells;
        assert_true(r.mean_wait_us * (double)counted > (double)f.waits_ms * 1000 - 1);
        assert_true(r.mean_wait_us * (double)counted < (double)f.waits_ms * 1000 + 1);
        sum.over_shell += f.over_shell;
        sum.late_shells += f.late_shells;
        sum.shed += f.shed;
        sum.waited += f.waited;
    }
    assert_true(sum.over_shell > 1000 && sum.late_shells > 1000 && sum.shed > 1000); /* all of it */
    assert_true(sum.waited > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_simulation_does_what_the_pool_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
