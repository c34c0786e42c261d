/*
 * What varve knows of a URL: `explain` (what would happen to this request now, and why) and
 * `variants` (what is stored). Neither renders anything. Values of cookies and Authorization are
 * shown hashed (semantics 10.2).
 */
#include "edge/admin/api_handlers.h"
#include "edge/admin/api_url.h"
#include "edge/request/fallback.h"

#include <pthread.h>
#include <stdlib.h>

enum { HEADERS_MAX = 64 };

/* --- the query string of the API call --- */

static slice percent_decoded(struct arena *arena, slice text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1,
            low = high >= 0 ? hex_value(text.ptr[i + 2]) : -1;
        if (text.ptr[i] == '%' && high >= 0 && low >= 0) {
            out[used++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[used++] = text.ptr[i] == '+' ? ' ' : text.ptr[i];
        }
    }
    return slice_of(out, used);
}

struct question {
    slice url;
    slice headers[HEADERS_MAX];
    size_t header_count;
};

static void read_question(struct api_job *job, struct question *question)
{
    slice rest = job->query, member;
    *question = (struct question){.header_count = 0};
    while (slice_next(&rest, '&', &member)) {
        slice name = slice_until(member, slice_find(member, '=', 0));
        slice value = percent_decoded(&job->arena, slice_from(member, name.len + 1));
        if (slice_equal(name, SLICE("url")))
            question->url = value;
        else if (slice_equal(name, SLICE("header")) && question->header_count < HEADERS_MAX)
            question->headers[question->header_count++] = value;
    }
}

/* --- asking the disk, and waiting: this is not a loop --- */

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t come;
    bool is_there;
};

static void read_done(struct cache_read *read)
{
    struct answer *answer = read->owner;
    pthread_mutex_lock(&answer->lock);
    answer->is_there = true;
    pthread_cond_signal(&answer->come);
    pthread_mutex_unlock(&answer->lock);
}

static void read_and_wait(struct cache *cache, struct cache_read *read)
{
    struct answer answer = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    read->done = read_done;
    read->owner = &answer;
    cache_read_start(cache, read);
    pthread_mutex_lock(&answer.lock);
    while (!answer.is_there)
        pthread_cond_wait(&answer.come, &answer.lock);
    pthread_mutex_unlock(&answer.lock);
}

static struct vary_record *find_record(struct cache *cache, const struct key *url_key)
{
    struct vary_record *record = NULL;
    if (cache_find_vary(cache, url_key, &record) == FOUND_YES)
        return record;
    struct cache_read read = {.kind = READ_VARY, .key = *url_key};
    read_and_wait(cache, &read);
    return read.vary;
}

static struct object *find_object(struct cache *cache, const struct key *key, slice key_text)
{
    struct object *object = NULL;
    if (cache_find_object(cache, key, key_text, &object) != FOUND_UNKNOWN)
        return object;
    struct cache_read read = {.kind = READ_OBJECT, .key = *key, .key_text = key_text};
    read_and_wait(cache, &read);
    return read.object;
}

/* --- JSON of the parts --- */

static json_t *text(slice s)
{
    json_t *json = json_stringn(s.ptr ? s.ptr : "", s.len);
    return json ? json : json_string("(not UTF-8)");
}

static json_t *union_json(const struct field_names *names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < names->count; i++)
        json_array_append_new(list, text(names->at[i]));
    return list;
}

static const char *freshness_name(enum freshness freshness)
{
    static const char *const names[] = {"fresh", "stale while revalidating", "stale on errors",
                                        "for its validators only"};
    return names[freshness];
}

static json_t *object_json(struct server *server, const struct object *object,
                           const struct decision *decision)
{
    struct instant now = clock_now();
    enum purge_state purged = object_purge_state(server->purges, object);
    bool has_old_policy = object->policy_hash != decision->route->policy_hash;
    enum freshness freshness =
        facts_freshness(&object->facts, decision->route, decision->class_config->never_shell,
                        object->content_type, purged == PURGE_SOFT, has_old_policy, now);
    duration left = facts_fresh_left(&object->facts, decision->route, object->content_type, now);
    json_t *json = json_object();
    json_object_set_new(json, "variant", text(object->variant_text));
    json_object_set_new(json, "status", json_integer(object->facts.status));
    json_object_set_new(json, "content_type", text(object->content_type));
    json_object_set_new(json, "age", json_integer(facts_age(&object->facts, now).ms / 1000));
    json_object_set_new(json, "ttl", json_integer(left.ms / 1000));
    json_object_set_new(json, "state",
                        json_string(purged == PURGE_DEAD ? "purged" : freshness_name(freshness)));
    json_object_set_new(json, "hits", json_integer(atomic_load(&object->hits)));
    json_object_set_new(json, "tags", json_integer((json_int_t)object->tag_count));
    json_object_set_new(json, "policy_changed", json_boolean(has_old_policy));
    if (object->build.len)
        json_object_set_new(json, "build", text(object->build));
    return json;
}

/* What the operator has it get instead of a render (`varve mode shell`); NULL: nothing. */
static const char *ordered(enum mode mode, const struct decision *decision, bool has_stale)
{
    const struct route *route = decision->route;
    if (!fallback_is_ordered(mode, decision))
        return NULL;
    for (size_t i = 0; i < route->on_failure_count; i++) {
        if (route->on_failure[i] == FALLBACK_STALE && has_stale)
            return "stale";
        if (route->on_failure[i] == FALLBACK_SHELL && decision->may_give_shell)
            return "shell";
    }
    return NULL;
}

static const char *prediction(enum mode mode, const struct decision *decision, json_t *object)
{
    const char *state = object ? json_string_value(json_object_get(object, "state")) : "";
    if (strcmp(state, "fresh") == 0)
        return "hit";
    if (strcmp(state, "stale while revalidating") == 0)
        return fallback_stops_refreshes(mode, decision) ? "stale" : "stale now, refreshed behind";
    const char *instead = ordered(mode, decision, strcmp(state, "stale on errors") == 0);
    return instead ? instead : "render";
}

/* `reason` is why: the operator's mode is policy. */
static void set_prediction(json_t *json, const char *would, bool is_by_mode)
{
    json_object_set_new(json, "would", json_string(would));
    if (is_by_mode)
        json_object_set_new(json, "reason", text(reason_name(REASON_POLICY)));
}

static bool has_tag(const struct object *object, slice tag)
{
    for (size_t i = 0; i < object->tag_count; i++)
        if (object->tag_hashes[i] == purge_tag_hash(tag))
            return true;
    return false;
}

/* What to type behind `purge --tag`. An object knows the hashes of its tags; the texts are read
 * anew off its fields, so those that only an earlier policy made of them are not there. */
static json_t *tags_json(struct api_job *job, const struct request *request,
                         const struct decision *decision, const struct object *object)
{
    const struct fields fields = {
        .arena = &job->arena, .at = (struct field *)object->fields, .count = object->field_count};
    struct slices tags;
    json_t *list = json_array();
    (void)rules_tags(job->server->policy, request, decision, &fields, &job->arena, &tags);
    for (size_t i = 0; i < tags.count; i++)
        if (has_tag(object, tags.at[i]))
            json_array_append_new(list, text(tags.at[i]));
    return list;
}

static void explain_lookup(struct api_job *job, const struct request *request,
                           const struct decision *decision, json_t *json)
{
    struct server *server = job->server;
    struct key url_key = key_of(decision->url_text);
    struct vary_record *record = find_record(server->cache, &url_key);
    struct forward forward;
    forward_fill(server->policy, request, decision, &record->names, true, &forward);
    struct key key = key_of(forward.key_text);
    struct object *object = record->is_known && !forward.is_unkeyable
                                ? find_object(server->cache, &key, forward.key_text)
                                : NULL;
    json_t *found = object ? object_json(server, object, decision) : NULL;
    if (found)
        json_object_set_new(found, "tag_texts", tags_json(job, request, decision, object));
    json_object_set_new(json, "variant", text(forward_variant_text(forward.key_text, &job->arena)));
    json_object_set_new(json, "union", union_json(&record->names));
    json_object_set_new(json, "variants_stored", json_integer((json_int_t)record->variant_count));
    json_object_set_new(json, "known", json_boolean(record->is_known));
    enum reason why;
    bool is_marked = marks_find(server->marks, &key, clock_now().mono, &why);
    bool is_passed = forward.is_unkeyable || (is_marked && !found && decision->is_sealed);
    json_object_set_new(json, "not_storable_for_now", json_boolean(is_marked));
    if (is_marked)
        json_object_set_new(json, "not_storable_because", text(reason_name(why)));
    enum mode mode = mode_now(server->mode);
    const char *would = prediction(mode, decision, is_passed ? NULL : found);
    bool is_by_mode = strcmp(would, "stale") == 0 || strcmp(would, "shell") == 0;
    set_prediction(json, is_passed && !is_by_mode ? "pass" : would, is_by_mode);
    json_object_set_new(json, "object", found ? found : json_null());
    object_unref(&object);
    vary_record_unref(&record);
}

static const char *action_name(enum action action)
{
    static const char *const names[] = {"lookup", "pass", "shell", "reject", "redirect"};
    return names[action];
}

/* What is not looked up. */
static void explain_other(const struct decision *decision, enum mode mode, json_t *json)
{
    const char *instead = decision->action == ACTION_PASS ? ordered(mode, decision, false) : NULL;
    set_prediction(json, instead ? instead : action_name(decision->action), instead != NULL);
}

static json_t *decision_json(const struct request *request, const struct decision *decision)
{
    json_t *json = json_object();
    json_object_set_new(json, "host", text(request->host));
    json_object_set_new(json, "path", text(request->path));
    if (decision->has_query)
        json_object_set_new(json, "query_keyed", text(decision->query));
    json_object_set_new(json, "route", text(decision->route->match));
    json_object_set_new(json, "origin", text(decision->origin->name));
    json_object_set_new(json, "class", text(decision->class_config->name));
    json_object_set_new(json, "logged_in", json_boolean(decision->is_logged_in));
    if (decision->is_logged_in)
        json_object_set_new(json, "identified_by", text(decision->identified_by));
    json_object_set_new(json, "action", json_string(action_name(decision->action)));
    json_object_set_new(json, "reason", text(reason_name(decision->reason)));
    json_object_set_new(json, "sealed", json_boolean(decision->is_sealed));
    json_object_set_new(json, "navigation", json_boolean(decision->is_navigation));
    return json;
}

static bool read_request(struct api_job *job, struct question *question, struct request *request,
                         struct decision *decision)
{
    read_question(job, question);
    slice scheme = job->server->policy->listen_count && job->server->policy->listen[0].tls_count
                       ? SLICE("https")
                       : SLICE("http");
    if (question->url.len &&
        url_request(job->server, &job->arena, question->url, scheme, question->headers,
                    question->header_count, request, decision))
        return true;
    api_error(job, 400, "\"url\" is missing or has no host: url=https%3A%2F%2FHOST%2FPATH");
    return false;
}

bool api_explain(struct api_job *job)
{
    struct question question;
    struct request request;
    struct decision decision;
    if (!read_request(job, &question, &request, &decision))
        return true;
    slice build = origin_build(job->server->origins, decision.origin);
    decision.build = &build;
    json_t *json = decision_json(&request, &decision);
    enum mode mode = mode_now(job->server->mode);
    json_object_set_new(json, "mode", text(mode_name(mode)));
    if (decision.action == ACTION_LOOKUP)
        explain_lookup(job, &request, &decision, json);
    else
        explain_other(&decision, mode, json);
    api_answer_json(job, 200, json);
    return true;
}

/* --- variants --- */

struct listing {
    struct server *server;
    const struct decision *decision;
    json_t *list;
};

static void list_variant(void *arg, const struct cache_variant *variant)
{
    struct listing *listing = arg;
    json_t *json = object_json(listing->server, variant->object, listing->decision),
           *bodies = json_object();
    for (enum coding coding = CODING_IDENTITY; coding < CODING_COUNT; coding++)
        if (variant->body_bytes[coding])
            json_object_set_new(bodies, coding_name(coding).ptr,
                                json_integer((json_int_t)variant->body_bytes[coding]));
    json_object_set_new(json, "bytes", bodies);
    json_object_set_new(json, "in_memory", json_boolean(variant->is_in_ram));
    json_array_append_new(listing->list, json);
}

bool api_variants(struct api_job *job)
{
    struct question question;
    struct request request;
    struct decision decision;
    if (!read_request(job, &question, &request, &decision))
        return true;
    struct key url_key = key_of(decision.url_text);
    struct listing listing = {job->server, &decision, json_array()};
    struct vary_record *record = find_record(job->server->cache, &url_key);
    cache_variants(job->server->cache, &url_key, list_variant, &listing);
    api_answer_json(
        job, 200,
        json_pack("{s:o, s:o}", "union", union_json(&record->names), "variants", listing.list));
    vary_record_unref(&record);
    return true;
}
