/** The recurrent state of one user: step, erase, insert, merge, rebuild, read out. */
export {};
