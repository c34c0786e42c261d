/* The program `varve`: all commands, and the worker that `varve run` starts. */
#include "edge/cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
