/* PURGE on the public listener (semantics 6.5): off unless configured; 405 for whoever may not. */
#pragma once

#include "edge/request/exchange.h"

/* Answers a request whose method is PURGE. */
void answer_purge_method(struct exchange *ex);
