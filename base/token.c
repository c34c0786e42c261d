/* One table, because every byte of every field name that comes in is looked up in it. */
#include "base/token.h"

/* clang-format off */
static const bool is_one[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
/*  SP !  "  #  $  %  &  '  (  )  *  +  ,  -  .  /  0  1  2  3  4  5  6  7  8  9  :  ;  <  =  >  ? */
    0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
/*  @  A                                                                           [  \  ]  ^  _ */
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1,
/*  `  a                                                                           {  |  }  ~     */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0,
};
/* clang-format on */

bool is_token_byte(char c)
{
    return is_one[(uint8_t)c];
}

size_t token_length(slice text)
{
    size_t length = 0;
    while (length < text.len && is_one[(uint8_t)text.ptr[length]])
        length++;
    return length;
}

bool is_token(slice text)
{
    return text.len > 0 && token_length(text) == text.len;
}
