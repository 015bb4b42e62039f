/** pg and PGlite behind one interface; migrations. */
export {};
