/**
 * One life of a process under a run, in a group of its own. What it prints goes to a file: a
 * pipe that a busy run does not read would stop the process that writes to it.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nodeArguments } from '../../helpers/node-arguments.js';
import { repositoryRoot } from '../../helpers/started-process.js';

export interface LaunchedProcess {
  readonly pid: number;
  /** Resolves with the exit code (null when a signal ended it). */
  readonly ended: Promise<number | null>;
  output(): string;
  /** Resolves once it has printed the line; rejects, with its output, if it ends before. */
  ready(line: RegExp, timeoutMs: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

const folder = mkdtempSync(join(tmpdir(), 'nestrec-chaos-output-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
let launches = 0;

export function launchProcess(spec: {
  readonly program: URL;
  readonly env: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** It is JavaScript, and imports what was built. */
  readonly built?: boolean;
}): LaunchedProcess {
  const path = join(folder, String((launches += 1)));
  const file = openSync(path, 'a');
  const child = spawn(
    process.execPath,
    (spec.built ?? false)
      ? [fileURLToPath(spec.program), ...(spec.args ?? [])]
      : nodeArguments(spec.program, spec.args),
    {
      cwd: repositoryRoot,
      env: { ...withoutOurs(process.env), ...spec.env },
      stdio: ['ignore', file, file],
      detached: true,
    },
  );
  closeSync(file);
  let over = false;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      over = true;
      resolve(code);
    });
  });
  const output = () => readFileSync(path, 'utf8');
  return {
    pid: child.pid ?? -1,
    ended,
    output,
    ready: async (line, timeoutMs) => {
      const deadline = performance.now() + timeoutMs;
      while (!line.test(output())) {
        if (over) throw new Error(`ended before ${line}:\n${output()}`);
        if (performance.now() > deadline) {
          throw new Error(`no ${line} within ${timeoutMs} ms:\n${output()}`);
        }
        await sleep(20);
      }
    },
    kill: (signal) => {
      if (over) return;
      try {
        process.kill(-child.pid!, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    },
  };
}

/** The caller's environment without settings of ours, which a run sets itself; what is built stays known. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = /^(NESTREC_(?!CHILDREN$).*|KAFKA_.*|DATABASE_URL|PORT|HOST)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ours.test(name)));
}
