/* Reading the policy file into a `struct policy` (docs/configuration.md). Not for the hot
 * path. */
#pragma once

#include "base/diag.h"
#include "policy/config.h"

/* What the command line adds to, or puts in place of, a file. */
struct policy_options {
    slice path;       /* --config; empty: no file */
    slice origin_url; /* `varve run URL`: semantics 10.4 */
    slice listen;     /* --listen */
    slice shell;      /* --shell */
    slice store_path; /* --store */
    bool is_client;   /* only looks for the daemon: what the programs to be run lack is no error */
};

/* A new policy, or NULL with every error in `diag`. Environment variables are read through getenv.
 */
struct policy *policy_load(const struct policy_options *options, struct diag *diag);
/* The same from text: for tests and fuzzers; `name` appears in errors. */
struct policy *policy_load_text(slice text, slice name, struct diag *diag);
void policy_free(struct policy *policy);
/* Every setting with its value in force, as YAML: `varve check --effective`. */
slice policy_effective(const struct policy *policy, struct arena *arena);
/*
 * What the policy says and hardly means: one sentence without an end, in `arena`; empty: nothing.
 * Today: a `target` that is made of the client's Host, without `hosts`.
 */
slice policy_warning(const struct policy *policy, struct arena *arena);
/* A commented varve.yaml; preset may be empty. Empty slice: unknown preset. */
slice policy_example(slice preset, struct arena *arena);
