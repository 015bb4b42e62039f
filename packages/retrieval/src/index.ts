/** From a user or a session and a tier to a ranked list. */
export {};
