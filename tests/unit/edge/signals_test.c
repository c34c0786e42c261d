/* edge/proc/signals.c, the worker's half: each test is a process of its own, as a worker is. */
#include "edge/proc/signals.h"
#include "edge/proc/worker.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static sem_t drained;
static atomic_int drains;

static void on_drain(void *arg)
{
    atomic_fetch_add(&drains, *(int *)arg);
    sem_post(&drained);
}

static void in_process(int (*body)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        sem_init(&drained, 0, 0);
        _exit(worker_signals_start() == 0 ? body() : 99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int drain_is_told_once(void)
{
    int one = 1;
    worker_on_drain(on_drain, &one);
    if (worker_is_draining())
        return 1;
    kill(getpid(), SIGTERM);
    sem_wait(&drained);
    if (!worker_is_draining())
        return 2;
    kill(getpid(), SIGTERM); /* a stop during a drain: the deadline moves, nobody is told again */
    worker_on_drain(NULL, NULL);
    worker_signals_stop();
    return atomic_load(&drains) == 1 ? 0 : 3;
}

static void test_drain_is_told_once(void **context)
{
    (void)context;
    in_process(drain_is_told_once);
}

static int drain_before_anybody_listens(void)
{
    int one = 1;
    kill(getpid(), SIGTERM);
    while (!worker_is_draining())
        sched_yield();
    worker_on_drain(on_drain, &one); /* at once, in here */
    worker_signals_stop();
    return atomic_load(&drains) == 1 ? 0 : 1;
}

static void test_a_drain_before_anybody_listens_is_not_lost(void **context)
{
    (void)context;
    in_process(drain_before_anybody_listens);
}

static int ignores_the_rest(void)
{
    static const int SIGNALS[] = {SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};
    int one = 1;
    worker_on_drain(on_drain, &one);
    for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(*SIGNALS); i++)
        kill(getpid(), SIGNALS[i]);
    worker_signals_stop();
    return atomic_load(&drains);
}

static void test_what_the_terminal_sends_is_the_masters_affair(void **context)
{
    (void)context;
    in_process(ignores_the_rest);
}

static int gone_after_removal(void)
{
    int one = 1;
    worker_on_drain(on_drain, &one);
    worker_on_drain(NULL, NULL);
    kill(getpid(), SIGTERM);
    while (!worker_is_draining())
        sched_yield();
    worker_signals_stop();
    return atomic_load(&drains);
}

static void test_nobody_is_called_after_removal(void **context)
{
    (void)context;
    in_process(gone_after_removal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_is_told_once),
        cmocka_unit_test(test_a_drain_before_anybody_listens_is_not_lost),
        cmocka_unit_test(test_what_the_terminal_sends_is_the_masters_affair),
        cmocka_unit_test(test_nobody_is_called_after_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
