/** After the tests that run on every backend: one line that says which were skipped, and what would bring them. */
import { missingBackends } from './backends.js';

/** Vitest runs this once per project, in one process: the last one speaks. */
const state = globalThis as { nestrecBackendProjects?: number };

export default function setup(): () => void {
  state.nestrecBackendProjects = (state.nestrecBackendProjects ?? 0) + 1;
  return () => {
    state.nestrecBackendProjects!--;
    const missing = missingBackends();
    if (state.nestrecBackendProjects! > 0 || missing.length === 0) return;
    console.log(`backends: SKIPPED every suite on ${missing.join('; ')}`);
  };
}
