#include "edge/admin/api_question.h"

#include "edge/admin/api_url.h"
#include "edge/request/candidate.h"
#include "edge/request/outdated.h"

#include <pthread.h>

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

struct asked {
    slice url;
    slice headers[HEADERS_MAX];
    size_t header_count; /* more than there are places: not all are here */
};

static void read_asked(struct api_job *job, struct asked *asked)
{
    slice rest = job->query, member;
    *asked = (struct asked){.header_count = 0};
    while (slice_next(&rest, '&', &member)) {
        slice name = slice_until(member, slice_find(member, '=', 0));
        slice value = percent_decoded(&job->arena, slice_from(member, name.len + 1));
        if (slice_equal(name, SLICE("url")))
            asked->url = value;
        else if (slice_equal(name, SLICE("header")) && asked->header_count++ < HEADERS_MAX)
            asked->headers[asked->header_count - 1] = value;
    }
}

static bool has_host(const struct asked *asked)
{
    for (size_t i = 0; i < asked->header_count; i++)
        if (slice_starts_with_nocase(asked->headers[i], SLICE("host:")))
            return true;
    return false;
}

static void refuse(struct api_job *job, const struct asked *asked)
{
    static const char MISSING[] = "\"url\" is missing: url=https%3A%2F%2FHOST%2FPATH";
    slice detail = arena_printf(&job->arena,
                                "\"%" SLICE_FMT "\" is not a URL with a host%s: write "
                                "https://HOST/PATH",
                                SLICE_ARG(slice_until(asked->url, 200)),
                                has_host(asked) ? ", or the Host beside it not one host" : "");
    api_error(job, 400, asked->url.len ? detail.ptr : MISSING);
}

bool question_read(struct api_job *job, struct question *question)
{
    struct server *server = job->server;
    struct asked asked;
    read_asked(job, &asked);
    if (asked.header_count > HEADERS_MAX) {
        slice detail =
            arena_printf(&job->arena, "at most %d fields can be given by \"header\"", HEADERS_MAX);
        api_error(job, 400, detail.ptr);
        return false;
    }
    bool is_tls = server->policy->listen_count && server->policy->listen[0].tls_count;
    if (!asked.url.len ||
        !url_request(server, &job->arena, asked.url, is_tls ? SLICE("https") : SLICE("http"),
                     asked.headers, asked.header_count, &question->request, &question->decision)) {
        refuse(job, &asked);
        return false;
    }
    question->build = origin_build(server->origins, question->decision.origin);
    question->decision.build = &question->build;
    return true;
}

/* --- asking the disk, and waiting: this is not a loop --- */

struct disk_answer {
    pthread_mutex_t lock;
    pthread_cond_t come;
    bool is_there;
};

static void read_done(struct cache_read *read)
{
    struct disk_answer *answer = read->owner;
    pthread_mutex_lock(&answer->lock);
    answer->is_there = true;
    pthread_cond_signal(&answer->come);
    pthread_mutex_unlock(&answer->lock);
}

static void read_and_wait(struct cache *cache, struct cache_read *read)
{
    struct disk_answer answer = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    read->done = read_done;
    read->owner = &answer;
    cache_read_start(cache, read);
    pthread_mutex_lock(&answer.lock);
    while (!answer.is_there)
        pthread_cond_wait(&answer.come, &answer.lock);
    pthread_mutex_unlock(&answer.lock);
}

struct vary_record *find_record(struct cache *cache, const struct key *url_key, bool *is_unreadable)
{
    *is_unreadable = false;
    struct vary_record *record = NULL;
    if (cache_find_vary(cache, url_key, &record) == FOUND_YES)
        return record;
    struct cache_read read = {.kind = READ_VARY, .key = *url_key};
    read_and_wait(cache, &read);
    *is_unreadable = read.is_unreadable;
    return read.vary;
}

/* --- JSON --- */

json_t *names_json(const struct field_names *names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < names->count; i++)
        json_array_append_new(list, api_text(names->at[i]));
    return list;
}

static const char *freshness_name(enum freshness freshness)
{
    static const char *const names[] = {"fresh", "stale while revalidating", "stale on errors",
                                        "for its validators only"};
    return names[freshness];
}

/* Its freshness, whoever asks. */
static void add_state(struct server *server, const struct object *object,
                      const struct decision *decision, struct instant now, json_t *json)
{
    const struct grounds by = {.decision = decision,
                               .purged = object_purge_state(server->purges, object),
                               .outdated = outdated_why(server, decision, object, now),
                               .now = now};
    enum reason reason = REASON_PURGED;
    const char *state = by.purged == PURGE_DEAD
                            ? "purged"
                            : freshness_name(candidate_freshness(object, &by, &reason));
    json_object_set_new(json, "state", json_string(state));
    json_object_set_new(json, "reason", api_text(reason_name(reason)));
}

json_t *object_json(struct server *server, const struct object *object,
                    const struct decision *decision, struct instant now)
{
    bool has_old_policy = object->policy_hash != decision->route->policy_hash;
    duration left = facts_fresh_left(&object->facts, decision->route, object->content_type, now);
    json_t *json = json_object();
    json_object_set_new(json, "variant", api_text(object->variant_text));
    json_object_set_new(json, "status", json_integer(object->facts.status));
    json_object_set_new(json, "content_type", api_text(object->content_type));
    json_object_set_new(json, "age", json_integer(facts_age(&object->facts, now).ms / 1000));
    json_object_set_new(json, "ttl", json_integer(left.ms / 1000));
    add_state(server, object, decision, now, json);
    json_object_set_new(json, "hits", json_integer(atomic_load(&object->hits)));
    json_object_set_new(json, "tags", json_integer((json_int_t)object->tag_count));
    json_object_set_new(json, "policy_changed", json_boolean(has_old_policy));
    if (object->build.len)
        json_object_set_new(json, "build", api_text(object->build));
    return json;
}
