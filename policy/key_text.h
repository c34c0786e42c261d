/*
 * The text of a key (semantics 1.1): a list of tagged, length-prefixed byte strings, so that no two
 * different lists have the same bytes. It is hashed, stored and compared, never parsed on the way
 * of a request. Pure.
 */
#pragma once

#include "base/text.h"

enum key_tag {
    KEY_SCHEME = 's',
    KEY_HOST = 'h',
    KEY_PATH = 'p',
    KEY_QUERY = 'q', /* only if there is one: an empty query is not the same as none */
    KEY_METHOD = 'm',
    KEY_OPEN = 'o',    /* only under `seal: off` */
    KEY_COOKIES = 'k', /* kept cookies as sent; only if there are any */
    KEY_CLASS = 'c',   /* only if set_headers uses {class} */
    KEY_BUILD = 'b',   /* only if set_headers uses {build} */
    KEY_FIELD = 'f',   /* name of a field that is sent; its KEY_VALUE follows */
    KEY_VALUE = 'v',
    KEY_ABSENT = 'a', /* name of a field of the union that is not sent: not the same as empty */
};

/* Items that are encoded already are appended with text_add(). */
void key_text_add(struct text *key, enum key_tag tag, slice bytes);

/* Takes the next item out of *rest; false at the end, and at anything malformed. */
bool key_text_next(slice *rest, enum key_tag *tag, slice *bytes);
