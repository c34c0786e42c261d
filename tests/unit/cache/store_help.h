/* Objects, keys and directories for the tests of the cache. */
#pragma once

#include "base/arena.h"
#include "base/must.h"
#include "cache/cache.h"
#include "cache/vary.h"

#include "tests/unit/tree.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

/* --- random numbers that are the same in each run --- */

static uint64_t random_state = 88172645463325252u;

UNUSED static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

UNUSED static uint64_t random_below(uint64_t n)
{
    return random_next() % n;
}

/* --- directories --- */

UNUSED static const char *temp_directory(void)
{
    static char name[64];
    snprintf(name, sizeof(name), "/tmp/varve-test-XXXXXX");
    MUST(mkdtemp(name));
    return name;
}

/* --- objects --- */

/* What a test says of an object; the rest follows from it. */
struct recipe {
    unsigned url, variant, version;
    size_t body_bytes;
    const struct field_names *names; /* NULL: the empty union */
    uint64_t stamp;
    int64_t response_ms, took_ms, mono_ms; /* of the response, of both clocks */
    uint32_t keep_old_s;
};

UNUSED static slice format(char *buffer, size_t size, const char *text, unsigned a, unsigned b)
{
    int len = snprintf(buffer, size, text, a, b);
    return slice_of(buffer, (size_t)len);
}

/* Each 8 bytes of a body depend on all of its recipe: no two bodies share a chunk. */
UNUSED static struct blob *body_make(const struct recipe *r)
{
    if (r->body_bytes == 0)
        return NULL;
    struct blob *blob = blob_new(r->body_bytes);
    uint64_t seed = (uint64_t)r->url << 40 ^ (uint64_t)r->variant << 24 ^ r->version;
    for (size_t at = 0; at < blob->len; at += 8) {
        uint64_t word = (seed + at) * 0x9e3779b97f4a7c15u;
        memcpy(blob->bytes + at, &word, blob->len - at < 8 ? blob->len - at : 8);
    }
    return blob;
}

UNUSED static bool body_is_of(const struct blob *blob, const struct recipe *r)
{
    struct blob *expected = body_make(r);
    bool same = (!blob && !expected) || (blob && expected && blob->len == expected->len &&
                                         memcmp(blob->bytes, expected->bytes, blob->len) == 0);
    blob_unref(&expected);
    return same;
}

UNUSED static slice url_text_of(unsigned url, char buffer[64])
{
    return format(buffer, 64, "http|example.com|/page/%u", url, 0);
}

UNUSED static slice key_text_of(unsigned url, unsigned variant, char buffer[64])
{
    return format(buffer, 64, "http|example.com|/page/%u|variant=%u", url, variant);
}

UNUSED static struct key url_key_of(unsigned url)
{
    char buffer[64];
    return key_of(url_text_of(url, buffer));
}

UNUSED static struct key variant_key_of(unsigned url, unsigned variant)
{
    char buffer[64];
    return key_of(key_text_of(url, variant, buffer));
}

UNUSED static struct object *object_make(const struct recipe *r)
{
    static const struct field_names empty;
    char key_text[64], url_text[64], path[64], version[64];
    struct arena arena;
    struct fields fields;
    arena_init(&arena);
    fields_init(&fields, &arena);
    fields_add(&fields, SLICE("content-type"), SLICE("text/html"));
    fields_add(&fields, SLICE("x-version"), format(version, 64, "%u.%u", r->version, r->variant));
    int64_t response_ms = r->response_ms ? r->response_ms : (int64_t)r->version;
    struct object_parts parts = {
        .key_text = key_text_of(r->url, r->variant, key_text),
        .url_text = url_text_of(r->url, url_text),
        .scheme = SLICE("http"),
        .host = SLICE("example.com"),
        .path = format(path, 64, "/page/%u", r->url, 0),
        .facts = {.status = 200,
                  .request_time = {response_ms - r->took_ms},
                  .response_time = {response_ms},
                  .response_mono = {r->mono_ms},
                  .keep_old_s = r->keep_old_s},
        .stamp = r->stamp,
        .names = r->names ? r->names : &empty,
        .fields = &fields,
        .body = body_make(r),
    };
    struct object *object = object_new(&parts);
    arena_fini(&arena);
    return object;
}

UNUSED static unsigned object_version(const struct object *object)
{
    uint64_t version = 0;
    slice value = object->fields[1].value;
    MUST(slice_to_u64(slice_until(value, slice_find(value, '.', 0)), &version));
    return (unsigned)version;
}

UNUSED static struct field_names names_of(const char *a, const char *b)
{
    struct field_names names = {.count = 0};
    if (a)
        MUST(field_names_add(&names, slice_of_string(a)));
    if (b)
        MUST(field_names_add(&names, slice_of_string(b)));
    return names;
}

/* --- asking the disk and waiting for the answer --- */

struct question {
    struct cache_read read;
    pthread_mutex_t mtx;
    pthread_cond_t cond;
    bool is_done;
};

UNUSED static void question_done(struct cache_read *read)
{
    struct question *q = read->owner;
    pthread_mutex_lock(&q->mtx);
    q->is_done = true;
    pthread_cond_signal(&q->cond);
    pthread_mutex_unlock(&q->mtx);
}

UNUSED static void question_ask(struct cache *cache, struct question *q)
{
    q->read.done = question_done;
    q->read.owner = q;
    pthread_mutex_init(&q->mtx, NULL);
    pthread_cond_init(&q->cond, NULL);
    cache_read_start(cache, &q->read);
    pthread_mutex_lock(&q->mtx);
    while (!q->is_done)
        pthread_cond_wait(&q->cond, &q->mtx);
    pthread_mutex_unlock(&q->mtx);
    pthread_cond_destroy(&q->cond);
    pthread_mutex_destroy(&q->mtx);
}

/* What a request does: memory first, then the disk. A reference or NULL. */
UNUSED static struct object *fetch_object(struct cache *cache, unsigned url, unsigned variant)
{
    char text[64];
    struct object *object = NULL;
    slice key_text = key_text_of(url, variant, text);
    struct key key = key_of(key_text);
    enum found found = cache_find_object(cache, &key, key_text, &object);
    if (found != FOUND_UNKNOWN)
        return found == FOUND_YES ? object : NULL;
    struct question q = {.read = {.kind = READ_OBJECT, .key = key, .key_text = key_text}};
    question_ask(cache, &q);
    return q.read.object;
}

UNUSED static struct vary_record *fetch_vary(struct cache *cache, unsigned url)
{
    struct vary_record *record = NULL;
    struct key key = url_key_of(url);
    if (cache_find_vary(cache, &key, &record) == FOUND_YES)
        return record;
    struct question q = {.read = {.kind = READ_VARY, .key = key}};
    question_ask(cache, &q);
    return q.read.vary;
}

/* Looks the URL up, grows its union by nothing, stores; as the steps of a request do. */
UNUSED static enum stored store_recipe(struct cache *cache, const struct recipe *r)
{
    static const struct field_names empty;
    struct key url_key = url_key_of(r->url);
    struct vary_record *before = fetch_vary(cache, r->url), *record;
    if (!cache_grow_vary(cache, &url_key, r->names ? r->names : &empty, &record)) {
        vary_record_unref(&before);
        return STORED_NOT_OUTGROWN;
    }
    struct object *object = object_make(r);
    enum stored stored = cache_store(cache, object);
    object_unref(&object);
    vary_record_unref(&record);
    vary_record_unref(&before);
    return stored;
}
