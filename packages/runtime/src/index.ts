/** Configuration, logging, metrics, clock, shutdown, atomic files. */
export {};
