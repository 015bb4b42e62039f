/** An end to a wait for something that may never answer. */

/** Rejects after `ms`; what it waited for goes on unheard. */
export async function withLimit<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  work.catch(() => undefined); // where it fails after the limit
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
