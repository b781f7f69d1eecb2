/* A second thread, asleep until it is called. */
#ifndef HELPER_H
#define HELPER_H

#include <stdint.h>

struct helper;

typedef void helper_function(void *work);

/* NULL where there can't be one. */
struct helper *helper_start(void);
void helper_stop(struct helper *helper);

/* Whether the thread lives in this process, which may be a fork of the one that started it. */
int helper_is_ours(const struct helper *helper);

/* Has `function(work)` called, soon or never. The call before must have been recalled. */
void helper_call(struct helper *helper, helper_function *function, void *work);

/* Returns when the call has ended, or will never begin. */
void helper_recall(struct helper *helper);

/* Where other programs keep the CPUs busy, the helper is taken off its CPU in the midst of an instruction, for
 * milliseconds. So after a long wait for it some runs do without it: twice as many each time, half as many after each
 * run that went well. */
int helper_is_resting(struct helper *helper);
void helper_was(struct helper *helper, int late);

/* What a thread does that has found nothing to do `times` times in succession. */
void wait_a_little(uint32_t times);

/* Waits after which a thread gives its CPU away: about a hundred microseconds. */
#define LOOKS 4000

#endif
