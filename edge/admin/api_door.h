/* Who may come in at the admin listener (semantics 10.2). Pure; any thread. */
#pragma once

#include "policy/message.h"

/* Is it the token? None opens nothing. */
bool door_opens(slice token, slice given);
struct api_refusal {
    unsigned status; /* 0: none */
    const char *detail;
};
/* `listen` is admin.listen; on a unix socket the token plays no part. */
struct api_refusal door_refusal(slice listen, slice token, const struct request *request);
