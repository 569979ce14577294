/**
 * The type of `context.app`. The runtime only hands the value on, from a process to those that it
 * starts. The code that sets the value declares its fields by augmentation, as the instance does
 * for the processes of the user's tree.
 */

/**
 * What the processes of an instance are given as `context.app`. Outside of an instance
 * `context.app` is the `app` of the start options, and `undefined` without it: a server for another
 * value names its type as the last parameter of `GenServer`.
 */
export interface AppContext {
  /** The name of the instance. */
  readonly instance: string
}
