/** Codecs of safetensors and .npy that refuse hostile input. */
export {
  decodeSafetensors,
  encodeSafetensors,
  MAX_HEADER_BYTES,
  type SafetensorsContent,
} from './safetensors.js';
export { decodeNpy, encodeNpy } from './npy.js';
export { foreignFormat } from './refuse.js';
