/** How an artifact is refused: always `InvalidArtifact`, with the file, tensor, row or byte at fault. */
import { InvalidArtifact, NestrecError } from '@nestrec/errors';

export function refuse(reason: string): never {
  throw new InvalidArtifact({ detail: reason });
}

/** Runs `read`; its catalogued errors become refusals that name `what`. */
export function refusing<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof NestrecError)) throw error;
    throw new InvalidArtifact({
      detail: `${what}: ${error.detail ?? error.message}`,
      cause: error,
    });
  }
}
