/** Nothing but memory: what the loop of the bench, its timer and Node itself cost. */

export const open = () => {
  const rows = new Map()
  return {
    put: (key, value) => rows.set(key, value),
    get: (key) => rows.get(key),
    close: () => undefined,
  }
}
