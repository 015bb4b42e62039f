/** Item features: text encoder, precomputed vectors, missing modalities. */
export {};
