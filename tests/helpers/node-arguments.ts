/**
 * How node runs a program of this repository: what was built where a runner has just built and says so
 * (`NESTREC_CHILDREN=dist`, decision 0033), otherwise from source. Programs of the tests themselves are never
 * built, and run from source with the packages they import.
 */
import { fileURLToPath } from 'node:url';

const FROM_SOURCE = ['--conditions=@nestrec/source', '--import', 'tsx'];
/** A module of a package or service. */
const PRODUCT = /\/((?:packages|services)\/[^/]+)\/src\/(.+)\.ts$/;

/** @param program a TypeScript file */
export function nodeArguments(program: URL, args: readonly string[] = []): string[] {
  const path = fileURLToPath(program);
  if (process.env['NESTREC_CHILDREN'] !== 'dist' || !PRODUCT.test(path)) {
    return [...FROM_SOURCE, path, ...args];
  }
  return [path.replace(PRODUCT, '/$1/dist/$2.js'), ...args];
}
