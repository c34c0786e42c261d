/* TLS towards an origin: one client context per configured worker. */
#pragma once

#include "policy/config.h"

#include <openssl/ssl.h>

/* What the worker's certificate must name: tls_name, else the worker's host. */
slice tls_name_of(const struct origin_config *origin, const struct worker_config *worker);
/* Would tls_client_new() take this tls_ca? */
bool tls_ca_try(slice file);
/*
 * Verifies chain and name (an address is compared as an address) against tls_ca or the system's
 * authorities, unless tls_verify is off. NULL with a line in `error`.
 */
SSL_CTX *tls_client_new(const struct origin_config *origin, const struct worker_config *worker,
                        char *error, size_t error_bytes);
