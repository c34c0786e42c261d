/*
 * The name is set on the context, so that OpenSSL itself refuses a wrong certificate inside the
 * handshake, whatever the caller of the handshake checks or forgets. Sessions are not resumed: the
 * connections are kept and used again.
 */
#include "edge/origin/tls.h"

#include "base/ip.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static const unsigned char ALPN[] = "\x08http/1.1";

slice tls_name_of(const struct origin_config *origin, const struct worker_config *worker)
{
    return origin->tls_name.len > 0 ? origin->tls_name : worker->host;
}

static bool set_name(SSL_CTX *context, slice name)
{
    struct ip_address address;
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (name.len == 0)
        return false;
    if (!ip_parse(name, &address))
        return X509_VERIFY_PARAM_set1_host(parameters, name.ptr, name.len) == 1;
    char *text = strndup(name.ptr, name.len);
    bool is_set = text && X509_VERIFY_PARAM_set1_ip_asc(parameters, text) == 1;
    free(text);
    return is_set;
}

static bool set_authorities(SSL_CTX *context, slice file)
{
    if (file.len == 0)
        return SSL_CTX_set_default_verify_paths(context) == 1;
    char *path = strndup(file.ptr, file.len);
    bool is_loaded = path && SSL_CTX_load_verify_locations(context, path, NULL) == 1;
    free(path);
    return is_loaded;
}

bool tls_ca_try(slice file)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool is_good = context && set_authorities(context, file);
    ERR_clear_error();
    SSL_CTX_free(context);
    return is_good;
}

static void set_protocol(SSL_CTX *context, const struct origin_config *origin)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_protos(context, ALPN, sizeof(ALPN) - 1);
    SSL_CTX_set_verify(context, origin->tls_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
}

SSL_CTX *tls_client_new(const struct origin_config *origin, const struct worker_config *worker,
                        char *error, size_t error_bytes)
{
    const char *problem = "cannot be set up";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context) {
        set_protocol(context, origin);
        if (!set_name(context, tls_name_of(origin, worker)))
            problem = "needs a name to verify";
        else if (!set_authorities(context, origin->tls_ca))
            problem = "cannot read its ca file: give authorities as PEM";
        else
            return context;
    }
    snprintf(error, error_bytes, "origin %" SLICE_FMT ": tls %s", SLICE_ARG(origin->name), problem);
    ERR_clear_error();
    SSL_CTX_free(context);
    return NULL;
}
