/* Outcomes and reasons: closed lists (reason.def). Labels of metrics, log lines and
 * Cache-Status. */
#pragma once

#include "base/slice.h"

enum outcome {
#define OUTCOME(id, name) OUTCOME_##id,
#define REASON(id, name)
#include "policy/reason.def"
#undef OUTCOME
#undef REASON
    OUTCOME_COUNT
};

enum reason {
#define OUTCOME(id, name)
#define REASON(id, name) REASON_##id,
#include "policy/reason.def"
#undef OUTCOME
#undef REASON
    REASON_COUNT
};

slice outcome_name(enum outcome outcome);
slice reason_name(enum reason reason); /* "-" for REASON_NONE */
