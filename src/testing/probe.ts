/** A process that keeps what it is sent, for a test to look at. */
import type { Messages, Received, Ref, System } from '../runtime/index.ts'

/** The probe's process, and what came to it. */
export interface Probe<M = unknown> {
  /** Give this to whoever is to send. */
  readonly ref: Ref<M>
  /** Resolves with the next `count` messages that `take` has not given yet, in the order in which they came. */
  take(count: number): Promise<Received[]>
  /** The messages that are there and that `take` has not given yet, without waiting. */
  waiting(): readonly Received[]
}

/** Starts a probe. It takes everything, casts, infos, exits and downs, and never answers a call by itself. */
export const probe = <M extends Messages = Messages>(system: System): Probe<M> => {
  const received: Received[] = []
  let wake: (() => void) | undefined
  const ref = system.spawn<M>(
    async (context) => {
      context.trapExit(true)
      for (;;) {
        const message = await context.receive()
        if (message !== undefined) received.push(message)
        wake?.()
      }
    },
    { kind: 'probe' },
  )
  const take = async (count: number): Promise<Received[]> => {
    while (received.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return received.splice(0, count)
  }
  return { ref, take, waiting: () => received }
}
