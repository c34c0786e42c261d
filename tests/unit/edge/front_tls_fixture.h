/* A front with TLS, for the certificate of a.example, and the clients' side of it. */
#pragma once

#include "tests/unit/edge/certificate.h"
#include "tests/unit/edge/front_fixture.h"

static struct certificate certificate;
static struct tls_certificate files;
static SSL_CTX *client_tls;

static int start_tls(void **state)
{
    (void)state;
    prepare();
    certificate_make(&certificate, "a.example", "DNS:a.example");
    files = (struct tls_certificate){.cert_path = slice_of_string(certificate.cert_path),
                                     .key_path = slice_of_string(certificate.key_path)};
    f.listen.tls = &files;
    f.listen.tls_count = 1;
    client_tls = SSL_CTX_new(TLS_client_method());
    launch();
    return 0;
}

static int stop_tls(void **state)
{
    SSL_CTX_free(client_tls);
    certificate_remove(&certificate);
    return stop_front(state);
}
