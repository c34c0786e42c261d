/* The policy file where it is right: defaults, values, includes, variables, the command line, the
 * round trip of the effective policy, the presets, the policy hash, the documentation. */
#include "tests/unit/policy/load_support.h"
#include "tests/unit/policy/settings_walk.h"

static int64_t seconds(duration d)
{
    return d.ms / 1000;
}

static struct policy *load_options(struct fixture *f, struct policy_options options)
{
    diag_init(&f->diag, &f->arena);
    return policy_load(&options, &f->diag);
}

/* --- defaults --- */

static void test_defaults_of_the_policy(void **state)
{
    struct policy *p = load_ok(*state, R);
    assert_int_equal(p->listen_count, 1);
    check_slice(p->listen[0].address, ":8080");
    assert_int_equal(p->listen[0].tls_count, 0);
    assert_false(p->redirect_http);
    assert_int_equal(p->hosts.count, 0);
    assert_int_equal(p->threads, machine_threads(""));
    assert_int_equal(p->max_object_bytes, 16 << 20);
    assert_false(p->durability_sync);
    assert_true(p->store_bytes_is_default);
    assert_in_range(p->store_bytes, 1 << 20, 8ull << 30);
    assert_in_range(p->memory_bytes, 1 << 20, 512ull << 20);
    assert_int_equal(p->shell_file.len, 0);
    assert_int_equal(p->identity.cookies, COOKIES_AUTO);
    check_slices(&p->identity.headers, "authorization");
    assert_int_equal(p->class_count, 1);
    check_slice(p->classes[0].name, "people");
    assert_int_equal(p->vary_count, 0);
    assert_int_equal(p->max_variants, 64);
    assert_int_equal(p->seal, SEAL_STANDARD);
    check_slices(&p->compress_codings, "br gzip");
    check_slices(&p->compress_types, "text/* application/json image/svg+xml");
    assert_int_equal(p->compress_min_bytes, 1024);
    assert_int_equal(p->route_count, 0);
    assert_int_equal(p->purge_methods.count, 0);
    assert_int_equal(p->purge_allow.count, 0);
    check_slices(&p->purge_tag_headers, "surrogate-key cache-tag xkey");
    check_slice(p->access_log_path, "-");
    assert_false(p->access_log_is_ncsa);
    assert_int_equal(p->log_level, 2);
    check_slices(&p->redact_query, "token code");
    assert_int_equal(seconds(p->reload_drain), 65);
    assert_int_equal(seconds(p->shutdown_drain), 30);
    assert_int_equal(p->trusted_proxies.count, 0);
    assert_int_equal(p->error_page_count, 0);
    assert_int_equal(p->user.len, 0);
    policy_free(p);
}

static void test_defaults_of_limits(void **state)
{
    struct policy *p = load_ok(*state, R);
    assert_int_equal(p->limits.header_bytes, 32 << 10);
    assert_int_equal(p->limits.headers, 100);
    assert_int_equal(p->limits.url_bytes, 8 << 10);
    assert_int_equal(p->limits.request_body_bytes, 16 << 20);
    assert_int_equal(p->limits.request_bodies_bytes, 256 << 20);
    assert_int_equal(p->limits.response_buffers_bytes, 256 << 20);
    assert_int_equal(seconds(p->limits.header_timeout), 10);
    assert_int_equal(seconds(p->limits.idle), 60);
    assert_int_equal(seconds(p->limits.stall), 20);
    assert_int_equal(p->limits.connections, 10000);
    assert_int_equal(p->limits.per_client_percent, 25);
    policy_free(p);
    p = load_ok(*state, R "limits: {per_client: 100%}\n");
    assert_int_equal(p->limits.per_client_percent, 100);
    policy_free(p);
}

static void test_defaults_of_an_origin(void **state)
{
    struct policy *p = load_ok(*state, R);
    const struct origin_config *o = &p->origins[0];
    assert_int_equal(p->origin_count, 1);
    check_slice(o->name, "renderer");
    check_slice(o->workers[0].host, "127.0.0.1");
    assert_int_equal(o->workers[0].port, 3000);
    assert_int_equal(o->slots, 8);
    assert_int_equal(o->connections, 64);
    assert_false(o->slots_cover_assets);
    assert_int_equal(seconds(o->slot_max), 60);
    assert_int_equal(o->connect.ms, 250);
    assert_int_equal(seconds(o->first_byte), 30);
    assert_int_equal(seconds(o->between_bytes), 60);
    assert_int_equal(seconds(o->client_wait), 2);
    assert_int_equal(o->retries, 1);
    assert_int_equal(o->target.len, 0);
    assert_int_equal(o->host, ORIGIN_HOST_CLIENT);
    assert_true(o->tls_verify);
    assert_int_equal(o->set_header_count, 0);
    assert_false(o->forward_client_address);
    assert_int_equal(o->revalidate_max, 1);
    assert_int_equal(seconds(o->dns), 10);
    policy_free(p);
}

static void check_route_defaults(const struct route *r)
{
    assert_false(duration_is_given(r->ttl.value));
    assert_false(r->stale.is_set); /* 5.1 */
    assert_int_equal(r->stale.while_revalidate.ms, 0);
    assert_int_equal(seconds(r->stale.if_error), 86400);
    assert_int_equal(seconds(r->stale_max), 86400);
    assert_int_equal(seconds(r->error_max), 10);
    assert_int_equal(seconds(r->heuristic_max), 10);
    assert_false(duration_is_given(r->document_max));
    assert_int_equal(seconds(r->uncacheable_ttl), 30);
    assert_int_equal(r->keep_old.ms, 0);
    assert_false(r->query_keep_is_set);
    assert_false(r->query_sort);
    assert_int_equal(r->max_queries, 0);
    assert_int_equal(r->when_logged_in, LOGGED_IN_PASS);
    assert_int_equal(r->on_failure_count, 1);
    assert_int_equal(r->on_failure[0], FALLBACK_STALE);
    assert_int_equal(r->store_statuses, STATUSES_PAGES);
    assert_false(r->store_set_cookie);
    assert_int_equal(r->reject_body_count, 0);
    assert_int_equal(r->invalidate, INVALIDATE_SOFT);
    assert_false(r->ignore_cookies);
    assert_false(r->is_asset);
    assert_int_equal(r->client_cache.len, 0);
    check_slices(&r->targeted, "cdn-cache-control");
}

static void test_4_3_5_1_defaults_of_a_route(void **state)
{
    struct policy *p = load_ok(*state, R "routes: [{match: \"/**\"}]\n");
    check_route_defaults(&p->routes[0]);
    check_route_defaults(&p->route_pass);
    assert_true(p->routes[0].is_cacheable);
    assert_false(p->route_pass.is_cacheable);
    assert_ptr_equal(p->routes[0].origin, &p->origins[0]);
    assert_ptr_equal(p->route_pass.origin, &p->origins[0]);
    check_slice(p->routes[0].content_types.at[0], "text/html");
    assert_int_equal(p->route_pass.index, 1);
    policy_free(p);
}

static void test_7_1_one_slot_covers_all_requests(void **state)
{
    struct policy *p =
        load_ok(*state, "origins:\n"
                        "  a: {workers: \"http://h\", slots: 1}\n"
                        "  b: {workers: \"http://h\", slots: 1, slots_cover: pages}\n"
                        "  c: {workers: \"http://h\", slots_cover: all}\n");
    assert_true(p->origins[0].slots_cover_assets);
    assert_false(p->origins[1].slots_cover_assets);
    assert_true(p->origins[2].slots_cover_assets);
    policy_free(p);
}

static void test_slot_max_follows_first_byte_and_drain_follows_slot_max(void **state)
{
    struct policy *p = load_ok(*state, "origins:\n"
                                       "  a: {workers: \"http://h\", timeouts: {first_byte: 2m}}\n"
                                       "  b: {workers: \"http://h\", slot_max: 30s}\n");
    assert_int_equal(seconds(p->origins[0].slot_max), 120);
    assert_int_equal(seconds(p->origins[1].slot_max), 30);
    assert_int_equal(seconds(p->reload_drain), 125);
    policy_free(p);
}

static void test_8_2_the_shell_of_an_origin_is_that_origin_asked_otherwise(void **state)
{
    struct policy *p =
        load_ok(*state, "origins: {a: {workers: [\"http://h\"]}, web: {workers: [\"http://w\"], "
                        "slots: 3, retries: 2,\n"
                        "  target: \"/_render{path}\", set_headers: {X-A: a, X-B: b}}}\n"
                        "shell: {origin: web, set_headers: {x-b: light}}\nroutes: [{match: /a}]\n");
    const struct origin_config *shell = &p->shell_origin;
    assert_int_equal(shell->index, 1);
    assert_int_equal(shell->slots + shell->retries, 0);
    check_slice(shell->target, "/_render{path}");
    assert_int_equal(shell->set_header_count, 2);
    check_slice(shell->set_headers[0].template, "a");
    check_slice(shell->set_headers[1].template, "light");
    check_slice(p->origins[1].set_headers[1].template, "b");
    assert_int_equal(p->shell_slots, 16);
    assert_int_equal(p->shell_timeout.ms, 1000);
    assert_int_equal(p->routes[0].on_failure[1], FALLBACK_SHELL);
    policy_free(p);
}

static void test_on_failure_includes_a_shell_that_is_configured(void **state)
{
    struct policy *p = load_ok(
        *state, R "shell: {file: s.html}\nroutes: [{match: /a}, {match: /b, on_failure: []}]\n");
    assert_int_equal(p->routes[0].on_failure_count, 2);
    assert_int_equal(p->routes[0].on_failure[1], FALLBACK_SHELL);
    assert_int_equal(p->routes[1].on_failure_count, 0);
    policy_free(p);
}

/* --- values --- */

static void test_workers_of_every_form(void **state)
{
    struct policy *p = load_ok(*state, "origins: {a: {workers: [\"http://a.b\", \"https://c\", "
                                       "\"http://[2001:db8::1]:81/\", \"unix:/run/s.sock\"]}}\n");
    const struct worker_config *w = p->origins[0].workers;
    assert_int_equal(p->origins[0].worker_count, 4);
    check_slice(w[0].host, "a.b");
    assert_int_equal(w[0].port, 80);
    assert_true(w[1].is_tls);
    assert_int_equal(w[1].port, 443);
    check_slice(w[2].host, "2001:db8::1");
    assert_int_equal(w[2].port, 81);
    check_slice(w[3].unix_path, "/run/s.sock");
    check_slice(w[3].url, "unix:/run/s.sock");
    policy_free(p);
}

static void test_7_2_a_share_of_the_workers(void **state)
{
    struct policy *p = load_ok(*state, "origins:\n"
                                       "  a: {workers: [\"http://name\"], share: 3/64}\n"
                                       "  b: {workers: [\"http://1.2.3.4\", \"unix:/x\"], "
                                       "share: 2/2}\n"
                                       "  c: {workers: [\"http://1.2.3.4\"]}\n");
    const struct share shares[] = {{3, 64}, {2, 2}, {1, 1}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(p->origins[i].share.part, shares[i].part);
        assert_int_equal(p->origins[i].share.of, shares[i].of);
    }
    policy_free(p);
}

static void test_9_1_spawned_processes_are_the_workers_of_their_origin(void **state)
{
    struct policy *p = load_ok(*state, "user: varve\nstore: {path: /s}\norigins:\n"
                                       "  a: {spawn: {command: [node, s.js], workers: 2}}\n"
                                       "  b: {spawn: {command: [node], workers: 1, listen: unix, "
                                       "user: app, recycle: {errors: 5/60s}}}\n");
    const struct origin_config *a = &p->origins[0], *b = &p->origins[1];
    assert_int_equal(a->worker_count, 2);
    check_slice(a->workers[0].url, "http://127.0.0.1:13001");
    assert_int_equal(a->workers[1].port, 13002);
    check_slice(a->spawn.user, "varve");
    check_slice(b->workers[0].unix_path, "/s/run/b-0.sock");
    check_slice(b->spawn.user, "app");
    assert_int_equal(seconds(b->spawn.grace), 5);
    assert_int_equal(b->spawn.recycle.errors, 5);
    assert_int_equal(seconds(b->spawn.recycle.errors_within), 60);
    assert_int_equal(b->spawn.recycle.renders, 0);
    policy_free(p);
    p = load_ok(*state, "origins: {a: {spawn: {command: [node]}}}\n");
    assert_in_range(p->origins[0].worker_count, 1, 64); /* one for each processor */
    policy_free(p);
}

static void test_an_origin_with_everything(void **state)
{
    struct policy *p =
        load_ok(*state, "origins:\n"
                        "  a:\n"
                        "    workers: \"https://h\"\n"
                        "    host: Shop.example:8443\n"
                        "    tls: {name: n, ca: ca.pem, verify: false}\n"
                        "    set_headers: {X-C: \"{class}/{build}\", X-J: '{\"a\": 1}'}\n"
                        "    build: {header: X-App-Version}\n"
                        "    target: \"/_render?url={url}\"\n");
    const struct origin_config *o = &p->origins[0];
    assert_int_equal(o->host, ORIGIN_HOST_NAME);
    check_slice(o->host_name, "Shop.example:8443");
    check_slice(o->tls_name, "n");
    check_slice(o->tls_ca, "ca.pem");
    assert_false(o->tls_verify);
    check_slice(o->set_headers[0].name, "x-c");
    assert_true(o->set_headers[0].uses_class);
    assert_true(o->set_headers[0].uses_build);
    assert_false(o->set_headers[1].uses_class);
    check_slice(o->build_header, "x-app-version");
    check_slice(o->target, "/_render?url={url}");
    policy_free(p);
}

static void test_5_1_stale_in_all_its_forms(void **state)
{
    struct policy *p =
        load_ok(*state, R "routes:\n"
                          "  - {match: /a, stale: 1h}\n"
                          "  - {match: /b, stale: response}\n"
                          "  - {match: /c, stale: {while_revalidate: 5m}}\n"
                          "  - {match: /d, stale: {force: true, if_error: response}}\n"
                          "  - {match: /e, stale: default}\n");
    const struct route *r = p->routes;
    assert_true(r[0].stale.is_set);
    assert_int_equal(seconds(r[0].stale.while_revalidate), 3600);
    assert_int_equal(seconds(r[0].stale.if_error), 3600);
    assert_false(duration_is_given(r[1].stale.while_revalidate));
    assert_false(duration_is_given(r[1].stale.if_error));
    assert_int_equal(seconds(r[2].stale.while_revalidate), 300);
    assert_int_equal(seconds(r[2].stale.if_error), 86400);
    assert_true(r[3].stale.is_forced);
    assert_false(duration_is_given(r[3].stale.if_error));
    assert_false(r[4].stale.is_set);
    policy_free(p);
}

static void test_4_3_lifetimes_and_forced_ones(void **state)
{
    struct policy *p = load_ok(
        *state, R "routes:\n"
                  "  - {match: /a, ttl: {force: 30s}, status_ttl: {404: 10s, 301: {force: 1h}}}\n"
                  "  - {match: /b, ttl: none, error_max: none, status_ttl: {405: 1s}, "
                  "store_statuses: rfc}\n");
    assert_true(p->routes[0].ttl.is_forced);
    assert_int_equal(seconds(p->routes[0].ttl.value), 30);
    assert_int_equal(p->routes[0].status_ttl_count, 2);
    assert_int_equal(p->routes[0].status_ttl[0].status, 404);
    assert_false(p->routes[0].status_ttl[0].rule.is_forced);
    assert_true(p->routes[0].status_ttl[1].rule.is_forced);
    assert_false(duration_is_given(p->routes[1].ttl.value));
    assert_false(duration_is_given(p->routes[1].error_max));
    policy_free(p);
}

static void test_2_4_normalisers(void **state)
{
    struct policy *p =
        load_ok(*state, R "vary:\n"
                          "  Accept-Language: {choose: [en, de], always: true}\n"
                          "  user-agent: {map: [desktop, mobile, bot], as: X-Device}\n"
                          "  cookie: {keep: [ab_*], always: false}\n"
                          "  x-s: {sort: true}\n"
                          "  x-raw: {}\n"
                          "  max_variants: 8\n");
    const struct vary_config *v = p->vary;
    assert_int_equal(p->vary_count, 5);
    assert_int_equal(p->max_variants, 8);
    check_slice(v[0].field, "accept-language");
    assert_int_equal(v[0].kind, VARY_CHOOSE);
    assert_int_equal(v[0].always, VARY_ALWAYS);
    check_slice(v[0].default_choice, "en");
    assert_int_equal(v[1].kind, VARY_MAP);
    check_slice(v[1].as, "x-device");
    check_slice(v[1].map[0].name, "bot"); /* tried first, wherever it stands */
    check_slice(v[1].map[2].name, "desktop");
    assert_null(v[1].map[2].match);
    assert_int_equal(v[2].kind, VARY_COOKIES);
    assert_int_equal(v[2].always, VARY_ON_DEMAND);
    assert_int_equal(v[3].kind, VARY_SORT);
    assert_int_equal(v[4].kind, VARY_AS_SENT);
    assert_int_equal(v[4].always, VARY_ALWAYS_DEFAULT);
    policy_free(p);
}

static const char *device_of(const struct vary_config *vary, const char *agent)
{
    for (size_t i = 0; i < vary->map_count; i++)
        if (!vary->map[i].match || regex_matches(vary->map[i].match, slice_of_string(agent)))
            return vary->map[i].name.ptr;
    return "";
}

static void test_2_4_built_in_devices(void **state)
{
    static const struct {
        const char *agent, *device;
    } rows[] = {
        {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148", "mobile"},
        {"Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/124.0 Mobile Safari/537.36", "mobile"},
        {"Mozilla/5.0 (Linux; Android 14; SM-X900) Chrome/124.0 Safari/537.36", "tablet"},
        {"Mozilla/5.0 (iPad; CPU OS 12_0 like Mac OS X) Version/12.0 Mobile/15E148", "tablet"},
        {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/124.0 Safari/537.36", "desktop"},
        {"Mozilla/5.0 (Android 6; Nexus 5) Mobile Safari (compatible; Googlebot/2.1)", "bot"},
        {"curl/8.0", "desktop"},
        {"", "desktop"},
    };
    struct policy *p =
        load_ok(*state, R "vary: {user-agent: {map: [mobile, tablet, desktop, bot]}}\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(device_of(&p->vary[0], rows[i].agent), rows[i].device);
    /* what stands for a class is of that class */
    for (size_t i = 0; i < p->vary[0].map_count; i++)
        assert_string_equal(device_of(&p->vary[0], p->vary[0].map[i].send.ptr),
                            p->vary[0].map[i].name.ptr);
    policy_free(p);
}

static void test_2_6_identity(void **state)
{
    struct policy *p = load_ok(*state, R "identity: {logged_in: none, ignore_cookies: [my_*]}\n");
    assert_int_equal(p->identity.cookies, COOKIES_NONE);
    assert_int_equal(p->identity.headers.count, 0);
    check_slices(&p->identity.ignore_cookies, "my_*");
    policy_free(p);
    p = load_ok(*state, R "identity: {logged_in: {cookies: [sid]}}\n");
    assert_int_equal(p->identity.cookies, COOKIES_LISTED);
    check_slices(&p->identity.cookie_names, "sid");
    check_slices(&p->identity.headers, "authorization"); /* each key replaces only itself */
    policy_free(p);
    p = load_ok(*state, R "identity: {logged_in: {headers: none}}\n");
    assert_int_equal(p->identity.cookies, COOKIES_AUTO);
    assert_int_equal(p->identity.headers.count, 0);
    policy_free(p);
}

static void test_people_are_added_unless_a_class_matches_everybody(void **state)
{
    struct policy *p = load_ok(*state, R "classes: [{name: bots, user_agent: [x]}]\n");
    assert_int_equal(p->class_count, 2);
    check_slice(p->classes[1].name, "people");
    policy_free(p);
    p = load_ok(*state, R "classes: [{name: all}]\n");
    assert_int_equal(p->class_count, 1);
    policy_free(p);
}

static void test_1_5_hosts_are_lower_case_without_a_trailing_dot(void **state)
{
    struct policy *p = load_ok(*state, R "hosts: [Shop.Example., \"*.Shop.example\", \"[::1]\"]\n");
    check_slices(&p->hosts, "shop.example *.shop.example [::1]");
    policy_free(p);
}

static void test_a_route_names_other_origins(void **state)
{
    struct policy *p = load_ok(
        *state, "routes: [{match: /a, origin: b, when_logged_in: c}]\n"
                "origins: {a: {workers: \"http://h\"}, b: {workers: \"http://h\"}, c: {workers: "
                "\"http://h\"}}\n");
    check_slice(p->routes[0].origin->name, "b");
    assert_int_equal(p->routes[0].when_logged_in, LOGGED_IN_ORIGIN);
    check_slice(p->routes[0].logged_in_origin->name, "c");
    check_slice(p->route_pass.origin->name, "a");
    policy_free(p);
}

static void test_query_keep_may_be_empty(void **state)
{
    struct policy *p = load_ok(*state, R "routes: [{match: /a, query: {keep: []}}]\n");
    assert_true(p->routes[0].query_keep_is_set);
    assert_int_equal(p->routes[0].query_keep.count, 0);
    policy_free(p);
}

static void test_log_can_be_off(void **state)
{
    struct policy *p = load_ok(*state, R "log: {access: none, level: debug}\n");
    assert_int_equal(p->access_log_path.len, 0);
    assert_int_equal(p->log_level, 3);
    policy_free(p);
}

/* --- variables, files, includes --- */

static void test_variables(void **state)
{
    setenv("VARVE_TEST_A", "one", 1);
    setenv("VARVE_TEST_EMPTY", "", 1);
    struct policy *p =
        load_ok(*state, R "redirect_http: ${VARVE_TEST_EMPTY:-true}\n"
                          "identity: {ignore_cookies: [\"x${VARVE_TEST_A}y${VARVE_TEST_NO:-z}\", "
                          "\"$${A}\", \"$A\"]}\n");
    assert_true(p->redirect_http);
    check_slices(&p->identity.ignore_cookies, "xoneyz ${A} $A");
    policy_free(p);
}

static void test_a_variable_never_becomes_syntax(void **state)
{
    setenv("VARVE_TEST_A", "root\nlisten: 1", 1);
    check_errors(*state, R "user: ${VARVE_TEST_A}\n",
                 "v:2:7: \"user\": control bytes or bytes that are not UTF-8 in the text\n");
    setenv("VARVE_TEST_A", "a: [b", 1);
    struct policy *p = load_ok(*state, R "user: ${VARVE_TEST_A}\n");
    check_slice(p->user, "a: [b");
    policy_free(p);
    setenv("VARVE_TEST_A", "\xff", 1);
    check_errors(*state, R "user: ${VARVE_TEST_A}\n",
                 "v:2:7: \"user\": control bytes or bytes that are not UTF-8 in the text\n");
}

static void test_included_files_contribute_keys_routes_and_origins(void **state)
{
    struct fixture *f = *state;
    slice path = write_file(f, "varve.yaml",
                            R "include: [policy.d/*.yaml]\n"
                              "routes: [{match: \"/**\"}]\n");
    write_file(f, "policy.d/b.yaml", "routes: [{match: /b}]\nshell: {file: s.html}\n");
    write_file(f, "policy.d/s.html", "<p>shell");
    write_file(f, "policy.d/a.yaml",
               "routes: [{match: /a, origin: api}]\n"
               "origins: {api: {workers: \"http://h\"}}\n");
    struct policy *p = load_file(f, path);
    if (!p)
        fail_msg("%s", diag_text(&f->diag).ptr);
    assert_int_equal(p->route_count, 3);
    check_slice(p->routes[0].match, "/a");
    check_slice(p->routes[1].match, "/b");
    check_slice(p->routes[2].match, "/**");
    assert_int_equal(p->origin_count, 2);
    check_slice(p->path, path.ptr);
    /* a path belongs to the file in which it stands */
    slice shell = arena_printf(&f->arena, "%s/policy.d/s.html", f->directory);
    check_slice(p->shell_file, shell.ptr);
    policy_free(p);
}

/* Whoever is to serve here is told of all that is missing; the second time nothing is. */
static void test_what_the_policy_names_on_this_machine_is_looked_at(void **state)
{
    static const char *const names[] = {"s.html", "busy.html", "token", "a.pem", "a.key", "ca.pem"};
    struct fixture *f = *state;
    slice path = write_file(f, "v.yaml",
                            "listen: [{address: \":80\", tls: [{cert: a.pem, key: a.key}]}]\n"
                            "origins: {a: {workers: \"https://h\", tls: {ca: ca.pem}}}\n"
                            "shell: {file: s.html}\n"
                            "error_page: {503: busy.html}\n"
                            "admin: {token_file: token}\n"
                            "user: no-such-user-here\n");
    assert_null(load_file(f, path));
    static const char text[] =
        "%s:1:40: \"cert\": cannot read \"%s/a.pem\": No such file or directory%s\n"
        "%s:1:52: \"key\": cannot read \"%s/a.key\": No such file or directory%s\n"
        "%s:2:47: \"ca\": cannot read \"%s/ca.pem\": No such file or directory%s\n"
        "%s:3:15: \"file\": cannot read \"%s/s.html\": No such file or directory%s\n"
        "%s:4:19: \"error_page\": cannot read \"%s/busy.html\": No such file or directory%s\n"
        "%s:5:21: \"token_file\": cannot read \"%s/token\": No such file or directory%s\n"
        "%s:6:7: \"user\": there is no user \"no-such-user-here\": make it with adduser "
        "--system\n";
    const char *p = path.ptr, *d = f->directory, *a = ": make it, or give another path";
    slice expected =
        arena_printf(&f->arena, text, p, d, a, p, d, a, p, d, a, p, d, a, p, d, a, p, d, a, p);
    check_slice(diag_text(&f->diag), expected.ptr);
    assert_null(load_options(
        f,
        (struct policy_options){.path = path, .shell = SLICE("/nowhere"), .is_elsewhere = false}));
    assert_true(
        slice_search(diag_text(&f->diag), SLICE("--shell: \"file\": cannot read \"/nowhere\"")) <
        diag_text(&f->diag).len);
    struct policy *elsewhere =
        load_options(f, (struct policy_options){.path = path, .is_elsewhere = true});
    assert_non_null(elsewhere);
    policy_free(elsewhere);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        write_file(f, names[i], "x");
    slice token = arena_printf(&f->arena, "%s/token", f->directory);
    assert_int_equal(chmod(token.ptr, 0644), 0);
    assert_null(load_file(f, path));
    slice secret =
        arena_printf(&f->arena,
                     "%s:5:21: \"token_file\": cannot read \"%s/token\": it is a secret, "
                     "but others may read or change it: chmod 600 it\n",
                     p, d);
    assert_true(slice_starts_with(diag_text(&f->diag), secret));
    assert_int_equal(f->diag.count, 2); /* and the user */
}

static void test_an_included_key_that_is_set_already_is_an_error(void **state)
{
    struct fixture *f = *state;
    slice path = write_file(f, "v.yaml", R "threads: 1\ninclude: a.yaml\n");
    slice included = write_file(f, "a.yaml", "threads: 2\nrenderer: http://h\nrouts: []\n");
    assert_null(load_file(f, path));
    slice expected =
        arena_printf(&f->arena,
                     "%s:1:1: \"threads\" is already set in %s:2:1: keep one of the two\n"
                     "%s:2:1: \"renderer\" is already set in %s:1:1: keep one of the two\n"
                     "%s:3:1: unknown key \"routs\" (did you mean \"routes\"?)\n",
                     included.ptr, path.ptr, included.ptr, path.ptr, included.ptr);
    check_slice(diag_text(&f->diag), expected.ptr);
}

static void test_an_origin_in_two_files_is_an_error(void **state)
{
    struct fixture *f = *state;
    slice path =
        write_file(f, "v.yaml", "origins: {a: {workers: \"http://h\"}}\ninclude: b.yaml\n");
    slice included = write_file(f, "b.yaml", "origins: {a: {workers: \"http://i\"}}\n");
    assert_null(load_file(f, path));
    slice expected =
        arena_printf(&f->arena, "%s:1:11: \"a\" is already set in %s:1:11: keep one of the two\n",
                     included.ptr, path.ptr);
    check_slice(diag_text(&f->diag), expected.ptr);
}

static void test_a_file_that_includes_itself_ends_with_an_error(void **state)
{
    struct fixture *f = *state;
    slice path = write_file(f, "v.yaml", "include: v.yaml\n");
    assert_null(load_file(f, path));
    assert_true(slice_search(diag_text(&f->diag),
                             SLICE("\"include\": nested too deeply (the limit is 8): does a file "
                                   "include itself?")) < diag_text(&f->diag).len);
}

static void test_files_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    slice path = write_file(f, "v.yaml", R "include: [none.yaml, d, none/*.yaml]\n");
    write_file(f, "d/x", "");
    assert_null(load_file(f, path));
    slice expected =
        arena_printf(&f->arena,
                     "%s:2:11: cannot read \"%s/none.yaml\": No such file or directory\n"
                     "%s:2:22: cannot read \"%s/d\": is a directory\n",
                     path.ptr, f->directory, path.ptr, f->directory);
    check_slice(diag_text(&f->diag), expected.ptr);
    assert_null(load_file(f, SLICE("/nonexistent/varve.yaml")));
    check_slice(diag_text(&f->diag),
                "/nonexistent/varve.yaml: there is no such file: `varve init` writes one, "
                "--config FILE names another\n");
}

static void test_address_ranges_from_a_json_file(void **state)
{
    struct fixture *f = *state;
    write_file(f, "google.json",
               "{\"creationTime\": \"2024-01-01\", \"prefixes\": [{\"ipv4Prefix\": "
               "\"66.249.64.0/27\"}, {\"ipv6Prefix\": \"2001:4860:4801::/48\"}]}\n");
    slice path =
        write_file(f, "v.yaml", R "classes: [{name: g, ip_ranges: [google.json, 10.0.0.0/8]}]\n");
    struct policy *p = load_file(f, path);
    if (!p)
        fail_msg("%s", diag_text(&f->diag).ptr);
    assert_true(p->classes[0].has_ip_ranges);
    assert_int_equal(p->classes[0].ip_ranges.count, 3);
    policy_free(p);
    write_file(f, "google.json", "{}\n");
    assert_null(load_file(f, path));
}

/* --- the command line --- */

static const struct route *route_of(const struct policy *policy, const char *match)
{
    for (size_t i = 0; i < policy->route_count; i++)
        if (slice_equal(policy->routes[i].match, slice_of_string(match)))
            return &policy->routes[i];
    fail_msg("no route %s", match);
    return NULL;
}

static void test_10_4_run_without_a_file(void **state)
{
    struct policy *p =
        load_options(*state, (struct policy_options){.origin_url = SLICE("http://127.0.0.1:3000"),
                                                     .listen = SLICE("127.0.0.1:8081")});
    assert_non_null(p);
    assert_int_equal(p->origins[0].slots, 8);
    check_slice(p->listen[0].address, "127.0.0.1:8081");
    assert_int_equal(p->purge_methods.count, 0);
    const struct route *all = route_of(p, "/**"), *assets = route_of(p, "/_next/static/**");
    assert_int_equal(all->index, p->route_count - 1);
    assert_false(duration_is_given(all->ttl.value));
    assert_true(all->stale.is_set);
    assert_false(duration_is_given(all->stale.while_revalidate));
    assert_int_equal(seconds(all->stale.if_error), 86400);
    assert_int_equal(all->when_logged_in, LOGGED_IN_PASS);
    assert_int_equal(all->on_failure_count, 1);
    assert_true(assets->is_asset);
    assert_int_equal(seconds(assets->keep_old), 7 * 86400);
    static const char *const of_frameworks[] = {"/_next/static/**", "/_nuxt/**",
                                                "/_app/immutable/**", "/_astro/**"};
    for (size_t i = 0; i < sizeof(of_frameworks) / sizeof(*of_frameworks); i++)
        assert_int_equal(route_of(p, of_frameworks[i])->when_logged_in, LOGGED_IN_CACHE);
    assert_int_equal(route_of(p, "/assets/**")->when_logged_in, LOGGED_IN_PASS);
    assert_int_equal(route_of(p, "/static/**")->when_logged_in, LOGGED_IN_PASS);
    policy_free(p);
}

static void test_10_4_shell_and_store_from_the_command_line(void **state)
{
    struct fixture *f = *state;
    slice shell = write_file(f, "dist/index.html", "<p>shell");
    struct policy *p =
        load_options(f, (struct policy_options){.origin_url = SLICE("http://127.0.0.1:3000"),
                                                .shell = shell,
                                                .store_path = SLICE("/tmp/s")});
    assert_non_null(p);
    check_slice(p->shell_file, shell.ptr);
    check_slice(p->store_path, "/tmp/s");
    check_slice(p->admin_listen, "unix:/tmp/s/admin.sock");
    assert_int_equal(route_of(p, "/**")->on_failure_count, 2);
    policy_free(p);
}

static void test_10_4_the_store_of_others_than_root_is_named_by_port(void **state)
{
    if (geteuid() != 0)
        setenv("HOME", "/home/test", 1);
    struct policy *p =
        load_options(*state, (struct policy_options){.origin_url = SLICE("http://h"),
                                                     .listen = SLICE("127.0.0.1:8082")});
    check_slice(p->store_path, geteuid() == 0 ? "/var/lib/varve" : "/home/test/.cache/varve/8082");
    policy_free(p);
}

static void test_options_take_the_place_of_what_the_file_says(void **state)
{
    struct fixture *f = *state;
    slice path = write_file(f, "v.yaml",
                            "origins: {a: {workers: \"http://h\", slots: 3}}\n"
                            "listen: \":80\"\n"
                            "shell: {file: old.html, behind_cdn: true}\n");
    slice shell = write_file(f, "new.html", "<p>shell");
    struct policy *p = load_options(f, (struct policy_options){.path = path,
                                                               .origin_url = SLICE("http://new:1"),
                                                               .listen = SLICE(":81"),
                                                               .shell = shell});
    check_slice(p->origins[0].workers[0].host, "new");
    assert_int_equal(p->origins[0].slots, 3);
    check_slice(p->listen[0].address, ":81");
    check_slice(p->shell_file, shell.ptr);
    assert_true(p->shell_behind_cdn);
    policy_free(p);
}

static void test_errors_of_options_name_the_option(void **state)
{
    struct fixture *f = *state;
    assert_null(
        load_options(f, (struct policy_options){.origin_url = SLICE("h"), .listen = SLICE("x")}));
    check_slice(diag_text(&f->diag),
                "--listen: \"address\": expected an address such as \":8080\", \"127.0.0.1:8080\", "
                "\"[::1]:8080\" or \"unix:/path\", got \"x\"\n"
                "ORIGIN-URL: worker \"h\": expected http://HOST:PORT, https://HOST:PORT or "
                "unix:/PATH\n");
}

/* The one to change is on the command line, not in the file. */
static void test_a_url_for_an_origin_that_spawns_is_an_error_of_the_url(void **state)
{
    struct fixture *f = *state;
    slice path = write_file(f, "v.yaml", "origins: {a: {spawn: {command: [/bin/true]}}}\n");
    assert_null(load_options(
        f, (struct policy_options){.path = path, .origin_url = SLICE("http://127.0.0.1:3000")}));
    slice expected = arena_printf(&f->arena,
                                  "ORIGIN-URL: origin \"a\" starts its workers itself (%s:1:15): "
                                  "leave the URL out, or remove \"spawn\"\n",
                                  path.ptr);
    check_slice(diag_text(&f->diag), expected.ptr);
}

/* --- the effective policy, the presets --- */

static void check_round_trip(struct fixture *f, const char *text)
{
    struct policy *p = load_ok(f, text);
    slice first = policy_effective(p, &f->arena);
    struct policy *again = load_ok(f, first.ptr);
    slice second = policy_effective(again, &f->arena);
    assert_string_equal(first.ptr, second.ptr);
    for (size_t i = 0; i < p->route_count; i++)
        assert_true(p->routes[i].policy_hash == again->routes[i].policy_hash);
    policy_free(p);
    policy_free(again);
}

static void test_the_effective_policy_loads_to_itself(void **state)
{
    check_round_trip(*state, R);
    check_round_trip(
        *state,
        "listen: [\":80\", {address: \"unix:/s\", proxy_protocol: true}, {address: \"[::1]:443\", "
        "tls: [{cert: a b, key: c}]}]\n"
        "redirect_http: true\n"
        "hosts: [a.b, \"*.a.b\"]\n"
        "origins:\n"
        "  a: {workers: [\"http://h\", \"unix:/x\"], slots: 1, host: origin, target: "
        "\"/r?u={url}\", "
        "set_headers: {X-A: \"q\\\"\\\\ $${X} \\u2028\\x85ü: #\"}, build: {header: v}}\n"
        "  b: {workers: [\"https://h\"], tls: {name: n, ca: /ca}, host: h.example, slots: 0, "
        "share: 2/3}\n"
        "  c: {spawn: {command: [node, \"a b\"], workers: 3, listen: unix, directory: /d, env: {A: "
        "\"b: c\"}, user: u, grace: 1s, ready_timeout: 2s, recycle: {renders: 7, memory: 1GiB, "
        "errors: 5/60s}}}\n"
        "  d: {spawn: {command: node, workers: 2}}\n"
        "shell: {file: x, behind_cdn: true}\n"
        "identity: {logged_in: {cookies: [sid, \"s_*\"], headers: none}, ignore_cookies: [no]}\n"
        "classes: [{name: x, user_agent: [\"a\", b], ip_ranges: [10.0.0.0/8, \"2001:db8::/32\"], "
        "never_shell: true}]\n"
        "vary:\n"
        "  accept-language: {choose: [en, \"no\"], default: \"no\", always: false}\n"
        "  user-agent: {map: [mobile, tablet, desktop, bot], as: x-d}\n"
        "  x-m: {map: {one: {match: \"^a\\\\d\", send: a}, two: {send: b}}}\n"
        "  x-s: {sort: true}\n"
        "  x-raw: {always: true}\n"
        "  cookie: {keep: [\"*ab\"]}\n"
        "seal: \"off\"\n"
        "compress: {codings: []}\n"
        "routes:\n"
        "  - {match: \"/a/:id\", origin: b, cache: never, tags: [\"p-:id\", x], query: {keep: "
        "[]}}\n"
        "  - {match: \"/b/**\", ttl: {force: 90s}, status_ttl: {404: 10s, 301: {force: 1h}}, "
        "stale: "
        "{while_revalidate: response, if_error: 0s, force: true}, document_max: 1d, error_max: "
        "none, query: {drop: [\"utm_*\"], sort: true}, max_queries: 5, when_logged_in: b, "
        "on_failure: [shell], store_statuses: rfc, store_set_cookie: true, reject_body: "
        "['\\$RX\\(', x], invalidate: never, cookies: ignore, assets: true, client_cache: "
        "\"public, max-age=5\", targeted: none, content_types: [a/b]}\n"
        "  - {match: \"/**\", when_logged_in: shell, stale: response, client_cache: none}\n"
        "purge: {methods: [PURGE], allow: [\"::1\", 127.0.0.0/8], tag_headers: none, twins: "
        "[\"{path}?x\"]}\n"
        "admin: {listen: \"127.0.0.1:1\", token_file: t}\n"
        "log: {access: none, level: error, redact_query: []}\n"
        "trusted_proxies: [10.1.2.3]\n"
        "error_page: {503: a, 421: \"b c\"}\n"
        "user: \"123\"\n"
        "store: {path: \"/a b\", size: 1025KiB, memory: 7MiB, durability: sync}\n");
}

static void test_every_preset_loads_and_keeps_its_old_assets(void **state)
{
    static const struct {
        const char *preset, *assets;
        size_t twins;
    } rows[] = {
        {"", "/assets/**", 0},
        {"next", "/_next/static/**", 3},
        {"nuxt", "/_nuxt/**", 1},
        {"sveltekit", "/_app/immutable/**", 1},
        {"react-router", "/assets/**", 2},
        {"angular", "/*.js", 0},
        {"render-gateway", NULL, 0},
    };
    struct fixture *f = *state;
    unsetenv("RENDERER");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        slice text = policy_example(slice_of_string(rows[i].preset), &f->arena);
        assert_true(text.len > 0);
        struct policy *p = load_ok(f, text.ptr);
        if (rows[i].assets) {
            const struct route *assets = route_of(p, rows[i].assets);
            assert_int_equal(seconds(assets->keep_old), 7 * 86400);
            assert_int_equal(assets->when_logged_in, LOGGED_IN_CACHE);
            assert_true(assets->is_asset);
        }
        assert_int_equal(p->purge_twins.count, rows[i].twins);
        assert_false(route_of(p, "/api/**")->is_cacheable);
        assert_true(route_of(p, "/**")->is_cacheable);
        policy_free(p);
        check_round_trip(f, text.ptr);
    }
    assert_int_equal(policy_example(SLICE("rails"), &f->arena).len, 0);
}

static void test_the_render_gateway_preset_asks_one_thing_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_ok(f, policy_example(SLICE("render-gateway"), &f->arena).ptr);
    assert_int_equal(p->origins[0].slots, 1);
    check_slice(p->origins[0].target, "/_render?url={url}");
    policy_free(p);
}

/* --- the policy hash --- */

static uint64_t hash_of(struct fixture *f, const char *text)
{
    struct policy *p = load_ok(f, text);
    uint64_t hash = p->routes[0].policy_hash;
    policy_free(p);
    return hash;
}

static void test_4_4_the_hash_changes_with_what_shapes_bytes_and_key(void **state)
{
    static const char *const texts[] = {
        R "routes: [{match: /a}]\n",
        R "routes: [{match: /a, query: {sort: true}}]\n",
        R "routes: [{match: /a, query: {drop: [b]}}]\n",
        R "routes: [{match: /a, query: {keep: [b]}}]\n",
        R "routes: [{match: /a, query: {keep: []}}]\n",
        R "routes: [{match: /a, cookies: ignore}]\n",
        R "routes: [{match: /a}]\nseal: strict\n",
        R "routes: [{match: /a}]\nvary: {x-a: {}}\n",
        R "routes: [{match: /a}]\nvary: {x-b: {}}\n",
        R "routes: [{match: /a}]\nvary: {x-b: {always: true}}\n",
        R "routes: [{match: /a}]\nvary: {x-b: {choose: [a]}}\n",
        R "routes: [{match: /a}]\nvary: {x-b: {choose: [a, b]}}\n",
        R "routes: [{match: /a}]\nidentity: {logged_in: none}\n",
        R "routes: [{match: /a}]\nidentity: {ignore_cookies: [a]}\n",
        "origins: {renderer: {workers: \"http://h\", target: \"/x{url}\"}}\nroutes: [{match: "
        "/a}]\n",
        "origins: {renderer: {workers: \"http://h\", host: origin}}\nroutes: [{match: /a}]\n",
        "origins: {renderer: {workers: \"http://h\", set_headers: {a: b}}}\nroutes: [{match: "
        "/a}]\n",
        "origins: {renderer: {workers: \"http://h\", set_headers: {a: c}}}\nroutes: [{match: "
        "/a}]\n",
    };
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
    uint64_t hashes[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) {
        hashes[i] = hash_of(*state, texts[i]);
        for (size_t j = 0; j < i; j++)
            if (hashes[i] == hashes[j])
                fail_msg("same hash:\n%s%s", texts[i], texts[j]);
    }
}

static void test_4_4_the_hash_does_not_change_with_anything_else(void **state)
{
    uint64_t plain = hash_of(*state, R "vary: {x-a: {}, x-b: {}}\nroutes: [{match: /a}]\n");
    /* written down: objects on disk carry it over restarts and versions */
    assert_true(hash_of(*state, R "routes: [{match: /a}]\n") == 0x78f806b64078147au);
    assert_true(plain == hash_of(*state,
                                 "origins: {renderer: {workers: \"http://other\", slots: 3}}\n"
                                 "vary: {max_variants: 3, x-b: {}, x-a: {}}\n"
                                 "threads: 3\nlimits: {headers: 50}\n"
                                 "routes: [{match: /b, ttl: 1m, stale: 1h, keep_old: 1d, tags: "
                                 "[x]}, {match: /c}]\n"));
}

/* --- units, the documentation --- */

static void test_units(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: no duration */
        const char *back;
    } rows[] = {
        {"250ms", 250, "250ms"},
        {"30s", 30000, "30s"},
        {"5m", 300000, "5m"},
        {"1h", 3600000, "1h"},
        {"7d", 604800000, "7d"},
        {"90s", 90000, "90s"},
        {"60s", 60000, "1m"},
        {"0", 0, "0s"},
        {"0s", 0, "0s"},
        {"30", -1, NULL},
        {"s", -1, NULL},
        {"1.5s", -1, NULL},
        {"-1s", -1, NULL},
        {"1 s", -1, NULL},
        {"1S", -1, NULL},
        {"", -1, NULL},
        {"106751991167d", INT64_MAX / 86400000 * 86400000, "106751991167d"},
        {"106751991168d", -1, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        duration d;
        char text[UNIT_TEXT_BYTES];
        assert_int_equal(units_parse_duration(slice_of_string(rows[i].text), &d), rows[i].ms >= 0);
        if (rows[i].ms < 0)
            continue;
        assert_true(d.ms == rows[i].ms);
        check_slice(units_format_duration(d, text), rows[i].back);
    }
    uint64_t bytes;
    char text[UNIT_TEXT_BYTES];
    assert_true(units_parse_size(SLICE("64KiB"), &bytes));
    assert_int_equal(bytes, 65536);
    assert_true(units_parse_size(SLICE("1500B"), &bytes));
    check_slice(units_format_size(bytes, text), "1500B");
    assert_true(units_parse_size(SLICE("2TiB"), &bytes));
    check_slice(units_format_size(bytes, text), "2TiB");
    assert_false(units_parse_size(SLICE("8GB"), &bytes));
    assert_false(units_parse_size(SLICE("99999999999GiB"), &bytes));
    assert_false(units_parse_size(SLICE("1024"), &bytes));
}

struct doc_check {
    struct arena *arena;
    slice text;
    bool is_complete;
    size_t rows;
};

static void check_doc_row(const struct setting *s, slice path, void *owner)
{
    struct doc_check *check = owner;
    if (s->type == &setting_section)
        return; /* what is inside has lines of its own */
    slice line = s->type ? settings_doc_line(check->arena, s, path)
                         : arena_printf(check->arena, "`%" SLICE_FMT "`", SLICE_ARG(path));
    check->rows++;
    if (slice_search(check->text, line) < check->text.len)
        return;
    print_error("not in docs/configuration.md: %s\n", line.ptr);
    check->is_complete = false;
}

static void test_the_documentation_has_every_key_with_type_and_default(void **state)
{
    struct fixture *f = *state;
    struct loader l = {.diag = &f->diag};
    slice text, path = path_beside(&f->arena, slice_of_string(__FILE__),
                                   SLICE("../../../docs/configuration.md"));
    arena_init(&l.scratch);
    assert_true(read_text_file(&l, path, NULL, &text));
    struct doc_check check = {.arena = &f->arena, .text = text, .is_complete = true};
    settings_walk(&f->arena, &section_root, SLICE_NONE, check_doc_row, &check);
    arena_fini(&l.scratch);
    assert_true(check.is_complete);
    assert_in_range(check.rows, 100, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults_of_the_policy),
        TEST(test_defaults_of_limits),
        TEST(test_defaults_of_an_origin),
        TEST(test_4_3_5_1_defaults_of_a_route),
        TEST(test_7_1_one_slot_covers_all_requests),
        TEST(test_slot_max_follows_first_byte_and_drain_follows_slot_max),
        TEST(test_8_2_the_shell_of_an_origin_is_that_origin_asked_otherwise),
        TEST(test_on_failure_includes_a_shell_that_is_configured),
        TEST(test_workers_of_every_form),
        TEST(test_7_2_a_share_of_the_workers),
        TEST(test_9_1_spawned_processes_are_the_workers_of_their_origin),
        TEST(test_an_origin_with_everything),
        TEST(test_5_1_stale_in_all_its_forms),
        TEST(test_4_3_lifetimes_and_forced_ones),
        TEST(test_2_4_normalisers),
        TEST(test_2_4_built_in_devices),
        TEST(test_2_6_identity),
        TEST(test_people_are_added_unless_a_class_matches_everybody),
        TEST(test_1_5_hosts_are_lower_case_without_a_trailing_dot),
        TEST(test_a_route_names_other_origins),
        TEST(test_query_keep_may_be_empty),
        TEST(test_log_can_be_off),
        TEST(test_variables),
        TEST(test_a_variable_never_becomes_syntax),
        TEST(test_included_files_contribute_keys_routes_and_origins),
        TEST(test_what_the_policy_names_on_this_machine_is_looked_at),
        TEST(test_an_included_key_that_is_set_already_is_an_error),
        TEST(test_an_origin_in_two_files_is_an_error),
        TEST(test_a_file_that_includes_itself_ends_with_an_error),
        TEST(test_files_that_cannot_be_read),
        TEST(test_address_ranges_from_a_json_file),
        TEST(test_10_4_run_without_a_file),
        TEST(test_10_4_shell_and_store_from_the_command_line),
        TEST(test_10_4_the_store_of_others_than_root_is_named_by_port),
        TEST(test_options_take_the_place_of_what_the_file_says),
        TEST(test_errors_of_options_name_the_option),
        TEST(test_a_url_for_an_origin_that_spawns_is_an_error_of_the_url),
        TEST(test_the_effective_policy_loads_to_itself),
        TEST(test_every_preset_loads_and_keeps_its_old_assets),
        TEST(test_the_render_gateway_preset_asks_one_thing_at_a_time),
        TEST(test_4_4_the_hash_changes_with_what_shapes_bytes_and_key),
        TEST(test_4_4_the_hash_does_not_change_with_anything_else),
        TEST(test_units),
        TEST(test_the_documentation_has_every_key_with_type_and_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
