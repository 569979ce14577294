/**
 * The types of `context.app`, of a durable machine's turn and of the events. The runtime only hands
 * the values on. The code that makes them declares their fields by augmentation, as the instance
 * does for the processes of the user's tree.
 */

/**
 * The value of `context.app` in the processes of an instance. Outside of an instance `context.app`
 * is the `app` of the start options, and `undefined` without it: a server for another value names
 * its type as the last parameter of `GenServer`.
 */
export interface AppContext {
  /** The name of the instance. */
  readonly instance: string
}

/**
 * The turn of a durable machine, for `StateMachine.inTurn`. The durable actors declare its parts by
 * augmentation: they are those of their context.
 */
export interface MachineTurn {
  /** The id of this actor among those of its kind; of a durable worker its name. */
  readonly id: string
}

/**
 * The events on the bus of a System. Each layer declares its own by augmentation: those of flows are
 * here when the program imports `keelson/flow`.
 */
export interface SystemEvents extends Record<never, never> {}
