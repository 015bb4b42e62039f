/** Importers, splits and packed batches. */
export {};
