/** The command nestrec, and the all-in-one process. */
export {};
