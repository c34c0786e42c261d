/* What a policy names on this machine and varve cannot do without: files to be read, users. Said
 * while the file is checked, with its line, and all at once; not by the process that needs them. */
#include "policy/loader.h"

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

enum { SHOWN = 300 };

static const char *advice_for(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
        return ": make it, or give another path";
    case EACCES:
        return ": let varve read it, or give another path";
    default:
        return "";
    }
}

void check_file(struct loader *l, const struct setting *s, const struct yaml_node *node, slice path,
                enum user_file_rule rule)
{
    const char *cause;
    size_t bytes;
    if (!l->checks_machine || rule == USER_FILE_NONE)
        return;
    int fd = user_file_open(path, rule, &bytes, &cause);
    if (fd >= 0)
        close(fd);
    else
        fail(l, node, "\"%" SLICE_FMT "\": cannot read \"%" SLICE_FMT "\": %s%s", SLICE_ARG(s->key),
             SLICE_ARG(slice_until(path, SHOWN)), cause, advice_for(errno));
}

void check_user(struct loader *l, const struct yaml_node *map)
{
    const struct yaml_node *user = yaml_get(map, SLICE("user"));
    if (!l->checks_machine || !user || user->kind != YAML_SCALAR || user->text.len == 0)
        return;
    if (!getpwnam(arena_copy(&l->scratch, user->text).ptr))
        fail(l, user,
             "\"user\": there is no user \"%" SLICE_FMT "\": make it with adduser --system",
             SLICE_ARG(slice_until(user->text, 64)));
}
