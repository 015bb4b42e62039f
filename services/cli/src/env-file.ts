/**
 * The file `.env` of the working directory: settings under the environment's own, which win.
 *
 * Knows nothing of what the variables mean; a repeated one is a fault, since one of its values would be
 * dropped in silence.
 */
import { readFileSync, statSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { excerpt, InvalidConfig } from '@nestrec/errors';
import type { Environment } from '@nestrec/runtime';

const READABLE_BY_OTHERS = 0o044;

export interface EnvFile {
  readonly env: Environment;
  /** Lines for people; not faults. */
  readonly warnings: readonly string[];
}

/**
 * `env` over the variables of the file at `path`; a file that does not exist has none.
 * @throws InvalidConfig where the file cannot be read or names a variable twice
 */
export function withEnvFile(env: Environment, path: string): EnvFile {
  const text = readIfPresent(path);
  if (text === null) return { env, warnings: [] };
  const names = [...text.matchAll(/^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=/gm)].map(
    (match) => match[1]!,
  );
  const repeated = [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
  if (repeated.length > 0) {
    throw new InvalidConfig({
      detail: `${path}: got ${repeated.map((name) => excerpt(name)).join(', ')} more than once, wanted one line for each variable; remove the others.`,
    });
  }
  const values = parseEnv(text);
  const warnings: string[] = [];
  const secret = Object.entries(values).find(
    ([name, value]) => name === 'NESTREC_LOG_HASH_KEY' || hasPassword(value ?? ''),
  );
  if (secret !== undefined && (statSync(path).mode & READABLE_BY_OTHERS) !== 0) {
    warnings.push(
      `warning: ${path} holds a secret (${secret[0]}) and other users can read it; run: chmod 600 ${path}`,
    );
  }
  return { env: { ...values, ...env }, warnings };
}

/** Whether a text is a URL with a password. */
export function hasPassword(text: string): boolean {
  return /:\/\/[^/\s:@]*:[^@\s]+@/.test(text);
}

function readIfPresent(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new InvalidConfig({
      detail: `${path}: got ${code ?? 'an error'}, wanted a readable file of NAME=value lines; correct or remove it.`,
      cause,
    });
  }
}
