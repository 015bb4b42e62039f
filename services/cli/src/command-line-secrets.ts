/** Refuses secrets among the arguments: every user of the machine sees them in `ps`, and shells keep them. */
import { UsageError } from '@nestrec/errors';
import { hasPassword } from './env-file.js';

const SECRET_OPTION =
  /^--?(?:[a-z]+-)*(?:password|passwd|secret|token|api-?key|admin-?key|hash-key|database-url|db-url)(?:=|$)/i;
const SECRET_ASSIGNMENT = /^(?:DATABASE_URL|NESTREC_LOG_HASH_KEY)=/;
const WHOLE_API_KEY = /\brk_live_[0-9A-Za-z]{10}_[0-9A-Za-z]{30}\b/;

/** @throws UsageError that names the place and never the value */
export function refuseSecrets(argv: readonly string[]): void {
  for (const [i, argument] of argv.entries()) {
    const secret =
      SECRET_OPTION.test(argument) ||
      SECRET_ASSIGNMENT.test(argument) ||
      WHOLE_API_KEY.test(argument) ||
      hasPassword(argument);
    if (!secret) continue;
    throw new UsageError({
      detail:
        `Argument ${i + 1} looks like a secret, and other users see arguments in the list of processes. ` +
        'Set it in the environment or in .env (DATABASE_URL for the database); keys are named by their public id.',
    });
  }
}
