/** Trains, evaluates, registers and publishes a model version. */
export {};
