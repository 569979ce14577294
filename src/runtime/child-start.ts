/**
 * The start of one child, and the giving up of it. A supervisor handles nothing while a child starts, as in OTP; but a
 * child that never starts must not keep it, and all above, from ending. So one that is told to end gives the start up.
 */
import { type Address, addressOf, isRef, type Ref } from './address.ts'
import type { ChildContext, FullChildSpec } from './child-spec.ts'
import type { Process } from './process.ts'
import { type Shutdown, shutDown, shutdownMsDefault } from './shutdown.ts'

/** What starts children: the context of a supervisor. */
export type ParentContext = ChildContext & { readonly self: Ref }

/**
 * What the start function answers; or a failure `shutdown` when `supervisor` was told to end and the start took longer,
 * from then on, than the shutdown of the child allows (5,000 ms, if that is `infinity`). What was starting is ended first,
 * a start that still succeeds later is undone. Rejects with what the start throws.
 */
export const startOrGiveUp = async (
  spec: FullChildSpec,
  context: ParentContext,
  supervisor: Process,
): Promise<unknown> => {
  const { shutdown } = spec
  let cancel = (): void => undefined
  const starting = Promise.resolve(spec.start(context))
  const givingUp = new Promise<typeof givenUp>((resolve) => {
    supervisor.onceToldToEnd(() => {
      // A supervisor that is being started has starts of its own to give up; their times run together.
      for (const each of startingUnder(supervisor)) each.tellToEnd()
      cancel = supervisor.kernel.clock.after(left(supervisor, shutdown), () => resolve(givenUp))
    })
  })
  try {
    const result = await Promise.race([starting, givingUp])
    if (result !== givenUp) return result
  } finally {
    supervisor.onceToldToEnd(undefined)
    cancel()
  }
  starting.then((late) => endLate(late, supervisor)).catch(() => undefined)
  const how = shutdown === 'infinity' ? shutdown : 'brutal_kill'
  await Promise.all(startingUnder(supervisor).map((each) => shutDown(supervisor, each, how)))
  return { ok: false, reason: 'shutdown' }
}

const givenUp = Symbol('given up')

/** Milliseconds that a start still has under a supervisor that was told to end. */
const left = ({ toldToEndAt, kernel }: Process, shutdown: Shutdown): number => {
  if (shutdown === 'brutal_kill') return 0
  const now = kernel.clock.monotonic()
  const patience = shutdown === 'infinity' ? shutdownMsDefault : shutdown
  return Math.max(0, (toldToEndAt ?? now) + patience - now)
}

/** Those that have this supervisor as parent and have not begun, or not finished, their `init`. */
const startingUnder = (supervisor: Process): Process[] =>
  [...supervisor.ties.links.all].filter(
    ({ parent, behaviour }) => parent === supervisor && behaviour.status() === 'starting',
  )

const endLate = async (late: unknown, supervisor: Process): Promise<void> => {
  const { ref } = (late ?? {}) as { readonly ref?: unknown }
  const process = isRef(ref) ? (addressOf(ref) as Address<Process>).resolve() : undefined
  if (process?.alive) await shutDown(supervisor, process)
}
