/* Vary records in RAM: a union never shrinks under those who look up by it, whatever the disk does.
 */
#include "tests/unit/cache/store_help.h"

#include "cache/vary_table.h"

enum { URLS = 40, VARIANTS = 6, CAP = 4, NAMES = 5 };

static const char *const all_names[NAMES] = {"a", "b", "c", "d", "e"};
static const struct field_names no_names;

static bool grow(struct vary_table *table, unsigned url, const struct field_names *names)
{
    struct vary_record *record;
    struct key key = url_key_of(url);
    if (!vary_table_grow(table, &key, names, &record))
        return false;
    vary_record_unref(&record);
    return true;
}

/* As a reader that nobody disturbs. */
static struct vary_record *learn(struct vary_table *table, struct vary_record *disk)
{
    struct vary_reading reading;
    struct vary_record *now;
    vary_table_begin_reading(table, &disk->url_key, &reading);
    assert_true(vary_table_end_reading(table, &reading, disk, &now));
    return now;
}

static enum vary_admission admit(struct vary_table *table, unsigned url, unsigned variant,
                                 const struct field_names *names, bool *has_replaced,
                                 struct key *replaced)
{
    const struct recipe r = {.url = url, .variant = variant, .names = names};
    struct object *object = object_make(&r);
    *has_replaced = false;
    enum vary_admission admission = vary_table_admit(table, object, true, has_replaced, replaced);
    if (admission == VARY_ADMITTED)
        vary_table_settle(table, object, false, true);
    object_unref(&object);
    return admission;
}

static bool in_ram(struct ram *ram, unsigned url, unsigned variant)
{
    struct key key = variant_key_of(url, variant);
    struct object *object = ram_peek(ram, &key);
    bool is = object != NULL;
    object_unref(&object);
    return is;
}

static void hit(struct ram *ram, unsigned url, unsigned variant)
{
    char text[64];
    slice key_text = key_text_of(url, variant, text);
    struct key key = key_of(key_text);
    struct object *object = ram_find(ram, &key, key_text);
    assert_non_null(object);
    object_unref(&object);
}

/* --- against a naive model --- */

struct model {
    bool is_known;
    unsigned names;                     /* a bit each */
    unsigned variants[VARIANTS], count; /* in the order of storing */
    bool was_hit[VARIANTS];
};

static struct field_names names_of_bits(unsigned bits)
{
    struct field_names names = {.count = 0};
    for (unsigned i = 0; i < NAMES; i++) {
        if (bits & 1u << i)
            MUST(field_names_add(&names, slice_of_string(all_names[i])));
    }
    return names;
}

static void model_take(struct model *m, unsigned variant)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < m->count; i++) {
        if (m->variants[i] != variant)
            m->variants[kept++] = m->variants[i];
    }
    m->count = kept;
}

static bool model_lists(const struct model *m, unsigned variant)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (m->variants[i] == variant)
            return true;
    }
    return false;
}

/* Semantics 2.5's replacement, written down naively. */
static enum vary_admission model_admit(struct model *m, unsigned variant, unsigned names)
{
    if (!m->is_known || names != m->names)
        return VARY_OUTGROWN;
    if (!model_lists(m, variant) && m->count >= CAP) {
        unsigned i = 0;
        while (i < m->count && m->was_hit[m->variants[i]])
            i++;
        if (i == m->count) {
            memset(m->was_hit, 0, sizeof(m->was_hit));
            return VARY_CAPPED;
        }
        m->was_hit[m->variants[i]] = false;
        model_take(m, m->variants[i]);
    }
    model_take(m, variant);
    m->variants[m->count++] = variant;
    return VARY_ADMITTED;
}

static void expect_model(struct vary_table *table, struct ram *ram, const struct model *m,
                         unsigned url)
{
    struct key key = url_key_of(url);
    struct vary_record *record = vary_table_find(table, &key);
    if (!record) {
        assert_false(m->is_known);
        return;
    }
    const struct field_names names = names_of_bits(m->names);
    assert_int_equal(record->is_known, m->is_known);
    assert_true(field_names_equal(&record->names, &names));
    assert_int_equal(record->variant_count, m->count);
    for (unsigned i = 0; i < m->count; i++) {
        struct key variant = variant_key_of(url, m->variants[i]);
        assert_true(key_equal(&record->variants[i].key, &variant));
    }
    for (unsigned i = 0; i < VARIANTS; i++)
        assert_int_equal(in_ram(ram, url, i), model_lists(m, i));
    vary_record_unref(&record);
}

static void model_forget(struct model *m)
{
    m->count = 0;
    memset(m->was_hit, 0, sizeof(m->was_hit));
}

static void one_operation(struct vary_table *table, struct ram *ram, struct model *m, unsigned url)
{
    uint64_t what = random_below(20);
    unsigned variant = (unsigned)random_below(VARIANTS), bits = 1u << random_below(NAMES);
    struct key key = url_key_of(url), replaced;
    bool has_replaced;
    if (what == 0) {
        vary_table_reset(table, &key);
        model_forget(m);
        m->is_known = false;
        m->names = 0;
    } else if (what == 1 || !m->is_known) {
        bits = what < 4 ? bits : 0;
        const struct field_names more = names_of_bits(bits);
        assert_true(grow(table, url, &more));
        if (!m->is_known || (m->names | bits) != m->names)
            model_forget(m);
        m->is_known = true;
        m->names |= bits;
    } else if (what < 8 && model_lists(m, variant)) {
        hit(ram, url, variant);
        m->was_hit[variant] = true;
    } else {
        unsigned under = what == 8 ? bits : m->names; /* sometimes an outgrown union */
        const struct field_names names = names_of_bits(under);
        assert_int_equal(admit(table, url, variant, &names, &has_replaced, &replaced),
                         model_admit(m, variant, under));
    }
}

static void test_2_5_random_operations_agree_with_a_model(void **state)
{
    (void)state;
    static struct model models[URLS];
    struct ram *ram = ram_new(64 << 20);
    struct vary_table *table = vary_table_new(64 << 20, false, CAP, ram);
    for (int i = 0; i < 40000; i++) {
        unsigned url = (unsigned)random_below(URLS);
        one_operation(table, ram, &models[url], url);
        expect_model(table, ram, &models[url], url);
    }
    assert_true(vary_table_capped(table) > 0);
    vary_table_free(table);
    ram_free(ram);
}

/* --- single rules --- */

static void test_2_5_growing_drops_the_variants_of_the_smaller_union(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(1 << 20, false, CAP, ram);
    bool has_replaced;
    struct key replaced;
    const struct field_names a = names_of("a", NULL);
    assert_true(grow(table, 1, &no_names));
    assert_int_equal(admit(table, 1, 0, &no_names, &has_replaced, &replaced), VARY_ADMITTED);
    assert_true(grow(table, 1, &no_names)); /* by nothing: nothing happens */
    assert_true(in_ram(ram, 1, 0));
    assert_true(grow(table, 1, &a));
    assert_false(in_ram(ram, 1, 0));
    /* a fill that was under way under the smaller union */
    assert_int_equal(admit(table, 1, 1, &no_names, &has_replaced, &replaced), VARY_OUTGROWN);
    assert_false(in_ram(ram, 1, 1));
    vary_table_free(table);
    ram_free(ram);
}

static void test_2_5_a_record_in_use_or_unwritten_stays_in_memory(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(0, true, CAP, ram); /* no room at all */
    const struct field_names a = names_of("a", NULL);
    struct vary_change changes[64];
    struct vary_record *held, *cold;
    struct key key = url_key_of(1);
    cold = vary_record_cold(&key);
    held = learn(table, cold);
    vary_record_unref(&cold);
    assert_true(grow(table, 1, &a)); /* now it is unwritten */
    vary_record_unref(&held);
    for (unsigned url = 2; url < 500; url++) { /* a flood of cold URLs */
        struct key other = url_key_of(url);
        cold = vary_record_cold(&other);
        held = learn(table, cold);
        vary_record_unref(&cold);
        vary_record_unref(&held);
    }
    held = vary_table_find(table, &key);
    assert_non_null(held);
    assert_true(field_names_contain(&held->names, SLICE("a")));
    vary_record_unref(&held);
    assert_int_equal(vary_table_take(table, changes, 64), 1);
    vary_table_written(table, &changes[0], NULL);
    for (unsigned url = 500; url < 5000; url++) {
        struct key other = url_key_of(url);
        cold = vary_record_cold(&other);
        held = learn(table, cold);
        vary_record_unref(&cold);
        vary_record_unref(&held);
    }
    assert_null(vary_table_find(table, &key)); /* written and unused: it may go */
    vary_table_free(table);
    ram_free(ram);
}

static void test_2_5_a_union_made_without_asking_the_disk_is_no_answer(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(1 << 20, true, CAP, ram);
    const struct field_names a = names_of("a", NULL), b = names_of("b", NULL),
                             both = names_of("a", "b");
    struct key key = url_key_of(1), replaced;
    struct vary_change changes[4];
    struct vary_record *disk = vary_record_new(&key, &b, true, NULL, 0), *now;
    bool has_replaced;
    assert_true(grow(table, 1, &a));
    assert_null(vary_table_find(table, &key));
    assert_int_equal(admit(table, 1, 0, &a, &has_replaced, &replaced), VARY_DISK_ONLY);
    assert_false(in_ram(ram, 1, 0));
    now = learn(table, disk);
    assert_true(field_names_equal(&now->names, &both));
    vary_record_unref(&now);
    vary_record_unref(&disk);
    assert_int_equal(vary_table_take(table, changes, 4), 1); /* still to be written */
    vary_table_not_written(table, &changes[0]);
    assert_int_equal(vary_table_take(table, changes, 4), 1); /* the disk failed: again */
    assert_true(field_names_equal(&changes[0].record->names, &both));
    vary_table_written(table, &changes[0], NULL);
    assert_int_equal(vary_table_dirty(table), 0);
    vary_table_free(table);
    ram_free(ram);
}

static void test_2_5_a_union_that_is_wider_on_the_disk_comes_back_to_memory(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(1 << 20, true, CAP, ram);
    const struct field_names a = names_of("a", NULL), both = names_of("a", "b");
    struct key key = url_key_of(1), replaced;
    struct vary_change change;
    bool has_replaced;
    struct vary_record *cold = vary_record_cold(&key), *now;
    struct vary_record *disk = vary_record_new(&key, &both, true, NULL, 0);
    now = learn(table, cold);
    vary_record_unref(&now);
    assert_true(grow(table, 1, &a));
    assert_int_equal(admit(table, 1, 0, &a, &has_replaced, &replaced), VARY_ADMITTED);
    assert_int_equal(vary_table_take(table, &change, 1), 1);
    vary_table_written(table, &change, disk); /* the other process had grown it by b */
    now = vary_table_find(table, &key);
    assert_true(field_names_equal(&now->names, &both));
    assert_false(in_ram(ram, 1, 0));
    vary_record_unref(&now);
    vary_record_unref(&disk);
    vary_record_unref(&cold);
    vary_table_free(table);
    ram_free(ram);
}

static void test_2_5_a_slow_read_does_not_bring_back_a_smaller_union(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(1 << 20, true, CAP, ram);
    const struct field_names a = names_of("a", NULL);
    struct key key = url_key_of(1);
    struct vary_record *old = vary_record_new(&key, &no_names, true, NULL, 0), *now;
    struct vary_reading reading;
    vary_table_begin_reading(table, &key, &reading);
    assert_true(grow(table, 1, &a));
    assert_false(vary_table_end_reading(table, &reading, old, &now));
    assert_null(vary_table_find(table, &key)); /* still a part: the next read completes it */
    const struct recipe r = {.url = 1};
    struct object *object = object_make(&r); /* under the empty union */
    assert_false(vary_table_learn_object(table, object, true, ram_changes(ram, &object->key)));
    object_unref(&object);
    vary_record_unref(&old);
    vary_table_free(table);
    ram_free(ram);
}

static void test_2_5_a_read_is_not_disturbed_by_what_becomes_of_other_urls(void **state)
{
    (void)state;
    enum { NEIGHBOURS = 1000 /* some of them in the same shard */ };
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(1 << 20, true, CAP, ram);
    struct key key = url_key_of(0), replaced;
    struct vary_record *cold = vary_record_cold(&key), *now;
    struct vary_reading reading;
    bool has_replaced;
    vary_table_begin_reading(table, &key, &reading);
    for (unsigned url = 1; url < NEIGHBOURS; url++)
        assert_true(grow(table, url, &no_names));
    assert_true(vary_table_end_reading(table, &reading, cold, &now));
    vary_record_unref(&now);
    /* what the disk said is remembered, so the page that follows is had from memory at once */
    assert_true(grow(table, 0, &no_names));
    assert_int_equal(admit(table, 0, 0, &no_names, &has_replaced, &replaced), VARY_ADMITTED);
    assert_true(in_ram(ram, 0, 0));
    vary_record_unref(&cold);
    vary_table_free(table);
    ram_free(ram);
}

/* A record that is known for certain, of a table with a store. */
static void learn_cold(struct vary_table *table, unsigned url)
{
    struct key key = url_key_of(url);
    struct vary_record *cold = vary_record_cold(&key), *now;
    now = learn(table, cold);
    vary_record_unref(&now);
    vary_record_unref(&cold);
    assert_true(grow(table, url, &no_names));
}

static size_t variants_of(struct vary_table *table, unsigned url)
{
    struct key key = url_key_of(url);
    struct vary_record *record = vary_table_find(table, &key);
    size_t count = record->variant_count;
    vary_record_unref(&record);
    return count;
}

static void
test_2_5_the_cap_holds_for_variants_that_were_replaced_while_they_were_written(void **state)
{
    enum { FLOOD = 3 * CAP };
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(1 << 20, true, CAP, ram);
    struct object *objects[FLOOD];
    learn_cold(table, 1);
    for (unsigned i = 0; i < FLOOD; i++) { /* they come faster than the disk takes them */
        bool has_replaced;
        struct key replaced;
        const struct recipe r = {.url = 1, .variant = i};
        objects[i] = object_make(&r);
        assert_int_equal(vary_table_admit(table, objects[i], true, &has_replaced, &replaced),
                         VARY_ADMITTED);
        assert_int_equal(has_replaced, i >= CAP);
    }
    for (unsigned i = 0; i < FLOOD; i++) {
        vary_table_settle(table, objects[i], true, true);
        assert_int_equal(variants_of(table, 1), CAP);
    }
    /* a reader that found one of them before it left the disk */
    assert_true(
        vary_table_learn_object(table, objects[0], true, ram_changes(ram, &objects[0]->key)));
    assert_int_equal(variants_of(table, 1), CAP);
    for (unsigned i = 0; i < FLOOD; i++) {
        assert_int_equal(in_ram(ram, 1, i), i >= FLOOD - CAP);
        object_unref(&objects[i]);
    }
    vary_table_free(table);
    ram_free(ram);
}

static void test_2_5_at_the_cap_the_oldest_leaves_for_one_that_the_disk_has(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(1 << 20, true, CAP, ram);
    learn_cold(table, 1);
    for (unsigned i = 0; i <= CAP; i++) {
        const struct recipe r = {.url = 1, .variant = i};
        struct object *object = object_make(&r);
        vary_table_settle(table, object, false, true); /* it was admitted to the disk only */
        assert_int_equal(variants_of(table, 1), i < CAP ? i + 1 : CAP);
        object_unref(&object);
    }
    struct key key = url_key_of(1), first = variant_key_of(1, 0), last = variant_key_of(1, CAP);
    struct vary_record *record = vary_table_find(table, &key);
    assert_false(vary_record_lists(record, &first));
    assert_true(vary_record_lists(record, &last));
    vary_record_unref(&record);
    vary_table_free(table);
    ram_free(ram);
}

static void test_a_dead_disk_ends_the_growth_of_new_urls_only(void **state)
{
    (void)state;
    struct ram *ram = ram_new(1 << 20);
    struct vary_table *table = vary_table_new(1 << 20, true, CAP, ram);
    const struct field_names a = names_of("a", NULL), b = names_of("b", NULL);
    unsigned url = 0;
    while (grow(table, url, &a))
        url++;
    assert_int_equal(vary_table_dirty(table), url);
    assert_true(url >= 1000);
    assert_true(grow(table, 0, &b)); /* a known URL's growth is never refused */
    struct vary_change change;
    assert_int_equal(vary_table_take(table, &change, 1), 1);
    vary_table_written(table, &change, NULL);
    assert_true(grow(table, url, &a));
    vary_table_free(table);
    ram_free(ram);
}

/* --- threads --- */

struct shared {
    struct ram *ram;
    struct vary_table *table;
    atomic_bool is_done;
};

/* An object must never lie in RAM under another union than its URL's. */
static void *store_and_grow(void *arg)
{
    struct shared *shared = arg;
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    for (unsigned i = 0; i < 4000; i++) {
        seed = seed * 6364136223846793005u + 1;
        unsigned url = (unsigned)(seed >> 33) % 8;
        struct key key = url_key_of(url), replaced;
        struct vary_record *record;
        const struct field_names more = names_of_bits((unsigned)(seed >> 40) % 64 == 0 ? 1u : 0);
        bool has_replaced;
        if (seed >> 58 == 0)
            vary_table_reset(shared->table, &key);
        MUST(vary_table_grow(shared->table, &key, &more, &record));
        admit(shared->table, url, (unsigned)(seed >> 50) % VARIANTS, &record->names, &has_replaced,
              &replaced);
        vary_record_unref(&record);
        ram_shrink(shared->ram);
    }
    return NULL;
}

static void *write_changes(void *arg)
{
    struct shared *shared = arg;
    struct vary_change changes[8];
    while (!atomic_load(&shared->is_done)) {
        size_t count = vary_table_take(shared->table, changes, 8);
        for (size_t i = 0; i < count; i++) {
            if (i % 2)
                vary_table_not_written(shared->table, &changes[i]);
            else
                vary_table_written(shared->table, &changes[i], NULL);
        }
    }
    return NULL;
}

static void test_threads_never_leave_an_object_under_an_outgrown_union(void **state)
{
    (void)state;
    struct ram *ram = ram_new(8 << 20);
    struct shared shared = {ram, vary_table_new(8 << 20, true, CAP, ram), false};
    for (unsigned url = 0; url < 8; url++) {
        struct key key = url_key_of(url);
        struct vary_record *cold = vary_record_cold(&key), *now;
        now = learn(shared.table, cold);
        vary_record_unref(&cold);
        vary_record_unref(&now);
    }
    pthread_t threads[3], writer;
    assert_int_equal(pthread_create(&writer, NULL, write_changes, &shared), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, store_and_grow, &shared), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&shared.is_done, true);
    pthread_join(writer, NULL);
    for (unsigned url = 0; url < 8; url++) {
        struct key url_key = url_key_of(url);
        struct vary_record *record = vary_table_find(shared.table, &url_key);
        for (unsigned variant = 0; variant < VARIANTS; variant++) {
            struct key key = variant_key_of(url, variant);
            struct object *object = ram_peek(ram, &key);
            if (object)
                assert_true(record && vary_record_lists(record, &key) &&
                            object->union_hash == union_hash_of(&record->names));
            object_unref(&object);
        }
        vary_record_unref(&record);
    }
    vary_table_free(shared.table);
    ram_free(ram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_5_random_operations_agree_with_a_model),
        cmocka_unit_test(test_2_5_growing_drops_the_variants_of_the_smaller_union),
        cmocka_unit_test(test_2_5_a_record_in_use_or_unwritten_stays_in_memory),
        cmocka_unit_test(test_2_5_a_union_made_without_asking_the_disk_is_no_answer),
        cmocka_unit_test(test_2_5_a_union_that_is_wider_on_the_disk_comes_back_to_memory),
        cmocka_unit_test(test_2_5_a_slow_read_does_not_bring_back_a_smaller_union),
        cmocka_unit_test(test_2_5_a_read_is_not_disturbed_by_what_becomes_of_other_urls),
        cmocka_unit_test(
            test_2_5_the_cap_holds_for_variants_that_were_replaced_while_they_were_written),
        cmocka_unit_test(test_2_5_at_the_cap_the_oldest_leaves_for_one_that_the_disk_has),
        cmocka_unit_test(test_a_dead_disk_ends_the_growth_of_new_urls_only),
        cmocka_unit_test(test_threads_never_leave_an_object_under_an_outgrown_union),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
