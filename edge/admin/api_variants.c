/* GET /v1/variants: what is stored for a URL. Values of cookies and Authorization are shown hashed
 * (semantics 10.2). */
#include "edge/admin/api_question.h"

struct listing {
    struct server *server;
    const struct decision *decision;
    struct instant now;
    json_t *list;
};

static void list_variant(void *arg, const struct cache_variant *variant)
{
    struct listing *listing = arg;
    json_t *json = object_json(listing->server, variant->object, listing->decision, listing->now),
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
    if (!question_read(job, &question))
        return true;
    struct server *server = job->server;
    struct key url_key = key_of(question.decision.url_text);
    struct listing listing = {server, &question.decision, clock_now(), json_array()};
    bool is_unreadable; /* then nothing is listed */
    struct vary_record *record = find_record(server->cache, &url_key, &is_unreadable);
    cache_variants(server->cache, &url_key, list_variant, &listing);
    api_answer_json(
        job, 200,
        json_pack("{s:o, s:o}", "union", names_json(&record->names), "variants", listing.list));
    vary_record_unref(&record);
    return true;
}
