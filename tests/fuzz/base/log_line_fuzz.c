/*
 * Lines of the log: whatever stands in the values, one line of printable ASCII comes out, within
 * its limit, and what was short is all there.
 *
 *   input = time (8 bytes) phrase, newline, values, each behind a newline
 */
#include "base/log_format.h"

#include "tests/fuzz/input.h"

enum { VALUES = 6, PHRASE_BYTES = 128 };

/* As long as it can get when it is escaped. */
static size_t longest(slice text)
{
    return text.len * 4 + 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[VALUES] = {"a", "b", "c", "d", "e", "f"};
    static struct log_text text;
    struct log_field fields[VALUES + 1] = {{0}};
    char phrase[PHRASE_BYTES] = "";
    slice input = input_of(data, size);
    int64_t ms;
    take_bytes(&input, &ms, sizeof(ms));
    slice line = slice_until(take_line(&input), PHRASE_BYTES - 1);
    memcpy(phrase, line.ptr ? line.ptr : "", line.len);
    size_t most = 64 + longest(line), count = 0;
    for (; input.len && count < VALUES; count++) {
        slice value = count + 1 < VALUES ? take_line(&input) : input;
        most += longest(value);
        fields[count] = (struct log_field){names[count], value, ms, false};
        fields[count].is_number = value.len % 7 == 6;
    }
    log_format(&text, (wall_time){ms}, LOG_LEVEL_WARN, phrase, fields);
    MUST(text.used > 0 && text.used <= LOG_LINE_BYTES && text.bytes[text.used - 1] == '\n');
    for (size_t i = 0; i + 1 < text.used; i++)
        MUST(text.bytes[i] >= ' ' && text.bytes[i] < 0x7f);
    slice all = slice_of(text.bytes, text.used);
    for (size_t i = 0; i < count && most < LOG_LINE_BYTES; i++) {
        char name[4] = {' ', names[i][0], '=', '\0'};
        MUST(slice_search(all, slice_of_string(name)) < all.len);
    }
    return 0;
}
