/*
 * What the commands read from the admin listener: an HTTP answer, and its JSON as it is printed for
 * people: no control byte of a stranger's reaches the terminal.
 *
 *   input = what the daemon sends until it closes
 */
#include "edge/cli/http_exchange.h"
#include "edge/cli/print.h"

#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT_MAX = 32768, WAIT_MS = 1000 };

static void check_print(const char *body, size_t length)
{
    char *text = NULL;
    size_t size = 0;
    json_t *json = json_loadb(body, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!json)
        return;
    FILE *to = open_memstream(&text, &size);
    MUST(to);
    print_json(to, json);
    fclose(to);
    for (size_t i = 0; i < size; i++)
        MUST(text[i] == '\n' || ((unsigned char)text[i] >= ' ' && text[i] != 0x7f));
    free(text);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < INPUT_MAX ? size : INPUT_MAX);
    int ends[2], status = 0;
    char *body = NULL, error[256] = "";
    size_t length = 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(send(ends[0], input.ptr ? input.ptr : "", input.len, 0) == (ssize_t)input.len);
    shutdown(ends[0], SHUT_WR);
    bool is_ok = http_exchange(ends[1], SLICE("GET / HTTP/1.1\r\n\r\n"), WAIT_MS, &status, &body,
                               &length, error);
    MUST(is_ok ? body && length <= input.len && body[length] == '\0' : error[0] && !body);
    MUST(!is_ok || (status >= 0 && status <= 999));
    if (is_ok)
        check_print(body, length);
    else
        check_print(input.ptr ? input.ptr : "", input.len);
    free(body);
    close(ends[0]);
    close(ends[1]);
    return 0;
}
