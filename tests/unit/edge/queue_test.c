/* Who of those that wait for a slot is next, and who may wait: semantics 7.3, 7.4. */
#include "edge/origin/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 64 };

struct person {
    struct queue_entry entry;
    char name;
    unsigned rank;
    unsigned arrived, ranked; /* ranked: since when among those of its rank */
};

static struct person people[MOST];
static struct queue queue;

static void add(char name, unsigned rank)
{
    static unsigned arrived;
    for (size_t i = 0; i < MOST; i++) {
        if (people[i].name)
            continue;
        people[i] = (struct person){.name = name, .rank = rank, .arrived = arrived++};
        queue_add(&queue, &people[i].entry, rank, false);
        return;
    }
    fail();
}

static struct person *person_of(struct queue_entry *entry)
{
    return entry ? container_of(entry, struct person, entry) : NULL;
}

static char serve(void)
{
    struct person *person = person_of(queue_next(&queue, NULL));
    if (!person)
        return '-';
    char name = person->name;
    queue_remove(&queue, &person->entry);
    queue_served(&queue);
    person->name = 0;
    return name;
}

/* Names in the order in which all are served. */
static const char *served(void)
{
    static char text[MOST + 1];
    size_t count = 0;
    for (char name; (name = serve()) != '-';)
        text[count++] = name;
    text[count] = '\0';
    return text;
}

static int setup(void **state)
{
    (void)state;
    memset(people, 0, sizeof(people));
    queue_init(&queue);
    return 0;
}

static void test_7_4_class_then_arrival(void **state)
{
    (void)state;
    add('p', 2);
    add('q', 2);
    add('s', 0);
    assert_string_equal(served(), "spq");
    add('a', 1);
    add('b', 0);
    assert_string_equal(served(), "ab"); /* the fourth slot is the oldest's */
}

static void test_7_4_of_four_slots_one_goes_to_the_oldest(void **state)
{
    (void)state;
    add('p', 1);
    add('q', 1);
    for (char name = 'A'; name <= 'H'; name++)
        add(name, 0);
    assert_string_equal(served(), "ABCpDEFqGH");
}

static void test_7_4_background_comes_last_until_a_person_waits_for_it(void **state)
{
    (void)state;
    add('r', QUEUE_BACKGROUND);
    add('p', 1);
    add('q', 1);
    assert_int_equal(queue.waiting, 2);
    assert_int_equal(queue.background, 1);
    assert_string_equal(served(), "pqr");
    add('x', 1); /* the oldest's turn */
    add('r', QUEUE_BACKGROUND);
    add('y', 1);
    add('z', 1);
    assert_int_equal(serve(), 'x');
    for (size_t i = 0; i < MOST; i++)
        if (people[i].name == 'r')
            queue_move(&queue, &people[i].entry, 0);
    assert_int_equal(queue.background, 0);
    assert_string_equal(served(), "ryz");
}

static void test_what_one_cannot_use_the_next_in_order_is_asked(void **state)
{
    (void)state;
    add('p', 1);
    add('r', QUEUE_BACKGROUND);
    add('s', 0);
    struct queue_entry *entry = queue_next(&queue, NULL);
    assert_int_equal(person_of(entry)->name, 's');
    entry = queue_next(&queue, entry);
    assert_int_equal(person_of(entry)->name, 'p');
    entry = queue_next(&queue, entry);
    assert_int_equal(person_of(entry)->name, 'r');
    assert_null(queue_next(&queue, entry));
}

static void test_one_that_has_waited_before_stands_in_front_of_its_class(void **state)
{
    struct person again = {.name = 'x'};
    (void)state;
    add('s', 0);
    add('p', 1);
    queue_add(&queue, &again.entry, 1, true);
    assert_int_equal(serve(), 's');
    assert_int_equal(serve(), 'x');
    assert_int_equal(serve(), 'p');
}

static void lend(char name, struct person *person)
{
    *person = (struct person){.name = name};
    queue_lend(&queue, &person->entry, 0);
}

static void
test_7_3_places_on_loan_come_behind_all_others_of_people_whatever_their_class(void **state)
{
    struct person lent[3];
    (void)state;
    add('r', QUEUE_BACKGROUND);
    lend('X', &lent[0]);
    lend('Y', &lent[1]);
    lend('Z', &lent[2]);
    add('p', 7);
    assert_int_equal(queue.waiting, 4);
    assert_int_equal(queue.lent, 3);
    queue_keep(&queue, &lent[0].entry); /* rank 0: before those of rank 7 */
    assert_int_equal(queue.lent, 2);
    assert_string_equal(served(), "XpYZr");
    assert_int_equal(queue.waiting, 0);
    assert_int_equal(queue.lent, 0);
}

/* --- against a naive model --- */

static unsigned tier(const struct person *p)
{
    return p->rank == QUEUE_BACKGROUND ? 2 : p->entry.is_lent;
}

static bool goes_before(const struct person *a, const struct person *b)
{
    bool by_age = queue.turn % QUEUE_OLDEST_EVERY == QUEUE_OLDEST_EVERY - 1;
    if (tier(a) != tier(b))
        return tier(a) < tier(b);
    if (tier(a) == 0 && by_age)
        return a->arrived < b->arrived;
    if (tier(a) == 0 && a->rank != b->rank)
        return a->rank < b->rank;
    return a->ranked < b->ranked;
}

static struct person *expected_next(void)
{
    struct person *best = NULL;
    for (size_t i = 0; i < MOST; i++)
        if (people[i].name && (!best || goes_before(&people[i], best)))
            best = &people[i];
    return best;
}

static void come(struct person *p, unsigned rank, unsigned now)
{
    bool is_lent = rank != QUEUE_BACKGROUND && random() % 3 == 0;
    *p = (struct person){.name = 'x', .rank = rank, .arrived = now, .ranked = now};
    if (is_lent)
        queue_lend(&queue, &p->entry, rank);
    else
        queue_add(&queue, &p->entry, rank, false);
}

static void move(struct person *p, unsigned rank, unsigned now)
{
    bool is_new = (p->rank == QUEUE_BACKGROUND) != (rank == QUEUE_BACKGROUND);
    queue_move(&queue, &p->entry, rank);
    if (rank != p->rank && !p->entry.is_lent)
        p->ranked = now;
    if (is_new)
        p->arrived = now;
    p->rank = rank;
}

static void change(struct person *p, unsigned rank, unsigned now)
{
    switch (random() % 8) {
    case 0:
        queue_remove(&queue, &p->entry);
        p->name = 0;
        break;
    case 1:
        move(p, rank, now);
        break;
    case 2:
        if (!p->entry.is_lent)
            break;
        queue_keep(&queue, &p->entry);
        p->arrived = p->ranked = now;
        break;
    default:
        break;
    }
}

static void assert_counted(void)
{
    unsigned counts[3] = {0};
    for (size_t i = 0; i < MOST; i++)
        if (people[i].name)
            counts[tier(&people[i])]++;
    assert_int_equal(queue.waiting, counts[0] + counts[1]);
    assert_int_equal(queue.lent, counts[1]);
    assert_int_equal(queue.background, counts[2]);
}

static void test_7_4_random_operations_agree_with_a_naive_model(void **state)
{
    static const unsigned ranks[] = {0, 1, 2, 7, QUEUE_BACKGROUND};
    (void)state;
    srandom(7);
    for (unsigned i = 0; i < 20000; i++) {
        struct person *p = &people[(size_t)random() % MOST];
        unsigned rank = ranks[random() % 5];
        if (random() % 3 == 0) {
            struct person *next = expected_next();
            assert_ptr_equal(person_of(queue_next(&queue, NULL)), next);
            if (next)
                serve();
        } else if (!p->name) {
            come(p, rank, i);
        } else {
            change(p, rank, i);
        }
        assert_counted();
    }
}

/* --- who may wait --- */

struct admit_row {
    unsigned waiting, live_slots;
    int64_t render, first_byte;
    bool has_shell, per_slot;
    enum queue_verdict verdict;
};

static void test_7_3_thresholds_scale_with_live_slots(void **state)
{
    static const struct admit_row rows[] = {
        {0, 1, 0, 30000, true, true, QUEUE_WAIT},
        {3, 1, 0, 30000, true, true, QUEUE_WAIT},
        {4, 1, 0, 30000, true, true, QUEUE_SHELL},
        {4, 1, 0, 30000, false, true, QUEUE_WAIT},
        {31, 1, 0, 30000, false, true, QUEUE_WAIT},
        {32, 1, 0, 30000, false, true, QUEUE_SHED},
        {15, 4, 0, 30000, true, true, QUEUE_WAIT},
        {16, 4, 0, 30000, true, true, QUEUE_SHELL},
        {4, 4, 0, 30000, true, false, QUEUE_SHELL},
        {127, 4, 0, 30000, false, true, QUEUE_WAIT},
        {128, 4, 0, 30000, false, true, QUEUE_SHED},
        {3, 4, 0, 30000, true, false, QUEUE_WAIT},
        {31, 1, 0, 30000, false, false, QUEUE_WAIT},
        /* without a slot that lives nobody waits, whatever the limits */
        {0, 0, 0, 30000, false, true, QUEUE_SHED},
        {0, 0, 0, 30000, false, false, QUEUE_SHED},
        {0, 0, 0, 30000, true, false, QUEUE_SHELL},
        /* who would wait longer than first_byte need not begin */
        {10, 1, 3000, 30000, false, true, QUEUE_WAIT},
        {11, 1, 3000, 30000, false, true, QUEUE_SHED},
        {2, 1, 20000, 30000, true, true, QUEUE_SHELL},
        {22, 2, 3000, 30000, false, true, QUEUE_SHED},
        {20, 2, 3000, 30000, false, true, QUEUE_WAIT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct admit_row *r = &rows[i];
        struct queue_limits limits = {4, 32, r->per_slot};
        struct queue_load load = {r->waiting, r->live_slots, r->render * 1000, {r->first_byte}};
        if (queue_admit(&limits, &load, r->has_shell) != r->verdict)
            fail_msg("row %zu", i);
    }
}

static void test_7_3_the_largest_limits_do_not_overflow(void **state)
{
    struct queue_limits limits = {100000, 100000, true};
    struct queue_load load = {100000, 256 * 10000, 60000000, {30000}};
    (void)state;
    assert_int_equal(queue_admit(&limits, &load, false), QUEUE_WAIT);
}

static void test_7_4_the_last_slots_are_reserved_but_never_all(void **state)
{
    (void)state;
    assert_false(queue_is_reserved(1, 2, 2));
    assert_true(queue_is_reserved(1, 1, 2));
    assert_true(queue_is_reserved(9, 3, 4));
    assert_false(queue_is_reserved(9, 4, 4));
    assert_false(queue_is_reserved(1, 1, 1));
    assert_false(queue_is_reserved(1, 0, 0));
}

static void test_7_3_the_mean_follows_the_renders(void **state)
{
    struct render_mean mean = {0};
    (void)state;
    render_mean_note(&mean, (duration){800});
    assert_int_equal(mean.us, 800000);
    render_mean_note(&mean, (duration){0});
    assert_int_equal(mean.us, 400000);
    for (int i = 0; i < 200; i++)
        render_mean_note(&mean, (duration){100});
    assert_in_range(mean.us, 100000, 102000);
    render_mean_note(&mean, (duration){INT64_MAX});
    assert_in_range(mean.us, 100000, INT64_C(24) * 3600 * 1000000);
}

/* Four of five take 5 ms, the fifth 50: whole milliseconds and a short memory made 20 to 30 of it,
 * and turned people away who would have waited half of first_byte. */
static void test_7_3_the_mean_of_short_renders_is_not_that_of_the_last_long_one(void **state)
{
    struct render_mean mean = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        render_mean_note(&mean, (duration){i % 5 == 4 ? 50 : 5});
        if (i > 20)
            assert_in_range(mean.us, 11500, 17000);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(test_7_4_class_then_arrival),
        TEST(test_7_4_of_four_slots_one_goes_to_the_oldest),
        TEST(test_7_4_background_comes_last_until_a_person_waits_for_it),
        TEST(test_what_one_cannot_use_the_next_in_order_is_asked),
        TEST(test_one_that_has_waited_before_stands_in_front_of_its_class),
        TEST(test_7_3_places_on_loan_come_behind_all_others_of_people_whatever_their_class),
        TEST(test_7_4_random_operations_agree_with_a_naive_model),
        TEST(test_7_3_thresholds_scale_with_live_slots),
        TEST(test_7_4_the_last_slots_are_reserved_but_never_all),
        TEST(test_7_3_the_mean_follows_the_renders),
        TEST(test_7_3_the_mean_of_short_renders_is_not_that_of_the_last_long_one),
        TEST(test_7_3_the_largest_limits_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
