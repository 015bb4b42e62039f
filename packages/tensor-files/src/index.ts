/** Codecs of safetensors and .npy that refuse hostile input. */
export {
  decodeSafetensors,
  encodeSafetensors,
  MAX_HEADER_BYTES,
  safetensorsParts,
  type SafetensorsContent,
} from './safetensors.js';
export { readSafetensors, type ByteSource } from './safetensors-source.js';
export { decodeNpy, encodeNpy } from './npy.js';
export { littleEndianBytes } from './widen.js';
export { foreignFormat } from './refuse.js';
