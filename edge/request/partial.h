/*
 * Parts of a stored 200 (RFC 9110 §14, §15.3.7, §15.5.17): turns the answer that deliver.c has made
 * ready into a 206 or 416, if the request asks for ranges. The loop's thread.
 */
#pragma once

#include "edge/request/exchange.h"
#include "policy/range.h"

/* Each range has a head and its bytes, and one line stands at the end. */
enum { PARTIAL_PIECES_MAX = 2 * RANGES_MAX + 1 };

/*
 * `head` and `fields` are those of the 200, `body` its identity bytes. Changes them and fills
 * `pieces` (views of `body` and the exchange's arena) with what is to be sent instead; returns
 * their number. The whole body in one piece: no ranges, or none that count.
 */
size_t partial_pieces(struct exchange *ex, struct sink_head *head, struct fields *fields,
                      slice body, slice pieces[PARTIAL_PIECES_MAX]);
