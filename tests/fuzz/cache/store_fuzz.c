/*
 * A real store with a row of an object in it that may be anything (checksummed, as a mistake of
 * ours or of the disk's would leave it), and bodies that fit it or not. Reading gives a whole
 * object or none; and whatever the row was, its place can be used again.
 *
 *   input = index row, without its checksum, magic and key; number of chunks of a body that are
 *           there (1 byte), bytes of the last one (2 bytes), then 0 for the head of a real object
 *           or anything else for the head that follows
 */
#include "cache/store_env.h"

#include "tests/fuzz/input.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SEQUENCES = 8, CHUNKS_MAX = 4 };

static char directory[] = "/tmp/varve-store-fuzz-XXXXXX";
static struct store *store;
static struct store_reader *reader;
static const wall_time now = {1800000000000};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void close_store(void)
{
    store_reader_close(reader);
    MUST(store_close(store) == 0);
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char error[256] = "";
    (void)argc, (void)argv;
    MUST(mkdtemp(directory));
    const struct store_config config = {.path = slice_of_string(directory),
                                        .max_bytes = STORE_BYTES_MIN,
                                        .max_object_bytes = 1 << 20,
                                        .max_variants = 4};
    store = store_open(&config, error);
    MUST(store && store_reader_open(store, &reader) == 0);
    atexit(close_store);
    return 0;
}

static struct object *object_make(void)
{
    struct arena arena;
    struct fields fields;
    struct blob *body = blob_new(BODY_CHUNK_BYTES + 10);
    memset(body->bytes, 'b', body->len);
    arena_init(&arena);
    fields_init(&fields, &arena);
    fields_add(&fields, SLICE("content-type"), SLICE("text/html"));
    struct object_parts parts = {.key_text = SLICE("s4:httph1:ap1:/m1:G"),
                                 .url_text = SLICE("s4:httph1:ap1:/m1:G"),
                                 .scheme = SLICE("http"),
                                 .host = SLICE("a"),
                                 .path = SLICE("/"),
                                 .facts = {.status = 200},
                                 .fields = &fields,
                                 .body = body};
    struct object *object = object_new(&parts);
    arena_fini(&arena);
    return object;
}

/* As many chunks as there are to be, of sequence 1 to SEQUENCES. */
static void write_chunks(uint64_t sequence, unsigned coding, size_t count, size_t last_bytes)
{
    static char bytes[CHUNKS_MAX * BODY_CHUNK_BYTES];
    size_t len = count ? (count - 1) * BODY_CHUNK_BYTES + last_bytes : 0;
    MUST(body_delete(store, sequence) == 0);
    if (len)
        MUST(body_put(store, sequence, coding, slice_of(bytes, len), 0, len) == 0);
}

static struct index_row take_row(slice *input)
{
    struct index_row row;
    take_bytes(input, &row, sizeof(row));
    row.sequence = row.sequence % SEQUENCES;
    for (size_t i = 0; i < CODING_COUNT; i++)
        row.bodies[i].sequence = row.bodies[i].sequence % SEQUENCES;
    return row;
}

static void write_row(slice input, const struct object *object)
{
    struct index_row row = take_row(&input);
    size_t count = take_byte(&input) % (CHUNKS_MAX + 1);
    uint16_t last;
    take_bytes(&input, &last, sizeof(last));
    bool is_real = take_byte(&input) == 0;
    slice head = is_real ? slice_of(object->head->bytes, object->head->len) : input;
    MUST(store_begin(store) == 0);
    for (unsigned i = 0; i < CODING_COUNT; i++)
        if (row.bodies[i].sequence)
            write_chunks(row.bodies[i].sequence, i, count, last % BODY_CHUNK_BYTES + 1);
    MUST(index_put(store, &object->key, &row, head) == 0);
    MUST(store_commit(store) == 0);
}

static void read_row(const struct key *key)
{
    struct object *object = NULL;
    uint64_t body_bytes[CODING_COUNT];
    bool is_damaged;
    int rc = store_read_object(reader, key, &object, &is_damaged);
    MUST(rc == 0 ? object && !is_damaged : rc == STORE_NOT_FOUND && !object);
    MUST(!object || key_equal(&object->key, key));
    object_unref(&object);
    rc = store_read_head(reader, key, &object, body_bytes);
    MUST(rc == 0 || rc == STORE_NOT_FOUND);
    object_unref(&object);
}

static void write_over(struct object *object)
{
    struct store_put put = {.object = object};
    struct object *again = NULL;
    bool is_damaged;
    MUST(store_begin(store) == 0);
    MUST(store_put(store, &put, now) == 0);
    if (put.outcome == STORE_OLDER) { /* the row says that it is of a later request */
        MUST(store_remove(store, &object->key, now) == 0);
        MUST(store_put(store, &put, now) == 0);
    }
    MUST(put.outcome == STORE_WRITTEN && store_commit(store) == 0);
    MUST(store_read_object(reader, &object->key, &again, &is_damaged) == 0);
    MUST(again->bodies[0]->len == object->bodies[0]->len);
    object_unref(&again);
    MUST(store_begin(store) == 0);
    MUST(store_remove(store, &object->key, now) == 0 && store_commit(store) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct object *object = object_make();
    write_row(input_of(data, size < 4096 ? size : 4096), object);
    read_row(&object->key);
    write_over(object);
    object_unref(&object);
    return 0;
}
