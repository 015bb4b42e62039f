/** fMRLRec: configuration, parameters, forward pass, slicing; pure. */
export {};
