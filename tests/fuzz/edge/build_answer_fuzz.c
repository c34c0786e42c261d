/*
 * What a worker says when it is asked for its build: whatever it is, the id that is made of it is a
 * field value that stays as it is, and is read as itself.
 *
 *   input = the body
 */
#include "edge/origin/build_answer.h"

#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena);
    slice body = input_of(data, size < BUILD_ANSWER_MAX_BYTES ? size : BUILD_ANSWER_MAX_BYTES);
    slice id = build_answer_id(&arena, body);
    MUST(id.len <= BUILD_MAX_BYTES && slice_equal(slice_trim(id), id));
    for (size_t i = 0; i < id.len; i++)
        MUST(id.ptr[i] >= ' ' && id.ptr[i] <= '~');
    if (id.len > 0 && id.ptr[0] != '{' && id.ptr[0] != '"')
        MUST(slice_equal(build_answer_id(&arena, id), id));
    arena_fini(&arena);
    return 0;
}
