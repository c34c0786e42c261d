/*
 * h2o/http2_internal.h includes khash.h, which Debian does not install with it. Of that hash table
 * the header needs that a pointer to one can be a member, and that one inline function, never
 * called here, compiles. Its struct layouts stay the library's own.
 */
#pragma once

typedef unsigned khiter_t;

#define KHASH_MAP_INIT_INT64(name, value)                                                          \
    struct kh_##name {                                                                             \
        khiter_t end;                                                                              \
        value *values;                                                                             \
    };
#define khash_t(name)          struct kh_##name
#define kh_end(table)          ((table)->end)
#define kh_get(name, table, k) ((void)(k), (table)->end)
#define kh_val(table, at)      ((table)->values[at])
