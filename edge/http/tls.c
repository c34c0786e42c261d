/*
 * Each certificate's names are read once (subjectAltName DNS, else the common name) into a list;
 * the list is short and a handshake is dear, so it is searched in order.
 */
#include "edge/http/tls.h"

#include "base/arena.h"
#include "base/must.h"
#include "edge/http/front_internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { NAMES_MAX = 1024, NAME_MAX_BYTES = 255, KEY_NAME_BYTES = 16, KEY_BYTES = 32, IV_BYTES = 16 };
enum { KEY_UPDATES_MAX = 32 };

struct tls_name {
    slice pattern; /* lower case, perhaps "*.example.com" */
    SSL_CTX *context;
};

struct tls {
    struct arena arena;
    SSL_CTX **contexts;
    size_t context_count;
    struct tls_name *names;
    size_t name_count;
    int key_updates_index; /* of their number in an SSL */
    bool has_tickets;
    /* one shared key: name, HMAC-SHA256 key, AES-256 key */
    unsigned char key_name[KEY_NAME_BYTES], hmac_key[KEY_BYTES], aes_key[KEY_BYTES];
};
_Static_assert(KEY_NAME_BYTES + 2 * KEY_BYTES == 80, "TICKET_KEY_BYTES of edge/proc/shared.h");

/* --- names --- */

SSL_CTX *tls_default_context(const struct tls *tls)
{
    return tls->contexts[0];
}

static bool name_matches(slice pattern, slice name)
{
    if (!slice_starts_with(pattern, SLICE("*.")))
        return slice_equal_nocase(pattern, name);
    size_t dot = slice_find(name, '.', 0); /* a wildcard stands for one label: RFC 6125 §6.4.3 */
    return dot > 0 && dot < name.len &&
           slice_equal_nocase(slice_from(pattern, 1), slice_from(name, dot));
}

SSL_CTX *tls_context_for(const struct tls *tls, slice server_name)
{
    if (slice_ends_with(server_name, SLICE(".")))
        server_name.len--;
    SSL_CTX *found = NULL;
    for (size_t i = 0; i < tls->name_count; i++) {
        if (!name_matches(tls->names[i].pattern, server_name))
            continue;
        if (tls->names[i].pattern.ptr[0] != '*')
            return tls->names[i].context;
        if (!found)
            found = tls->names[i].context;
    }
    return found ? found : tls_default_context(tls);
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    const struct tls *tls = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name)
        SSL_set_SSL_CTX(ssl, tls_context_for(tls, slice_of_string(name)));
    return SSL_TLSEXT_ERR_OK;
}

static void add_name(struct tls *tls, SSL_CTX *context, const unsigned char *text, int length)
{
    if (!text || length <= 0 || length > NAME_MAX_BYTES || tls->name_count == NAMES_MAX)
        return;
    slice name = slice_of((const char *)text, (size_t)length);
    tls->names[tls->name_count++] = (struct tls_name){arena_copy_lower(&tls->arena, name), context};
}

static size_t add_alternative_names(struct tls *tls, SSL_CTX *context, X509 *certificate)
{
    size_t before = tls->name_count;
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
        if (one->type == GEN_DNS)
            add_name(tls, context, ASN1_STRING_get0_data(one->d.dNSName),
                     ASN1_STRING_length(one->d.dNSName));
    }
    GENERAL_NAMES_free(all);
    return tls->name_count - before;
}

static void add_names(struct tls *tls, SSL_CTX *context)
{
    X509 *certificate = SSL_CTX_get0_certificate(context);
    if (add_alternative_names(tls, context, certificate))
        return;
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return;
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    add_name(tls, context, ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
}

/* --- tickets --- */

/* Called by OpenSSL to seal a new ticket (encrypting) or to open one:
 * SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
static int on_ticket(SSL *ssl, unsigned char *key_name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypting)
{
    struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (encrypting) {
        memcpy(key_name, tls->key_name, KEY_NAME_BYTES);
        if (RAND_bytes(iv, IV_BYTES) != 1)
            return -1;
    } else if (memcmp(key_name, tls->key_name, KEY_NAME_BYTES) != 0) {
        return 0; /* sealed by another master: full handshake */
    }
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, tls->hmac_key, KEY_BYTES),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end()};
    if (EVP_MAC_CTX_set_params(mac, parameters) != 1 ||
        EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, tls->aes_key, iv, encrypting) != 1)
        return -1;
    return 1;
}

static void set_up_tickets(struct tls *tls, SSL_CTX *context)
{
    SSL_CTX_set_app_data(context, tls);
    if (!tls->has_tickets) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        return;
    }
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    /* libh2o takes any write of OpenSSL while it reads for a renegotiation and closes; one ticket,
     * sent within the handshake, is enough */
    SSL_CTX_set_num_tickets(context, 1);
}

static void take_ticket_key(struct tls *tls, const unsigned char *key, size_t bytes)
{
    if (!key || bytes < sizeof(tls->key_name) + sizeof(tls->hmac_key) + sizeof(tls->aes_key))
        return;
    memcpy(tls->key_name, key, KEY_NAME_BYTES);
    memcpy(tls->hmac_key, key + KEY_NAME_BYTES, KEY_BYTES);
    memcpy(tls->aes_key, key + KEY_NAME_BYTES + KEY_BYTES, KEY_BYTES);
    tls->has_tickets = true;
}

/* --- key updates --- */

/*
 * TLS 1.3 lets each side change its keys as often as it likes (RFC 8446 §4.6.3): a message of 27
 * bytes costs us several hashes. Nobody needs it more than once in some gigabytes. OpenSSL tells of
 * each message that it has read; one that has gone too far is told that the client has said
 * goodbye, so that it throws away what else has arrived.
 */
static void on_message(int is_ours, int version, int type, const void *bytes, size_t count,
                       SSL *ssl, void *arg)
{
    (void)version;
    const struct tls *tls = arg;
    if (is_ours || type != SSL3_RT_HANDSHAKE || count == 0 ||
        *(const unsigned char *)bytes != SSL3_MT_KEY_UPDATE)
        return;
    uintptr_t updates = (uintptr_t)SSL_get_ex_data(ssl, tls->key_updates_index) + 1;
    SSL_set_ex_data(ssl, tls->key_updates_index, (void *)updates);
    if (updates <= KEY_UPDATES_MAX)
        return;
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    if (updates == KEY_UPDATES_MAX + 1)
        client_cut(BIO_get_data(SSL_get_rbio(ssl)), "key updates"); /* libh2o's: its socket */
}

/* --- contexts --- */

static SSL_CTX *context_with_options(struct tls *tls)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* forward secrecy and AEAD only; TLS 1.3 suites are OpenSSL's */
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"varve", 5);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, tls);
    h2o_ssl_register_alpn_protocols(context, h2o_alpn_protocols);
    set_up_tickets(tls, context);
    SSL_CTX_set_msg_callback(context, on_message);
    SSL_CTX_set_msg_callback_arg(context, tls);
    return context;
}

/* Nobody sits at a server to be asked for one, as OpenSSL would. */
static int no_password(char *buffer, int size, int is_writing, void *arg)
{
    (void)buffer, (void)size, (void)is_writing, (void)arg;
    return 0;
}

/* False with a line in `error`. */
static bool load_files(SSL_CTX *context, const struct tls_certificate *files, struct arena *arena,
                       char error[TLS_ERROR_BYTES])
{
    const char *cert = arena_copy(arena, files->cert_path).ptr;
    const char *key = arena_copy(arena, files->key_path).ptr;
    SSL_CTX_set_default_passwd_cb(context, no_password);
    ERR_clear_error();
    bool has_cert = SSL_CTX_use_certificate_chain_file(context, cert) == 1;
    if (has_cert && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(context) == 1)
        return true;
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(error, TLS_ERROR_BYTES, "\"%s\": cannot use \"%.400s\": %s: give %s, as PEM",
             has_cert ? "key" : "cert", has_cert ? key : cert, why ? why : "cannot be read",
             has_cert ? "the key of the certificate" : "the certificate and its chain");
    ERR_clear_error();
    return false;
}

bool tls_try(const struct tls_certificate *files, char error[TLS_ERROR_BYTES])
{
    struct arena arena;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    arena_init(&arena);
    snprintf(error, TLS_ERROR_BYTES, "TLS cannot be set up");
    bool is_good = context && load_files(context, files, &arena, error);
    SSL_CTX_free(context);
    arena_fini(&arena);
    return is_good;
}

static void fail_at(const struct tls_certificate *files, const char *text,
                    char error[TLS_ERROR_BYTES])
{
    if (files->file.len)
        snprintf(error, TLS_ERROR_BYTES, "%" SLICE_FMT ":%u:%u: %.700s",
                 SLICE_ARG(slice_until(files->file, 200)), files->line, files->column, text);
    else
        snprintf(error, TLS_ERROR_BYTES, "%.700s", text);
}

static bool add_certificate(struct tls *tls, const struct tls_certificate *files,
                            char error[TLS_ERROR_BYTES])
{
    char text[TLS_ERROR_BYTES] = "TLS cannot be set up";
    SSL_CTX *context = context_with_options(tls);
    if (context && load_files(context, files, &tls->arena, text)) {
        tls->contexts[tls->context_count++] = context;
        add_names(tls, context);
        return true;
    }
    fail_at(files, text, error);
    SSL_CTX_free(context);
    return false;
}

struct tls *tls_new(const struct listen_config *config, const void *ticket_key,
                    size_t ticket_key_bytes, char error[TLS_ERROR_BYTES])
{
    MUST(config->tls_count > 0);
    struct tls *tls = mem_alloc(sizeof(*tls));
    arena_init(&tls->arena);
    tls->key_updates_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    MUST(tls->key_updates_index >= 0);
    tls->contexts = arena_array(&tls->arena, SSL_CTX *, config->tls_count);
    tls->names = arena_array(&tls->arena, struct tls_name, NAMES_MAX);
    take_ticket_key(tls, ticket_key, ticket_key_bytes);
    for (size_t i = 0; i < config->tls_count; i++) {
        if (add_certificate(tls, &config->tls[i], error))
            continue;
        tls_free(tls);
        return NULL;
    }
    return tls;
}

int64_t tls_first_expiry(const struct tls *tls)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < tls->context_count; i++) {
        struct tm end = {0};
        const X509 *certificate = SSL_CTX_get0_certificate(tls->contexts[i]);
        if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
            continue;
        int64_t seconds = timegm(&end);
        first = seconds < first ? seconds : first;
    }
    return first;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    for (size_t i = 0; i < tls->context_count; i++)
        SSL_CTX_free(tls->contexts[i]);
    arena_fini(&tls->arena);
    OPENSSL_cleanse(tls, sizeof(*tls));
    free(tls);
}
