/** The training recipe, checkpoints and the quality report. */
export {};
