/* `varve init`: writes a commented policy file, never over an existing one. */
#include "edge/cli/cli.h"
#include "policy/load.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const struct option OPTIONS[] = {
    {"preset", required_argument, NULL, 'p'},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int write_file(const char *path, slice text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "varve init: cannot write %s: %s\n", path, strerror(errno));
        return CLI_FAILED;
    }
    ssize_t written = write(fd, text.ptr, text.len);
    int error = written < 0 ? errno : (size_t)written < text.len ? ENOSPC : 0;
    if (close(fd) != 0 && !error)
        error = errno;
    if (error) {
        unlink(path); /* half a policy is worse than none */
        fprintf(stderr, "varve init: cannot write %s: %s\n", path, strerror(error));
        return CLI_FAILED;
    }
    printf("wrote %s; next: varve check --config %s && varve run --config %s\n", path, path, path);
    return CLI_OK;
}

static int init(const char *preset, const char *output, const struct command *self)
{
    struct arena arena;
    arena_init(&arena);
    slice text = policy_example(slice_of_string(preset), &arena);
    int status = CLI_OK;
    if (text.len == 0)
        status = cli_usage(self, "there is no preset \"%s\": %" SLICE_FMT, preset,
                           SLICE_ARG(policy_presets(&arena)));
    else if (strcmp(output, "-") == 0)
        status = fwrite(text.ptr, 1, text.len, stdout) == text.len ? CLI_OK : CLI_FAILED;
    else
        status = write_file(output, text);
    arena_fini(&arena);
    return status;
}

int cli_init(int argc, char **argv, const struct command *self)
{
    const char *preset = "", *output = "varve.yaml";
    for (int option; (option = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;) {
        if (option == 'h')
            return cli_help(self);
        if (option != 'p' && option != 'o') {
            fprintf(stderr, "try: varve %s --help\n", self->name); /* getopt said what is wrong */
            return CLI_USAGE;
        }
        *(option == 'p' ? &preset : &output) = optarg;
    }
    if (optind < argc)
        return cli_usage(self, "unexpected \"%s\"", argv[optind]);
    return init(preset, output, self);
}
