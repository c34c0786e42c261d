/*
 * DELIVER: from a stored object or a flight's head to the answer that this client gets: 304 or
 * body or parts of it, the coding it can read, Age, Vary, Cache-Status.
 */
#include "base/must.h"
#include "edge/request/fallback.h"
#include "edge/request/partial.h"
#include "edge/request/steps.h"
#include "policy/date.h"
#include "policy/via.h"

/* --- the head --- */

static void send_pieces(struct exchange *ex, const struct sink_head *head, const slice *pieces,
                        size_t count)
{
    ex->status = head->status;
    sink_start(ex->sink, head);
    sink_send(ex->sink, pieces, count, true); /* `gone` may come inside: nothing after it */
}

void send_whole(struct exchange *ex, const struct sink_head *head, slice body)
{
    send_pieces(ex, head, &body, body.len ? 1 : 0);
}

static void apply_client_cache(const struct exchange *ex, struct fields *fields)
{
    slice client_cache = ex->decision.route->client_cache;
    if (!client_cache.len)
        return;
    fields_remove_id(fields, FIELD_EXPIRES);
    fields_set_id(fields, FIELD_CACHE_CONTROL,
                  slice_equal(client_cache, SLICE("none")) ? SLICE("no-cache") : client_cache);
}

/* Fields of a stored or shared answer, without those that are made anew for each client. */
static void copy_fields(struct fields *fields, const struct fields *from)
{
    const struct field *stored = from->at;
    bool coding_is_ours = coding_of_response(from) != CODING_UNKNOWN;
    for (size_t i = 0; i < from->count; i++) {
        switch (stored[i].id) {
        case FIELD_AGE:
        case FIELD_DATE:
        case FIELD_CONTENT_LENGTH:
        case FIELD_VARY:
        case FIELD_SERVER_TIMING:
            break;
        case FIELD_CONTENT_ENCODING: /* one that varve does not know belongs to the bytes */
            if (coding_is_ours)
                break;
            fields_push(fields, &stored[i]);
            break;
        default:
            fields_push(fields, &stored[i]);
        }
    }
}

static void add_vary(struct exchange *ex, struct fields *fields, const struct facts *facts,
                     const struct fields *stored)
{
    slice vary = client_vary(ex->server->policy, facts, stored, &ex->arena);
    if (vary.len)
        fields_add_id(fields, FIELD_VARY, vary);
}

/* On what a renderer was asked for, whether or not its answer is the one that is given. */
static void add_server_timing(struct exchange *ex, struct fields *fields)
{
    if (ex->worker.len)
        fields_add_id(fields, FIELD_SERVER_TIMING,
                      arena_printf(&ex->arena, "queue;dur=%lld, render;dur=%lld",
                                   (long long)ex->queued.ms, (long long)ex->rendered.ms));
}

/* A body that varve coded or decoded is another representation: its ETag is no longer strong
 * (semantics 4.7). */
static void weaken_etag(struct exchange *ex, struct fields *fields)
{
    slice etag = fields_value(fields, FIELD_ETAG);
    if (etag.len && !slice_starts_with(etag, SLICE("W/")))
        fields_set_id(fields, FIELD_ETAG,
                      arena_concat(&ex->arena, (slice[]){SLICE("W/"), etag}, 2));
}

/* --- from an object --- */

/* Parts are of the identity body: those of coded ones would be of no use to a client that has read
 * another coding (semantics 4.7). */
static bool wants_identity(const struct exchange *ex)
{
    return range_is_asked(ex->request);
}

static enum coding best_coding(struct exchange *ex, const struct object *object)
{
    unsigned accepted = codings_accepted(&ex->request->fields);
    const struct policy *policy = ex->server->policy;
    if (object->facts.flags & FACT_NO_TRANSFORM) /* whatever was made of it before it said so */
        return object->coding;
    if (wants_identity(ex) && object->bodies[CODING_IDENTITY])
        return CODING_IDENTITY;
    for (size_t i = 0; i < policy->compress_codings.count; i++) {
        enum coding coding =
            slice_equal(policy->compress_codings.at[i], SLICE("br")) ? CODING_BR : CODING_GZIP;
        if (!(accepted & 1u << coding))
            continue;
        if (object->bodies[coding])
            return coding;
        if (compressor_wants(policy, object))
            compressor_ask(ex->server->compressor, ex->delivered, coding);
        break; /* the best one only: until it is made, the next best that is there */
    }
    if (object->bodies[object->coding] && accepted & 1u << object->coding)
        return object->coding;
    for (enum coding coding = CODING_IDENTITY; coding < CODING_COUNT; coding++)
        if (object->bodies[coding] && accepted & 1u << coding)
            return coding;
    return object->bodies[CODING_IDENTITY] ? CODING_IDENTITY : object->coding;
}

/* Only a coded body is there and the client cannot read it, or wants a part of what it says. */
static bool is_to_be_decoded(const struct exchange *ex, const struct object *object)
{
    if (object->coding == CODING_IDENTITY || object->bodies[CODING_IDENTITY] ||
        !object->bodies[object->coding] || object->facts.flags & FACT_NO_TRANSFORM)
        return false;
    return wants_identity(ex) || !coding_is_readable(object->coding, &ex->request->fields);
}

static void decoding_is_done(struct decoding *decoding)
{
    struct exchange *ex = container_of(decoding, struct exchange, decoding);
    loop_post(ex->loop, &ex->decoded);
}

/* Not on this loop: it may take a while. False: it is known that it cannot be decoded. */
static bool start_decoding(struct exchange *ex)
{
    ex->decoding.done = decoding_is_done;
    ex->is_decoding = compressor_decode(ex->server->compressor, ex->delivered, &ex->decoding);
    return ex->is_decoding;
}

/* Digests of bytes that the client does not get (RFC 9530 §2, §3, RFC 3230). */
static void remove_digests(struct fields *fields)
{
    static const enum field_id digests[] = {FIELD_CONTENT_DIGEST, FIELD_REPR_DIGEST, FIELD_DIGEST,
                                            FIELD_CONTENT_MD5};
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
        fields_remove_id(fields, digests[i]);
}

static void build_fields(struct exchange *ex, const struct object *object, enum coding coding,
                         struct fields *fields)
{
    struct fields stored = {
        .arena = &ex->arena, .at = (struct field *)object->fields, .count = object->field_count};
    duration age = facts_age(&object->facts, loop_now(ex->loop));
    ex->age = age;
    copy_fields(fields, &stored);
    if (coding != CODING_IDENTITY)
        fields_add_id(fields, FIELD_CONTENT_ENCODING, coding_name(coding));
    if (coding != object->coding) {
        weaken_etag(ex, fields);
        remove_digests(fields);
    }
    apply_client_cache(ex, fields);
    add_vary(ex, fields, &object->facts, &stored);
    fields_add_id(fields, FIELD_AGE, arena_decimal(&ex->arena, age.ms / 1000));
    add_server_timing(ex, fields);
    via_add(fields, SLICE("1.1"), &ex->arena);
    add_object_status(ex, fields, object);
}

/* To the sink 0 is "now": the first second of 1970 is said by its first millisecond. */
static wall_time date_said(wall_time date)
{
    return (wall_time){date.ms ? date.ms : 1};
}

static void send_object(struct exchange *ex)
{
    const struct object *object = ex->delivered;
    enum coding coding = best_coding(ex, object);
    struct fields fields;
    fields_init(&fields, &ex->arena);
    build_fields(ex, object, coding, &fields);
    struct blob *body = object->bodies[coding];
    struct sink_head head = {.status = object->facts.status,
                             .reason = object->reason_phrase,
                             .fields = &fields,
                             .length = body ? body->len : 0,
                             .date = date_said(object->facts.date)};
    struct fields stored = {
        .arena = &ex->arena, .at = (struct field *)object->fields, .count = object->field_count};
    bool is_unchanged = object->facts.status == 200 &&
                        conditional_is_not_modified(ex->request, &stored, object->facts.date);
    if (is_unchanged) {
        head.status = 304;
        head.reason = SLICE("Not Modified");
        head.length = SIZE_MAX;
        fields_keep_for_304(&fields);
        body = NULL;
    }
    if (head.status == 204)
        head.length = SIZE_MAX;
    slice whole = body ? slice_of(body->bytes, body->len) : SLICE_NONE;
    slice pieces[PARTIAL_PIECES_MAX] = {whole};
    size_t count = whole.len ? 1 : 0;
    if (head.status == 200 && coding == CODING_IDENTITY)
        count = partial_pieces(ex, &head, &fields, whole, pieces);
    send_pieces(ex, &head, pieces, count);
}

/* Kept for when the pass fails; a 304 may have made it in the place of what was found. */
static enum step pass_beside_undecodable(struct exchange *ex)
{
    object_unref(&ex->found.object);
    ex->found.object = ex->delivered;
    ex->delivered = NULL;
    if (ex->outcome != OUTCOME_STALE)
        ex->found.freshness = FRESH;
    ex->found.reason = REASON_VARY_MISMATCH;
    ex->is_found_undecodable = true;
    return pass_for_itself(ex);
}

/* It is damaged, or too long. Who cannot read it as it is had better ask for himself, unless it is
 * given because that has come to nothing. */
static enum step deliver_undecoded(struct exchange *ex)
{
    bool is_last_resort = ex->outcome == OUTCOME_STALE && fallback_is_last(ex->reason);
    if (!is_last_resort && !coding_is_readable(ex->delivered->coding, &ex->request->fields))
        return pass_beside_undecodable(ex);
    send_object(ex);
    return STEP_DONE;
}

enum step deliver_object(struct exchange *ex, struct object *object, enum outcome outcome,
                         enum reason reason)
{
    ex->outcome = outcome;
    ex->reason = reason;
    ex->delivered = object_ref(object);
    if (is_to_be_decoded(ex, object))
        return start_decoding(ex) ? STEP_DECODE : deliver_undecoded(ex);
    send_object(ex);
    return STEP_DONE;
}

enum step deliver_decoded(struct exchange *ex)
{
    if (!ex->decoding.plain)
        return deliver_undecoded(ex);
    struct object *coded = ex->delivered; /* its head may be newer, by a 304 */
    struct blob *plain = ex->decoding.plain->bodies[CODING_IDENTITY];
    ex->delivered = object_with_coding(coded, CODING_IDENTITY, blob_ref(plain));
    object_unref(&coded);
    object_unref(&ex->decoding.plain);
    send_object(ex);
    return STEP_DONE;
}

/* --- from a flight --- */

/* One that is not there or cannot be read is the time of receipt (RFC 9110 §6.6.1), which is what
 * hits will say. */
static wall_time date_of(const struct exchange *ex, const struct flight_head *head)
{
    wall_time date;
    if (http_date_parse(fields_value(head->fields, FIELD_DATE), ex->started.wall, &date))
        return date_said(date);
    return head->facts ? date_said(head->facts->date) : (wall_time){0};
}

/* Who joined is given what was said to somebody else, as a hit is (RFC 9111 §5.1). */
static bool has_aged(const struct exchange *ex, const struct flight_head *head, duration *age)
{
    if (ex->waiter.is_leader || !head->facts)
        return false;
    *age = facts_age(head->facts, loop_now(ex->loop));
    return age->ms >= 1000;
}

/* As the origin sent them, several Server-Timing lines and Age included: this is a miss, though not
 * everybody's own. */
static void copy_forwarded_fields(struct exchange *ex, const struct flight_head *head,
                                  struct fields *fields)
{
    duration age;
    bool is_aged = has_aged(ex, head, &age);
    for (size_t i = 0; i < head->fields->count; i++) {
        struct field field = head->fields->at[i];
        bool is_made_anew = field.id == FIELD_DATE || field.id == FIELD_CONTENT_LENGTH ||
                            (field.id == FIELD_VARY && head->facts) ||
                            (field.id == FIELD_AGE && is_aged);
        if (is_made_anew)
            continue;
        if (field.id == FIELD_VARY)
            field.value = client_vary_of_pass(ex->server->policy, field.value, &ex->arena);
        fields_push(fields, &field);
    }
    if (is_aged)
        fields_add_id(fields, FIELD_AGE, arena_decimal(&ex->arena, age.ms / 1000));
}

static void build_forwarded_fields(struct exchange *ex, const struct flight_head *head,
                                   struct fields *fields)
{
    copy_forwarded_fields(ex, head, fields);
    if (!ex->waiter.is_leader) /* what `private` and `no-cache` name is for who asked */
        fields_remove_limited(fields, ex->decision.route);
    if (head->facts) {
        apply_client_cache(ex, fields);
        add_vary(ex, fields, head->facts, head->fields);
    }
    add_server_timing(ex, fields);
    via_add(fields, SLICE("1.1"), &ex->arena);
    add_flight_status(ex, fields, head);
}

static bool has_no_body(const struct exchange *ex, unsigned status)
{
    return ex->request->method == METHOD_HEAD || status == 204 || status == 304;
}

enum step deliver_flight_head(struct exchange *ex, const struct flight_view *view,
                              enum outcome outcome)
{
    const struct flight_head *from = &view->head;
    ex->outcome = outcome;
    ex->reason = ex->decision.action == ACTION_PASS ? ex->decision.reason
                 : from->not_stored != REASON_NONE  ? from->not_stored
                                                    : ex->found.reason;
    struct fields *fields = arena_array(&ex->arena, struct fields, 1);
    fields_init(fields, &ex->arena);
    build_forwarded_fields(ex, from, fields);
    struct sink_head head = {.status = from->status,
                             .reason = from->reason_phrase,
                             .fields = fields,
                             .length = from->length,
                             .date = date_of(ex, from)};
    bool is_unchanged = from->facts && from->status == 200 &&
                        conditional_is_not_modified(ex->request, from->fields, NOT_DATED);
    if (is_unchanged) {
        head.status = 304;
        head.reason = SLICE("Not Modified");
        fields_keep_for_304(fields);
    }
    if (has_no_body(ex, head.status)) {
        if (head.status == 204 || head.status == 304)
            head.length = SIZE_MAX;
        send_whole(ex, &head, SLICE_NONE);
        return STEP_DONE;
    }
    ex->head = head;
    return STEP_STREAM;
}
