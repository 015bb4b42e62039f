/** `--keep <count>` of the commands that drop old versions. */
import { InvalidArgumentError } from 'commander';

export function parseKeep(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1) return Number(text);
  throw new InvalidArgumentError('wanted a number from 1 to 999.');
}
