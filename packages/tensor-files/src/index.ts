/** Pure codecs of safetensors and .npy that refuse hostile input. */
export {};
