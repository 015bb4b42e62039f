/*
 * The addon: chooses the processor's kernels, owns threads and scratch memory, and hands its
 * functions to JavaScript. Results are written into arrays that the caller hands in; nothing else
 * is kept between calls.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* dladdr */
#endif
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"

const kernels *target;
pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static float *scratch;
static long scratch_floats;

static const kernels *best_target(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    return &kernels_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kernels_avx2;
#endif
  return &kernels_base;
}

float *room(arguments *a, long count) {
  if (a->failed) return NULL;
  if (count > scratch_floats) {
    void *grown = NULL;
    free(scratch);
    scratch = NULL, scratch_floats = 0;
    if (posix_memalign(&grown, 64, (size_t)count * sizeof(float) + 64) != 0) {
      fail(a, "no memory for %ld MB of scratch space.", count * 4 / 1000000);
      return NULL;
    }
    scratch = grown, scratch_floats = count;
  }
  return scratch;
}

/* setThreads(count) -> how many there are; 0 = as many as the machine has processors */
BEGIN(setThreads, 1)
  long count = whole(a, 0, "threads", 0, 1024);
  if (!a->failed) {
    if (count == 0) count = sysconf(_SC_NPROCESSORS_ONLN);
    napi_create_int32(env, pool_resize((int)count), &result);
  }
END

/* setTarget(name | null): null = the best that this processor has. -> name of the one in use */
BEGIN(setTarget, 1)
  char name[16] = "";
  size_t length = 0;
  const kernels *best = best_target(), *wanted = best;
  if (!is_null(a, 0)) {
    napi_get_value_string_utf8(env, a->values[0], name, sizeof(name), &length);
    wanted = NULL;
    if (strcmp(name, kernels_base.name) == 0) wanted = &kernels_base;
#if defined(__x86_64__)
    if (strcmp(name, kernels_avx2.name) == 0 && best != &kernels_base) wanted = &kernels_avx2;
    if (strcmp(name, kernels_avx512.name) == 0 && best == &kernels_avx512) wanted = &kernels_avx512;
#endif
    if (!wanted) fail(a, "no target \"%s\" on this processor; the best is %s.", name, best->name);
  }
  if (!a->failed) {
    target = wanted;
    napi_create_string_utf8(env, target->name, NAPI_AUTO_LENGTH, &result);
  }
END

/*
 * Keeps the addon's code mapped to the end of the process: Node unmaps an addon with the worker
 * thread that loaded it, and the pool's threads would run on in memory that is gone.
 */
static void stay_loaded(void) {
  Dl_info info;
  if (dladdr((void *)&target, &info) && info.dli_fname)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

NAPI_MODULE_INIT() {
  stay_loaded();
  if (!target) target = best_target();
#define EXPORT(name) {#name, NULL, js_##name, NULL, NULL, NULL, napi_enumerable, NULL},
  napi_property_descriptor properties[] = {EACH_CALL(EXPORT)};
  napi_define_properties(env, exports, sizeof(properties) / sizeof(properties[0]), properties);
  return exports;
}
