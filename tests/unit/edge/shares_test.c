/* The share of one client address in an origin's slots and queue (semantics 7.3), asked of a pool.
 */
#include "base/random.h"
#include "edge/origin/pool.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PEOPLE = 120, NOBODY = 0 };

struct person {
    struct slot_waiter waiter;
    struct permit permit;
    enum pool_answer answer;
    /* the model's */
    enum { GONE, OWN, LENT, RENDERS, REFUSED } model;
    unsigned address, rank;
    uint64_t arrived, ranked;
    bool has_shell;
};

struct stage {
    struct worker_config worker;
    struct origin_config config;
    void *region;
    struct pool *pool;
    struct person people[PEOPLE];
    unsigned turn; /* the model's */
    uint64_t clock, over_share;
};

static void open_pool(struct stage *s, unsigned slots, unsigned shell_at, unsigned shed_at)
{
    char error[256];
    struct sockaddr_storage at = {0};
    socklen_t bytes = sizeof(struct sockaddr_in);
    *(struct sockaddr_in *)&at =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(0xc0000201)}};
    *s = (struct stage){.worker = {.host = SLICE("renderer.example"), .port = 3000},
                        .config = {.name = SLICE("renderer"),
                                   .workers = &s->worker,
                                   .worker_count = 1,
                                   .slots = slots,
                                   .shell_at = shell_at,
                                   .shed_at = shed_at,
                                   .queue_is_per_slot = true,
                                   .first_byte = {1000000},
                                   .slot_max = {1000000}}};
    s->region = mem_alloc(slots_region_bytes());
    slots_region_init(s->region);
    s->pool = pool_new(&s->config, s->region, 1, error, sizeof(error));
    assert_non_null(s->pool);
    s->pool->fair.percent = 25;
    pool_set_addresses(s->pool, 0, &at, &bytes, 1, (mono_time){1});
}

static void close_pool(struct stage *s)
{
    pool_free(s->pool);
    free(s->region);
    free(s);
}

/* Of address number `address`; NOBODY: one that has no share. */
static struct person *ask(struct stage *s, size_t i, unsigned address, unsigned rank,
                          bool has_shell)
{
    static struct loop_message unread = {.is_posted = true}; /* nobody reads messages here */
    struct person *p = &s->people[i];
    *p = (struct person){
        .waiter = {.wants_slot = true,
                   .has_shell = has_shell,
                   .rank = rank,
                   .message = &unread,
                   .is_charged = address != NOBODY,
                   .client = {.bytes = {[10] = 0xff, [11] = 0xff, [15] = (uint8_t)address}}},
        .address = address,
        .rank = rank,
        .has_shell = has_shell};
    p->answer = pool_ask(s->pool, &p->waiter, false, (mono_time){2});
    if (p->answer == POOL_GRANTED)
        p->permit = p->waiter.permit;
    return p;
}

static void end(struct stage *s, struct person *p)
{
    if (!p->permit.worker)
        p->permit = p->waiter.permit;
    pool_return(&p->permit, (mono_time){2}); /* at once: renders do not count into their average */
    p->waiter.state = WAITER_IDLE;
    (void)s;
}

static bool is_granted(const struct person *p)
{
    return p->waiter.state == WAITER_GRANTED;
}

static bool is_queued(const struct person *p)
{
    return p->waiter.state == WAITER_QUEUED;
}

static void assert_nothing_is_held(struct stage *s)
{
    assert_int_equal(pool_state(s->pool).waiting, 0);
    assert_int_equal(pool_state(s->pool).busy_slots, 0);
    assert_int_equal(s->pool->fair.clients, 0);
}

static void finish_all(struct stage *s)
{
    for (bool is_any = true; is_any;) {
        is_any = false;
        for (size_t i = 0; i < PEOPLE; i++)
            if (is_granted(&s->people[i])) {
                end(s, &s->people[i]);
                is_any = true;
            }
    }
    assert_nothing_is_held(s);
}

static void test_7_3_while_nobody_else_waits_an_address_may_have_everything(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    (void)state;
    open_pool(s, 4, 4, 2); /* 8 may wait */
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ask(s, i, 1, 0, false)->answer, POOL_GRANTED);
    for (size_t i = 4; i < 12; i++)
        assert_int_equal(ask(s, i, 1, 0, false)->answer, POOL_QUEUED);
    assert_int_equal(ask(s, 12, 1, 0, false)->answer, POOL_OVER_SHED);
    for (size_t i = 0; i < 8; i++) {
        end(s, &s->people[i]);
        assert_true(is_granted(&s->people[i + 4])); /* in order, and no slot stays free */
    }
    assert_int_equal(*s->pool->counts.over_share, 0);
    finish_all(s);
    close_pool(s);
}

static void test_7_3_who_has_its_share_of_slots_is_passed_over_for_another_address(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    (void)state;
    open_pool(s, 4, 4, 32);
    for (size_t i = 0; i < 20; i++)
        ask(s, i, 1, 0, false);
    for (size_t i = 20; i < 23; i++)
        assert_int_equal(ask(s, i, 2, 7, false)->answer, POOL_QUEUED); /* of a lesser class, too */
    end(s, &s->people[0]);
    assert_true(is_granted(&s->people[20]));
    end(s, &s->people[1]);
    assert_false(is_granted(&s->people[21])); /* both have their share: in order again */
    assert_true(is_granted(&s->people[4]));
    end(s, &s->people[20]);
    assert_true(is_granted(&s->people[21]));
    finish_all(s);
    close_pool(s);
}

static void test_7_3_another_address_waits_for_a_share_of_the_queue_and_no_longer(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    (void)state;
    open_pool(s, 1, 4, 32); /* 8 of 32 places */
    for (size_t i = 0; i < 25; i++)
        assert_true(ask(s, i, 1, 0, false)->answer <= POOL_QUEUED);
    struct person *other = ask(s, 30, 2, 0, false);
    assert_int_equal(other->answer, POOL_QUEUED);
    for (size_t i = 0; i < 9; i++) {
        assert_false(is_granted(other));
        end(s, &s->people[i]);
    }
    assert_true(is_granted(other));
    finish_all(s);
    assert_int_equal(*s->pool->counts.over_share, 0); /* the queue was never full */
    close_pool(s);
}

static void test_7_3_a_full_queue_gives_up_its_newest_place_on_loan(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    (void)state;
    open_pool(s, 1, 2, 4);
    for (size_t i = 0; i < 5; i++)
        assert_true(ask(s, i, 1, 0, false)->answer <= POOL_QUEUED);
    assert_int_equal(ask(s, 5, 1, 0, false)->answer, POOL_OVER_SHED);
    assert_int_equal(*s->pool->counts.over_share, 0); /* just too many */
    assert_int_equal(ask(s, 6, 2, 0, false)->answer, POOL_QUEUED);
    assert_int_equal(s->people[4].waiter.state, WAITER_OVER_SHARE);
    assert_true(is_queued(&s->people[3]));
    assert_int_equal(ask(s, 7, NOBODY, 0, false)->answer, POOL_QUEUED); /* as to anybody */
    assert_int_equal(s->people[3].waiter.state, WAITER_OVER_SHARE);
    assert_int_equal(ask(s, 8, 3, 0, false)->answer, POOL_QUEUED);
    assert_int_equal(ask(s, 9, 4, 0, false)->answer, POOL_OVER_SHED); /* all have one place */
    assert_true(is_queued(&s->people[1]));
    assert_int_equal(pool_state(s->pool).waiting, 4);
    assert_int_equal(*s->pool->counts.over_share, 3);
    finish_all(s);
    close_pool(s);
}

static void test_7_3_no_further_place_while_another_waits_but_the_shell_or_a_503(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    (void)state;
    open_pool(s, 1, 8, 16); /* 2 of 8 places, or 4 of 16 */
    ask(s, 0, 1, 0, true);
    assert_int_equal(ask(s, 1, 2, 0, true)->answer, POOL_QUEUED);
    assert_int_equal(ask(s, 2, 1, 0, true)->answer, POOL_QUEUED);
    assert_int_equal(ask(s, 3, 1, 0, true)->answer, POOL_QUEUED);
    assert_int_equal(ask(s, 4, 1, 0, true)->answer, POOL_OVER_SHELL);
    assert_int_equal(ask(s, 5, 1, 0, false)->answer, POOL_QUEUED);
    assert_int_equal(ask(s, 6, 1, 0, false)->answer, POOL_QUEUED);
    assert_int_equal(ask(s, 7, 1, 0, false)->answer, POOL_OVER_SHED);
    assert_int_equal(*s->pool->counts.over_share, 2);
    assert_true(pool_leave(s->pool, &s->people[1].waiter)); /* now it is alone */
    assert_int_equal(ask(s, 8, 1, 0, true)->answer, POOL_QUEUED);
    finish_all(s);
    close_pool(s);
}

static void test_7_3_a_trusted_address_has_no_share_nor_has_a_render_in_the_background(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    (void)state;
    open_pool(s, 1, 4, 8);
    ask(s, 0, NOBODY, 0, false);
    ask(s, 1, 1, 0, false);
    for (size_t i = 2; i < 9; i++)
        assert_int_equal(ask(s, i, NOBODY, 0, false)->answer, POOL_QUEUED);
    for (size_t i = 9; i < 20; i++)
        assert_int_equal(ask(s, i, 1, QUEUE_BACKGROUND, false)->answer, POOL_QUEUED);
    assert_int_equal(*s->pool->counts.over_share, 0);
    assert_int_equal(s->pool->fair.clients, 1);
    finish_all(s);
    close_pool(s);
}

static void test_7_3_what_nobody_else_can_use_goes_to_who_has_its_share(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    (void)state;
    open_pool(s, 4, 4, 8);
    for (size_t i = 0; i < 6; i++)
        ask(s, i, 1, 0, false);
    s->pool->reserved[5] = 1; /* the last free slot is not for this class */
    assert_int_equal(ask(s, 6, 2, 5, false)->answer, POOL_QUEUED);
    ask(s, 7, 3, QUEUE_BACKGROUND, false);
    end(s, &s->people[0]);
    assert_false(is_granted(&s->people[6]));
    assert_false(is_granted(&s->people[7])); /* people first, also those who have their share */
    assert_true(is_granted(&s->people[4]));
    s->pool->reserved[5] = 0;
    finish_all(s);
    close_pool(s);
}

static void test_7_3_a_slot_counts_until_the_worker_is_done_whoever_left(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));
    (void)state;
    open_pool(s, 4, 4, 8);
    for (size_t i = 0; i < 4; i++)
        ask(s, i, 1, 0, false);
    pool_mark_stuck(&s->people[0].permit);
    assert_int_equal(ask(s, 4, 1, 0, false)->answer, POOL_QUEUED);
    assert_int_equal(ask(s, 5, 2, 0, false)->answer, POOL_QUEUED);
    end(s, &s->people[1]);
    assert_true(is_granted(&s->people[5]));
    assert_true(pool_detach(&s->people[2].permit, (mono_time){2})); /* an event stream holds none */
    assert_true(is_granted(&s->people[4]));
    assert_int_equal(s->people[3].permit.holder->slots, 3);
    finish_all(s);
    close_pool(s);
}

/* --- against a naive model: everything is counted anew each time --- */

static unsigned share_of(unsigned all)
{
    return all / 4 > 0 ? all / 4 : 1;
}

static unsigned places_for(const struct stage *s, const struct person *p)
{
    return (p->has_shell ? s->config.shell_at : s->config.shed_at) * s->config.slots;
}

/* Those of this address in this state; `address` UINT_MAX: of all. */
static unsigned count(const struct stage *s, unsigned address, int model)
{
    unsigned count = 0;
    for (size_t i = 0; i < PEOPLE; i++)
        count += (int)s->people[i].model == model &&
                 (address == UINT32_MAX || s->people[i].address == address);
    return count;
}

static unsigned all(const struct stage *s, int model)
{
    return count(s, UINT32_MAX, model);
}

static bool goes_before(const struct stage *s, const struct person *a, const struct person *b)
{
    if (a->model != b->model)
        return a->model == OWN;
    if (a->model == LENT)
        return a->ranked < b->ranked;
    if (s->turn % 4 == 3)
        return a->arrived < b->arrived;
    return a->rank != b->rank ? a->rank < b->rank : a->ranked < b->ranked;
}

static bool has_its_slots(const struct stage *s, const struct person *p)
{
    return p->address != NOBODY && count(s, p->address, RENDERS) >= share_of(s->config.slots);
}

static struct person *first_waiter(struct stage *s, bool is_fair)
{
    struct person *first = NULL;
    for (size_t i = 0; i < PEOPLE; i++) {
        struct person *p = &s->people[i];
        bool waits = p->model == OWN || p->model == LENT;
        if (waits && !(is_fair && has_its_slots(s, p)) && (!first || goes_before(s, p, first)))
            first = p;
    }
    return first;
}

static bool has_its_places(const struct stage *s, const struct person *p)
{
    return p->address != NOBODY && count(s, p->address, OWN) >= share_of(places_for(s, p));
}

/* The newest, or the oldest, place on loan. */
static struct person *loan(struct stage *s, bool is_newest)
{
    struct person *found = NULL;
    for (size_t i = 0; i < PEOPLE; i++) {
        struct person *p = &s->people[i];
        if (p->model == LENT && (!found || (p->ranked > found->ranked) == is_newest))
            found = p;
    }
    return found;
}

static void leave_model(struct stage *s, struct person *p, int next)
{
    bool was_own = p->model == OWN && p->address != NOBODY;
    p->model = next;
    struct person *oldest = was_own ? loan(s, false) : NULL;
    if (oldest && !has_its_places(s, oldest)) {
        oldest->model = OWN;
        oldest->arrived = oldest->ranked = ++s->clock;
    }
}

static void serve_model(struct stage *s)
{
    while (all(s, RENDERS) < s->config.slots) {
        struct person *next = first_waiter(s, true);
        next = next ? next : first_waiter(s, false);
        if (!next)
            return;
        leave_model(s, next, RENDERS);
        s->turn++;
    }
}

static void come_to_model(struct stage *s, struct person *p)
{
    unsigned waited = all(s, OWN) + all(s, LENT);
    unsigned others = waited - count(s, p->address, OWN) - count(s, p->address, LENT);
    int place = has_its_places(s, p) ? LENT : OWN;
    unsigned before = place == OWN ? all(s, OWN) : waited;
    bool is_free = all(s, RENDERS) < s->config.slots;
    bool is_over = !is_free && place == LENT && others > 0;
    s->over_share += is_over;
    p->model = REFUSED;
    if (!is_free && (is_over || before >= places_for(s, p)))
        return;
    p->model = place;
    p->arrived = p->ranked = ++s->clock;
    serve_model(s);
    struct person *newest = place == OWN && !is_free ? loan(s, true) : NULL;
    if (newest && waited + 1 > places_for(s, newest)) {
        leave_model(s, newest, REFUSED);
        s->over_share++;
    }
}

static int model_of(const struct person *p)
{
    switch (p->waiter.state) {
    case WAITER_QUEUED:
        return p->waiter.entry.is_lent ? LENT : OWN;
    case WAITER_GRANTED:
        return RENDERS;
    default:
        return p->model == GONE ? GONE : REFUSED;
    }
}

static void assert_same(const struct stage *s)
{
    for (size_t i = 0; i < PEOPLE; i++)
        assert_int_equal(model_of(&s->people[i]), (int)s->people[i].model);
    assert_int_equal(*s->pool->counts.over_share, s->over_share);
}

static void do_anything(struct stage *s, uint64_t *random)
{
    size_t i = (size_t)(random_next(random) % PEOPLE);
    struct person *p = &s->people[i];
    if (p->model == GONE || p->model == REFUSED) {
        /* address 1 is half of them */
        unsigned address = random_next(random) % 2 ? 1 : (unsigned)(random_next(random) % 6);
        ask(s, i, address, (unsigned)(random_next(random) % 3), random_next(random) % 3 == 0);
        come_to_model(s, p);
    } else if (p->model == RENDERS) {
        end(s, p);
        p->model = GONE;
        serve_model(s);
    } else if (random_next(random) % 4 == 0) {
        assert_true(pool_leave(s->pool, &p->waiter));
        leave_model(s, p, GONE);
    }
    assert_same(s);
}

static void test_7_3_random_comings_and_goings_agree_with_a_naive_model(void **state)
{
    uint64_t random = 11, turned_away = 0;
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct stage *s = mem_alloc(sizeof(*s));
        open_pool(s, (unsigned)(1 + random_next(&random) % 9),
                  (unsigned)(1 + random_next(&random) % 6),
                  (unsigned)(1 + random_next(&random) % 20));
        for (int i = 0; i < 3000; i++)
            do_anything(s, &random);
        turned_away += s->over_share;
        finish_all(s);
        close_pool(s);
    }
    assert_true(turned_away > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_7_3_while_nobody_else_waits_an_address_may_have_everything),
        cmocka_unit_test(test_7_3_who_has_its_share_of_slots_is_passed_over_for_another_address),
        cmocka_unit_test(test_7_3_another_address_waits_for_a_share_of_the_queue_and_no_longer),
        cmocka_unit_test(test_7_3_a_full_queue_gives_up_its_newest_place_on_loan),
        cmocka_unit_test(test_7_3_no_further_place_while_another_waits_but_the_shell_or_a_503),
        cmocka_unit_test(
            test_7_3_a_trusted_address_has_no_share_nor_has_a_render_in_the_background),
        cmocka_unit_test(test_7_3_what_nobody_else_can_use_goes_to_who_has_its_share),
        cmocka_unit_test(test_7_3_a_slot_counts_until_the_worker_is_done_whoever_left),
        cmocka_unit_test(test_7_3_random_comings_and_goings_agree_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
