/* Copies of what a client asked and of what was decided about it, for whoever outlives the client:
 * everything they point to is in `arena`, or in the policy. */
#pragma once

#include "policy/rules.h"

void request_copy(struct arena *arena, const struct request *from, struct request *to);
void decision_copy(struct arena *arena, const struct decision *from, struct decision *to);
