/* Methods by name. Everything unknown is METHOD_OTHER and travels as text. */
#include "policy/message.h"

static const struct {
    slice text;
    bool is_safe;
} methods[METHOD_OTHER] = {
    [METHOD_GET] = {{"GET", 3}, true},         [METHOD_HEAD] = {{"HEAD", 4}, true},
    [METHOD_POST] = {{"POST", 4}, false},      [METHOD_PUT] = {{"PUT", 3}, false},
    [METHOD_PATCH] = {{"PATCH", 5}, false},    [METHOD_DELETE] = {{"DELETE", 6}, false},
    [METHOD_OPTIONS] = {{"OPTIONS", 7}, true}, [METHOD_TRACE] = {{"TRACE", 5}, true},
    [METHOD_PURGE] = {{"PURGE", 5}, false},
};

enum method method_of(slice text)
{
    for (unsigned method = 0; method < METHOD_OTHER; method++)
        if (slice_equal(methods[method].text, text))
            return (enum method)method;
    return METHOD_OTHER;
}

bool method_is_safe(enum method method)
{
    return method < METHOD_OTHER && methods[method].is_safe;
}
