/** The commit that this code was checked out at, for manifests; null outside a checkout. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export function gitCommit(): string | null {
  try {
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return commit.trim();
  } catch {
    return null;
  }
}
