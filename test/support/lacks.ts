/** Tests that need what a machine may lack. */

/** Whether this machine lacks what tests need, for `skipIf`. Prints the reason: a skip is never silent. */
export const lacks = (reason: string | undefined): boolean => {
  if (reason !== undefined) console.warn(`tests are skipped: ${reason}`)
  return reason !== undefined
}
