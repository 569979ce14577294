/**
 * Promises that were made for a process. Whoever awaits one sees its rejection, and the process ends by that as by any
 * throw; but nobody's forgetting or coming late is an unhandled rejection, by which Node would end all the others, too.
 */

/** The promise itself, whose rejection nobody has to handle. */
export const guarded = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(ignore)
  return promise
}

/** A promise that is rejected from the start, and that nobody has to handle. */
export const refused = (error: unknown): Promise<never> => guarded(Promise.reject(error))

const ignore = (): void => {}
