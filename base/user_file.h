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

/* A token is sent in a header field: it is short, and one line. */
enum { USER_TOKEN_MAX = 1024 };
/* The token that `file` holds, a view: white space around it plays no part. NULL, or what is wrong
 * with it, and then *token is empty. */
const char *user_file_token(slice file, slice *token);
/* Reads the token of a secret file into `bytes`, of which *token is a view. False with *cause and
 * errno, as above. */
bool user_file_read_token(slice path, char bytes[USER_TOKEN_MAX], slice *token, const char **cause);
