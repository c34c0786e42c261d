/* How an object's head is written and read. There is one way to fill a struct object: this. */
#include "cache/object_head.h"

#include "base/must.h"

#include <stdlib.h>

/*
 * The head, in the machine's byte order (an LMDB file belongs to its architecture anyway):
 *
 *     0  u32  magic "vob1"; the digit is the format
 *     4  u32  length of the whole head
 *     8       struct facts, 96 bytes
 *   104  u64  purge stamp
 *   112  u64  policy hash
 *   120  u64  union hash, 0: unknown
 *   128  u16  number of tags, at most TAGS_MAX
 *   130  u16  number of fields, at most STORED_FIELDS_MAX
 *   132  u8   coding of the body that the origin sent
 *   133  u8   1: there is a query, perhaps an empty one
 *   134  u16  0
 *   136  u32 × 2 × TEXT_COUNT   offset from the head's start and length of each text
 *   208  u64 × tags
 *     …  bytes of the texts. One that occurs inside an earlier one is not written again: scheme,
 *        host, path and query are parts of the URL text, and that is a part of the key text.
 *     …  fields: u16 length of name, u16 0, u32 length of value, name, value; nothing follows
 */
struct head {
    uint32_t magic, len;
    struct facts facts;
    uint64_t stamp, policy_hash, union_hash;
    uint16_t tag_count, field_count;
    uint8_t coding, has_query;
    uint16_t zero;
    struct {
        uint32_t at, len;
    } texts[9];
};

enum text { KEY_TEXT, URL_TEXT, SCHEME, HOST, PATH, QUERY, BUILD, REASON, VARIANT, TEXT_COUNT };
enum { HEAD_MAGIC = 0x31626f76 };

struct field_prefix {
    uint16_t name_len, zero;
    uint32_t value_len;
};

_Static_assert(sizeof(struct facts) == 96, "the format above");
_Static_assert(sizeof(struct head) == 208, "the format above");
_Static_assert(TEXT_COUNT == 9, "the format above");
_Static_assert(offsetof(struct blob, bytes) % 8 == 0, "tags are read in place");

/* --- writing a head --- */

struct writer {
    struct head head;
    char *bytes; /* NULL: only measure */
    size_t len;
};

static void put(struct writer *w, const void *bytes, size_t len)
{
    if (w->bytes && len)
        memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

/* `texts` are all of them: where this one occurs inside an earlier one it is not written again. */
static void put_text(struct writer *w, const slice *texts, enum text which)
{
    slice text = texts[which];
    w->head.texts[which].len = (uint32_t)text.len;
    for (enum text i = KEY_TEXT; i < which && i <= URL_TEXT; i++) {
        size_t at = text.len ? slice_search(texts[i], text) : 0;
        if (at < texts[i].len) {
            w->head.texts[which].at = w->head.texts[i].at + (uint32_t)at;
            return;
        }
    }
    w->head.texts[which].at = (uint32_t)w->len;
    put(w, text.ptr, text.len);
}

static void put_field(struct writer *w, const struct field *field)
{
    MUST(field->name.len <= UINT16_MAX && field->value.len <= UINT32_MAX);
    struct field_prefix prefix = {(uint16_t)field->name.len, 0, (uint32_t)field->value.len};
    put(w, &prefix, sizeof(prefix));
    put(w, field->name.ptr, field->name.len);
    put(w, field->value.ptr, field->value.len);
}

static void put_all(struct writer *w, const struct object_parts *parts, uint64_t union_hash)
{
    const slice texts[TEXT_COUNT] = {
        [KEY_TEXT] = parts->key_text,
        [URL_TEXT] = parts->url_text,
        [SCHEME] = parts->scheme,
        [HOST] = parts->host,
        [PATH] = parts->path,
        [QUERY] = parts->query,
        [BUILD] = parts->build,
        [REASON] = parts->reason_phrase,
        [VARIANT] = parts->variant_text,
    };
    w->head = (struct head){
        .magic = HEAD_MAGIC,
        .facts = parts->facts,
        .stamp = parts->stamp,
        .policy_hash = parts->policy_hash,
        .union_hash = union_hash,
        .tag_count = (uint16_t)parts->tag_count,
        .field_count = (uint16_t)parts->fields->count,
        .coding = (uint8_t)parts->coding,
        .has_query = parts->has_query,
    };
    w->len = sizeof(w->head);
    put(w, parts->tag_hashes, parts->tag_count * sizeof(uint64_t));
    for (enum text i = KEY_TEXT; i < TEXT_COUNT; i++)
        put_text(w, texts, i);
    for (size_t i = 0; i < parts->fields->count; i++)
        put_field(w, &parts->fields->at[i]);
    MUST(w->len <= UINT32_MAX);
    w->head.len = (uint32_t)w->len;
    if (w->bytes)
        memcpy(w->bytes, &w->head, sizeof(w->head));
}

struct blob *object_head_encode(const struct object_parts *parts, uint64_t union_hash)
{
    MUST(parts->tag_count <= TAGS_MAX && parts->fields->count <= STORED_FIELDS_MAX);
    MUST(parts->coding < CODING_COUNT);
    struct writer measure = {0};
    put_all(&measure, parts, union_hash);
    struct blob *blob = blob_new(measure.len);
    struct writer write = {.bytes = blob->bytes};
    put_all(&write, parts, union_hash);
    return blob;
}

/* --- reading a head --- */

static bool head_is_valid(const struct head *head, size_t len)
{
    if (head->magic != HEAD_MAGIC || head->len != len || head->zero)
        return false;
    if (head->tag_count > TAGS_MAX || head->field_count > STORED_FIELDS_MAX)
        return false;
    if (head->coding >= CODING_COUNT || head->has_query > 1)
        return false;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        if (head->texts[i].at > len || head->texts[i].len > len - head->texts[i].at)
            return false;
    }
    return true;
}

bool object_head_facts(slice bytes, struct facts *facts)
{
    struct head head;
    if (bytes.len < sizeof(head))
        return false;
    memcpy(&head, bytes.ptr, sizeof(head));
    if (!head_is_valid(&head, bytes.len))
        return false;
    *facts = head.facts;
    return true;
}

/* Fields stand behind the texts; the last text that was written in full ends where they begin. */
static size_t fields_start(const struct head *head)
{
    size_t end = sizeof(*head) + head->tag_count * sizeof(uint64_t);
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        size_t text_end = (size_t)head->texts[i].at + head->texts[i].len;
        if (text_end > end)
            end = text_end;
    }
    return end;
}

static bool read_field(slice bytes, size_t *at, struct field *field)
{
    struct field_prefix prefix;
    if (bytes.len - *at < sizeof(prefix))
        return false;
    memcpy(&prefix, bytes.ptr + *at, sizeof(prefix));
    *at += sizeof(prefix);
    if (prefix.zero || bytes.len - *at < prefix.name_len ||
        bytes.len - *at - prefix.name_len < prefix.value_len)
        return false;
    field->name = slice_of(bytes.ptr + *at, prefix.name_len);
    field->value = slice_of(bytes.ptr + *at + prefix.name_len, prefix.value_len);
    field->id = field_id_of(field->name);
    *at += (size_t)prefix.name_len + prefix.value_len;
    return true;
}

static bool read_fields(struct object *object, struct field *fields, size_t start)
{
    slice bytes = slice_of(object->head->bytes, object->head->len);
    size_t at = start;
    if (at > bytes.len)
        return false;
    for (size_t i = 0; i < object->field_count; i++) {
        if (!read_field(bytes, &at, &fields[i]))
            return false;
        if (fields[i].id == FIELD_CONTENT_TYPE && slice_is_empty(object->content_type))
            object->content_type = fields[i].value;
    }
    return at == bytes.len;
}

static slice text_at(const struct head *head, const struct blob *blob, enum text which)
{
    return slice_of(blob->bytes + head->texts[which].at, head->texts[which].len);
}

static void read_texts(struct object *object, const struct head *head)
{
    const struct blob *blob = object->head;
    object->key_text = text_at(head, blob, KEY_TEXT);
    object->url_text = text_at(head, blob, URL_TEXT);
    object->scheme = text_at(head, blob, SCHEME);
    object->host = text_at(head, blob, HOST);
    object->path = text_at(head, blob, PATH);
    object->query = text_at(head, blob, QUERY);
    object->build = text_at(head, blob, BUILD);
    object->reason_phrase = text_at(head, blob, REASON);
    object->variant_text = text_at(head, blob, VARIANT);
    object->key = key_of(object->key_text);
    object->url_key = key_of(object->url_text);
}

struct object *object_decode_blob(struct blob *blob)
{
    struct head head;
    struct object *object = NULL;
    if (blob->len < sizeof(head))
        goto bad;
    memcpy(&head, blob->bytes, sizeof(head));
    if (!head_is_valid(&head, blob->len))
        goto bad;
    object = mem_alloc(sizeof(*object) + head.field_count * sizeof(struct field));
    struct field *fields = (struct field *)(object + 1);
    object->head = blob;
    object->field_count = head.field_count;
    if (!read_fields(object, fields, fields_start(&head)))
        goto bad;
    object->fields = fields;
    object->facts = head.facts;
    object->stamp = head.stamp;
    object->policy_hash = head.policy_hash;
    object->union_hash = head.union_hash;
    object->tag_count = head.tag_count;
    object->tag_hashes = (const uint64_t *)(const void *)(blob->bytes + sizeof(head));
    object->has_query = head.has_query;
    object->coding = head.coding;
    read_texts(object, &head);
    atomic_init(&object->refs, 1);
    return object;
bad:
    free(object);
    blob_unref(&blob);
    return NULL;
}

struct object *object_decode(slice head)
{
    struct blob *blob = blob_new(head.len);
    if (head.len)
        memcpy(blob->bytes, head.ptr, head.len);
    return object_decode_blob(blob);
}
