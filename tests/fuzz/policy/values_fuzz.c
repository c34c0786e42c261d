/*
 * Small texts of the policy file and of headers, one kind at a time: what is accepted prints as a
 * text that reads the same, views lie in the input, numbers within their limits.
 *
 *   input = kind (1 byte) text
 */
#include "base/address.h"
#include "policy/loader.h"

#include "policy/media_type.h"
#include "policy/message.h"
#include "policy/weighted.h"

#include "tests/fuzz/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void check_duration(slice text)
{
    char buffer[UNIT_TEXT_BYTES];
    duration once, twice;
    if (!units_parse_duration(text, &once))
        return;
    MUST(once.ms >= 0);
    MUST(units_parse_duration(units_format_duration(once, buffer), &twice) && twice.ms == once.ms);
}

static void check_size(slice text)
{
    char buffer[UNIT_TEXT_BYTES];
    uint64_t once, twice;
    if (!units_parse_size(text, &once))
        return;
    MUST(once <= INT64_MAX);
    MUST(units_parse_size(units_format_size(once, buffer), &twice) && twice == once);
}

/* Any number of milliseconds, or bytes. */
static void check_units_of_number(slice text)
{
    char buffer[UNIT_TEXT_BYTES];
    uint64_t number, bytes;
    duration time;
    take_bytes(&text, &number, sizeof(number));
    number &= INT64_MAX;
    MUST(units_parse_size(units_format_size(number, buffer), &bytes) && bytes == number);
    MUST(units_parse_duration(units_format_duration((duration){(int64_t)number}, buffer), &time));
    MUST(time.ms == (int64_t)number);
}

static void check_address(slice text)
{
    char buffer[IP_TEXT_BYTES];
    struct ip_address once, twice;
    struct ip_range one;
    if (!ip_parse(text, &once))
        return;
    MUST(ip_parse(ip_format(&once, buffer), &twice) && ip_equal(&once, &twice));
    MUST(ip_range_parse(text, &one) && one.prefix_bits == 128 && ip_range_contains(&one, &once));
}

static bool naive_contains(const struct ip_range *range, const uint8_t bytes[16])
{
    for (unsigned bit = 0; bit < range->prefix_bits; bit++)
        if ((range->network.bytes[bit / 8] ^ bytes[bit / 8]) >> (7 - bit % 8) & 1)
            return false;
    return true;
}

/* The range, a newline, and bytes that change an address of it. */
static void check_range(slice text)
{
    slice line = take_line(&text);
    uint8_t change[16];
    struct ip_range range;
    if (!ip_range_parse(line, &range))
        return;
    struct ip_address address = range.network;
    MUST(range.prefix_bits <= 128 && ip_range_contains(&range, &address));
    take_bytes(&text, change, sizeof(change));
    for (size_t i = 0; i < sizeof(change); i++)
        address.bytes[i] ^= change[i];
    MUST(ip_range_contains(&range, &address) == naive_contains(&range, address.bytes));
    address.is_local = true;
    MUST(!ip_range_contains(&range, &address));
}

static void check_listen_address(slice text)
{
    struct address address;
    if (!address_parse(text, &address))
        return;
    MUST(lies_within(address.host, text) && lies_within(address.path, text));
    MUST((address.port == 0) == (address.path.len > 0) && address.path.len < 108);
}

static void check_worker_url(slice text)
{
    struct worker_config worker;
    const char *problem = NULL;
    bool is_valid = parse_worker_url(text, &worker, &problem);
    MUST(is_valid || problem);
    if (!is_valid)
        return;
    MUST(lies_within(worker.host, text) && lies_within(worker.unix_path, text));
    MUST((worker.unix_path.len > 0) != (worker.host.len > 0 && worker.port > 0));
    for (size_t i = 0; i < worker.host.len; i++)
        MUST(worker.host.ptr[i] > ' ' && !strchr("/@?#[]\\", worker.host.ptr[i]));
}

static void check_number(slice text)
{
    char copy[64];
    uint64_t number;
    bool is_read = slice_to_u64(text, &number);
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
        return;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    bool is_number = strspn(copy, "0123456789") == text.len;
    MUST(is_read == is_number);
    MUST(!is_read || number == strtoull(copy, NULL, 10)); /* which saturates too */
}

static void check_media_type(slice text)
{
    static slice all[] = {{"*/*", 3}}, any_text[] = {{"text/*", 6}}, html[] = {{"text/html", 9}};
    slice type = media_type_of(text);
    MUST(lies_within(type, text) && slice_find(type, ';', 0) == type.len);
    MUST(media_type_is_in(text, (struct slices){all, 1}) == (type.len > 0));
    if (media_type_is_in(text, (struct slices){html, 1}))
        MUST(media_type_is_in(text, (struct slices){any_text, 1}) && media_type_is_page(text));
}

static void check_weights(slice text)
{
    slice rest = text, token;
    unsigned weight;
    while (weighted_next(&rest, &token, &weight)) {
        MUST(weight <= WEIGHT_FULL && lies_within(token, text));
        MUST(slice_equal(token, slice_trim(token)));
        MUST(weight == 0 || weighted_accepts(text, token));
    }
}

static void check_names(slice text)
{
    enum field_id id = field_id_of(text);
    enum method method = method_of(text);
    MUST(id < FIELD_ID_COUNT);
    MUST(id == FIELD_OTHER || slice_equal(field_name_of(id), text));
    MUST(!slice_equal(text, SLICE("GET")) == (method != METHOD_GET));
    MUST(!is_token(text) || text.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(slice) = {check_duration,   check_size,   check_units_of_number,
                                            check_address,    check_range,  check_listen_address,
                                            check_worker_url, check_number, check_media_type,
                                            check_weights,    check_names};
    slice input = input_of(data, size < 1024 ? size : 1024);
    unsigned kind = take_byte(&input);
    checks[kind % (sizeof(checks) / sizeof(checks[0]))](input);
    return 0;
}
