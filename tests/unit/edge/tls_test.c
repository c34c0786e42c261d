/* Contexts, certificates by server name, tickets: client and server talk through memory. */
#include "edge/http/tls.h"

#include "tests/unit/edge/certificate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <time.h>

static struct certificate plain, wide;
static struct tls_certificate files[2];
static struct listen_config listen_config = {.tls = files, .tls_count = 2};
static unsigned char key_a[80] = {1}, key_b[80] = {2};

static int make_certificates(void **state)
{
    (void)state;
    certificate_make(&plain, "old.example", NULL);
    certificate_make(&wide, "ignored.example",
                     "DNS:shop.example,DNS:*.shop.example,DNS:exact.shop.example");
    files[0] = (struct tls_certificate){.cert_path = slice_of_string(plain.cert_path),
                                        .key_path = slice_of_string(plain.key_path)};
    files[1] = (struct tls_certificate){.cert_path = slice_of_string(wide.cert_path),
                                        .key_path = slice_of_string(wide.key_path)};
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    certificate_remove(&plain);
    certificate_remove(&wide);
    return 0;
}

static struct tls *make_tls(const void *key)
{
    char error[TLS_ERROR_BYTES] = "";
    struct tls *tls = tls_new(&listen_config, key, key ? 80 : 0, error);
    assert_string_equal(error, "");
    assert_non_null(tls);
    return tls;
}

/* --- a handshake through memory --- */

static void turn(SSL *from, SSL *to)
{
    char bytes[16384];
    int got;
    while ((got = BIO_read(SSL_get_wbio(from), bytes, sizeof(bytes))) > 0)
        BIO_write(SSL_get_rbio(to), bytes, got);
}

static SSL *new_side(SSL_CTX *context)
{
    SSL *side = SSL_new(context);
    SSL_set_bio(side, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return side;
}

/* A session of a connection that was not shut down would count as bad. */
static void free_side(SSL *side)
{
    SSL_set_shutdown(side, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(side);
}

static bool shake_hands(SSL *client, SSL *server)
{
    char byte;
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0; i < 10; i++) {
        SSL_do_handshake(client);
        turn(client, server);
        SSL_do_handshake(server);
        turn(server, client);
    }
    SSL_read(client, &byte, 1); /* takes the ticket */
    return SSL_is_init_finished(client) && SSL_is_init_finished(server);
}

static SSL_CTX *client_context(void)
{
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_alpn_protos(context, protocols, sizeof(protocols) - 1);
    return context;
}

/* --- tests --- */

static void test_a_certificate_is_chosen_by_exact_name_then_wildcard_then_first(void **state)
{
    (void)state;
    struct tls *tls = make_tls(key_a);
    SSL_CTX *first = tls_default_context(tls);
    SSL_CTX *second = tls_context_for(tls, SLICE("shop.example"));
    assert_ptr_not_equal(first, second);
    assert_ptr_equal(tls_context_for(tls, SLICE("old.example")), first);
    assert_ptr_equal(tls_context_for(tls, SLICE("SHOP.example.")), second);
    assert_ptr_equal(tls_context_for(tls, SLICE("www.shop.example")), second);
    assert_ptr_equal(tls_context_for(tls, SLICE("a.b.shop.example")), first); /* one label only */
    assert_ptr_equal(tls_context_for(tls, SLICE(".shop.example")), first);
    assert_ptr_equal(tls_context_for(tls, SLICE("ignored.example")), first);
    assert_ptr_equal(tls_context_for(tls, SLICE_NONE), first);
    tls_free(tls);
}

static void test_a_handshake_picks_h2_and_the_certificate_of_the_name(void **state)
{
    (void)state;
    struct tls *tls = make_tls(key_a);
    SSL_CTX *context = client_context();
    SSL *client = new_side(context), *server = new_side(tls_default_context(tls));
    const unsigned char *protocol;
    unsigned length;
    SSL_set_tlsext_host_name(client, "www.shop.example");
    assert_true(shake_hands(client, server));
    SSL_get0_alpn_selected(client, &protocol, &length);
    assert_memory_equal(protocol, "h2", length);
    X509 *seen = SSL_get1_peer_certificate(client);
    assert_int_equal(X509_check_host(seen, "www.shop.example", 0, 0, NULL), 1);
    X509_free(seen);
    free_side(client);
    free_side(server);
    SSL_CTX_free(context);
    tls_free(tls);
}

static void test_tls_1_1_is_refused_and_1_2_is_not(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_1_VERSION, TLS1_2_VERSION};
    struct tls *tls = make_tls(NULL);
    for (int i = 0; i < 2; i++) {
        SSL_CTX *context = client_context();
        SSL_CTX_set_security_level(context, 0);
        SSL_CTX_set_min_proto_version(context, versions[i]);
        SSL_CTX_set_max_proto_version(context, versions[i]);
        SSL *client = new_side(context), *server = new_side(tls_default_context(tls));
        assert_int_equal(shake_hands(client, server), i);
        free_side(client);
        free_side(server);
        SSL_CTX_free(context);
    }
    tls_free(tls);
}

static bool resumes(SSL_CTX *context, SSL_SESSION *session, const void *key)
{
    struct tls *tls = make_tls(key); /* as another worker process would */
    SSL *client = new_side(context), *server = new_side(tls_default_context(tls));
    SSL_set_session(client, session);
    assert_true(shake_hands(client, server));
    bool resumed = SSL_session_reused(client);
    free_side(client);
    free_side(server);
    tls_free(tls);
    return resumed;
}

static void test_a_ticket_is_good_in_every_process_with_the_key_and_in_no_other(void **state)
{
    (void)state;
    struct tls *tls = make_tls(key_a);
    SSL_CTX *context = client_context();
    SSL *client = new_side(context), *server = new_side(tls_default_context(tls));
    assert_true(shake_hands(client, server));
    SSL_SESSION *session = SSL_get1_session(client);
    free_side(client);
    free_side(server);
    tls_free(tls);
    assert_false(resumes(context, session, key_b));
    assert_false(resumes(context, session, NULL));
    assert_true(resumes(context, session, key_a));
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
}

static void test_bad_files_are_named(void **state)
{
    (void)state;
    char error[TLS_ERROR_BYTES] = "";
    struct tls_certificate file = files[0];
    struct listen_config bad = {.tls = &file, .tls_count = 1};
    file.key_path = files[1].key_path; /* of another certificate */
    assert_null(tls_new(&bad, NULL, 0, error));
    assert_non_null(strstr(error, wide.key_path));
    assert_ptr_equal(strstr(error, "\"key\": cannot use"), error);
    file = (struct tls_certificate){.cert_path = SLICE("/nonexistent/cert.pem"),
                                    .key_path = files[0].key_path,
                                    .file = SLICE("v.yaml"),
                                    .line = 3,
                                    .column = 7};
    assert_null(tls_new(&bad, NULL, 0, error));
    assert_ptr_equal(strstr(error, "v.yaml:3:7: \"cert\": cannot use \"/nonexistent/cert.pem\": "),
                     error);
    assert_false(tls_try(&file, error));
    assert_ptr_equal(strstr(error, "\"cert\": cannot use \"/nonexistent/cert.pem\": "), error);
    assert_true(tls_try(&files[0], error));
}

static void test_the_first_certificate_that_ends_is_told(void **state)
{
    (void)state;
    struct tls *tls = make_tls(NULL);
    int64_t left = tls_first_expiry(tls) - time(NULL); /* they are made for an hour */
    assert_true(left > 3000 && left <= 3600);
    tls_free(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_certificate_that_ends_is_told),
        cmocka_unit_test(test_a_certificate_is_chosen_by_exact_name_then_wildcard_then_first),
        cmocka_unit_test(test_a_handshake_picks_h2_and_the_certificate_of_the_name),
        cmocka_unit_test(test_tls_1_1_is_refused_and_1_2_is_not),
        cmocka_unit_test(test_a_ticket_is_good_in_every_process_with_the_key_and_in_no_other),
        cmocka_unit_test(test_bad_files_are_named),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
