/* Answers of the daemon for people: any JSON as names and values, lists of objects as tables. */
#pragma once

#include "edge/cli/admin_client.h"

#include <stdio.h>

/* On stdout. `raw`: as it came. Control bytes in texts, which strangers may have sent, are escaped.
 */
void print_answer(const struct admin_answer *answer, bool raw);
void print_json(FILE *to, const json_t *json);
