/* See print.h. */
#include "edge/cli/print.h"

#include "base/utf8.h"

#include <stdlib.h>

enum { DEPTH_MAX = 8, COLUMNS_MAX = 24, CELL_BYTES = 512, INDENT = 2 };

/* --- one value --- */

static bool is_scalar(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

static void escape(char cell[CELL_BYTES], const char *text)
{
    enum { MARK_BYTES = sizeof("…") };
    slice rest = slice_of_string(text);
    size_t used = 0;
    while (rest.len && used + UTF8_SHOWN_MAX + MARK_BYTES <= CELL_BYTES)
        used += utf8_show(cell + used, &rest);
    cell[used] = '\0';
    if (rest.len)
        memcpy(cell + used, "…", MARK_BYTES);
}

static void format_scalar(char cell[CELL_BYTES], const json_t *value)
{
    if (json_is_string(value))
        escape(cell, json_string_value(value));
    else if (json_is_integer(value))
        snprintf(cell, CELL_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(cell, CELL_BYTES, "%.6g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(cell, CELL_BYTES, "%s", json_is_true(value) ? "yes" : "no");
    else
        snprintf(cell, CELL_BYTES, "-"); /* null, or not there */
}

static bool all_scalars(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!is_scalar(json_array_get(array, i)))
            return false;
    return true;
}

/* A value that fits into a cell: a scalar, "a, b" for a list of scalars, else compact JSON. */
static void format_cell(char cell[CELL_BYTES], const json_t *value)
{
    if (!value || is_scalar(value)) {
        format_scalar(cell, value);
        return;
    }
    if (!json_is_array(value) || !all_scalars(value)) {
        char *text = json_dumps(value, JSON_COMPACT);
        escape(cell, text ? text : "");
        free(text);
        return;
    }
    size_t used = 0;
    cell[0] = '\0';
    for (size_t i = 0; i < json_array_size(value) && used + 8 < CELL_BYTES; i++) {
        char part[CELL_BYTES];
        format_scalar(part, json_array_get(value, i));
        int length = snprintf(cell + used, CELL_BYTES - used, "%s%s", i ? ", " : "", part);
        used += (size_t)length < CELL_BYTES - used ? (size_t)length : CELL_BYTES - used - 1;
    }
}

/* Characters, not bytes: columns shall stand in line for UTF-8 too. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void pad(FILE *to, int count)
{
    fprintf(to, "%*s", count > 0 ? count : 0, "");
}

/* --- tables --- */

struct table {
    const char *columns[COLUMNS_MAX]; /* keys in the order in which rows first have them */
    int widths[COLUMNS_MAX];
    size_t count;
};

static void add_column(struct table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->columns[i], name) == 0)
            return;
    if (table->count == COLUMNS_MAX)
        return;
    table->widths[table->count] = width_of(name);
    table->columns[table->count++] = name;
}

static void measure(struct table *table, const json_t *rows)
{
    char cell[CELL_BYTES];
    const char *key;
    json_t *value;
    for (size_t i = 0; i < json_array_size(rows); i++)
        json_object_foreach(json_array_get(rows, i), key, value) add_column(table, key);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        for (size_t k = 0; k < table->count; k++) {
            format_cell(cell, json_object_get(json_array_get(rows, i), table->columns[k]));
            if (width_of(cell) > table->widths[k])
                table->widths[k] = width_of(cell);
        }
    }
}

static void print_cell(FILE *to, const struct table *table, size_t column, const char *text)
{
    char name[CELL_BYTES];
    escape(name, text);
    fputs(name, to);
    if (column + 1 < table->count)
        pad(to, table->widths[column] - width_of(name) + 2);
}

static void print_table(FILE *to, const json_t *rows, int indent)
{
    struct table table = {.count = 0};
    char cell[CELL_BYTES];
    measure(&table, rows);
    pad(to, indent);
    for (size_t k = 0; k < table.count; k++)
        print_cell(to, &table, k, table.columns[k]);
    fputc('\n', to);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        pad(to, indent);
        for (size_t k = 0; k < table.count; k++) {
            format_cell(cell, json_object_get(json_array_get(rows, i), table.columns[k]));
            print_cell(to, &table, k, cell);
        }
        fputc('\n', to);
    }
}

/* --- anything --- */

static bool is_table(const json_t *value)
{
    return json_is_array(value) && json_array_size(value) > 0 &&
           json_is_object(json_array_get(value, 0));
}

static void print_value(FILE *to, const json_t *value, int indent, int depth);

static void print_member(FILE *to, const char *key, const json_t *value, int indent, int widest,
                         int depth)
{
    char name[CELL_BYTES], cell[CELL_BYTES];
    bool is_block = depth < DEPTH_MAX &&
                    (is_table(value) || (json_is_object(value) && json_object_size(value) > 0));
    escape(name, key);
    pad(to, indent);
    if (is_block) {
        fprintf(to, "%s:\n", name);
        print_value(to, value, indent + INDENT, depth + 1);
        return;
    }
    format_cell(cell, value);
    fputs(name, to);
    pad(to, widest - width_of(name) + 2);
    fprintf(to, "%s\n", cell);
}

static void print_object(FILE *to, const json_t *object, int indent, int depth)
{
    const char *key;
    json_t *value;
    int widest = 0;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!is_table(value) && !json_is_object(value) && width_of(key) > widest)
            widest = width_of(key);
    }
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
        print_member(to, key, value, indent, widest, depth);
}

static void print_value(FILE *to, const json_t *value, int indent, int depth)
{
    char cell[CELL_BYTES];
    if (json_is_object(value)) {
        print_object(to, value, indent, depth);
    } else if (is_table(value)) {
        print_table(to, value, indent);
    } else {
        format_cell(cell, value);
        pad(to, indent);
        fprintf(to, "%s\n", cell);
    }
}

void print_json(FILE *to, const json_t *json)
{
    print_value(to, json, 0, 0);
}

void print_answer(const struct admin_answer *answer, bool raw)
{
    if (!raw && answer->json) {
        print_json(stdout, answer->json);
    } else {
        fwrite(answer->body, 1, answer->length, stdout);
        if (answer->length && answer->body[answer->length - 1] != '\n')
            putchar('\n');
    }
    fflush(stdout);
}
