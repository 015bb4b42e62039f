/** Who is at the command line, for records of what somebody decided. */
import { userInfo } from 'node:os';

export function operatorName(): string {
  try {
    return `${userInfo().username} (command line)`;
  } catch {
    // A container's user id often has no name.
    return `user id ${process.getuid?.() ?? 'unknown'} (command line)`;
  }
}
