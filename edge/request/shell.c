#include "edge/request/shell.h"

#include "base/arena.h"
#include "base/log.h"
#include "edge/request/file_blob.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct shell {
    char *path;
    struct stat seen; /* the refreshing thread's */
    pthread_mutex_t lock;
    struct blob *body; /* hold lock */
};

struct shell *shell_new(slice path, char *error)
{
    struct shell *shell = mem_alloc(sizeof(*shell));
    shell->path = strndup(path.ptr, path.len);
    char reason[160];
    stat(shell->path, &shell->seen); /* before it is read: a change in between is seen as one */
    shell->body = file_blob(path, reason, sizeof(reason));
    if (!shell->body) {
        snprintf(error, 256, "shell: %s", reason);
        free(shell->path);
        free(shell);
        return NULL;
    }
    pthread_mutex_init(&shell->lock, NULL);
    return shell;
}

void shell_free(struct shell *shell)
{
    if (!shell)
        return;
    blob_unref(&shell->body);
    pthread_mutex_destroy(&shell->lock);
    free(shell->path);
    free(shell);
}

struct blob *shell_body(struct shell *shell)
{
    pthread_mutex_lock(&shell->lock);
    struct blob *body = blob_ref(shell->body);
    pthread_mutex_unlock(&shell->lock);
    return body;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void shell_refresh(struct shell *shell)
{
    struct stat now;
    if (stat(shell->path, &now) != 0 || is_same_file(&now, &shell->seen))
        return;
    char reason[160];
    struct blob *body = file_blob(slice_of_string(shell->path), reason, sizeof(reason));
    if (!body)
        return; /* the old one serves on */
    shell->seen = now;
    pthread_mutex_lock(&shell->lock);
    struct blob *old = shell->body;
    shell->body = body;
    pthread_mutex_unlock(&shell->lock);
    blob_unref(&old);
    log_info("shell read anew", {"path", slice_of_string(shell->path), 0});
}
