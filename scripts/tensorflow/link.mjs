/**
 * Links the compiled binding into both packages of tfjs-node, where they look for their own.
 *
 * `npm ci` takes the links away with node_modules; the cache keeps what they point to. Depends on Node alone.
 */
import { existsSync, lstatSync, mkdirSync, readlinkSync, renameSync, symlinkSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { linkPath, PACKAGES, readyBinding, TENSORFLOW_VERSION } from './layout.mjs';

/** Where the link at `path` points to; null where there is none. */
function target(path) {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isSymbolicLink() ? readlinkSync(path) : null;
}

/**
 * Makes the links to `binding`; returns whether that changed one.
 * Unless `replace`, what can be loaded stays: another library's link, the file of tfjs-node's own installer.
 */
export function linkBinding(binding, { replace }) {
  let changed = false;
  for (const name of PACKAGES) {
    const path = linkPath(name);
    const wanted = relative(dirname(path), binding);
    if (target(path) === wanted || (!replace && existsSync(path))) continue;
    mkdirSync(dirname(path), { recursive: true });
    const aside = `${path}.${process.pid}`;
    symlinkSync(wanted, aside);
    renameSync(aside, path);
    changed = true;
  }
  return changed;
}

/** Redoes the links from the cache where it stands; a line to say where that changed something, else null. */
export function relinkTensorflow() {
  const ready = readyBinding();
  if (ready === null || !linkBinding(ready.path, { replace: false })) return null;
  return `tensorflow ${TENSORFLOW_VERSION} (${ready.flavour}): linked from .cache/tensorflow`;
}
