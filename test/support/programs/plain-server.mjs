/** A server in a module of its own. */
export const server = { init: () => 0 }
