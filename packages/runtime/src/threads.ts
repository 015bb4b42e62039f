/**
 * Starts a module as a worker thread, from `dist/` in plain node and from `src/` where packages resolve to their
 * source (tests, benchmarks): there the thread first registers TypeScript's loader, since the option `--import` has
 * no effect on a thread.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * @param beside `import.meta.url` of the caller
 * @param name the thread's file without its ending, beside the caller's
 */
export function startThread(beside: string, name: string, options: WorkerOptions): Worker {
  const fromSource = beside.endsWith('.ts');
  const file = new URL(`./${name}.${fromSource ? 'ts' : 'js'}`, beside);
  if (!fromSource) return new Worker(file, options);
  // Found from here and not from the working directory, which may be anywhere.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'));
  const loader = new URL('dist/esm/api/index.mjs', tsx);
  const program = `import('${loader.href}').then(({ register }) => { register(); return import('${file.href}'); });`;
  return new Worker(program, {
    ...options,
    eval: true,
    execArgv: ['--conditions=@nestrec/source'],
  });
}
