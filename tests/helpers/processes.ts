/** Programs run by the test helpers: to their end, with their output, without a shell. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

/** Runs a program; resolves with its standard output, rejects with its last words. */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  try {
    const { stdout } = await execute(file, [...args], {
      timeout: options.timeoutMs ?? 120_000,
      maxBuffer: 16 * 1024 * 1024,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    return stdout;
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string };
    throw new Error(`${file}: ${stderr.trim().slice(-600) || message}`, { cause: error });
  }
}

/** Whether the program starts and ends well. */
export async function runs(file: string, args: readonly string[]): Promise<boolean> {
  return run(file, args, { timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
}

/** A TCP port on loopback that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Start tick of a process, which tells it from a later one with its pid; null when it is gone. */
export function processStart(pid: number): string | null {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
