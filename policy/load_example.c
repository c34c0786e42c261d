/* What `varve init` writes: a commented policy file for each framework (what they emit was
 * observed; the reasons stand in the comments of the file itself). Each is loaded by a unit test.
 */
#include "policy/loader.h"

static const char head[] =
    "# varve.yaml — every key: docs/configuration.md; `varve check` says what is wrong with it,\n"
    "# `varve check --effective` prints all settings with their defaults.\n"
    "\n"
    "listen: [\":8080\"]\n";

static const char hosts[] = "# hosts: [shop.example, \"*.shop.example\"]  # others get 421\n";

static const char workers[] =
    "\n"
    "# Requests at a time for each worker (slots): what goes beyond waits, or gets an older page.\n"
    "origins:\n"
    "  renderer:\n"
    "    workers: [\"${RENDERER:-http://127.0.0.1:3000}\"]\n"
    "    slots: 8\n";

static const char middle[] =
    "\n"
    "# A cookie that varve does not know makes a request a logged-in one: it goes around the "
    "cache.\n"
    "# Analytics and consent cookies are known; add your own harmless ones here.\n"
    "identity:\n"
    "  ignore_cookies: []\n"
    "\n"
    "# What pages depend on. A field that the renderer names in Vary enters the key in this form.\n"
    "# vary:\n"
    "#   accept-language: {choose: [en, de], default: en}\n"
    "#   cookie: {keep: [ab_bucket]}\n"
    "\n"
    "# shell: {file: dist/index.html}  # a page that renders in the browser, for when the renderer "
    "cannot\n"
    "\n"
    "purge:\n"
    "  methods: [PURGE]\n"
    "  allow: [127.0.0.0/8, \"::1\"]\n";

static const char before_routes[] =
    "\n"
    "# The first route that matches decides. What no route matches is passed on and not stored.\n"
    "routes:\n";

static const char assets_comment[] =
    "  # Hashed files: the same for everybody, and old ones are kept for pages still open in a "
    "browser.\n";

static const char pages[] =
    "  # Pages. Without ttl only what the renderer itself marks as cacheable is stored. With it,\n"
    "  # varve also keeps pages without Cache-Control, and sends the renderer nothing of the "
    "visitor's\n"
    "  # but what is in the key.\n"
    "  - match: \"/**\"\n"
    "    # ttl: 30s\n"
    "    stale: {while_revalidate: 1h, if_error: 1d}\n"
    "    query: {drop: [\"utm_*\", gclid, fbclid, msclkid], sort: true}\n"
    "    when_logged_in: pass\n"
    "    on_failure: [stale]\n";

static const char api[] = "  - {match: \"/api/**\", cache: never}\n";

#define ASSETS(pattern)                                                                            \
    "  - {match: \"" pattern "\", when_logged_in: cache, keep_old: 7d, assets: true}\n"

#define TWINS(patterns)                                                                            \
    "  # Where browsers get the data of a page: purged together with it.\n"                        \
    "  twins: [" patterns "]\n"

struct preset {
    slice name;
    const char *hosts;  /* NULL: as for all */
    const char *origin; /* further keys of the renderer */
    const char *twins;  /* NULL: none */
    const char *routes; /* before the pages */
    const char *pages;  /* NULL: as for all */
};

static const char next_pages[] =
    "  # Pages. Next marks static and ISR pages with s-maxage itself; dynamic ones say no-store "
    "and\n"
    "  # stay so. `$RX(` in a page is React's sign that rendering broke off half-way.\n"
    "  - match: \"/**\"\n"
    "    stale: {while_revalidate: 1h, if_error: 1d}\n"
    "    query: {drop: [\"utm_*\", gclid, fbclid, msclkid]}\n"
    "    reject_body: ['\\$RX\\(']\n"
    "    when_logged_in: pass\n"
    "    on_failure: [stale]\n";

static const char react_pages[] =
    "  # Pages. React Router sends no Cache-Control unless a route's headers() does: give a ttl "
    "to\n"
    "  # store them (the renderer is then sent nothing of the visitor's but what is in the key).\n"
    "  # `$RX(` in a page is React's sign that rendering broke off half-way.\n"
    "  - match: \"/**\"\n"
    "    # ttl: 30s\n"
    "    stale: {while_revalidate: 1h, if_error: 1d}\n"
    "    query: {drop: [\"utm_*\", gclid, fbclid, msclkid]}\n"
    "    reject_body: ['\\$RX\\(']\n"
    "    when_logged_in: pass\n"
    "    on_failure: [stale]\n";

static const char gateway_pages[] =
    "  # Pages, as far as the environment gives them Cache-Control; their Vary is what the render "
    "read.\n"
    "  - match: \"/**\"\n"
    "    stale: {while_revalidate: 1h, if_error: 1d}\n"
    "    query: {drop: [\"utm_*\", gclid, fbclid, msclkid], sort: true}\n"
    "    when_logged_in: pass\n"
    "    on_failure: [stale]\n";

static const struct preset presets[] = {
    {.name = {"", 0}, .origin = "", .routes = ASSETS("/assets/**")},
    {.name = {"next", 4},
     .origin = "",
     .twins = TWINS("\"{path}?_rsc\", \"/_next/data/*/index.json\", \"/_next/data/*{path}.json\""),
     .routes = ASSETS("/_next/static/**") "  # Resized pictures carry their own lifetime.\n"
                                          "  - {match: \"/_next/image\", when_logged_in: cache}\n",
     .pages = next_pages},
    {.name = {"nuxt", 4},
     .origin = "",
     .twins = TWINS("\"{path}/_payload.json\""),
     .routes = ASSETS("/_nuxt/**")},
    {.name = {"sveltekit", 9},
     .origin = "",
     .twins = TWINS("\"{path}/__data.json\""),
     .routes = ASSETS("/_app/immutable/**")},
    {.name = {"react-router", 12},
     .origin = "",
     .twins = TWINS("\"/_root.data\", \"{path}.data\""),
     .routes = ASSETS("/assets/**"),
     .pages = react_pages},
    {.name = {"angular", 7},
     .origin = "",
     .routes = ASSETS("/*.js") ASSETS("/*.css") ASSETS("/media/**")},
    {.name = {"render-gateway", 14},
     .hosts =
         "# The gateway renders whatever address it is asked for: name the hosts of your site. "
         "Others get 421.\n"
         "hosts: [shop.example]\n",
     .origin = "    # The gateway is asked for a URL and renders it; one render at a time in each "
               "process.\n"
               "    slots: 1\n"
               "    target: \"/_render?url={url}\"\n"
               "    # set_headers: {X-Render-Secret: \"${RENDER_SECRET}\"}\n"
               "    probe: {path: /_api/ping}\n"
               "    build: {probe: /_api/version}\n"
               "    warmup: /_ah/warmup\n",
     .routes = "",
     .pages = gateway_pages},
};

static const struct preset *preset_named(slice name)
{
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
        if (slice_equal(presets[i].name, name))
            return &presets[i];
    return NULL;
}

slice policy_example(slice preset, struct arena *arena)
{
    const struct preset *p = preset_named(preset);
    if (!p)
        return SLICE_NONE;
    /* the preset's own `slots` replaces the last line of these */
    slice top = slice_of_string(workers);
    if (slice_search(slice_of_string(p->origin), SLICE("slots:")) < strlen(p->origin))
        top.len -= strlen("    slots: 8\n");
    slice parts[] = {slice_of_string(head),
                     slice_of_string(p->hosts ? p->hosts : hosts),
                     top,
                     slice_of_string(p->origin),
                     slice_of_string(middle),
                     slice_of_string(p->twins ? p->twins : ""),
                     slice_of_string(before_routes),
                     slice_of_string(*p->routes ? assets_comment : ""),
                     slice_of_string(p->routes),
                     slice_of_string(api),
                     slice_of_string(p->pages ? p->pages : pages)};
    return arena_concat(arena, parts, sizeof(parts) / sizeof(parts[0]));
}

slice policy_presets(struct arena *arena)
{
    slice names = SLICE_NONE;
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
        if (presets[i].name.len)
            names = arena_printf(arena, "%" SLICE_FMT "%s%" SLICE_FMT, SLICE_ARG(names),
                                 names.len ? ", " : "", SLICE_ARG(presets[i].name));
    return names;
}
