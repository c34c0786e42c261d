/* Signals, turned into something to wait for: a descriptor in the master, a thread in the worker.
 */
#pragma once

/* Master: blocks HUP, TERM, INT, USR1, CHLD and returns a signalfd (non-blocking, close-on-exec) of
 * them; -1 with errno. PIPE is ignored. */
int signals_open(void);

/*
 * Worker: takes TERM (drain: see worker_on_drain) and USR1 (reopen the logs) on a thread of its
 * own; INT, HUP and PIPE are ignored: a Ctrl-C reaches the whole terminal group, but it is the
 * master who decides. Call before any other thread is made. 0 or errno.
 */
int worker_signals_start(void);
void worker_signals_stop(void);
