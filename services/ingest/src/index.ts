/** Applies the event log to interactions, states and positions in one transaction. */
export {};
