/* Reading the policy file into a `struct policy` (docs/configuration.md). Not for the hot
 * path. */
#pragma once

#include "base/diag.h"
#include "policy/config.h"

/* What the command line adds to, or puts in place of, a file. */
struct policy_options {
    slice path;        /* --config; empty: no file */
    slice origin_url;  /* `varve run URL`: semantics 10.4 */
    slice listen;      /* --listen */
    slice shell;       /* --shell */
    slice store_path;  /* --store */
    bool is_elsewhere; /* not to be served here: what this machine lacks is no error */
};

/* A new policy, or NULL with every error in `diag`; what is no error, but hardly meant, is in its
 * `warnings`. Environment variables are read through getenv. */
struct policy *policy_load(const struct policy_options *options, struct diag *diag);
/* The same from text: for tests and fuzzers; `name` appears in errors. */
struct policy *policy_load_text(slice text, slice name, struct diag *diag);
void policy_free(struct policy *policy);
/* Where a running varve with this policy takes orders. */
struct daemon_place {
    slice address;    /* admin.listen */
    slice token_file; /* empty: none, or not wanted */
};
/*
 * Reads no more of the file than that; errors in the rest do not matter. True: *place, in `arena`;
 * what is in `diag` then is worth telling if nobody is there: what could not be read might say
 * another place. False: the errors that stand in the way. Who has the token already wants none.
 */
bool policy_find_daemon(slice path, bool wants_token, struct arena *arena, struct diag *diag,
                        struct daemon_place *place);
/* Every setting with its value in force, as YAML: `varve check --effective`. */
slice policy_effective(const struct policy *policy, struct arena *arena);
/* A commented varve.yaml; preset may be empty. Empty slice: unknown preset. */
slice policy_example(slice preset, struct arena *arena);
/* The names of the presets, with commas. */
slice policy_presets(struct arena *arena);
