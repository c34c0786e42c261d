/*
 * STORE/purges: the records of the shared region, append-only (semantics 6.3). Used by purge.c
 * alone, which holds the region's mutex over every call but open and close.
 *
 *     file:    magic "varvepg1" (8) | record | record | …
 *     record:  kind u8 | soft u8 | 0 u16 | prefix bytes u32 | value u64 | host u64 | stamp u64 |
 *              XXH3-64 of the 32 bytes before (u64)                     numbers little-endian
 *
 * Each append is one write at a multiple of the record size: bytes behind the last whole record are
 * an append that a kill cut off, never acknowledged, and are cut away by the next one who writes.
 * A whole record that does not check out is damage: some acknowledged purge is lost.
 */
#pragma once

#include "cache/purge_table.h"

struct purge_file {
    char *path, *new_path;
    int fd, lock_fd;
    bool sync;
};

/* 0 or errno. The file itself may be missing: purge_file_rewrite() makes it. */
int purge_file_open(struct purge_file *file, slice path, bool sync);
void purge_file_close(struct purge_file *file);

struct purge_replay {
    uint64_t records;
    bool is_damaged;
};

/* Reads every record. 0 or errno; ENOENT: no file yet. Whatever the bytes are (fuzzed). */
int purge_file_replay(struct purge_file *file,
                      void (*visit)(void *arg, const struct purge_record *record), void *arg,
                      struct purge_replay *replay);
/* ENOENT, EILSEQ: the file is gone or not ours: rewrite it. *records: how many it holds now. */
int purge_file_append(struct purge_file *file, const struct purge_record *record,
                      uint64_t *records);
/* Replaces the file, by rename, with what is in force in the region. */
int purge_file_rewrite(struct purge_file *file, const struct purge_region *region);
