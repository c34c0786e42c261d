#include "policy/reason.h"

static const slice outcome_names[] = {
#define OUTCOME(id, name) {name, sizeof(name) - 1},
#define REASON(id, name)
#include "policy/reason.def"
#undef OUTCOME
#undef REASON
};

static const slice reason_names[] = {
#define OUTCOME(id, name)
#define REASON(id, name) {name, sizeof(name) - 1},
#include "policy/reason.def"
#undef OUTCOME
#undef REASON
};

slice outcome_name(enum outcome outcome)
{
    return outcome_names[outcome];
}

slice reason_name(enum reason reason)
{
    return reason_names[reason];
}
