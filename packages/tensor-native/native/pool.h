/*
 * The threads that share one operation's work. The caller is thread 0 of `pool_threads()`; the
 * others wait between operations. One operation at a time: only JavaScript's main thread of one
 * environment calls in.
 */
#ifndef NESTREC_POOL_H
#define NESTREC_POOL_H

typedef void (*pool_work)(void *arg, int thread, int threads);

/* Sets how many threads share the work, 1 .. 64. Returns how many there are now. */
int pool_resize(int threads);
int pool_threads(void);
/* Runs work(arg, t, threads) on every thread and returns when all are done. */
void pool_run(pool_work work, void *arg);
/* Within pool_run: waits until every thread of it is here. */
void pool_barrier(void);

/* This thread's and the shared part of `count` things: [*from, *to). */
static inline void pool_share(long count, int thread, int threads, long *from, long *to) {
  *from = count * thread / threads;
  *to = count * (thread + 1) / threads;
}

#endif
