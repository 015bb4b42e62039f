/** Ranking metrics and counting baselines; pure. */
export {};
