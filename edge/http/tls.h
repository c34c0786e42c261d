/*
 * TLS of one listener: a context per certificate, the certificate chosen by the client's server
 * name, session tickets under a key that all worker processes share, so that sessions outlive a
 * reload.
 */
#pragma once

#include "base/slice.h"
#include "policy/config.h"

#include <openssl/ssl.h>

struct tls;

enum { TLS_ERROR_BYTES = 1024 };

/* Would tls_new() take these files? False with a line in `error`: what is wrong and what to do. */
bool tls_try(const struct tls_certificate *files, char error[TLS_ERROR_BYTES]);
/*
 * NULL with a line in `error`, that begins with the place in the policy: no certificate could be
 * read, key and certificate do not belong together. `ticket_key` may be NULL: no tickets. It is
 * copied. Contexts may be used by any thread.
 */
struct tls *tls_new(const struct listen_config *config, const void *ticket_key,
                    size_t ticket_key_bytes, char error[TLS_ERROR_BYTES]);
void tls_free(struct tls *tls);
/* What a handshake starts with; the server name changes it for another. */
SSL_CTX *tls_default_context(const struct tls *tls);
/* When the first of its certificates ends: seconds since 1970. Any thread. */
int64_t tls_first_expiry(const struct tls *tls);
/* The context for this server name: exact, then the wildcard of its parent, else the default. */
SSL_CTX *tls_context_for(const struct tls *tls, slice server_name);
