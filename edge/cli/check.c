/* `varve check`: needs no daemon. */
#include "edge/cli/cli.h"
#include "edge/http/tls.h"
#include "edge/origin/tls.h"
#include "policy/load.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"effective", no_argument, NULL, 'e'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct wishes {
    slice path;
    bool effective, json, help;
};

static bool take(int option, struct wishes *wishes)
{
    switch (option) {
    case 'c':
        wishes->path = slice_of_string(optarg);
        return true;
    case 'e':
        return wishes->effective = true;
    case 'j':
        return wishes->json = true;
    case 'h':
        return wishes->help = true;
    default:
        return false;
    }
}

static json_t *text_of(slice text)
{
    json_t *string = json_stringn(text.ptr ? text.ptr : "", text.len);
    return string ? string : json_string(""); /* not UTF-8 */
}

static json_t *errors_of(const struct diag *diag)
{
    json_t *list = json_array();
    for (size_t i = 0; i < diag->count; i++) {
        const struct diag_error *error = &diag->errors[i];
        json_array_append_new(list, json_pack("{s:o, s:i, s:i, s:o}", "file", text_of(error->file),
                                              "line", (int)error->line, "column",
                                              (int)error->column, "text", text_of(error->text)));
    }
    return list;
}

static void print_json_result(const struct policy *policy, const struct diag *diag, slice effective)
{
    json_t *result =
        json_pack("{s:s, s:o}", "result", policy ? "ok" : "failed", "errors", errors_of(diag));
    if (policy)
        json_object_set_new(result, "warnings", errors_of(policy->warnings));
    if (effective.len)
        json_object_set_new(result, "effective", text_of(effective));
    json_dumpf(result, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(result);
}

static void print_warning(slice place, slice text)
{
    fprintf(stderr, "%" SLICE_FMT ": warning: %" SLICE_FMT "\n", SLICE_ARG(place), SLICE_ARG(text));
}

static void print_warnings(const struct policy *policy, struct arena *arena)
{
    for (size_t i = 0; i < policy->warnings->count; i++) {
        const struct diag_error *warning = &policy->warnings->errors[i];
        print_warning(diag_place(warning, arena), warning->text);
    }
    slice more = diag_more(policy->warnings, "warning", arena);
    if (more.len)
        print_warning(policy->path, more);
}

static void print_result(const struct policy *policy, const struct diag *diag,
                         const struct wishes *wishes, slice effective)
{
    if (policy)
        print_warnings(policy, diag->arena);
    if (!policy)
        fprintf(stderr, "%" SLICE_FMT, SLICE_ARG(diag_text(diag)));
    else if (wishes->effective)
        fwrite(effective.ptr, 1, effective.len, stdout);
    else
        printf("%" SLICE_FMT ": ok (%zu routes, %zu origins)\n", SLICE_ARG(wishes->path),
               policy->route_count, policy->origin_count);
}

/* What only OpenSSL can say of files that are there. */
static void try_certificates(const struct policy *policy, struct diag *diag)
{
    char error[TLS_ERROR_BYTES];
    for (size_t i = 0; i < policy->listen_count; i++) {
        for (size_t j = 0; j < policy->listen[i].tls_count; j++) {
            const struct tls_certificate *tls = &policy->listen[i].tls[j];
            if (!tls_try(tls, error))
                diag_add(diag, tls->file, tls->line, tls->column, "%s", error);
        }
    }
    for (size_t i = 0; i < policy->origin_count; i++) {
        const struct origin_config *origin = &policy->origins[i];
        if (origin->tls_ca.len && !tls_ca_try(origin->tls_ca))
            diag_add(diag, policy->path, 0, 0,
                     "\"origins.%" SLICE_FMT ".tls.ca\": cannot use \"%" SLICE_FMT
                     "\": give authorities as PEM",
                     SLICE_ARG(origin->name), SLICE_ARG(origin->tls_ca));
    }
}

/* The policy if `run` would take it. */
static struct policy *load(slice path, struct diag *diag)
{
    struct policy *policy = policy_load(&(struct policy_options){.path = path}, diag);
    if (policy)
        try_certificates(policy, diag);
    if (diag->count == 0)
        return policy;
    policy_free(policy);
    return NULL;
}

static int check(const struct wishes *wishes)
{
    static struct diag diag; /* too large for the stack */
    struct arena arena;
    slice effective = SLICE_NONE;
    arena_init(&arena);
    diag_init(&diag, &arena);
    struct policy *policy = load(wishes->path, &diag);
    if (policy && wishes->effective)
        effective = policy_effective(policy, &arena);
    if (wishes->json)
        print_json_result(policy, &diag, effective);
    else
        print_result(policy, &diag, wishes, effective);
    int status = policy ? CLI_OK : CLI_USAGE;
    policy_free(policy);
    arena_fini(&arena);
    return status;
}

int cli_check(int argc, char **argv, const struct command *self)
{
    struct wishes wishes = {.path = SLICE("varve.yaml")};
    for (int option; (option = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;) {
        if (!take(option, &wishes)) {
            fprintf(stderr, "try: varve check --help\n");
            return CLI_USAGE;
        }
    }
    if (wishes.help)
        return cli_help(self);
    if (optind < argc)
        return cli_usage(self, "unexpected \"%s\"; the file is named by --config", argv[optind]);
    return check(&wishes);
}
