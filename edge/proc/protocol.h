/* What master and worker agree on beside the shared memory. */
#pragma once

enum {
    READY_BYTE = 1,      /* on the ready pipe: the worker accepts; anything else is an error text */
    EXIT_BAD_POLICY = 2, /* exit status: the policy is bad, or what it names, or its file is not the
                            one that the master read */
    KILL_GRACE_MS = 5000 /* between the drain deadline and SIGKILL: time to close the store */
};
