/*
 * The server name of a TLS client, against the names of certificates: the exact name, then the
 * wildcard of its parent, else the first certificate; in any case of letters, with and without a
 * dot at its end.
 *
 *   input = the name
 */
#include "edge/http/tls.h"

#include "base/arena.h"

#include "tests/fuzz/input.h"
#include "tests/unit/edge/certificate.h"

enum { CERTIFICATES = 4 };

static const struct {
    const char *common_name, *alternatives; /* NULL: none, so that the common name counts */
    slice names[2];
} rows[CERTIFICATES] = {
    {"first.example", NULL, {{"first.example", 13}}},
    {"x", "DNS:shop.example,DNS:*.shop.example", {{"shop.example", 12}, {"*.shop.example", 14}}},
    {"x",
     "DNS:a.shop.example,DNS:*.a.shop.example",
     {{"a.shop.example", 14}, {"*.a.shop.example", 16}}},
    {"x", "DNS:*.example,DNS:b", {{"*.example", 9}, {"b", 1}}},
};
static struct tls *tls;
static SSL_CTX *contexts[CERTIFICATES];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static struct certificate files[CERTIFICATES];
    static struct tls_certificate certificates[CERTIFICATES];
    const struct listen_config config = {.tls = certificates, .tls_count = CERTIFICATES};
    char error[TLS_ERROR_BYTES] = "";
    (void)argc, (void)argv;
    for (size_t i = 0; i < CERTIFICATES; i++) {
        certificate_make(&files[i], rows[i].common_name, rows[i].alternatives);
        certificates[i] = (struct tls_certificate){.cert_path = slice_of_string(files[i].cert_path),
                                                   .key_path = slice_of_string(files[i].key_path)};
    }
    tls = tls_new(&config, NULL, 0, error);
    MUST(tls);
    for (size_t i = 0; i < CERTIFICATES; i++) {
        contexts[i] = tls_context_for(tls, rows[i].names[0]);
        MUST((contexts[i] == tls_default_context(tls)) == (i == 0));
        certificate_remove(&files[i]);
    }
    return 0;
}

static SSL_CTX *context_of(slice name)
{
    for (size_t i = 0; name.len && i < CERTIFICATES * 2; i++)
        if (slice_equal(rows[i / 2].names[i % 2], name))
            return contexts[i / 2];
    return NULL;
}

/* The name is in lower case, without a dot at its end. */
static SSL_CTX *plain_reading(struct arena *arena, slice name)
{
    size_t dot = slice_find(name, '.', 0);
    slice parent = slice_from(name, dot);
    SSL_CTX *exact = context_of(name), *wildcard = NULL;
    if (dot > 0 && parent.len)
        wildcard = context_of(arena_concat(arena, (slice[]){SLICE("*"), parent}, 2));
    return exact ? exact : wildcard ? wildcard : contexts[0];
}

static slice in_capitals(struct arena *arena, slice name)
{
    char *bytes = arena_alloc(arena, name.len + 1);
    for (size_t i = 0; i < name.len; i++)
        bytes[i] =
            name.ptr[i] >= 'a' && name.ptr[i] <= 'z' ? (char)(name.ptr[i] - 32) : name.ptr[i];
    return slice_of(bytes, name.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    slice name = input_of(data, size < 512 ? size : 512);
    arena_init(&arena);
    slice plain = arena_copy_lower(&arena, name);
    if (slice_ends_with(plain, SLICE(".")))
        plain.len--;
    SSL_CTX *context = tls_context_for(tls, name);
    MUST(context == plain_reading(&arena, plain));
    MUST(context == tls_context_for(tls, in_capitals(&arena, name)));
    arena_fini(&arena);
    return 0;
}
