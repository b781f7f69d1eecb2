#include "helper.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NAP_NANOSECONDS 50000
#define MOST_RUNS_ALONE 64

enum state { IDLE, CALLED, AT_WORK, ENDING };

struct helper {
    _Atomic int state; /* leaves IDLE under the mutex only */
    helper_function *function;
    void *work;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    pid_t process;
    uint32_t alone, pause; /* runs still to be done alone, and how many after the next long wait */
};

void wait_a_little(uint32_t times)
{
    if (times > LOOKS) {
        nanosleep(&(struct timespec){.tv_nsec = NAP_NANOSECONDS}, NULL);
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void set_state(struct helper *helper, int state)
{
    pthread_mutex_lock(&helper->mutex);
    atomic_store(&helper->state, state);
    pthread_cond_signal(&helper->wake);
    pthread_mutex_unlock(&helper->mutex);
}

static void *help(void *argument)
{
    struct helper *helper = argument;
    for (;;) {
        int called = CALLED;
        pthread_mutex_lock(&helper->mutex);
        while (atomic_load(&helper->state) == IDLE)
            pthread_cond_wait(&helper->wake, &helper->mutex);
        pthread_mutex_unlock(&helper->mutex);
        if (atomic_load(&helper->state) == ENDING)
            return NULL;
        if (!atomic_compare_exchange_strong(&helper->state, &called, AT_WORK))
            continue;
        helper->function(helper->work);
        atomic_store(&helper->state, IDLE);
    }
}

void helper_call(struct helper *helper, helper_function *function, void *work)
{
    helper->function = function;
    helper->work = work;
    set_state(helper, CALLED);
}

void helper_recall(struct helper *helper)
{
    int called = CALLED;
    if (atomic_compare_exchange_strong(&helper->state, &called, IDLE))
        return;
    for (uint32_t times = 0; atomic_load(&helper->state) != IDLE;)
        wait_a_little(++times);
}

int helper_is_resting(struct helper *helper)
{
    if (!helper->alone)
        return 0;
    helper->alone--;
    return 1;
}

void helper_was(struct helper *helper, int late)
{
    if (late) {
        helper->alone = helper->pause;
        helper->pause = helper->pause < MOST_RUNS_ALONE ? 2 * helper->pause : MOST_RUNS_ALONE;
    } else {
        helper->pause = helper->pause > 1 ? helper->pause / 2 : 1;
    }
}

/* Signals are for the threads that were there before. */
static int start_thread(struct helper *helper)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&helper->thread, NULL, help, helper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
}

struct helper *helper_start(void)
{
    struct helper *helper = calloc(1, sizeof *helper);
    if (!helper)
        return NULL;
    helper->process = getpid();
    helper->pause = 1;
    pthread_mutex_init(&helper->mutex, NULL);
    pthread_cond_init(&helper->wake, NULL);
    if (start_thread(helper))
        return helper;
    free(helper);
    return NULL;
}

int helper_is_ours(const struct helper *helper)
{
    return helper->process == getpid();
}

void helper_stop(struct helper *helper)
{
    if (helper_is_ours(helper)) {
        set_state(helper, ENDING);
        pthread_join(helper->thread, NULL);
        pthread_cond_destroy(&helper->wake);
        pthread_mutex_destroy(&helper->mutex);
    }
    free(helper);
}
