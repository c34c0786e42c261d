/* The queue under a virtual clock: against what queueing theory knows, and against what must come
 * out exactly. */
#include "edge/origin/simulation.h"

#include "base/random.h"
#include "edge/origin/percentile.h"
#include "edge/origin/simulation_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t SECOND = 1000000;
static const struct load_class everybody = {.share = 1};

/* --- what is given --- */

/* One slot each, nobody is refused or gets the shell. */
static struct simulation_setup patient(unsigned workers)
{
    return (struct simulation_setup){.workers = workers,
                                     .slots = 1,
                                     .limits = {100000, 100000, true},
                                     .client_wait = {86400000},
                                     .first_byte = {INT64_MAX},
                                     .retries = 1,
                                     .up_after = 2,
                                     .seed = 1};
}

static struct simulation_result run_drawn(const struct simulation_setup *setup, double per_second,
                                          struct render_times render, uint64_t requests,
                                          uint64_t seed)
{
    struct load_step step = {.per_second = per_second};
    struct load_config config = {.seed = seed,
                                 .requests = requests,
                                 .steps = &step,
                                 .step_count = 1,
                                 .render = render,
                                 .shell_share = 1,
                                 .classes = &everybody,
                                 .class_count = 1};
    struct load load;
    load_begin(&load, &config);
    return simulation_run(setup, load_next, &load);
}

static const struct render_times exponential = {.kind = RENDER_EXPONENTIAL, .us = 100000};
static const struct render_times bimodal = {
    .kind = RENDER_BIMODAL, .us = 5000, .other_us = 50000, .share = 0.1};

struct script {
    const struct simulation_request *requests;
    size_t count, next;
};

static bool next_of_script(void *arg, struct simulation_request *request)
{
    struct script *script = arg;
    if (script->next == script->count)
        return false;
    *request = script->requests[script->next++];
    return true;
}

/* `count` of them, one each `every_us`. */
static struct simulation_result run_even(const struct simulation_setup *setup, size_t count,
                                         int64_t every_us, int64_t render_us)
{
    struct simulation_request *requests = calloc(count, sizeof(*requests));
    struct script script = {requests, count, 0};
    for (size_t i = 0; i < count; i++)
        requests[i] = (struct simulation_request){
            .at_us = (int64_t)i * every_us, .render_us = render_us, .has_shell = true};
    struct simulation_result result = simulation_run(setup, next_of_script, &script);
    free(requests);
    return result;
}

static void assert_near(double value, double expected, double part)
{
    if (value < expected * (1 - part) || value > expected * (1 + part))
        fail_msg("%f instead of %f", value, expected);
}

static uint64_t ends_of(const struct simulation_result *r)
{
    return r->rendered + r->over_shell + r->late_shells + r->down_shells + r->shed + r->failed;
}

/* --- what queueing theory knows --- */

static void test_one_slot_waits_as_m_m_1_says(void **state)
{
    struct simulation_setup setup = patient(1);
    (void)state;
    struct simulation_result r = run_drawn(&setup, 8, exponential, 400000, 1);
    assert_int_equal(r.rendered, 400000);
    assert_near((double)r.waited / 400000, 0.8, 0.02);
    assert_near(r.mean_wait_us, 400000, 0.05); /* rho / (mu - lambda) */
    assert_near(r.busy, 0.8, 0.02);
    assert_near((double)r.total.p95_us, 1498000, 0.05); /* ln 20 / (mu - lambda) */
}

static void test_equal_renders_wait_half_as_long_as_m_d_1_says(void **state)
{
    struct simulation_setup setup = patient(1);
    struct render_times constant = {.kind = RENDER_CONSTANT, .us = 100000};
    (void)state;
    struct simulation_result r = run_drawn(&setup, 8, constant, 400000, 1);
    assert_near(r.mean_wait_us, 200000, 0.05);
}

/* Four slots, 75 % busy: Erlang C is 0.5094. However they are spread over workers, and whatever
 * worker is chosen: the queue is one. */
static void test_one_queue_for_four_slots_waits_as_erlang_c_says(void **state)
{
    (void)state;
    for (enum balance b = BALANCE_IDLE; b <= BALANCE_RANDOM; b++) {
        struct simulation_setup setup = patient(b % 2 ? 4 : 2);
        setup.slots = 4 / setup.workers;
        setup.balance = b;
        struct simulation_result r = run_drawn(&setup, 30, exponential, 300000, 2);
        assert_near((double)r.waited / 300000, 0.5094, 0.03);
        assert_near(r.mean_wait_us, 50940, 0.05); /* C / (c mu - lambda) */
    }
}

/* --- exact --- */

static void test_k7_one_slot_and_a_burst_of_twelve_split_exactly(void **state)
{
    struct simulation_setup setup = patient(1);
    (void)state;
    setup.limits = (struct queue_limits){4, 3, true};
    setup.has_shell = true;
    struct simulation_result r = run_even(&setup, 12, 0, SECOND);
    assert_int_equal(r.rendered, 5);
    assert_int_equal(r.over_shell, 7);
    assert_int_equal(r.waited, 4);
    assert_int_equal(r.longest_queue, 4);
    assert_int_equal(r.wait.p99_us, 4 * SECOND);
    assert_int_equal(r.total.p99_us, 5 * SECOND);
    assert_int_equal(r.span_us, 5 * SECOND);
    setup.has_shell = false;
    r = run_even(&setup, 12, 0, SECOND);
    assert_int_equal(r.rendered, 4);
    assert_int_equal(r.shed, 8);
}

static void test_7_5_client_wait_ends_the_wait_and_a_render_that_runs_goes_on(void **state)
{
    struct simulation_setup setup = patient(1);
    (void)state;
    setup.limits = (struct queue_limits){4, 3, true};
    setup.has_shell = true;
    setup.client_wait = (duration){2000};
    struct simulation_result r = run_even(&setup, 5, 0, SECOND);
    assert_int_equal(r.rendered, 2);
    assert_int_equal(r.late_shells, 3); /* one of them while it is rendered */
    assert_int_equal(r.span_us, 3 * SECOND);
    assert_int_equal(r.wait.p99_us, 2 * SECOND);
}

static void test_7_3_who_would_wait_longer_than_first_byte_is_refused(void **state)
{
    struct simulation_setup setup = patient(1);
    (void)state;
    setup.first_byte = (duration){3000};
    /* the first says how long renders take; of the burst behind it, three may wait: 3 s and no more
     */
    struct simulation_request requests[12] = {{.render_us = SECOND}};
    for (size_t i = 1; i < 12; i++)
        requests[i] = (struct simulation_request){.at_us = 2 * SECOND, .render_us = SECOND};
    struct script script = {requests, 12, 0};
    struct simulation_result r = simulation_run(&setup, next_of_script, &script);
    assert_int_equal(r.rendered, 6);
    assert_int_equal(r.shed, 6);
    assert_int_equal(r.longest_queue, 4);
}

static void test_7_4_better_classes_go_first_and_have_their_reserve(void **state)
{
    struct simulation_setup setup = patient(2);
    (void)state;
    setup.reserved[1] = 1;
    /* two people, then one of the reserve's class: he renders at once */
    struct simulation_request requests[] = {{.render_us = SECOND, .rank = 1},
                                            {.render_us = SECOND, .rank = 1},
                                            {.at_us = 1, .render_us = SECOND, .rank = 0}};
    struct script script = {requests, 3, 0};
    struct simulation_result r = simulation_run(&setup, next_of_script, &script);
    assert_int_equal(r.rendered, 3);
    assert_int_equal(r.waited, 1);
    assert_int_equal(r.waiters_p95_us, SECOND + 1); /* not before a second slot is free */
    assert_int_equal(r.span_us, 2 * SECOND + 1);
}

static void test_an_empty_load_is_no_load(void **state)
{
    struct simulation_setup setup = patient(3);
    struct script script = {NULL, 0, 0};
    (void)state;
    struct simulation_result r = simulation_run(&setup, next_of_script, &script);
    assert_int_equal(r.requests, 0);
    assert_int_equal(r.events, 0);
    assert_true(r.busy == 0);
}

/* --- balance --- */

static void test_a18_without_one_queue_idle_is_best_and_random_worst(void **state)
{
    static const enum balance ways[] = {BALANCE_IDLE, BALANCE_ROUND_ROBIN, BALANCE_RANDOM};
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct simulation_setup setup = patient(4);
        int64_t before = run_drawn(&setup, 260, bimodal, 50000, seed).total.p99_us;
        setup.assigns_at_arrival = true;
        for (size_t i = 0; i < 3; i++) {
            setup.balance = ways[i];
            struct simulation_result r = run_drawn(&setup, 260, bimodal, 50000, seed);
            assert_true(before < r.total.p99_us);
            assert_int_equal(r.rendered, 50000);
            before = r.total.p99_us;
        }
    }
}

static void test_a19_first_keeps_work_together_and_idle_spreads_it(void **state)
{
    struct simulation_setup setup = patient(4);
    (void)state;
    struct simulation_result idle = run_drawn(&setup, 100, bimodal, 50000, 1);
    setup.balance = BALANCE_FIRST;
    struct simulation_result first = run_drawn(&setup, 100, bimodal, 50000, 1);
    assert_true(idle.busiest - idle.laziest < 0.02);
    assert_true(first.busiest - first.laziest > 0.2);
    assert_int_equal(idle.total.p99_us, first.total.p99_us);
    assert_int_equal(idle.waited, first.waited);
}

/* --- refuse and retry (K4) --- */

static struct simulation_setup refusing(unsigned workers)
{
    struct simulation_setup setup = patient(workers);
    setup.assigns_at_arrival = setup.refuses_when_full = true;
    setup.limits.shell_at = 0; /* one at a time, and nobody waits */
    return setup;
}

/* Both workers render when the third comes. The first says so after 10 s, and is idle from then on;
 * the second says so after 11 s, and there is no further try. Where all wait in one queue, the
 * first one's slot is his. */
static void test_k4_a_blind_retry_fails_at_a_busy_worker_while_another_is_idle(void **state)
{
    static const struct simulation_request requests[] = {{.render_us = 10 * SECOND},
                                                         {.render_us = 11 * SECOND},
                                                         {.at_us = SECOND, .render_us = SECOND}};
    struct simulation_setup setup = refusing(2), common = patient(2);
    struct script script = {requests, 3, 0}, again = {requests, 3, 0};
    (void)state;
    setup.balance = BALANCE_ROUND_ROBIN;
    struct simulation_result r = simulation_run(&setup, next_of_script, &script);
    assert_int_equal(r.rendered, 2);
    assert_int_equal(r.shed, 1);
    assert_int_equal(r.retried, 1);
    r = simulation_run(&common, next_of_script, &again);
    assert_int_equal(r.rendered, 3);
    assert_int_equal(r.span_us, 11 * SECOND);
}

/* One of two workers renders for a second more. At random, every second request goes there first,
 * and takes twice as long; in one queue none does. */
static void test_k4_a_random_retry_doubles_the_time(void **state)
{
    static const struct simulation_request requests[] = {{.render_us = 2 * SECOND},
                                                         {.at_us = SECOND, .render_us = SECOND}};
    struct simulation_setup setup = refusing(2), common = patient(2);
    unsigned doubled = 0;
    (void)state;
    setup.balance = common.balance = BALANCE_RANDOM;
    for (setup.seed = 1; setup.seed <= 1000; setup.seed++) {
        struct script script = {requests, 2, 0}, again = {requests, 2, 0};
        struct simulation_result r = simulation_run(&setup, next_of_script, &script);
        assert_int_equal(r.rendered, 2);
        assert_int_equal(r.total.p50_us, r.retried ? 2 * SECOND : SECOND);
        doubled += r.retried > 0;
        r = simulation_run(&common, next_of_script, &again);
        assert_int_equal(r.total.p50_us, SECOND);
    }
    assert_in_range(doubled, 450, 550);
}

static void test_k4_the_fuller_the_workers_the_more_retries_fail(void **state)
{
    struct simulation_setup setup = refusing(4), common = patient(4);
    uint64_t shed_before = 0;
    (void)state;
    setup.balance = BALANCE_RANDOM;
    for (double rate = 10; rate < 40; rate += 10) { /* of 40 that the slots can do */
        struct simulation_result r = run_drawn(&setup, rate, exponential, 20000, 1);
        assert_true(r.shed > shed_before + 1000);
        shed_before = r.shed;
        assert_int_equal(run_drawn(&common, rate, exponential, 20000, 1).rendered, 20000);
    }
    assert_true(shed_before > 5500); /* with a quarter of the slots' time to spare */
}

/* --- outages --- */

static void test_k12_limits_follow_the_live_slots(void **state)
{
    struct simulation_setup setup = patient(4);
    (void)state;
    setup.has_shell = true;
    setup.limits.shell_at = 4;
    struct simulation_result r = run_even(&setup, 200, 1000, SECOND);
    assert_int_equal(r.longest_queue, 16);
    for (unsigned i = 0; i < 3; i++)
        setup.outages[setup.outage_count++] = (struct simulation_outage){i + 1, 0, 3600 * SECOND};
    r = run_even(&setup, 200, 1000, SECOND);
    assert_int_equal(r.longest_queue, 4);
    assert_int_equal(r.rendered, 5);
    assert_int_equal(r.over_shell, 195);
    assert_int_equal(r.down_shells + r.failed, 0);
}

/* Eight slots, but the one that comes up gets one request, and one more when it has answered. */
static void test_k13_a_worker_that_comes_up_gets_one_request_first(void **state)
{
    struct simulation_setup setup = patient(1);
    (void)state;
    setup.slots = 8;
    setup.outages[setup.outage_count++] = (struct simulation_outage){0, 0, 10 * SECOND};
    struct simulation_result r = run_even(&setup, 120, SECOND / 10, SECOND);
    /* 0 to 10 s: nobody there, and the first died at once (100); 10 to 11 s: all but one */
    assert_int_equal(r.failed, 100 + 9);
    assert_int_equal(r.rendered, 120 - 109);
    assert_int_equal(r.longest_queue, 9); /* 11 to 12 s: one at a time still */
    setup.has_shell = true;
    r = run_even(&setup, 120, SECOND / 10, SECOND);
    assert_int_equal(r.down_shells, 109);
}

static void
test_7_7_renders_of_a_worker_that_dies_are_asked_for_again_within_the_budget(void **state)
{
    struct simulation_setup setup = patient(2);
    (void)state;
    setup.slots = 8;
    setup.outages[setup.outage_count++] = (struct simulation_outage){0, SECOND / 2, 3600 * SECOND};
    struct simulation_result r = run_even(&setup, 16, 0, SECOND);
    assert_int_equal(r.retried, 3); /* RETRY_LEAST */
    assert_int_equal(r.failed, 5);
    assert_int_equal(r.rendered, 11);
    setup.retries = 0;
    r = run_even(&setup, 16, 0, SECOND);
    assert_int_equal(r.retried, 0);
    assert_int_equal(r.failed, 8);
}

/* --- for every setup --- */

static struct simulation_setup any_setup(uint64_t *random)
{
    struct simulation_setup setup = patient((unsigned)(1 + random_next(random) % 5));
    setup.slots = (unsigned)(1 + random_next(random) % 4);
    setup.balance = (enum balance)(random_next(random) % 5);
    setup.assigns_at_arrival = random_next(random) % 3 == 0;
    setup.refuses_when_full = setup.assigns_at_arrival && random_next(random) % 2;
    setup.has_shell = random_next(random) % 2;
    setup.limits =
        (struct queue_limits){(unsigned)(random_next(random) % 9),
                              (unsigned)(random_next(random) % 40), random_next(random) % 2};
    setup.client_wait = (duration){(int64_t)(random_next(random) % 500)};
    setup.first_byte = (duration){(int64_t)(1 + random_next(random) % 2000)};
    setup.reserved[0] = (unsigned)(random_next(random) % 3);
    setup.outage_count = random_next(random) % (SIMULATION_OUTAGES_MAX + 1);
    for (size_t i = 0; i < setup.outage_count; i++) {
        int64_t at = (int64_t)(random_next(random) % 20000000);
        setup.outages[i] =
            (struct simulation_outage){(unsigned)(random_next(random) % setup.workers), at,
                                       at + (int64_t)(random_next(random) % 5000000)};
    }
    return setup;
}

static void test_everybody_ends_once_and_the_same_seed_gives_the_same(void **state)
{
    uint64_t random = 11;
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct simulation_setup setup = any_setup(&random);
        double rate = (double)(random_next(&random) % 150 + 1);
        struct simulation_result a = run_drawn(&setup, rate, exponential, 2000, (uint64_t)i);
        struct simulation_result b = run_drawn(&setup, rate, exponential, 2000, (uint64_t)i);
        struct simulation_result c = run_drawn(&setup, rate, exponential, 2000, (uint64_t)i + 1);
        assert_int_equal(a.requests, 2000);
        assert_int_equal(ends_of(&a), 2000);
        assert_memory_equal(&a, &b, sizeof(a));
        assert_memory_not_equal(&a, &c, sizeof(a));
        assert_true(a.busy <= 1 + 1e-9 && a.laziest <= a.busiest);
        assert_true(a.wait.p50_us <= a.wait.p95_us && a.wait.p95_us <= a.wait.p99_us);
        if (setup.has_shell && !setup.assigns_at_arrival)
            assert_true(a.wait.p99_us <= setup.client_wait.ms * 1000);
        else
            assert_int_equal(a.over_shell + a.late_shells + a.down_shells, 0);
    }
}

/* Work is counted, not time: three events for each request at most. */
static void test_a_million_requests_are_two_or_three_million_events(void **state)
{
    struct simulation_setup setup = patient(16);
    (void)state;
    setup.has_shell = true;
    setup.limits.shell_at = 4;
    setup.client_wait = (duration){30};
    struct simulation_result r = run_drawn(&setup, 2500, bimodal, 1000000, 1);
    assert_int_equal(ends_of(&r), 1000000);
    assert_true(r.over_shell > 0 && r.late_shells > 0);
    assert_in_range(r.events, 1000000, 3000000);
}

static void test_who_comes_over_the_largest_queue_is_shed(void **state)
{
    struct simulation_setup setup = patient(1);
    (void)state;
    setup.limits.per_slot = false;
    struct simulation_result r = run_even(&setup, 20000, 0, SECOND);
    assert_int_equal(r.rendered, 16384 + 1);
    assert_int_equal(r.shed, 20000 - 16385);
    setup.assigns_at_arrival = true;
    r = run_even(&setup, 20000, 0, SECOND);
    assert_int_equal(r.rendered, 16384 + 1);
    assert_int_equal(r.shed, 20000 - 16385);
}

/* --- the load --- */

static void test_steps_are_as_long_and_as_dense_as_they_say(void **state)
{
    static const struct load_step steps[] = {
        {10, 100 * SECOND}, {0, 50 * SECOND}, {100, 100 * SECOND}};
    struct load_config config = {.requests = 1000000,
                                 .steps = steps,
                                 .step_count = 3,
                                 .classes = &everybody,
                                 .class_count = 1};
    struct simulation_request request;
    struct load load;
    size_t counts[3] = {0};
    int64_t before = 0;
    (void)state;
    load_begin(&load, &config);
    while (load_next(&load, &request)) {
        assert_true(request.at_us >= before && request.at_us < 250 * SECOND);
        before = request.at_us;
        counts[before < 100 * SECOND ? 0 : before < 150 * SECOND ? 1 : 2]++;
    }
    assert_in_range(counts[0], 900, 1100);
    assert_int_equal(counts[1], 0);
    assert_in_range(counts[2], 9700, 10300);
}

static void test_renders_are_of_the_distribution_that_is_asked_for(void **state)
{
    static const struct render_times kinds[] = {
        {.kind = RENDER_CONSTANT, .us = 7000},
        {.kind = RENDER_EXPONENTIAL, .us = 7000},
        {.kind = RENDER_BIMODAL, .us = 5000, .other_us = 50000, .share = 0.1},
        {.kind = RENDER_LOGNORMAL, .us = 7000, .spread = 0.8},
        {.kind = RENDER_RECORDED}};
    static const int64_t recorded[] = {1000, 2000, 9000};
    static const struct load_step step = {.per_second = 10};
    static const double means[] = {7000, 7000, 9500, 9640, 4000};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct load_config config = {.requests = 200000,
                                     .steps = &step,
                                     .step_count = 1,
                                     .render = kinds[i],
                                     .renders_us = recorded,
                                     .render_count = 3,
                                     .classes = &everybody,
                                     .class_count = 1};
        struct simulation_request request;
        struct load load;
        double sum = 0;
        load_begin(&load, &config);
        while (load_next(&load, &request))
            sum += (double)request.render_us;
        assert_near(sum / 200000, means[i], 0.02);
    }
}

static void test_a_record_is_played_as_it_was_or_faster(void **state)
{
    static const struct load_class classes[] = {{.share = 0.5, .rank = 0, .has_no_shell = true},
                                                {.share = 0.5, .rank = 1}};
    static const struct load_record records[] = {
        {100 * SECOND, 3000, 0, true}, {101 * SECOND, -1, 1, true}, {104 * SECOND, 5000, 1, false}};
    static const int64_t renders[] = {3000, 5000};
    struct load_config config = {.requests = 10,
                                 .speed = 2,
                                 .render = {.kind = RENDER_RECORDED},
                                 .classes = classes,
                                 .class_count = 2,
                                 .records = records,
                                 .record_count = 3,
                                 .renders_us = renders,
                                 .render_count = 2};
    struct simulation_request r[4];
    struct load load;
    (void)state;
    load_begin(&load, &config);
    for (size_t i = 0; i < 3; i++)
        assert_true(load_next(&load, &r[i]));
    assert_false(load_next(&load, &r[3]));
    assert_int_equal(r[0].at_us, 0);
    assert_int_equal(r[1].at_us, SECOND / 2);
    assert_int_equal(r[2].at_us, 2 * SECOND);
    assert_int_equal(r[0].render_us, 3000);
    assert_true(r[1].render_us == 3000 || r[1].render_us == 5000);
    assert_int_equal(r[2].render_us, 5000);
    assert_int_equal(r[0].rank, 0);
    assert_int_equal(r[1].rank, 1);
    assert_false(r[0].has_shell); /* never_shell */
    assert_true(r[1].has_shell);  /* it got one then */
    assert_false(r[2].has_shell); /* shell_share 0 */
}

/* --- percentiles --- */

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void test_percentiles_are_those_of_the_sorted_values(void **state)
{
    static const uint64_t ranges[] = {1, 2, 10, 1000000};
    uint64_t random = 3;
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct sample sample = {0};
        size_t count = 1 + random_next(&random) % 300, zeros = 0;
        int64_t sorted[300];
        for (size_t k = 0; k < count; k++) {
            sorted[k] = (int64_t)(random_next(&random) % ranges[i % 4]);
            zeros += sorted[k] == 0;
            sample_add(&sample, sorted[k]);
        }
        qsort(sorted, count, sizeof(*sorted), by_value);
        assert_int_equal(sample_percentile(&sample, 1, -1), sorted[count - 1]);
        assert_int_equal(sample_percentile(&sample, 0.5, -1), sorted[(count + 1) / 2 - 1]);
        assert_int_equal(sample_percentile(&sample, 0.5, 0),
                         zeros == count ? 0 : sorted[zeros + (count - zeros + 1) / 2 - 1]);
        sample_fini(&sample);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_slot_waits_as_m_m_1_says),
        cmocka_unit_test(test_equal_renders_wait_half_as_long_as_m_d_1_says),
        cmocka_unit_test(test_one_queue_for_four_slots_waits_as_erlang_c_says),
        cmocka_unit_test(test_k7_one_slot_and_a_burst_of_twelve_split_exactly),
        cmocka_unit_test(test_7_5_client_wait_ends_the_wait_and_a_render_that_runs_goes_on),
        cmocka_unit_test(test_7_3_who_would_wait_longer_than_first_byte_is_refused),
        cmocka_unit_test(test_7_4_better_classes_go_first_and_have_their_reserve),
        cmocka_unit_test(test_an_empty_load_is_no_load),
        cmocka_unit_test(test_a18_without_one_queue_idle_is_best_and_random_worst),
        cmocka_unit_test(test_a19_first_keeps_work_together_and_idle_spreads_it),
        cmocka_unit_test(test_k4_a_blind_retry_fails_at_a_busy_worker_while_another_is_idle),
        cmocka_unit_test(test_k4_a_random_retry_doubles_the_time),
        cmocka_unit_test(test_k4_the_fuller_the_workers_the_more_retries_fail),
        cmocka_unit_test(test_k12_limits_follow_the_live_slots),
        cmocka_unit_test(test_k13_a_worker_that_comes_up_gets_one_request_first),
        cmocka_unit_test(
            test_7_7_renders_of_a_worker_that_dies_are_asked_for_again_within_the_budget),
        cmocka_unit_test(test_everybody_ends_once_and_the_same_seed_gives_the_same),
        cmocka_unit_test(test_a_million_requests_are_two_or_three_million_events),
        cmocka_unit_test(test_who_comes_over_the_largest_queue_is_shed),
        cmocka_unit_test(test_steps_are_as_long_and_as_dense_as_they_say),
        cmocka_unit_test(test_renders_are_of_the_distribution_that_is_asked_for),
        cmocka_unit_test(test_a_record_is_played_as_it_was_or_faster),
        cmocka_unit_test(test_percentiles_are_those_of_the_sorted_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
