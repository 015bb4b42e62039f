/*
 * A pool of POSIX threads for short operations that follow one another closely: between two of them a thread spins for
 * some microseconds before it sleeps, so that starting an operation costs about one.
 */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

#define MOST_THREADS 64
#define SPINS 20000

#if defined(__x86_64__)
#include <xmmintrin.h>
#define RELAX() _mm_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

/*
 * Numbers too small for float32's normal range count as 0 while an operation runs: probabilities of unlikely items are
 * such numbers, and processors take a hundred times longer for them. Returns what to give back to restore_denormals.
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
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER;
static atomic_ulong generation;
static atomic_int unfinished;
static atomic_int sleepers;
static pool_work current_work;
static void *current_arg;
static atomic_int stopping;

static atomic_int arrived;
static atomic_ulong barrier_round;

static void *worker_main(void *arg) {
  int thread = (int)(size_t)arg;
  flush_denormals();
  unsigned long seen = atomic_load(&generation);
  /* pool_resize waits for this sign of life before it lets an operation begin. */
  atomic_fetch_sub(&unfinished, 1);
  for (;;) {
    int spins = 0;
    while (atomic_load_explicit(&generation, memory_order_acquire) == seen && spins++ < SPINS) RELAX();
    if (atomic_load(&generation) == seen) {
      pthread_mutex_lock(&mutex);
      atomic_fetch_add(&sleepers, 1);
      while (atomic_load(&generation) == seen) pthread_cond_wait(&begun, &mutex);
      atomic_fetch_sub(&sleepers, 1);
      pthread_mutex_unlock(&mutex);
    }
    seen++;
    if (atomic_load(&stopping)) return NULL;
    current_work(current_arg, thread, threads);
    atomic_fetch_sub_explicit(&unfinished, 1, memory_order_release);
  }
}

static void begin(void) {
  atomic_fetch_add(&generation, 1);
  if (atomic_load(&sleepers) > 0) {
    pthread_mutex_lock(&mutex);
    pthread_cond_broadcast(&begun);
    pthread_mutex_unlock(&mutex);
  }
}

static void wait_until_finished(void) {
  int spins = 0;
  while (atomic_load_explicit(&unfinished, memory_order_acquire) > 0) {
    if (spins++ < SPINS) RELAX();
    else sched_yield();
  }
}

int pool_threads(void) { return threads; }

int pool_resize(int wanted) {
  if (wanted < 1) wanted = 1;
  if (wanted > MOST_THREADS) wanted = MOST_THREADS;
  if (wanted == threads) return threads;
  if (threads > 1) {
    atomic_store(&stopping, 1);
    begin();
    for (int i = 1; i < threads; i++) pthread_join(workers[i], NULL);
    atomic_store(&stopping, 0);
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
  wait_until_finished();
  return threads;
}

static void run_shared(pool_work work, void *arg) {
  current_work = work;
  current_arg = arg;
  atomic_store(&unfinished, threads - 1);
  begin();
  work(arg, 0, threads);
  wait_until_finished();
}

void pool_run(pool_work work, void *arg) {
  unsigned long before = flush_denormals();
  if (threads == 1) work(arg, 0, 1);
  else run_shared(work, arg);
  restore_denormals(before);
}

void pool_barrier(void) {
  unsigned long round = atomic_load(&barrier_round);
  if (atomic_fetch_add(&arrived, 1) + 1 == threads) {
    atomic_store(&arrived, 0);
    atomic_fetch_add(&barrier_round, 1);
    return;
  }
  int spins = 0;
  while (atomic_load_explicit(&barrier_round, memory_order_acquire) == round) {
    if (spins++ < SPINS) RELAX();
    else sched_yield();
  }
}
