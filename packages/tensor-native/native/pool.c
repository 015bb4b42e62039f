/*
 * A pool of POSIX threads for short operations that follow one another closely: between two of them
 * a thread spins for some microseconds before it sleeps, so that starting an operation costs about
 * one.
 */
#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#define MOST_THREADS 64
#define SPINS 2000 /* some 50 microseconds */

#if defined(__x86_64__)
#include <xmmintrin.h>
#define RELAX() _mm_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

/*
 * Numbers too small for float32's normal range count as 0 while an operation runs: probabilities of
 * unlikely items are such numbers, and processors take a hundred times longer for them. Returns
 * what to give back to restore_denormals.
 */
static unsigned long flush_denormals(void) {
#if defined(__x86_64__)
  unsigned int before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);
  return before;
#elif defined(__aarch64__)
  unsigned long before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(before | (1ul << 24)));
  return before;
#else
  return 0;
#endif
}
static void restore_denormals(unsigned long before) {
#if defined(__x86_64__)
  _mm_setcsr((unsigned int)before);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
  (void)before;
#endif
}

static pthread_t workers[MOST_THREADS];
static int threads = 1;
static pool_work current_work;
static void *current_arg;
static int stopping;

static atomic_ulong generation; /* of operations */
static atomic_int unfinished;   /* threads still at work */
static atomic_ulong barrier_round;
static atomic_int arrived;

/* Whoever waits for one of these to change spins, then sleeps until somebody calls wake(). */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;

#define WAIT_UNTIL(condition)                                            \
  do {                                                                   \
    for (int spins = 0; !(condition) && spins < SPINS; spins++) RELAX(); \
    if (!(condition)) {                                                  \
      pthread_mutex_lock(&mutex);                                        \
      atomic_fetch_add(&sleepers, 1);                                    \
      while (!(condition)) pthread_cond_wait(&changed, &mutex);          \
      atomic_fetch_sub(&sleepers, 1);                                    \
      pthread_mutex_unlock(&mutex);                                      \
    }                                                                    \
  } while (0)

static void wake(void) {
  if (atomic_load(&sleepers) == 0) return;
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

static void finish(void) {
  if (atomic_fetch_sub(&unfinished, 1) == 1) wake();
}

static void *worker_main(void *arg) {
  int thread = (int)(size_t)arg;
  unsigned long seen = atomic_load(&generation);
  flush_denormals();
  /* pool_resize waits for this sign of life before it lets an operation begin. */
  finish();
  for (;;) {
    WAIT_UNTIL(atomic_load(&generation) != seen);
    seen++;
    if (stopping) return NULL;
    current_work(current_arg, thread, threads);
    finish();
  }
}

int pool_threads(void) { return threads; }

int pool_resize(int wanted) {
  if (wanted < 1) wanted = 1;
  if (wanted > MOST_THREADS) wanted = MOST_THREADS;
  if (wanted == threads) return threads;
  if (threads > 1) {
    stopping = 1;
    atomic_fetch_add(&generation, 1);
    wake();
    for (int i = 1; i < threads; i++) pthread_join(workers[i], NULL);
    stopping = 0;
  }
  threads = 1;
  for (int i = 1; i < wanted; i++) {
    atomic_fetch_add(&unfinished, 1);
    if (pthread_create(&workers[i], NULL, worker_main, (void *)(size_t)i) != 0) {
      atomic_fetch_sub(&unfinished, 1);
      break; /* fewer threads do the same work */
    }
    threads = i + 1;
  }
  WAIT_UNTIL(atomic_load(&unfinished) == 0);
  return threads;
}

static void run_shared(pool_work work, void *arg) {
  current_work = work;
  current_arg = arg;
  atomic_store(&unfinished, threads - 1);
  atomic_fetch_add(&generation, 1);
  wake();
  work(arg, 0, threads);
  WAIT_UNTIL(atomic_load(&unfinished) == 0);
}

void pool_run(pool_work work, void *arg) {
  unsigned long before = flush_denormals();
  if (threads == 1)
    work(arg, 0, 1);
  else
    run_shared(work, arg);
  restore_denormals(before);
}

void pool_barrier(void) {
  unsigned long round = atomic_load(&barrier_round);
  if (atomic_fetch_add(&arrived, 1) + 1 == threads) {
    atomic_store(&arrived, 0);
    atomic_fetch_add(&barrier_round, 1);
    wake();
    return;
  }
  WAIT_UNTIL(atomic_load(&barrier_round) != round);
}
