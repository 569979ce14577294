/**
 * Promises that belong to a process. If the process awaits one, its rejection ends the process as a
 * throw does. A promise that is not awaited must not be an unhandled rejection: Node would end all
 * processes.
 */

/** The promise itself. Its rejection need not be handled. */
export const guarded = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(ignore)
  return promise
}

/** A rejected promise whose rejection need not be handled. */
export const refused = (error: unknown): Promise<never> => guarded(Promise.reject(error))

const ignore = (): void => {}
