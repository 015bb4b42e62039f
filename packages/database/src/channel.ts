/** Names of channels for LISTEN: they cannot be parameters, so they are checked before they become SQL. */
import { excerpt, InternalError } from '@nestrec/errors';

const CHANNEL = /^[a-z_][a-z0-9_]{0,62}$/;

/** The quoted name. @throws InternalError: channels are named by our own code only */
export function quoteChannel(channel: string): string {
  if (!CHANNEL.test(channel)) {
    throw new InternalError({
      detail: `channel: got ${excerpt(channel)}, wanted up to 63 of a-z, 0-9 and _`,
    });
  }
  return `"${channel}"`;
}
