/*
 * What a store's directory holds before any of it is trusted: the state file and the beginning of
 * LMDB's data file. Only a state file that is one of ours to the byte lets data be used; whatever
 * was there, the next start finds a proper state.
 *
 *   input = flags (1 byte: 1 durable, 2 no state file, 4 no data file) length of the state file (1
 *           byte), state file, data file
 */
#include "cache/store.h"
#include "edge/proc/set_aside.h"
#include "edge/proc/state.h"

#include "tests/fuzz/input.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IS_SYNC = 1, NO_STATE = 2, NO_DATA = 4, PATH_BYTES = 128 };

static char root[64], store[PATH_BYTES], state_path[PATH_BYTES], data_path[PATH_BYTES];
static const wall_time now = {1767225600000};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type;
    return ftw->level ? remove(path) : 0;
}

static void empty_root(void)
{
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void remove_root(void)
{
    empty_root();
    rmdir(root);
}

/* In memory, where there is such a place: a state is synced each time. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    snprintf(root, sizeof(root), "/dev/shm/varve-state-fuzz-XXXXXX");
    if (!mkdtemp(root)) {
        snprintf(root, sizeof(root), "/tmp/varve-state-fuzz-XXXXXX");
        MUST(mkdtemp(root));
    }
    snprintf(store, sizeof(store), "%s/store", root);
    snprintf(state_path, sizeof(state_path), "%s/store/state", root);
    snprintf(data_path, sizeof(data_path), "%s/store/f1/data.mdb", root);
    atexit(remove_root);
    return 0;
}

static void write_file(const char *path, slice bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, bytes.ptr ? bytes.ptr : "", bytes.len) == (ssize_t)bytes.len);
    close(fd);
}

static void make_store(slice state, slice data, unsigned flags)
{
    char directory[PATH_BYTES];
    snprintf(directory, sizeof(directory), "%s/f1", store);
    MUST(mkdir(store, 0700) == 0 && mkdir(directory, 0700) == 0);
    if (!(flags & NO_STATE))
        write_file(state_path, state);
    if (!(flags & NO_DATA))
        write_file(data_path, data);
}

/* h: a hexadecimal digit, b: 0 or 1, anything else itself. */
static bool is_proper_state(slice state)
{
    static const char form[] = "varve-store format=1 boot=hhhhhhhhhhhhhhhh clean=b synced=b\n";
    const size_t boot = sizeof("varve-store format=1 boot=") - 1;
    if (state.len != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < state.len; i++) {
        char c = state.ptr[i];
        if (i < boot || (form[i] != 'h' && form[i] != 'b')) {
            if (c != form[i])
                return false;
        } else if (form[i] == 'h' ? hex_value(c) < 0 : c != '0' && c != '1') {
            return false;
        }
    }
    return true;
}

static enum store_open open_once(unsigned flags)
{
    static const struct user_identity nobody;
    struct store_state state;
    char text[STATE_ERROR_BYTES] = "";
    enum store_open result =
        state_open(&state, slice_of_string(store), flags & IS_SYNC, &nobody, now, text);
    MUST(result == STORE_OPENED || result == STORE_SET_ASIDE);
    MUST((result == STORE_OPENED) == (text[0] == '\0'));
    state_close(&state);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 1 << 16 ? size : 1 << 16);
    unsigned flags = take_byte(&input);
    size_t length = take_byte(&input);
    slice state = slice_until(input, length);
    make_store(state, slice_from(input, length), flags);
    bool is_whole = store_file_is_whole(slice_of_string(store));
    MUST(is_whole || !(flags & NO_DATA));
    if (open_once(flags) == STORE_OPENED)
        MUST(is_whole && is_proper_state(state) && !(flags & NO_STATE));
    MUST(open_once(flags) == STORE_OPENED);
    empty_root();
    return 0;
}
