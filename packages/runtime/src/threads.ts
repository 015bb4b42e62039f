/**
 * Starts a module beside the caller's in a thread or a process of its own: from `dist/` in plain node, and from
 * `src/` where packages resolve to their source (tests, benchmarks).
 *
 * Loading TypeScript takes such a thread a second, on a busy machine ten. Whoever has just built says so by
 * `NESTREC_CHILDREN=dist`, and threads and processes then run what was built (decision 0033).
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

export interface Startable {
  readonly file: URL;
  /** Whether it is TypeScript, which node needs a loader for. */
  readonly fromSource: boolean;
  /** Options of node for it; undefined: those of this process. */
  readonly execArgv: string[] | undefined;
}

/**
 * What to start for the module `name` beside the caller's.
 * @param beside `import.meta.url` of the caller
 * @param name the module's file without its ending
 */
export function startableBeside(beside: string, name: string): Startable {
  if (!beside.endsWith('.ts')) {
    return { file: new URL(`./${name}.js`, beside), fromSource: false, execArgv: undefined };
  }
  // eslint-disable-next-line no-restricted-properties -- a switch of the tests, which no main.ts knows of
  if (process.env['NESTREC_CHILDREN'] === 'dist') {
    const at = beside.lastIndexOf('/src/');
    const built = `${beside.slice(0, at)}/dist/${beside.slice(at + '/src/'.length)}`;
    // None of this process's, which make packages resolve to their source.
    return { file: new URL(`./${name}.js`, built), fromSource: false, execArgv: [] };
  }
  const execArgv = [SOURCE_CONDITION, '--import', fromTsx('dist/loader.mjs')];
  return { file: new URL(`./${name}.ts`, beside), fromSource: true, execArgv };
}

/** Starts it as a thread. @see startableBeside */
export function startThread(beside: string, name: string, options: WorkerOptions): Worker {
  const { file, fromSource, execArgv } = startableBeside(beside, name);
  if (!fromSource) return new Worker(file, { ...options, ...(execArgv && { execArgv }) });
  // The option `--import` has no effect on a thread, which therefore registers the loader itself.
  const loader = fromTsx('dist/esm/api/index.mjs');
  const program = `import('${loader}').then(({ register }) => { register(); return import('${file.href}'); });`;
  return new Worker(program, { ...options, eval: true, execArgv: [SOURCE_CONDITION] });
}

const SOURCE_CONDITION = '--conditions=@nestrec/source';

/** A file of tsx, found from here and not from the working directory, which may be anywhere. */
function fromTsx(file: string): string {
  return new URL(file, pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json')))
    .href;
}
