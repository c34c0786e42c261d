/* GET /v1/explain: what would happen to a request now, and why (outlook.h). Values of cookies and
 * Authorization are shown hashed (semantics 10.2). */
#include "edge/admin/outlook.h"

static bool has_tag(const struct object *object, slice tag)
{
    for (size_t i = 0; i < object->tag_count; i++)
        if (object->tag_hashes[i] == purge_tag_hash(tag))
            return true;
    return false;
}

/* What to type behind `purge --tag`. An object knows the hashes of its tags; the texts are read
 * anew off its fields, so those that only an earlier policy made of them are not there. */
static json_t *tags_json(const struct outlook *look)
{
    const struct object *object = look->object;
    const struct fields fields = {
        .arena = look->arena, .at = (struct field *)object->fields, .count = object->field_count};
    struct slices tags;
    json_t *list = json_array();
    (void)rules_tags(look->server->policy, look->request, &look->decision, &fields, look->arena,
                     &tags);
    for (size_t i = 0; i < tags.count; i++)
        if (has_tag(object, tags.at[i]))
            json_array_append_new(list, api_text(tags.at[i]));
    return list;
}

static const char *action_name(enum action action)
{
    static const char *const names[] = {"lookup", "pass", "shell", "reject", "redirect"};
    return names[action];
}

static json_t *decision_json(const struct request *request, const struct decision *decision)
{
    json_t *json = json_object();
    json_object_set_new(json, "scheme", api_text(request->scheme));
    json_object_set_new(json, "host", api_text(request->host));
    json_object_set_new(json, "path", api_text(request->path));
    if (decision->has_query)
        json_object_set_new(json, "query_keyed", api_text(decision->query));
    json_object_set_new(json, "route", api_text(decision->route->match));
    json_object_set_new(json, "origin", api_text(decision->origin->name));
    json_object_set_new(json, "class", api_text(decision->class_config->name));
    json_object_set_new(json, "logged_in", json_boolean(decision->is_logged_in));
    if (decision->is_logged_in)
        json_object_set_new(json, "identified_by", api_text(decision->identified_by));
    json_object_set_new(json, "action", json_string(action_name(decision->action)));
    json_object_set_new(json, "sealed", json_boolean(decision->is_sealed));
    json_object_set_new(json, "navigation", json_boolean(decision->is_navigation));
    return json;
}

static void add_look_up(const struct outlook *look, json_t *json)
{
    json_t *stored = json_null();
    if (look->object) {
        stored = object_json(look->server, look->object, &look->decision, look->now);
        json_object_set_new(stored, "tag_texts", tags_json(look));
    }
    json_object_set_new(json, "variant",
                        api_text(forward_variant_text(look->forward.key_text, look->arena)));
    json_object_set_new(json, "union", names_json(&look->record->names));
    json_object_set_new(json, "variants_stored",
                        json_integer((json_int_t)look->record->variant_count));
    json_object_set_new(json, "known", json_boolean(look->record->is_known));
    json_object_set_new(json, "not_storable_for_now", json_boolean(look->marked != REASON_NONE));
    if (look->marked != REASON_NONE)
        json_object_set_new(json, "not_storable_because", api_text(reason_name(look->marked)));
    json_object_set_new(json, "object", stored);
}

static void add_end(const struct outlook *look, json_t *json)
{
    json_object_set_new(json, "would", json_string(look->would));
    json_object_set_new(json, "reason", api_text(reason_name(look->reason)));
    if (look->status)
        json_object_set_new(json, "status", json_integer(look->status));
    if (look->detail.len)
        json_object_set_new(json, "detail", api_text(look->detail));
    if (look->location.len)
        json_object_set_new(json, "location", api_text(look->location));
}

bool api_explain(struct api_job *job)
{
    struct question question;
    if (!question_read(job, &question))
        return true;
    struct outlook look = {.server = job->server,
                           .arena = &job->arena,
                           .request = &question.request,
                           .decision = question.decision};
    outlook_take(&look);
    json_t *json = decision_json(look.request, &question.decision);
    json_object_set_new(json, "mode", api_text(mode_name(look.mode)));
    add_end(&look, json);
    if (look.record)
        add_look_up(&look, json);
    api_answer_json(job, 200, json);
    outlook_fini(&look);
    return true;
}
