/* ${NAME} from the environment. Done on the tree, after YAML has been read: a value can then never
 * become syntax. */
#include "policy/loader.h"

#include <stdlib.h>

enum { EXPANDED_MAX = 64 << 10, PIECES_MAX = 256, NAME_MAX_BYTES = 128 };

static bool is_variable_name(slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = ascii_lower(name.ptr[i]);
        bool is_digit = c >= '0' && c <= '9';
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(is_digit && i > 0))
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

/* `inside` is what stands between the braces. As in a shell, an empty variable takes the default
 * of `:-`. */
static bool value_of(struct loader *l, const struct yaml_node *node, slice inside, slice *value)
{
    size_t split = slice_search(inside, SLICE(":-"));
    bool has_default = split < inside.len;
    slice name = slice_until(inside, split);
    if (!is_variable_name(name)) {
        fail(l, node,
             "\"${%" SLICE_FMT "}\" is not a variable: write ${NAME} or ${NAME:-default}, or $${ "
             "for a literal ${",
             SLICE_ARG(slice_until(inside, 60)));
        return false;
    }
    char *key = (char *)(uintptr_t)arena_copy(&l->scratch, name).ptr;
    const char *found = getenv(key);
    if (!found && !has_default) {
        fail(l, node,
             "environment variable \"%" SLICE_FMT "\" is not set: set it, or write ${%" SLICE_FMT
             ":-default}",
             SLICE_ARG(name), SLICE_ARG(name));
        return false;
    }
    bool takes_default = has_default && (!found || !*found);
    *value = takes_default ? slice_from(inside, split + 2) : slice_of_string(found);
    return true;
}

/* Cuts the next piece off *rest: literal text or one variable. */
static bool next_piece(struct loader *l, const struct yaml_node *node, slice *rest, slice *piece)
{
    size_t start = slice_search(*rest, SLICE("${"));
    if (start > 0 && start < rest->len && rest->ptr[start - 1] == '$') { /* $${ */
        *piece = slice_until(*rest, start);
        *rest = slice_from(*rest, start + 1);
        return true;
    }
    if (start > 0) {
        *piece = slice_until(*rest, start);
        *rest = slice_from(*rest, start);
        return true;
    }
    size_t end = slice_find(*rest, '}', 2);
    if (end == rest->len) {
        fail(l, node, "\"${\" without \"}\": write ${NAME}, or $${ for a literal ${");
        return false;
    }
    slice inside = slice_from(slice_until(*rest, end), 2);
    *rest = slice_from(*rest, end + 1);
    return value_of(l, node, inside, piece);
}

static void expand_scalar(struct loader *l, struct yaml_node *node)
{
    slice rest = node->text, pieces[PIECES_MAX];
    size_t count = 0, length = 0;
    if (slice_search(rest, SLICE("${")) == rest.len)
        return;
    while (rest.len) {
        if (count == PIECES_MAX || length > EXPANDED_MAX) {
            fail(l, node, "too many or too long variables in one value");
            node->is_reported = true;
            return;
        }
        if (!next_piece(l, node, &rest, &pieces[count])) {
            node->is_reported = true;
            return;
        }
        length += pieces[count++].len;
    }
    node->text = arena_concat(&l->scratch, pieces, count);
}

void expand_tree(struct loader *l, struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR)
        expand_scalar(l, node);
    for (size_t i = 0; node->kind == YAML_LIST && i < node->count; i++)
        expand_tree(l, node->items[i]);
    for (size_t i = 0; node->kind == YAML_MAP && i < node->count; i++)
        expand_tree(l, node->entries[i].value);
}
