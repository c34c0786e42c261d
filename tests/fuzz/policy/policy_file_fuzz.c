/* The policy file: no input crashes the loader, and whatever loads prints to a policy that loads to
 * itself. */
#include "policy/load.h"

#include "base/must.h"

#include <stdlib.h>

static void check_round_trip(const struct policy *policy, struct arena *arena, struct diag *diag)
{
    slice first = policy_effective(policy, arena);
    struct policy *again = policy_load_text(first, SLICE("effective"), diag);
    MUST(again);
    slice second = policy_effective(again, arena);
    MUST(slice_equal(first, second));
    policy_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct arena arena;
    struct diag diag;
    arena_init(&arena);
    diag_init(&diag, &arena);
    slice text = slice_of((const char *)bytes, size);
    struct policy *policy = policy_load_text(text, SLICE("f"), &diag);
    MUST(policy || diag.count > 0);
    diag_text(&diag);
    if (policy)
        check_round_trip(policy, &arena, &diag);
    policy_free(policy);
    arena_fini(&arena);
    return 0;
}
