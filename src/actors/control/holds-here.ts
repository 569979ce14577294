/**
 * The holds of suspensions on the shards that are here: taken, ended, and found by their owners. They
 * are apart from `control.ts`, which runs requests on many shards.
 */
import { leftUntil } from '../../clock.ts'
import { isGone } from '../../errors.ts'
import type { Context as ProcessContext, Ref } from '../../runtime/index.ts'
import { isElsewhere } from '../core/at-owner.ts'
import { emit } from '../core/storage-events.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import type { Suspension } from '../projection/suspensions.ts'
import { isMeant, type SuspendRequest, type Which } from './control-request.ts'
import type { ControlShard } from './control-shard.ts'
import { drained } from './write-pause.ts'

type Context = Pick<ProcessContext<never>, 'system' | 'to' | 'now'>

/** Holds writes first, so that the flush can end. If a step fails, all holds are released. */
export const hold = async (
  shard: ControlShard,
  context: Context,
  suspension: Suspension,
  { flush, timeoutMs }: { readonly flush: boolean; readonly timeoutMs: number },
): Promise<void> => {
  const { system } = context
  const endsAt = system.clock.monotonic() + timeoutMs
  const left = () => leftUntil(system.clock, endsAt)
  const { token, writes } = suspension
  // The shard has the suspension from here on, so that `resume`, lease and owner can end it.
  shard.suspensions.begin(suspension)
  try {
    if (writes) await drained(system, shard, token, left())
    const held = LmdbWriter.suspend(writerOf(shard, context), token, flush, left())
    await LmdbWriter.answerOf(shard, held)
    if (writes) emit(system, shard, 'gate.paused', { token })
  } catch (error) {
    // The writer may have held although its answer was lost: the hold is released too. The caller's
    // time is up, so nothing waits for that writer.
    release(shard, context, [token], timeoutMs).catch(() => undefined)
    throw error
  }
}

/** Ends suspensions in the shard's value, which is enough by itself, then notifies the writer. */
export const release = async (
  shard: ControlShard,
  context: Context,
  tokens: readonly string[],
  timeoutMs: number,
): Promise<void> => {
  for (const token of tokens)
    if (shard.suspensions.end(token) === 'writes')
      emit(context.system, shard, 'gate.resumed', { token })
  try {
    await LmdbWriter.resume(writerOf(shard, context), timeoutMs)
  } catch (error) {
    // A writer that restarts finds no hold.
    if (!isGone(error)) throw error
  }
}

/** The suspensions of a shard that are meant. */
export const tokensOf = ({ suspensions }: ControlShard, which: Which): string[] =>
  [...suspensions.byToken.values()].flatMap((each) => (isMeant(which, each) ? [each.token] : []))

/** A suspension as a request wants it. */
export const suspensionFor = (request: SuspendRequest, context: Context): Suspension => {
  const { owner, writes, leaseMs, asked } = request
  const { clock } = context.system
  return {
    token: asked?.token ?? Buffer.from(clock.randomBytes(9)).toString('base64url'),
    owner,
    ...(asked?.isApps && { isApps: true }),
    writes,
    since: clock.now(),
    until: leaseMs === undefined ? undefined : clock.monotonic() + leaseMs,
  }
}

/** The writer of the projection of a shard. */
export const writerOf = (shard: ControlShard, context: Context): Ref<LmdbWriter.Messages> =>
  context.to(LmdbWriter.name(shard.parts.instance, shard.index))

/** The holds on a shard do not go with it to another member. */
export const endWhenAway = async (shard: ControlShard, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    await shard.changed()
    if (isElsewhere(shard)) shard.suspensions.endAll()
  }
}
