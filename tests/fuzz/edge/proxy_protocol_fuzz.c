/*
 * The PROXY protocol header of a trusted peer. Read as the front reads it, taking only the bytes
 * that it says it needs, nothing behind the header is ever taken, and the verdict is that of the
 * whole; a header of version 1 that passed is one that a plain scan accepts.
 *
 *   input = most bytes of one read (1 byte), what the peer sends
 */
#include "edge/http/proxy_protocol.h"

#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>

struct outcome {
    enum proxy_verdict verdict;
    struct proxy_header header;
    size_t taken;
};

/* `most`: what one read gives at most. */
static struct outcome take_as_needed(slice all, size_t most)
{
    struct outcome o = {.verdict = PROXY_INCOMPLETE};
    for (;;) {
        size_t needed = 0;
        char *copy = malloc(o.taken ? o.taken : 1); /* its end is watched */
        MUST(copy);
        memcpy(copy, all.ptr ? all.ptr : "", o.taken);
        o.verdict = proxy_header_parse(slice_of(copy, o.taken), &o.header, &needed);
        free(copy);
        if (o.verdict != PROXY_INCOMPLETE)
            return o;
        MUST(needed > 0 && o.taken + needed <= PROXY_HEADER_MAX_BYTES);
        size_t got = needed < most ? needed : most;
        got = got < all.len - o.taken ? got : all.len - o.taken;
        if (got == 0)
            return o;
        o.taken += got;
    }
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    MUST(a->verdict == b->verdict);
    if (a->verdict != PROXY_OK)
        return;
    MUST(a->header.bytes == b->header.bytes && a->header.has_client == b->header.has_client);
    MUST(a->header.says_tls == b->header.says_tls && a->header.is_tls == b->header.is_tls);
    MUST(ip_equal(&a->header.client, &b->header.client));
}

static void check_v1(slice line)
{
    char text[128], source[64], destination[64], more;
    unsigned ports[2], family;
    MUST(line.len <= 107 && slice_ends_with(line, SLICE("\r\n")));
    snprintf(text, sizeof(text), "%" SLICE_FMT, (int)line.len - 2, line.ptr);
    if (slice_starts_with(line, SLICE("PROXY UNKNOWN")))
        return;
    MUST(sscanf(text, "PROXY TCP%1u %63s %63s %5u %5u%c", &family, source, destination, &ports[0],
                &ports[1], &more) == 5);
    MUST((family == 4 || family == 6) && ports[0] <= 65535 && ports[1] <= 65535);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 4096 ? size : 4096);
    size_t most = take_byte(&input) + 1;
    struct outcome whole = take_as_needed(input, SIZE_MAX), pieces = take_as_needed(input, most);
    check_same(&whole, &pieces);
    if (whole.verdict != PROXY_OK)
        return 0;
    MUST(whole.taken == whole.header.bytes && pieces.taken == whole.header.bytes);
    MUST(whole.header.bytes <= PROXY_HEADER_MAX_BYTES);
    MUST(whole.header.says_tls || !whole.header.is_tls);
    struct outcome all = {.verdict = PROXY_OK};
    size_t needed;
    MUST(proxy_header_parse(input, &all.header, &needed) == PROXY_OK);
    check_same(&whole, &all);
    if (slice_starts_with(input, SLICE("PROXY ")))
        check_v1(slice_until(input, whole.header.bytes));
    return 0;
}
