/*
 * Files that the user's policy names (shell, error page, token, certificate): which will do, said
 * in one place, so that `varve check` and the process that reads them cannot disagree. Blocks: not
 * on the hot path.
 */
#pragma once

#include "base/slice.h"

enum user_file_rule {
    USER_FILE_NONE,   /* not a file that is read */
    USER_FILE_PLAIN,  /* a regular file that we may read */
    USER_FILE_SMALL,  /* and of 1 byte to 4 MiB: an editor may be about to write an empty one */
    USER_FILE_SECRET, /* and that nobody else may read, nor its group change */
};

/*
 * Opens it for reading; -1 with *cause, a text that lives until the next call of strerror(), and
 * errno (0: it is not of the kind that the rule asks for). The caller closes. Does not wait: a pipe
 * in the place of a file would stop the process.
 */
int user_file_open(slice path, enum user_file_rule rule, size_t *bytes, const char **cause);
