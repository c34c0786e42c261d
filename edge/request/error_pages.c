#include "edge/request/error_pages.h"

#include "base/arena.h"
#include "edge/request/file_blob.h"

#include <stdio.h>
#include <stdlib.h>

struct error_pages {
    size_t count;
    struct {
        unsigned status;
        struct blob *body;
    } at[];
};

struct error_pages *error_pages_new(const struct policy *policy, char *error)
{
    struct error_pages *pages =
        mem_alloc(sizeof(*pages) + policy->error_page_count * sizeof(pages->at[0]));
    for (size_t i = 0; i < policy->error_page_count; i++) {
        char reason[160];
        struct blob *body = file_blob(policy->error_pages[i].path, reason, sizeof(reason));
        if (!body) {
            snprintf(error, 256, "error_page: %s", reason);
            error_pages_free(pages);
            return NULL;
        }
        pages->at[pages->count].status = policy->error_pages[i].status;
        pages->at[pages->count++].body = body;
    }
    return pages;
}

void error_pages_free(struct error_pages *pages)
{
    if (!pages)
        return;
    for (size_t i = 0; i < pages->count; i++)
        blob_unref(&pages->at[i].body);
    free(pages);
}

struct blob *error_page(const struct error_pages *pages, unsigned status)
{
    for (size_t i = 0; i < pages->count; i++)
        if (pages->at[i].status == status)
            return blob_ref(pages->at[i].body);
    return NULL;
}
