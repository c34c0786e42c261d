/* Each kind of error in a policy file: exact text, line and column. */
#include "tests/unit/policy/load_support.h"

static void test_unknown_keys_get_a_suggestion(void **state)
{
    static const struct error_row rows[] = {
        {R "routes:\n  - match: \"/**\"\n    stael: 1h\n",
         "v:4:5: unknown key \"stael\" (did you mean \"stale\"?)\n"},
        {R "purge: {x: 1}\n",
         "v:2:9: unknown key \"x\"; known here: methods, allow, tag_headers, twins\n"},
        {R "purge: {twins: [\"{path}.data\", \"{path}\"]}\n",
         "v:2:32: \"twins\": expected a pattern such as \"{path}.data\", "
         "\"/_next/data/*{path}.json\" or \"{path}?_rsc\", got \"{path}\"\n"},
        {R "lissten: x\n", "v:2:1: unknown key \"lissten\" (did you mean \"listen\"?)\n"},
        {R "vary: {max_variant: 3}\n",
         "v:2:8: unknown key \"max_variant\" (did you mean \"max_variants\"?)\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_keys_of_later_versions_are_refused_by_name(void **state)
{
    static const struct error_row rows[] = {
        {R "vcl: default.vcl\n", "v:2:1: \"vcl\" is not supported by this version: remove it\n"},
        {R "second_tier: {}\nhooks: {}\n",
         "v:2:1: \"second_tier\" is not supported by this version: remove it\n"
         "v:3:1: \"hooks\" is not supported by this version: remove it\n"},
        {R "routes: [{match: \"/ws\", upgrade: true}]\n",
         "v:2:25: \"upgrade\" is not supported by this version: remove it\n"},
        {R "routes: [{match: \"/\", upgrade: false}, {match: \"/ws\", upgrade: [false]}]\n",
         "v:2:55: \"upgrade\" is not supported by this version: remove it\n"},
        {R "hooks: false\n", "v:2:1: \"hooks\" is not supported by this version: remove it\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_7_2_a_share_that_cannot_be(void **state)
{
    static const char expected[] = "\"share\": expected which edge this is, and of how many (at "
                                   "most 64), such as 1/2, got ";
    static const char *const bad[] = {"2",  "0/2",   "3/2", "1/65", "1/0",
                                      "/2", "1/2/3", "a/b", "-1/2", "1/ 2"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        slice text = arena_printf(
            &f->arena, "origins: {a: {workers: [\"http://h\"], share: \"%s\"}}\n", bad[i]);
        slice errors = arena_printf(&f->arena, "v:1:45: %s\"%s\"\n", expected, bad[i]);
        check_errors(f, text.ptr, errors.ptr);
    }
    static const struct error_row rows[] = {
        {"origins: {a: {workers: [\"http://127.0.0.1:1\"], share: 2/2}}\n",
         "v:1:55: 2 edges cannot share 1 worker: one of them would have none\n"},
        {"origins: {a: {workers: [\"http://10.0.0.1\", \"unix:/run/b\"], share: 1/3}}\n",
         "v:1:67: 3 edges cannot share 2 workers: one of them would have none\n"},
        {"origins: {a: {spawn: {command: [/bin/true]}, share: 1/2}}\n",
         "v:1:53: \"share\" with \"spawn\": the processes that varve runs are nobody else's: "
         "remove it\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_7_1_no_more_slots_than_a_worker_has_places_for(void **state)
{
    static const struct error_row rows[] = {
        {"origins: {a: {workers: [\"http://h\"], slots: 1025}}\n",
         "v:1:45: \"slots\": expected a whole number from 0 to 1024, got \"1025\"\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_all_errors_are_reported_in_the_order_of_lines(void **state)
{
    check_errors(*state,
                 R "routes:\n"
                   "  - {match: \"/**\", ttl: soon}\n"
                   "store: {size: 8GB}\n"
                   "threads: many\n"
                   "seal: stirct\n",
                 "v:3:25: \"ttl\": expected a duration such as 30s, 5m or 1h, got \"soon\"\n"
                 "v:4:15: \"size\": expected a size such as 64KiB or 8GiB (at least 1MiB), got "
                 "\"8GB\"\n"
                 "v:5:10: \"threads\": expected auto, or a number from 1 to 256, got \"many\"\n"
                 "v:6:7: \"seal\": expected one of standard, strict, off (did you mean "
                 "\"strict\"?), got \"stirct\"\n");
}

static void test_values_of_the_wrong_kind(void **state)
{
    static const struct error_row rows[] = {
        {"[1]\n", "v:1:1: expected a mapping, such as \"renderer: http://127.0.0.1:3000\"\n"},
        {R "store: big\n", "v:2:8: expected a mapping with keys such as \"path\", got text\n"},
        {R "store:\n", "v:2:7: expected a mapping with keys such as \"path\", got nothing\n"},
        {R "store: [1]\n", "v:2:8: expected a mapping with keys such as \"path\", got a list\n"},
        {R "user: [a]\n", "v:2:7: \"user\": expected text, got a list\n"},
        {R "user:\n", "v:2:6: \"user\": expected text, got nothing\n"},
        {R "hosts: {a: b}\n", "v:2:8: \"hosts\": expected a list, got a mapping\n"},
        {R "redirect_http: yes\n",
         "v:2:16: \"redirect_http\": expected one of true, false, got \"yes\"\n"},
        {R "user: \"a\\tb\"\n",
         "v:2:7: \"user\": control bytes or bytes that are not UTF-8 in the text\n"},
        {R "limits: {headers: 101}\n",
         "v:2:19: \"headers\": expected a whole number from 8 to 100, got \"101\"\n"},
        {R "limits: {headers: -1}\n",
         "v:2:19: \"headers\": expected a whole number from 8 to 100, got \"-1\"\n"},
        {R "limits: {per_client: 0%}\n",
         "v:2:22: \"per_client\": expected a percentage from 1% to 100%, got \"0%\"\n"},
        {R "limits: {per_client: 101%}\n",
         "v:2:22: \"per_client\": expected a percentage from 1% to 100%, got \"101%\"\n"},
        {R "limits: {per_client: 25}\n",
         "v:2:22: \"per_client\": expected a percentage from 1% to 100%, got \"25\"\n"},
        {R "limits: {per_client: \"%\"}\n",
         "v:2:22: \"per_client\": expected a percentage from 1% to 100%, got \"%\"\n"},
        {R "limits: {per_client: 2.5%}\n",
         "v:2:22: \"per_client\": expected a percentage from 1% to 100%, got \"2.5%\"\n"},
        {R "limits: {per_client: -1%}\n",
         "v:2:22: \"per_client\": expected a percentage from 1% to 100%, got \"-1%\"\n"},
        {R "limits: {per_client: all}\n",
         "v:2:22: \"per_client\": expected a percentage from 1% to 100%, got \"all\"\n"},
        {R "limits: {url: 1MiB}\n", "v:2:15: \"url\": expected a size such as 64KiB or 8GiB (at "
                                    "least 64B, at most 64KiB), got "
                                    "\"1MiB\"\n"},
        {R "limits: {idle: 10}\n",
         "v:2:16: \"idle\": expected a duration such as 30s, 5m or 1h (at least 100ms), got "
         "\"10\"\n"},
        {R "limits: {idle: 99999999999999999d}\n",
         "v:2:16: \"idle\": expected a duration such as 30s, 5m or 1h (at least 100ms), got "
         "\"99999999999999999d\"\n"},
        {R "routes: [{match: /a, error_max: never}]\n",
         "v:2:33: \"error_max\": expected a duration such as 30s, 5m or 1h, or none, got "
         "\"never\"\n"},
        {R "purge: {tag_headers: [\"a b\"]}\n",
         "v:2:23: \"tag_headers\": expected the name of a header field, got \"a b\"\n"},
        {R "compress: {types: [html]}\n",
         "v:2:20: \"types\": expected a media type such as text/html or text/*, got \"html\"\n"},
        {R "compress: {codings: [zstd]}\n",
         "v:2:22: \"codings\": expected one of br, gzip, got \"zstd\"\n"},
        {R "compress: {codings: [br, br]}\n", "v:2:26: \"br\" is listed twice\n"},
        {R "identity: {ignore_cookies: [\"a;b\"]}\n",
         "v:2:29: \"ignore_cookies\": expected a name, without space, comma, ; = or &, got "
         "\"a;b\"\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_listeners_hosts_and_ranges(void **state)
{
#define ADDRESS                                                                                    \
    "expected an address such as \":8080\", \"127.0.0.1:8080\", \"[::1]:8080\" or "                \
    "\"unix:/path\", got "
    static const struct error_row rows[] = {
        {R "listen: [8080]\n", "v:2:10: \"address\": " ADDRESS "\"8080\"\n"},
        {R "listen: \":99999\"\n", "v:2:9: \"address\": " ADDRESS "\":99999\"\n"},
        {R "listen: \"localhost:80\"\n", "v:2:9: \"address\": " ADDRESS "\"localhost:80\"\n"},
        {R "listen: \"::1:80\"\n", "v:2:9: \"address\": " ADDRESS "\"::1:80\"\n"},
        {R "listen: [\":0\", {address: \"127.0.0.1:0\"}]\n",
         "v:2:10: \"address\": port 0 is none to listen on: give one from 1 to 65535\n"
         "v:2:26: \"address\": port 0 is none to listen on: give one from 1 to 65535\n"},
        {R "store: {path: "
           "/a234567890123456789012345678901234567890123456789012345678901234567890123456789012345"
           "6789012345678}\n",
         "v:2:15: \"store\": a unix socket in it would have a path of more than 107 bytes: give "
         "\"admin\" an address of its own, or a shorter \"path\"\n"},
        {R "listen: \"unix:\"\n", "v:2:9: \"address\": " ADDRESS "\"unix:\"\n"},
        {R "listen: []\n", "v:2:9: \"listen\": expected 1 to 64 addresses, got 0\n"},
        {R "listen: [\":80\", \":80\"]\n", "v:2:17: address \":80\" is listed twice\n"},
        {R "listen: [{proxy_protocol: true}]\n",
         "v:2:10: a listener needs an \"address\", such as \":8080\"\n"},
        {R "listen: [{address: \":80\", tls: [{cert: a}]}]\n",
         "v:2:33: a certificate needs both \"cert\" and \"key\"\n"},
        {R "listen: [{address: \":80\", tls: on}]\n",
         "v:2:32: \"tls\": expected a list such as [{cert: site.pem, key: site.key}], got "
         "\"on\"\n"},
        {R "hosts: [\"*\"]\n", "v:2:9: \"hosts\": \"*\" is every host: leave \"hosts\" out\n"},
        {R "hosts: [\"a.*.b\", \"a:80\", \"*.b.\", \"*x\"]\n",
         "v:2:9: \"hosts\": expected a host name, with \"*.\" only in front, and no port, got "
         "\"a.*.b\"\n"
         "v:2:18: \"hosts\": expected a host name, with \"*.\" only in front, and no port, got "
         "\"a:80\"\n"
         "v:2:34: \"hosts\": expected a host name, with \"*.\" only in front, and no port, got "
         "\"*x\"\n"},
        {R "trusted_proxies: [10.0.0.1/8]\n",
         "v:2:19: \"trusted_proxies\": expected an address or a range such as 10.0.0.0/8 or "
         "2001:db8::/32, no bits behind the prefix, got \"10.0.0.1/8\"\n"},
        {R "admin: {listen: \"127.0.0.1:9180\"}\n",
         "v:2:17: \"admin\": an address that is no unix socket needs a \"token_file\": add one, or "
         "use unix:/path\n"},
        {R "listen: [{address: \":80\", tls: [{cert: a, key: b}]}]\nredirect_http: true\n",
         "v:3:16: \"redirect_http\": every listener has TLS, so there is nothing to redirect: "
         "remove it\n"},
        {R "purge: {methods: [PURGE]}\n",
         "v:2:18: \"purge\": methods without \"allow\", so nobody may purge: add allow: "
         "[127.0.0.0/8, \"::1\"]\n"},
        {R "purge: {allow: [127.0.0.1]}\n",
         "v:2:16: \"purge\": \"allow\" without methods, so nobody may purge: add methods: "
         "[PURGE]\n"},
        {R "limits: {request_body: 1GiB, request_bodies: 1MiB}\n",
         "v:2:24: \"limits\": \"request_body\" is more than \"request_bodies\": the largest would "
         "always be refused; raise request_bodies, or lower request_body\n"},
        {R "limits: {request_body: 512MiB}\n",
         "v:2:24: \"limits\": \"request_body\" is more than \"request_bodies\" (256MiB by "
         "default): "
         "the largest would always be refused; raise request_bodies, or lower request_body\n"},
        {R "limits: {request_bodies: 1MiB, per_client: 1%}\n",
         "v:2:26: \"limits\": \"request_body\" (16MiB by default) is more than \"request_bodies\": "
         "the largest would always be refused; raise request_bodies, or lower request_body\n"},
        {R "purge: {methods: [BAN], allow: [127.0.0.1]}\n",
         "v:2:19: \"methods\": expected PURGE, got \"BAN\"\n"},
        {R "error_page: {200: a}\n", "v:2:14: \"error_page\": expected a status of varve's own "
                                     "pages (400, 421, 502, 503, 504 or "
                                     "508), got \"200\"\n"},
        {R "error_page: {503: a, 431: b, x: c}\n", "v:2:22: \"error_page\": expected a status of "
                                                   "varve's own pages (400, 421, 502, 503, 504 or "
                                                   "508), got \"431\"\n"
                                                   "v:2:30: \"error_page\": expected a status of "
                                                   "varve's own pages (400, 421, 502, 503, 504 or "
                                                   "508), got \"x\"\n"},
        {R "error_page: a\n",
         "v:2:13: \"error_page\": expected a mapping such as {503: busy.html}, got \"a\"\n"},
        {R "log: {access: x}\n",
         "v:2:15: \"access\": expected none, or a mapping such as {path: access.log, format: "
         "json}, got \"x\"\n"},
        {R "log: {level: warning}\n",
         "v:2:14: \"level\": expected one of error, warn, info, debug, got \"warning\"\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_origins(void **state)
{
    static const struct error_row rows[] = {
        {"threads: 1\n", "v: no origin: add \"renderer: http://127.0.0.1:3000\" or \"origins\"\n"},
        {"", "v: no origin: add \"renderer: http://127.0.0.1:3000\" or \"origins\"\n"},
        {"renderer: localhost:3000\n",
         "v:1:11: worker \"localhost:3000\": expected http://HOST:PORT, https://HOST:PORT or "
         "unix:/PATH\n"},
        {"renderer: http://h/app\n",
         "v:1:11: worker \"http://h/app\": a worker has no path: write http://HOST:PORT, and use "
         "\"target\" for the path\n"},
        {"renderer: http://h:0\n",
         "v:1:11: worker \"http://h:0\": the host or the port is not valid: write "
         "http://HOST:PORT\n"},
        {"renderer: http://u@h\n",
         "v:1:11: worker \"http://u@h\": the host or the port is not valid: write "
         "http://HOST:PORT\n"},
        {"renderer: http://[::1\n",
         "v:1:11: worker \"http://[::1\": the host or the port is not valid: write "
         "http://HOST:PORT\n"},
        {"renderer: \"unix:\"\n",
         "v:1:11: worker \"unix:\": expected unix: and the path of a socket, at most 107 bytes\n"},
        {"renderer: {workers: [x]}\n",
         "v:1:11: \"renderer\": expected one URL such as http://127.0.0.1:3000, got a mapping\n"},
        {"origins: {}\n",
         "v:1:10: \"origins\": expected a mapping of 1 to 64 origins, such as {renderer: {workers: "
         "[\"http://127.0.0.1:3000\"]}}, got 0\n"},
        {"origins:\n",
         "v:1:9: \"origins\": expected a mapping of 1 to 64 origins, such as {renderer: {workers: "
         "[\"http://127.0.0.1:3000\"]}}, got nothing\n"},
        {"renderer:\n", "v:1:10: \"renderer\": expected one URL such as http://127.0.0.1:3000, got "
                        "nothing\n"},
        {"origins: {a: {}}\n",
         "v:1:11: origin \"a\" needs \"workers\", such as [\"http://127.0.0.1:3000\"]\n"},
        {"origins: {a: {workers: []}}\n",
         "v:1:24: \"workers\": expected 1 to 256 workers, got 0\n"},
        {"origins: {a: {workers: [\"http://h\", \"http://h\"]}}\n",
         "v:1:37: worker \"http://h\" is listed twice\n"},
        {"origins: {pass: {workers: \"http://h\"}}\n",
         "v:1:11: origin name \"pass\": use letters, digits, - and _, and not pass, shell or "
         "cache\n"},
        {R "origins: {renderer: {workers: \"http://h\"}}\n",
         "v:1:11: origin \"renderer\" is given twice: here and under \"origins\"\n"},
        {"origins: {a: {workers: \"http://h\", slot_max: 10s}}\n",
         "v:1:46: \"slot_max\" is shorter than timeouts.first_byte: raise it, or lower that\n"},
        {"origins: {a: {workers: \"http://h\", tls: {name: x}}}\n",
         "v:1:41: \"tls\" without a worker that begins with https://: remove it, or change the "
         "worker\n"},
        {"origins: {a: {workers: \"http://h\", host: \"a b\"}}\n",
         "v:1:42: \"host\": expected client, origin or the name of a host, got \"a b\"\n"},
        {"origins: {a: {workers: \"http://h\", target: \"x\"}}\n",
         "v:1:44: \"target\": expected a target that begins with / or {path} and may hold {url}, "
         "{path} and {host}, without spaces, got \"x\"\n"},
        {"origins: {a: {workers: \"http://h\", target: \"/{ulr}\"}}\n",
         "v:1:44: \"target\": expected one of url, path, host (did you mean \"url\"?), got "
         "\"ulr\"\n"},
        {"origins: {a: {workers: \"http://h\", set_headers: {X-Real-IP: \"\"}}}\n",
         "v:1:61: \"set_headers\": expected text, got nothing\n"},
        {"origins: {a: {workers: \"http://h\", set_headers: {\"x y\": a, Host: b, X: \"{clas}\", "
         "x: "
         "1, X-A: 1, x-a: 2}}}\n",
         "v:1:50: \"set_headers\": \"x y\" is not the name of a header field\n"
         "v:1:60: \"set_headers\": varve sets \"host\" itself: remove it, and use \"host\"\n"
         "v:1:72: \"set_headers\": expected one of class, host, build (did you mean \"class\"?), "
         "got \"clas\"\n"
         "v:1:96: \"set_headers\": \"x-a\" is given twice\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_spawn(void **state)
{
#define SPAWN(text) "origins: {a: {spawn: {command: [node], " text "}}}\n"
#define ERRORS_TIME "expected a number of errors in a time from 1s to 1d, such as 5/60s, got "
    static const struct error_row rows[] = {
        {"origins: {a: {workers: [\"unix:/s\"], spawn: {command: [node]}}}\n",
         "v:1:37: \"spawn\" starts the workers itself: remove \"workers\", or \"spawn\"\n"},
        {"origins: {a: {spawn: {workers: 1}}}\n",
         "v:1:22: \"spawn\" needs a \"command\", such as [\"node\", \"server.js\"]\n"},
        {"origins: {a: {spawn: {command: []}}}\n",
         "v:1:32: \"spawn\" needs a \"command\", such as [\"node\", \"server.js\"]\n"},
        {SPAWN("workers: 65"),
         "v:1:49: \"workers\": expected auto, or a number from 1 to 64, got \"65\"\n"},
        {SPAWN("listen: 65536"), "v:1:48: \"listen\": expected the first port of its processes, "
                                 "such as 13001, or unix, got \"65536\"\n"},
        {SPAWN("listen: 65535, workers: 2"),
         "v:1:48: \"listen\": \"http://127.0.0.1:65536\" is not possible: give a lower port\n"},
        {SPAWN("env: {PORT: 1, \"a=\": b}"),
         "v:1:46: \"env\": varve sets PORT itself, another one for each process: remove it, and "
         "use \"listen\"\n"
         "v:1:55: \"env\": \"a=\" is not the name of a variable\n"},
        {SPAWN("recycle: {errors: 5}"), "v:1:58: \"errors\": " ERRORS_TIME "\"5\"\n"},
        {SPAWN("recycle: {errors: 0/60s}"), "v:1:58: \"errors\": " ERRORS_TIME "\"0/60s\"\n"},
        {SPAWN("recycle: {errors: 5/999ms}"), "v:1:58: \"errors\": " ERRORS_TIME "\"5/999ms\"\n"},
        {"origins: {a: {spawn: {command: [x], workers: 3}}, b: {spawn: {command: [x], listen: "
         "13003}}}\n",
         "v:1:85: \"listen\": the ports from 13003 on are those of origin \"a\": give another one "
         "to one of them\n"},
        {"store: {path: "
         "/a234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "9012345678}\n"
         "origins: {a: {spawn: {command: [x], workers: 1, listen: unix}}}\n"
         "admin: {listen: \"unix:/s\"}\n",
         "v:2:57: \"listen\": "
         "\"unix:/"
         "a234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "9012345678/run/a-0.sock\" is not possible: the path of a socket has at most 107 bytes; "
         "give a port\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_identity_and_classes(void **state)
{
    static const struct error_row rows[] = {
        {R "identity: {logged_in: auto}\n",
         "v:2:23: \"logged_in\": expected none, or a mapping such as {cookies: auto, headers: "
         "[Authorization]}, got \"auto\"\n"},
        {R "identity: {logged_in: {cookies: session}}\n",
         "v:2:33: \"cookies\": expected auto, none or a list of cookie names, got \"session\"\n"},
        {R "classes: [{never_shell: true}]\n", "v:2:11: a class needs a \"name\"\n"},
        {R "classes: [{name: \"a b\"}]\n",
         "v:2:18: \"name\": expected a name of letters, digits, - and _, got \"a b\"\n"},
        {R "classes: [{name: a, user_agent: x}, {name: a, user_agent: y}]\n",
         "v:2:44: class \"a\" is given twice\n"},
        {R "classes: [{name: a}, {name: b, user_agent: x}]\n",
         "v:2:22: class \"b\" is never reached: \"a\" before it has neither user_agent nor "
         "ip_ranges and matches everybody\n"},
        {R "classes: [{name: a, ip_ranges: google.json}]\n",
         "v:2:32: \"ip_ranges\": a file can be named in a policy file only\n"},
        {R "classes: {a: 1}\n", "v:2:10: \"classes\": expected a list of at most 64 classes, such "
                                "as [{name: people}], got a mapping\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_2_4_vary(void **state)
{
    static const struct error_row rows[] = {
        {R "vary: {accept-encoding: {}}\n", "v:2:8: \"accept-encoding\" cannot be under \"vary\": "
                                            "one page is kept in all its codings: see "
                                            "\"compress\"\n"},
        {R "vary: {Authorization: {}}\n",
         "v:2:8: \"authorization\" cannot be under \"vary\": it says who asks: see \"identity\"\n"},
        {R "vary: {host: {}}\n",
         "v:2:8: \"host\" cannot be under \"vary\": varve sets it itself\n"},
#define OURS(field)                                                                                \
    {R "vary: {" field ": {}}\n",                                                                  \
     "v:2:8: \"" field "\" cannot be under \"vary\": varve sets it itself\n"}
        OURS("x-request-id"),
        OURS("x-forwarded-for"),
        OURS("x-forwarded-host"),
        OURS("x-forwarded-proto"),
        OURS("x-varve-debug"),
        OURS("via"),
        OURS("if-range"),
        OURS("if-none-match"),
        OURS("content-length"),
        OURS("te"),
        OURS("trailer"),
        OURS("keep-alive"),
        OURS("expect"),
        OURS("proxy-authorization"),
        OURS("http2-settings"),
#undef OURS
#define AS(field, problem)                                                                         \
    {R "vary: {x-a: {map: [mobile], as: " field "}}\n",                                            \
     "v:2:33: \"" field "\" cannot be sent \"as\": " problem "\n"}
        AS("host", "varve sets it itself"),
        AS("content-length", "varve sets it itself"),
        AS("te", "varve sets it itself"),
        AS("if-none-match", "varve sets it itself"),
        AS("range", "varve sets it itself"),
        AS("x-request-id", "varve sets it itself"),
        AS("x-forwarded-for", "varve sets it itself"),
        AS("accept-encoding", "one page is kept in all its codings: see \"compress\""),
        AS("authorization", "it says who asks: see \"identity\""),
        AS("cookie", "it carries cookies: see \"keep\""),
#undef AS
        {R "vary: {x-a: {map: [mobile], as: x-b}, X-C: {choose: [a], as: X-B}}\n",
         "v:2:62: \"x-b\" cannot be sent \"as\": it carries another class\n"},
        {R "vary: {x-a: {map: [mobile], as: x-b}, x-b: {}}\n",
         "v:2:33: \"x-b\" cannot be sent \"as\": it is itself a field of \"vary\"\n"},
        {R "vary: {x-b: {}, x-a: {map: [mobile], as: x-b}}\n",
         "v:2:42: \"x-b\" cannot be sent \"as\": it is itself a field of \"vary\"\n"},
        {R "vary: {x-a: {}, X-A: {}}\n",
         "v:2:17: \"x-a\" cannot be under \"vary\": it is given twice\n"},
        {R "vary: {cookie: {}}\n",
         "v:2:8: \"cookie\" needs \"keep\": the names of the cookies that pages depend on\n"},
        {R "vary: {x-a: {keep: [a]}}\n",
         "v:2:20: \"keep\" names cookies: it belongs under \"cookie\"\n"},
        {R "vary: {x-a: {choose: [a], sort: true}}\n",
         "v:2:27: only one of choose, map, keep and sort for one field\n"},
        {R "vary: {x-a: {choose: []}}\n", "v:2:22: \"choose\": expected at least one value\n"},
        {R "vary: {x-a: {choose: [a, b], default: c}}\n",
         "v:2:39: \"default\": \"c\" is not one of \"choose\"\n"},
        {R "vary: {x-a: {default: c}}\n",
         "v:2:23: \"default\" belongs to \"choose\": add that, or remove this\n"},
        {R "vary: {x-a: {as: x-b}}\n", "v:2:18: \"as\" belongs to \"map\" or \"choose\": it names "
                                       "the field that carries the class\n"},
        {R "vary: {x-a: {map: [mobil]}}\n",
         "v:2:20: \"map\": expected one of mobile, tablet, desktop, bot (did you mean "
         "\"mobile\"?), got \"mobil\"\n"},
        {R "vary: {x-a: {map: [mobile, mobile]}}\n", "v:2:28: \"mobile\" is listed twice\n"},
        {R "vary: {x-a: {map: {m: {match: \"a(\", send: x}}}}\n",
         "v:2:31: bad regular expression at its character 3: missing closing parenthesis\n"},
        {R "vary: {x-a: {map: {m: {match: a}}}}\n",
         "v:2:20: class \"m\" needs \"send\": the value that the renderer is sent\n"},
        {R "vary: {x-a: {map: {m: {send: a}, n: {match: a, send: b}}}}\n",
         "v:2:45: class \"n\" is never reached: \"m\" before it has no \"match\"\n"},
        {R "vary: {x-a: {always: maybe}}\n",
         "v:2:22: \"always\": expected one of default, true, false, got \"maybe\"\n"},
        {R "vary: [x]\n", "v:2:7: \"vary\": expected a mapping of at most 32 fields, such as "
                          "{accept-language: {choose: [en, de]}}, got a list\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_route_patterns(void **state)
{
    static const struct error_row rows[] = {
        {R "routes: [{ttl: 1s}]\n", "v:2:10: a route needs a \"match\", such as \"/**\"\n"},
        {R "routes: [{match: api}]\n", "v:2:18: \"match\": \"api\": a pattern begins with /\n"},
        {R "routes: [{match: \"/a**\"}]\n", "v:2:18: \"match\": \"/a**\": \"**\" stands alone "
                                            "between slashes, as in /api/**\n"},
        {R "routes: [{match: \"/:\"}]\n", "v:2:18: \"match\": \"/:\": \":\" needs a name of "
                                          "letters, digits and _, as in /p/:id\n"},
        {R "routes: [{match: \"/:a*\"}]\n", "v:2:18: \"match\": \"/:a*\": \":name\" and \"*\" do "
                                            "not go together in one segment\n"},
        {R "routes: [{match: \"/:a/:a\"}]\n",
         "v:2:18: \"match\": \"/:a/:a\": the same \":name\" stands there twice\n"},
        {R "routes: [{match: \"/a//b\"}]\n",
         "v:2:18: \"match\": \"/a//b\": an empty segment (//) matches nothing\n"},
        {R "routes: [{match: \"/a?b\"}]\n", "v:2:18: \"match\": \"/a?b\": a pattern is a path: no "
                                            "space, ? or # (for the query see \"query\")\n"},
        {R "routes: [{match: /:a/:b/:c/:d/:e/:f/:g/:h/:i}]\n",
         "v:2:18: \"match\": \"/:a/:b/:c/:d/:e/:f/:g/:h/:i\": more than 8 names\n"},
        {R "routes: [{match: /a}, {match: /a}]\n",
         "v:2:31: \"match\": route 1 has the same pattern and comes first: remove one\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_routes(void **state)
{
    static const struct error_row rows[] = {
        {R "routes: {a: 1}\n", "v:2:9: \"routes\": expected a list of at most 1000 routes, such as "
                               "[{match: \"/**\", ttl: 30s}], got a mapping\n"},
        {R "routes: [/a]\n", "v:2:10: expected a mapping with keys such as \"match\", got text\n"},
        {R "routes: [{match: /a, origin: rendrer}]\n",
         "v:2:30: \"origin\": expected renderer (did you mean \"renderer\"?), got \"rendrer\"\n"},
        {R "routes: [{match: /a, ttl: {forced: 1s}}]\n",
         "v:2:27: \"ttl\": expected a duration such as 30s, or {force: 30s}\n"},
        {R "routes: [{match: /a, ttl: 1s, cache: never}]\n",
         "v:2:27: \"ttl\" with \"cache: never\": remove one of the two\n"},
        {R "routes: [{match: /a, status_ttl: {99: 1s, 304: 1s, 503: 1s, x: 1s}}]\n",
         "v:2:35: \"status_ttl\": expected a status from 200 to 599, got \"99\"\n"
         "v:2:43: \"status_ttl\": 304 is a part of another answer and has no lifetime of its own\n"
         "v:2:52: \"status_ttl\": an answer 503 is never stored: remove it\n"
         "v:2:61: \"status_ttl\": expected a status from 200 to 599, got \"x\"\n"},
        {R "routes: [{match: /a, status_ttl: 1s}]\n",
         "v:2:34: \"status_ttl\": expected a mapping such as {301: 1h, 404: 10s}, got \"1s\"\n"},
        {R "routes: [{match: /a, stale: long}]\n",
         "v:2:29: \"stale\": expected a duration such as 30s, 5m or 1h, or response, got "
         "\"long\"\n"},
        {R "routes: [{match: /a, stale: {if_eror: 1h}}]\n",
         "v:2:30: unknown key \"if_eror\" (did you mean \"if_error\"?)\n"},
        {R "routes: [{match: /a, when_logged_in: chache}]\n",
         "v:2:38: \"when_logged_in\": expected one of pass, shell, cache, renderer (did you mean "
         "\"cache\"?), got \"chache\"\n"},
        {R "routes: [{match: /a, when_logged_in: shell}]\n",
         "v:2:38: \"when_logged_in\": shell, but there is none: add \"shell: {file: …}\"\n"},
        {R "shell: {origin: rendere}\n",
         "v:2:17: \"origin\": expected renderer (did you mean \"renderer\"?), got \"rendere\"\n"},
        {R "shell: {file: f, target: /x, set_headers: {A: b}}\n",
         "v:2:18: \"target\" without \"origin\": nobody is asked for the shell\n"
         "v:2:30: \"set_headers\" without \"origin\": nobody is asked for the shell\n"},
        {R "shell: {origin: renderer, target: x, set_headers: {Host: b}}\n",
         "v:2:35: \"target\": expected a target that begins with / or {path} and may hold {url}, "
         "{path} and {host}, without spaces, got \"x\"\n"
         "v:2:52: \"set_headers\": varve sets \"host\" itself: remove it, and use \"host\"\n"},
        {R "routes: [{match: /a, on_failure: [stale, shell]}]\n",
         "v:2:42: \"on_failure\": shell, but there is none: add \"shell: {file: …}\"\n"},
        {R "routes: [{match: /a, on_failure: [stale, stale]}]\n",
         "v:2:42: \"stale\" is listed twice\n"},
        {R "routes: [{match: /a, on_failure: [retry]}]\n",
         "v:2:35: \"on_failure\": expected one of stale, shell, got \"retry\"\n"},
        {R "routes: [{match: /a, reject_body: [\"ok\", \"a[\"]}]\n",
         "v:2:42: bad regular expression at its character 3: missing terminating ] for character "
         "class\n"},
        {R "routes: [{match: /a, cache: of}]\n",
         "v:2:29: \"cache\": expected one of never, auto, got \"of\"\n"},
    };
    CHECK_ERRORS(*state, rows);
}

static void test_1_6_keep_with_drop_is_an_error(void **state)
{
    check_errors(*state, R "routes: [{match: /a, query: {keep: [a], drop: [b]}}]\n",
                 "v:2:41: \"drop\" does not go with \"keep\": what is not kept is dropped\n");
}

static void test_variables_that_cannot_be_expanded(void **state)
{
    static const struct error_row rows[] = {
        {"renderer: ${VARVE_TEST_UNSET}\n",
         "v:1:11: environment variable \"VARVE_TEST_UNSET\" is not set: set it, or write "
         "${VARVE_TEST_UNSET:-default}\n"},
        {R "user: ${A B}\n", "v:2:7: \"${A B}\" is not a variable: write ${NAME} or "
                             "${NAME:-default}, or $${ for a literal ${\n"},
        {R "user: \"${A\"\n",
         "v:2:7: \"${\" without \"}\": write ${NAME}, or $${ for a literal ${\n"},
    };
    unsetenv("VARVE_TEST_UNSET");
    CHECK_ERRORS(*state, rows);
}

static void test_include_is_for_files(void **state)
{
    check_errors(*state, R "include: [a.yaml]\n",
                 "v:2:1: \"include\": works in a policy file only\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_keys_get_a_suggestion),
        TEST(test_keys_of_later_versions_are_refused_by_name),
        TEST(test_7_2_a_share_that_cannot_be),
        TEST(test_7_1_no_more_slots_than_a_worker_has_places_for),
        TEST(test_all_errors_are_reported_in_the_order_of_lines),
        TEST(test_values_of_the_wrong_kind),
        TEST(test_listeners_hosts_and_ranges),
        TEST(test_origins),
        TEST(test_spawn),
        TEST(test_identity_and_classes),
        TEST(test_2_4_vary),
        TEST(test_route_patterns),
        TEST(test_routes),
        TEST(test_1_6_keep_with_drop_is_an_error),
        TEST(test_variables_that_cannot_be_expanded),
        TEST(test_include_is_for_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
