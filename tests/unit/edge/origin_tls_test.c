/* TLS towards origins: who is believed and who is not. */
#include "tests/unit/edge/certificate.h"
#include "tests/unit/edge/origin_rig.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* A TLS server that answers each request on a connection, one connection at a time. */
struct tls_server {
    SSL_CTX *context;
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool is_stopping;
    atomic_uint requests, handshakes;
    char sni[64];
    const char *answer;
    bool cuts; /* closes without a close_notify behind the answer */
};

static bool read_request(SSL *ssl)
{
    char head[4096];
    int bytes = 0;
    while (bytes < (int)sizeof(head)) {
        int got = SSL_read(ssl, head + bytes, 1);
        if (got <= 0)
            return false;
        bytes += got;
        if (bytes >= 4 && memcmp(head + bytes - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

static void serve_tls(struct tls_server *server, int fd)
{
    SSL *ssl = SSL_new(server->context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(server->sni, sizeof(server->sni), "%s", sni ? sni : "");
        server->handshakes++;
        while (read_request(ssl)) {
            server->requests++;
            SSL_write(ssl, server->answer, (int)strlen(server->answer));
            if (server->cuts)
                break;
        }
        if (!server->cuts)
            SSL_shutdown(ssl);
    }
    ERR_clear_error();
    SSL_free(ssl);
    close(fd);
}

static void *accept_tls(void *arg)
{
    struct tls_server *server = arg;
    while (!server->is_stopping) {
        struct pollfd poll_fd = {.fd = server->listener, .events = POLLIN};
        if (poll(&poll_fd, 1, 10) > 0)
            serve_tls(server, accept4(server->listener, NULL, NULL, SOCK_CLOEXEC));
    }
    return NULL;
}

static void tls_start(struct tls_server *server, const struct certificate *certificate)
{
    struct server plain = {0};
    memset(server, 0, sizeof(*server));
    server->answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
    server->context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(
        SSL_CTX_use_certificate_file(server->context, certificate->cert_path, SSL_FILETYPE_PEM), 1);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(server->context, certificate->key_path, SSL_FILETYPE_PEM), 1);
    signal(SIGPIPE, SIG_IGN);
    server_bind(&plain);
    listen(plain.listener, 16);
    server->listener = plain.listener;
    server->port = plain.port;
    assert_int_equal(pthread_create(&server->thread, NULL, accept_tls, server), 0);
}

static void tls_stop(struct tls_server *server)
{
    server->is_stopping = true;
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->context);
}

struct case_of_tls {
    const char *names; /* of the certificate */
    const char *tls_name;
    bool trusts, verifies;
    int max_version; /* 0: the newest */
    const char *expected;
};

static void check(const struct case_of_tls *it)
{
    struct certificate certificate;
    struct tls_server server;
    struct rig rig;
    struct probe_call probe;
    certificate_make(&certificate, "nobody", it->names);
    tls_start(&server, &certificate);
    if (it->max_version)
        SSL_CTX_set_max_proto_version(server.context, it->max_version);
    rig_init(&rig, server.port);
    rig.workers[0].is_tls = true;
    rig.config.tls_verify = it->verifies;
    rig.config.tls_name = slice_of_string(it->tls_name);
    rig.config.tls_ca = it->trusts ? slice_of_string(certificate.cert_path) : SLICE_NONE;
    rig_start(&rig, 1);
    for (int i = 0; i < 3; i++) {
        probe_run(&probe, &rig, SLICE("GET"), SLICE("/"));
        slice outcome = probe_outcome(&probe);
        bool may_be_down = i > 0 && slice_equal(outcome, SLICE("all_down"));
        if (!may_be_down && !slice_equal(outcome, slice_of_string(it->expected)))
            fail_msg("%s as %s: %.*s (%s)", it->names, it->tls_name, SLICE_ARG(outcome),
                     probe.detail);
        probe_fini(&probe);
    }
    if (slice_equal(slice_of_string(it->expected), SLICE("CLEAN"))) {
        assert_int_equal(server.handshakes, 1); /* the connection is kept */
        assert_int_equal(server.requests, 3);
        assert_string_equal(server.sni, it->tls_name ? it->tls_name : "");
    } else {
        assert_int_equal(server.requests, 0);
    }
    rig_stop(&rig);
    tls_stop(&server);
    certificate_remove(&certificate);
}

static void test_a_certificate_is_believed_for_its_names_only(void **state)
{
    (void)state;
    static const struct case_of_tls CASES[] = {
        {"DNS:inner.example", "inner.example", true, true, 0, "CLEAN"},
        {"DNS:inner.example", "inner.example", true, true, TLS1_2_VERSION, "CLEAN"},
        {"DNS:*.example.com", "a.example.com", true, true, 0, "CLEAN"},
        {"DNS:inner.example", "other.example", true, true, 0, "tls"},
        {"DNS:inner.example", "other.example", true, true, TLS1_2_VERSION, "tls"},
        {"DNS:*.example.com", "a.b.example.com", true, true, 0, "tls"},
        {"DNS:inner.example", "inner.example", false, true, 0, "tls"},
        {"DNS:inner.example", "other.example", false, false, 0, "CLEAN"},
        {"DNS:inner.example", "other.example", false, false, TLS1_2_VERSION, "CLEAN"},
        {"IP:127.0.0.1", NULL, true, true, 0, "CLEAN"}, /* the worker's own address */
        {"IP:127.0.0.1", NULL, true, true, TLS1_2_VERSION, "CLEAN"},
        {"IP:127.0.0.2", NULL, true, true, 0, "tls"},
        {"DNS:inner.example", NULL, true, true, 0, "tls"},
        {"DNS:inner.example", "inner.example", true, true, TLS1_1_VERSION, "tls"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        check(&CASES[i]);
}

static void test_an_authority_file_that_is_not_there_is_an_error_at_start(void **state)
{
    struct rig rig;
    char error[256] = "";
    (void)state;
    rig_init(&rig, 1);
    rig_make_loops();
    rig.workers[0].is_tls = true;
    rig.config.tls_ca = SLICE("/no/such/file.pem");
    void *region = shared_region();
    assert_null(origins_new(&rig.policy, rig_loops, 1, region, error));
    assert_non_null(strstr(error, "renderer"));
    munmap(region, slots_region_bytes());
}

static void check_cut(const char *answer, bool cuts, const char *expected, size_t body_bytes)
{
    struct certificate certificate;
    struct tls_server server;
    struct rig rig;
    struct probe_call probe;
    certificate_make(&certificate, "inner", "DNS:inner.example");
    tls_start(&server, &certificate);
    server.answer = answer;
    server.cuts = cuts;
    rig_init(&rig, server.port);
    rig.workers[0].is_tls = true;
    rig.config.retries = 0;
    rig.config.tls_name = SLICE("inner.example");
    rig.config.tls_ca = slice_of_string(certificate.cert_path);
    rig_start(&rig, 1);
    probe_run(&probe, &rig, SLICE("GET"), SLICE("/"));
    assert_true(slice_equal(probe_outcome(&probe), slice_of_string(expected)));
    assert_int_equal(probe.body_bytes, body_bytes);
    probe_fini(&probe);
    rig_stop(&rig);
    tls_stop(&server);
    certificate_remove(&certificate);
}

static void test_a_body_cut_off_inside_tls_never_looks_complete(void **state)
{
    (void)state;
    check_cut("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", true, "truncated", 5);
    check_cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true,
              "truncated", 5);
    check_cut("HTTP/1.1 200 OK\r\n\r\nhello", true, "UNCLEAN", 5);
    check_cut("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", false, "CLEAN", 5);
    check_cut("HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhello", false, "malformed", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_certificate_is_believed_for_its_names_only),
        cmocka_unit_test(test_an_authority_file_that_is_not_there_is_an_error_at_start),
        cmocka_unit_test(test_a_body_cut_off_inside_tls_never_looks_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
