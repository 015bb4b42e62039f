/**
 * Compiles tfjs-node's binding against the library in the cache with a plain C++ compiler: no node-gyp, no
 * headers of Node but the npm package node-api-headers.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import headers from 'node-api-headers';
import {
  BINDING_FLAGS,
  bindingPath,
  bindingSources,
  DEFAULTS_FLAGS,
  DEFAULTS_LIBRARY,
  defaultsSource,
  LIBRARIES,
  libraryFolder,
} from './layout.mjs';
import { moveWhole, run, runs, SetupProblem } from './processes.mjs';

function findCompiler() {
  const candidates = [process.env.CXX, 'g++', 'clang++', 'c++'].filter(Boolean);
  const found = candidates.find((name) => runs(name, ['--version']));
  if (found === undefined) {
    throw new SetupProblem(
      `a C++ compiler is missing (tried ${candidates.join(', ')}). Install one (Debian and Ubuntu: apt-get install g++) or name it in CXX, and run the same command again.`,
    );
  }
  return found;
}

/** Compiles into `temporary` and moves the result to its place in the library's folder. */
export function buildBinding(flavour, temporary) {
  const target = dirname(bindingPath(flavour));
  if (existsSync(target)) return;
  const compiler = findCompiler();
  const compile = (args) =>
    run(
      'Compiling the binding',
      compiler,
      args,
      'The compiler must know C++17 (g++ 9, clang 10 or newer).',
    );
  const library = libraryFolder(flavour);
  const libraries = LIBRARIES.map((name) => join(library, 'tensorflow', name));
  const sources = readdirSync(bindingSources)
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(bindingSources, name));
  const includes = [join(library, 'include'), headers.include_dir, bindingSources];
  const built = join(temporary, 'binding');
  mkdirSync(built);
  const defaults = join(built, DEFAULTS_LIBRARY);
  compile([...DEFAULTS_FLAGS, '-o', defaults, defaultsSource, ...libraries]);
  compile([
    ...[...BINDING_FLAGS, '-o', join(built, basename(bindingPath(flavour)))],
    ...[...includes.map((folder) => `-I${folder}`), ...sources, defaults, ...libraries],
  ]);
  moveWhole(built, target);
}
