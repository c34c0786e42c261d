/* See admin_client.h. */
#include "edge/cli/admin_client.h"

#include "base/user_file.h"
#include "edge/cli/http_exchange.h"
#include "policy/load.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONNECT_MS = 5000, SOCKETS_SHOWN = 10 };

void admin_target_init(struct admin_target *target, const struct command *command)
{
    *target = (struct admin_target){.command = command};
    arena_init(&target->arena);
}

void admin_target_fini(struct admin_target *target)
{
    arena_fini(&target->arena);
}

/* --- finding the daemon --- */

static int from_config(struct admin_target *target)
{
    static struct diag diag; /* too large for the stack */
    struct daemon_place place;
    diag_init(&diag, &target->arena);
    bool wants_token = target->token_file.len == 0;
    if (!policy_find_daemon(target->config, wants_token, &target->arena, &diag, &place)) {
        fprintf(stderr,
                "%" SLICE_FMT
                "varve %s: cannot tell from this file where the daemon is: mend it, or "
                "say --admin ADDR\n",
                SLICE_ARG(diag_text(&diag)), target->command->name);
        return CLI_USAGE;
    }
    target->address = place.address;
    target->doubts = diag_text(&diag);
    if (wants_token)
        target->token_file = place.token_file;
    return CLI_OK;
}

static bool is_answering(slice address)
{
    int fd = http_connect(address, CONNECT_MS);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno == EACCES; /* there, if not for us: say so rather than "none" */
}

/* The sockets of the default places where somebody listens. */
static size_t find_running(struct arena *arena, slice found[SOCKETS_SHOWN])
{
    const char *home = getenv("HOME");
    glob_t paths = {0};
    size_t count = 0;
    slice own = arena_printf(arena, "%s/.cache/varve/*/admin.sock", home ? home : "");
    glob("/var/lib/varve/admin.sock", 0, NULL, &paths);
    if (home)
        glob(own.ptr, GLOB_APPEND, NULL, &paths);
    for (size_t i = 0; i < paths.gl_pathc && count < SOCKETS_SHOWN; i++) {
        slice address = arena_printf(arena, "unix:%s", paths.gl_pathv[i]);
        if (is_answering(address))
            found[count++] = address;
    }
    globfree(&paths);
    return count;
}

static int from_default_places(struct admin_target *target)
{
    slice found[SOCKETS_SHOWN];
    size_t count = find_running(&target->arena, found);
    if (count == 1) {
        target->address = found[0];
        return CLI_OK;
    }
    if (count == 0) {
        fputs("varve: no running varve found; say where it is: --admin ADDR or --config FILE\n",
              stderr);
        return CLI_UNREACHABLE;
    }
    fputs("varve: more than one varve is running; choose with --admin:\n", stderr);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "  --admin %" SLICE_FMT "\n", SLICE_ARG(found[i]));
    return CLI_USAGE;
}

/* A bare path is a socket too. */
static slice with_scheme(struct admin_target *target)
{
    slice address = target->address;
    if (!slice_starts_with(address, SLICE("unix:")) && slice_find(address, '/', 0) < address.len)
        return arena_printf(&target->arena, "unix:%" SLICE_FMT, SLICE_ARG(address));
    return address;
}

int admin_find(struct admin_target *target)
{
    if (target->address.len) {
        target->address = with_scheme(target);
        return CLI_OK;
    }
    return target->config.len ? from_config(target) : from_default_places(target);
}

/* --- asking --- */

/* Empty where none is wanted. */
static bool read_token(const struct admin_target *target, char bytes[USER_TOKEN_MAX], slice *token)
{
    const char *cause;
    *token = SLICE_NONE;
    if (target->token_file.len == 0 || slice_starts_with(target->address, SLICE("unix:")))
        return true;
    if (user_file_read_token(target->token_file, bytes, token, &cause))
        return true;
    fprintf(stderr, "varve %s: cannot read the token file %" SLICE_FMT ": %s\n",
            target->command->name, SLICE_ARG(target->token_file), cause);
    return false;
}

static slice request_text(const struct admin_target *target, const char *method, slice path,
                          const char *body, slice token, struct arena *arena)
{
    bool is_unix = slice_starts_with(target->address, SLICE("unix:"));
    slice host = is_unix ? SLICE("localhost") : target->address;
    slice authorization =
        token.len
            ? arena_printf(arena, "Authorization: Bearer %" SLICE_FMT "\r\n", SLICE_ARG(token))
            : SLICE_NONE;
    slice content = SLICE_NONE;
    if (body)
        content = arena_printf(arena, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                               strlen(body));
    return arena_printf(arena,
                        "%s %" SLICE_FMT " HTTP/1.1\r\nHost: %" SLICE_FMT
                        "\r\nAccept: */*\r\nConnection: close\r\n%" SLICE_FMT "%" SLICE_FMT
                        "\r\n%s",
                        method, SLICE_ARG(path), SLICE_ARG(host), SLICE_ARG(authorization),
                        SLICE_ARG(content), body ? body : "");
}

/* The address, or the token's file, may stand where the file could not be read. */
static void tell_doubts(const struct admin_target *target)
{
    if (target->doubts.len)
        fprintf(stderr,
                "%" SLICE_FMT "varve %s: so %" SLICE_FMT
                " may not say all of where the daemon is\n",
                SLICE_ARG(target->doubts), target->command->name, SLICE_ARG(target->config));
}

static int unreachable(const struct admin_target *target, const char *why)
{
    fprintf(stderr, "varve %s: cannot reach the daemon at %" SLICE_FMT ": %s\n",
            target->command->name, SLICE_ARG(target->address), why);
    return CLI_UNREACHABLE;
}

static int not_connected(const struct admin_target *target, int code)
{
    static const struct {
        int code;
        const char *text;
    } ROWS[] = {
        {ENOENT, "no such socket: is varve running, and is it there? Else say where: --admin ADDR"},
        {ECONNREFUSED, "nobody listens there: start varve, or say where it is: --admin ADDR"},
        {EACCES, "permission denied: do this as root, or as the user that varve runs as"},
        {EINVAL, "that is no address: give unix:/PATH or HOST:PORT"},
        {EADDRNOTAVAIL, "there is no such host: give unix:/PATH or HOST:PORT"},
    };
    tell_doubts(target);
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(*ROWS); i++)
        if (ROWS[i].code == code)
            return unreachable(target, ROWS[i].text);
    return unreachable(target, strerror(code));
}

int admin_request(const struct admin_target *target, const char *method, slice path,
                  const char *body, int timeout_ms, struct admin_answer *answer)
{
    char bytes[USER_TOKEN_MAX], error[256];
    slice token;
    struct arena arena;
    *answer = (struct admin_answer){0};
    if (!read_token(target, bytes, &token))
        return CLI_USAGE;
    int fd = http_connect(target->address, CONNECT_MS);
    if (fd < 0)
        return not_connected(target, errno);
    arena_init(&arena);
    slice request = request_text(target, method, path, body, token, &arena);
    bool is_ok = http_exchange(fd, request, timeout_ms, &answer->status, &answer->body,
                               &answer->length, error);
    arena_fini(&arena);
    close(fd);
    if (!is_ok)
        return unreachable(target, error);
    answer->json = json_loadb(answer->body, answer->length, 0, NULL);
    return CLI_OK;
}

void admin_answer_fini(struct admin_answer *answer)
{
    json_decref(answer->json);
    free(answer->body);
    *answer = (struct admin_answer){0};
}

/* Problem documents (RFC 9457) say it in `detail` or `title`; others under `error` or `errors`. */
static const char *complaint(const json_t *json)
{
    static const char *const NAMES[] = {"errors", "error", "detail", "reason", "title"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        const char *text = json_string_value(json_object_get(json, NAMES[i]));
        if (text)
            return text;
    }
    return NULL;
}

int admin_judge(const struct admin_target *target, const struct admin_answer *answer)
{
    if (answer->status >= 200 && answer->status <= 299)
        return CLI_OK;
    const char *why = complaint(answer->json);
    if (answer->status == 401) {
        tell_doubts(target);
        fprintf(
            stderr,
            "varve %s: the daemon %s: --token-file FILE, with the token of its admin.token_file\n",
            target->command->name, target->token_file.len ? "has another token" : "wants a token");
    } else if (why)
        fprintf(stderr, "varve %s: %s\n", target->command->name, why);
    else
        fprintf(stderr, "varve %s: the daemon answers with status %d\n", target->command->name,
                answer->status);
    return answer->status == 400 ? CLI_USAGE : CLI_FAILED; /* the words do not make a question */
}
