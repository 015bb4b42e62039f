/** The recurrent state of one user: step, erase, insert, merge, rebuild, read out. No TensorFlow. */
export type { BatchEvent, Contribution } from './batch-step.js';
export { createCell, type Cell } from './cell.js';
export {
  canEdit,
  eraseEvent,
  insertLate,
  MAX_EDITS,
  mergeStates,
  type EditPlace,
} from './edits.js';
export {
  readReplay,
  rebuildState,
  type HistoryEvent,
  type RebuildSources,
  type RebuiltState,
  type Replay,
} from './rebuild.js';
export { stateDifference, stateTolerance, vectorDifference } from './state-difference.js';
export { decodeState, encodeState, encodeStates, encodedStateBytes } from './state-codec.js';
export {
  assignState,
  copyState,
  createState,
  exitState,
  truncateState,
  type UserState,
  type Vector,
} from './user-state.js';
