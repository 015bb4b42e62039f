/** Model artifacts: safetensors weights and a JSON manifest, written atomically, verified on load. */
export {};
