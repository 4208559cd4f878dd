/* Doubly linked list whose nodes live inside their elements, so that linking never allocates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sf_list {
    struct sf_list *prev;
    struct sf_list *next;
};

#define SF_CONTAINER_OF(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void sf_list_init(struct sf_list *list)
{
    list->prev = list;
    list->next = list;
}

static inline bool sf_list_empty(const struct sf_list *list)
{
    return list->next == list;
}

/* Puts @node before @at; with a list's head as @at, at the end of that list. */
static inline void sf_list_push(struct sf_list *at, struct sf_list *node)
{
    node->prev = at->prev;
    node->next = at;
    node->prev->next = node;
    node->next->prev = node;
}

/* Takes @node out of the list it is in. Harmless on a zeroed node and on one in no list. */
static inline void sf_list_remove(struct sf_list *node)
{
    if (node->next != NULL) {
        node->next->prev = node->prev;
        node->prev->next = node->next;
    }
    sf_list_init(node);
}

/* Whether @node is in a list. A zeroed node is not. */
static inline bool sf_list_linked(const struct sf_list *node)
{
    return node->next != NULL && node->next != node;
}

/* Takes the first node out of a list that is not empty. */
static inline struct sf_list *sf_list_pop(struct sf_list *list)
{
    struct sf_list *node = list->next;

    sf_list_remove(node);
    return node;
}

/* Moves all nodes of @from into @to, whatever @to held before; @from is empty afterwards. */
static inline void sf_list_move(struct sf_list *to, struct sf_list *from)
{
    sf_list_init(to);
    if (!sf_list_empty(from)) {
        to->next = from->next;
        to->prev = from->prev;
        to->next->prev = to;
        to->prev->next = to;
        sf_list_init(from);
    }
}
