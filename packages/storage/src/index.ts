/** SQL repositories, one per table family. */
export {};
