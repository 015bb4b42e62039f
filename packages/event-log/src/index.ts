/** The append-only log of events behind one interface. */
export {};
