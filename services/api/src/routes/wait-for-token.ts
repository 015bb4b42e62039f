/** `after` of the routes for users: waits until the events of a token are in the state. */
import { StateNotReady } from '@nestrec/errors';
import { decodeToken } from '../events/token.js';
import type { RouteContext } from '../http/route.js';

/** @throws InvalidRequest, StateNotReady */
export async function waitForToken(
  token: string,
  { deps, settings }: Pick<RouteContext, 'deps' | 'settings'>,
): Promise<void> {
  const applied = await deps.waitForEvents(decodeToken(token), settings.afterTimeoutMs);
  if (!applied) {
    throw new StateNotReady({
      retryAfterSeconds: 1,
      detail: `The events of the token were not applied within ${settings.afterTimeoutMs} ms; ask again, or leave out after for the present state.`,
    });
  }
}
