/*
 * Interim responses (RFC 9110 §15.2, RFC 8297) from the renderer to the client whose request it
 * works on. They go by way of the flight to its leader alone, see cache/flight.h. They are no part
 * of the answer: nothing here touches what is stored.
 */
#include "edge/admin/metrics.h"
#include "edge/request/exchange.h"
#include "edge/request/fetch_parts.h"

/* Set-Cookie would reach a client whose answer turns out to be everybody's; a length or a date
 * would be taken for the answer's. */
static void keep_hints(struct fields *fields)
{
    fields_remove_hop_by_hop(fields);
    fields_remove_id(fields, FIELD_SET_COOKIE);
    fields_remove_id(fields, FIELD_CONTENT_LENGTH);
    fields_remove_id(fields, FIELD_DATE);
}

void fetch_on_interim(struct call *call, void *owner, const struct response *response)
{
    struct fetch *fetch = owner;
    (void)call;
    if (response->status == 100 || fetch->kind == FETCH_REFRESH)
        return; /* nobody asked for the one, nobody waits for the other */
    struct fields hints;
    struct arena arena;
    arena_init(&arena);
    fields_init(&hints, &arena);
    for (size_t i = 0; i < response->fields.count; i++)
        fields_push(&hints, &response->fields.at[i]);
    keep_hints(&hints);
    bool is_taken = flight_add_interim(fetch->flight, response->status, response->reason, &hints);
    metrics_interim(fetch->server->metrics, !is_taken);
    arena_fini(&arena);
}

void exchange_send_interims(struct exchange *ex)
{
    const struct interim *interim;
    while ((interim = waiter_next_interim(&ex->waiter)))
        sink_interim(ex->sink, interim->status, interim->reason_phrase, &interim->fields);
}
