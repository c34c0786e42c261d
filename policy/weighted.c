/* Grammar: member = token *( OWS ";" OWS name "=" value ); the weight is the parameter "q". */
#include "policy/weighted.h"

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) */
static unsigned parse_qvalue(slice text)
{
    if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1'))
        return 0;
    if (text.len > 1 && text.ptr[1] != '.')
        return 0;
    unsigned value = text.ptr[0] == '1' ? WEIGHT_FULL : 0, digit_worth = 100;
    for (size_t i = 2; i < text.len; i++, digit_worth /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        value += (unsigned)(text.ptr[i] - '0') * digit_worth;
    }
    return value > WEIGHT_FULL ? 0 : value;
}

bool weighted_next(slice *rest, slice *token, unsigned *weight)
{
    slice member, parameter;
    if (!slice_next_member(rest, &member))
        return false;
    slice_next(&member, ';', &parameter);
    *token = slice_trim(parameter);
    *weight = WEIGHT_FULL;
    while (slice_next(&member, ';', &parameter)) {
        parameter = slice_trim(parameter);
        if (slice_starts_with_nocase(parameter, SLICE("q=")))
            *weight = parse_qvalue(slice_from(parameter, 2));
    }
    return true;
}

bool weighted_accepts(slice list, slice token)
{
    slice one;
    unsigned weight;
    while (weighted_next(&list, &one, &weight))
        if (weight > 0 && slice_equal_nocase(one, token))
            return true;
    return false;
}
