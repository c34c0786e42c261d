/*
 * See signals.h. No handler runs anywhere: all signals are blocked, and fetched where any function
 * may be called. The worker's state is one per process, like its signals.
 */
#include "edge/proc/signals.h"

#include "base/log.h"
#include "edge/proc/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>

static void set_of(sigset_t *set, const int *signals, size_t count)
{
    sigemptyset(set);
    for (size_t i = 0; i < count; i++)
        sigaddset(set, signals[i]);
}

int signals_open(void)
{
    static const int SIGNALS[] = {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGCHLD};
    sigset_t set;
    set_of(&set, SIGNALS, sizeof(SIGNALS) / sizeof(*SIGNALS));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* SIG_IGN could be inherited, and would lose exit statuses */
    if (sigprocmask(SIG_SETMASK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* --- worker --- */

static struct {
    pthread_t thread;
    atomic_bool is_stopping, is_draining;
    pthread_mutex_t lock; /* held while `drain` runs */
    void (*drain)(void *arg);
    void *arg;
} worker = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void worker_set(sigset_t *set)
{
    static const int SIGNALS[] = {SIGTERM, SIGUSR1, SIGUSR2};
    set_of(set, SIGNALS, sizeof(SIGNALS) / sizeof(*SIGNALS));
}

static void drain_once(void)
{
    pthread_mutex_lock(&worker.lock);
    if (!atomic_exchange(&worker.is_draining, true) && worker.drain)
        worker.drain(worker.arg);
    pthread_mutex_unlock(&worker.lock);
}

static void *take_signals(void *unused)
{
    (void)unused;
    sigset_t set;
    worker_set(&set);
    while (!atomic_load(&worker.is_stopping)) {
        int signal_number = sigwaitinfo(&set, NULL);
        if (signal_number == SIGTERM)
            drain_once();
        else if (signal_number == SIGUSR1)
            log_reopen();
        /* SIGUSR2 only wakes this thread, to look at is_stopping */
    }
    return NULL;
}

int worker_signals_start(void)
{
    sigset_t set;
    worker_set(&set);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    atomic_store(&worker.is_stopping, false);
    /* A TERM that came since the fork is pending and stays so: the master had it blocked too. */
    int error = pthread_sigmask(SIG_SETMASK, &set, NULL);
    return error ? error : pthread_create(&worker.thread, NULL, take_signals, NULL);
}

void worker_signals_stop(void)
{
    atomic_store(&worker.is_stopping, true);
    pthread_kill(worker.thread, SIGUSR2);
    pthread_join(worker.thread, NULL);
}

void worker_on_drain(void (*drain)(void *arg), void *arg)
{
    pthread_mutex_lock(&worker.lock);
    worker.drain = drain;
    worker.arg = arg;
    if (drain && atomic_load(&worker.is_draining))
        drain(arg);
    pthread_mutex_unlock(&worker.lock);
}

bool worker_is_draining(void)
{
    return atomic_load(&worker.is_draining);
}
