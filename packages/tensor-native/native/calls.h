/*
 * What every function that JavaScript calls begins and ends with, and what they share: the kernels
 * of this processor and scratch memory. One operation runs at a time, also where several
 * environments of one process call in.
 */
#ifndef NESTREC_CALLS_H
#define NESTREC_CALLS_H

#include <pthread.h>

#include "arguments.h"
#include "pool.h"

extern const kernels *target;
extern pthread_mutex_t one_at_a_time;

/* Scratch memory of at least `count` floats, on a border of cache lines; grows, never shrinks. */
float *room(arguments *a, long count);

#define BEGIN(name, arguments_wanted)                                              \
  napi_value js_##name(napi_env env, napi_callback_info info) {                    \
    pthread_mutex_lock(&one_at_a_time);                                            \
    arguments arg = read_arguments(env, info, #name, arguments_wanted), *a = &arg; \
    napi_value result = NULL;
#define END                             \
  pthread_mutex_unlock(&one_at_a_time); \
  return result;                        \
  }

/* Every function, for its table. */
#define EACH_CALL(X)                                                                               \
  X(multiply)                                                                                      \
  X(segmentNorm)                                                                                   \
  X(segmentNormBackward)                                                                           \
  X(addMasked) X(multiplyMask) X(gatedUnit) X(gatedUnitBackward) X(diagonalScan)                   \
      X(diagonalScanBackward) X(nestedLinear) X(nestedLinearBackward) X(gatherRows) X(addRows)     \
          X(itemTable) X(itemTableBackward) X(dropoutMask) X(scaleRows) X(rowDots) X(crossEntropy) \
              X(countRanks) X(adamw) X(sumSquares) X(setThreads) X(setTarget)

#define DECLARE(name) napi_value js_##name(napi_env env, napi_callback_info info);
EACH_CALL(DECLARE)

#endif
