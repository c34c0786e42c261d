/* Intrusive doubly linked list: a ring with a head. The owner of the head guards it; nothing here
 * allocates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev; /* both NULL: a node that is in no list */
};

#define LIST_INIT(head)                                                                            \
    {                                                                                              \
        &(head), &(head)                                                                           \
    }
#define container_of(pointer, type, member)  ((type *)((char *)(pointer)-offsetof(type, member)))
#define list_first_entry(head, type, member) container_of((head)->next, type, member)
/* The body must not take `node` out; use `while (!list_is_empty)` for that. */
#define list_each(node, head)                                                                      \
    for (struct list *node = (head)->next; node != (head); node = node->next)

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct list *node)
{
    return node->next != NULL;
}

static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
    list_append(head->next, node);
}

/* Harmless on a node that is in no list. */
static inline void list_remove(struct list *node)
{
    if (!node->next)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}
