/** Embeds items, builds prefix indexes, swaps the published pointer. */
export {};
