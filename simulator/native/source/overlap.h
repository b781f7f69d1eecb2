/* The rest of a run on two threads: one for GEMM, the other one, the helper, for the engines that move data. */
#ifndef OVERLAP_H
#define OVERLAP_H

#include "core.h"

/* Asks the helper to make ready; NULL where there is none. */
struct overlap *overlap_prepare(struct core *core);

enum overlap_answer { OVERLAP_LATER, OVERLAP_BEGUN, OVERLAP_NEVER };

/* Takes over where `core` stands, if the helper is ready; never where the program may end with an error, or the helper's
 * CPU is too far away. */
enum overlap_answer overlap_begin(struct overlap *overlap, const struct core *core);

/* Goes on until `end`; whether there is more to do. No other thread is at work afterwards. */
int overlap_continue(struct overlap *overlap, double end);

/* What machine_continue says of a run. */
void overlap_report(const struct overlap *overlap, struct outcome *outcome);
void overlap_forget(struct overlap *overlap);

#endif
