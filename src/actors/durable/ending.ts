/**
 * How a durable actor ends by itself: to rest, because it was asked to, or because its rows are
 * removed. Its end loses no message: its mailbox goes to the process that its name wakes.
 */
import { describeReason, isThenable, type NextStep, processOf, stop } from '../../runtime/index.ts'
import type { HeldCall } from '../turns/turn-outputs.ts'
import { stepOf } from '../turns/turn-run.ts'
import { keysMax, someKeysOf } from '../turns/waking.ts'
import type { Removal } from './current-turn.ts'
import type { DurableProcess } from './durable-process.ts'

/** Ends the process if it has nothing to do. */
export const rest = (actor: DurableProcess): NextStep => {
  const { idleness, isSettled, terms, memory } = actor
  const isBusy = actor.ready !== undefined || (actor.hasState && terms.table.isBusy(memory.state))
  if (idleness.isLong && isSettled && !isBusy) return end(actor)
  idleness.watch()
  return actor.next()
}

/** Ends the process when its turns are durable. */
export const stopWhenDurable = async (actor: DurableProcess, from: HeldCall): Promise<NextStep> => {
  const refused = await actor.settle('$stop', from)
  if (refused) return refused
  // Its caller has the error that the disk is full.
  if (from.call.isSettled) return actor.next()
  actor.lastReply = () => void from.reply(true)
  return end(actor)
}

/**
 * Removes the rows, and ends the process. If the shard goes down during the removal, the process
 * ends too: later messages go to a process that has read none of the rows.
 */
export const deleteActor = async (
  actor: DurableProcess,
  from: HeldCall,
  keys: boolean,
): Promise<NextStep> => {
  // Its process began while the shard was down.
  if (!actor.isAwake && !actor.isNothing) await actor.wake(() => true)
  if (actor.isNothing) {
    actor.lastReply = () => void from.reply(false)
    return end(actor)
  }
  return (await actor.settle('$delete', from)) ?? remove(actor, from, keys, 'delete')
}

/** The time of an actor that has ended is over. Nothing more of it is due. */
export const expire = (actor: DurableProcess, from: HeldCall, keys: boolean): Promise<NextStep> =>
  remove(actor, from, keys, 'end')

const remove = async (
  actor: DurableProcess,
  from: HeldCall,
  keys: boolean,
  why: Removal,
): Promise<NextStep> => {
  if (from.call.isSettled) return actor.next()
  // Its rows are read.
  await actor.terms.shard.settled()
  if (!(await removeKeys(actor, from, keys, why))) return actor.next()
  if (!removeRows(actor, from, why)) return actor.next()
  return (await isOut(actor)) === false ? actor.next() : end(actor)
}

/** Whether what was sent is out; `undefined` if the shard is down. */
const isOut = async (actor: DurableProcess): Promise<boolean | undefined> => {
  let isDone: boolean | undefined
  const settled = actor.settled().then((done) => {
    isDone = done
  })
  await actor.terms.shard.unlessStill(settled)
  return isDone
}

/**
 * Removes the notes of users' keys, some with each turn. False: `from` has the reason why some
 * are left.
 */
const removeKeys = async (
  actor: DurableProcess,
  from: HeldCall,
  isDeep: boolean,
  why: Removal,
): Promise<boolean> => {
  const { shard, identity } = actor.terms
  try {
    for (;;) {
      // The process may have ended while a turn was on its way: its caller knows.
      if (!actor.isAlive) return false
      const keys = someKeysOf(shard, identity.entity)
      // A few notes are removed in one turn with the other rows, so a removal that is cut short loses
      // none. Notes beside a state that cannot be read go that way, too: no turn may write that state.
      const isWithRows = !isDeep && (actor.blocked || keys.size < keysMax)
      if (keys.size === 0 || isWithRows) return true
      if (actor.blocked) throw actor.blocked
      actor.hand.removeKeys(keys, isDeep, from, why)
      const isRemoved = await isOut(actor)
      if (isRemoved === undefined) throw shard.unavailable()
      if (!isRemoved) return false
    }
  } catch (error) {
    from.fail(error)
    return false
  }
}

/** Whether there are rows, and their removal is on its way. Otherwise the caller is answered. */
const removeRows = (actor: DurableProcess, from: HeldCall, why: Removal): boolean => {
  // A kill may come between the last look at the keys and this, and a successor may have rows by
  // now: a dead process removes none of them.
  if (!actor.isAlive) return false
  const { hand, blocked } = actor
  try {
    if (hand.remove(from, why, blocked !== undefined)) return true
    from.reply(false)
  } catch (error) {
    from.fail(blocked ?? error)
  }
  return false
}

const end = (actor: DurableProcess): NextStep => {
  actor.rests = true
  return stepOf(stop('normal', actor))
}

/** Runs the user's `terminate`. The last answer leaves after it, also if it fails (OTP). */
export const terminate = (actor: DurableProcess, reason: unknown): unknown => {
  if (actor.rests) return terminateAtRest(actor, reason)
  let done: unknown
  try {
    done = usersTerminate(actor, reason)
  } finally {
    if (!isThenable(done)) actor.lastReply?.()
  }
  if (!isThenable(done)) return undefined
  const limited = actor.limit?.during(done) ?? Promise.resolve(done)
  return limited.finally(() => actor.lastReply?.())
}

const usersTerminate = (actor: DurableProcess, reason: unknown): unknown => {
  const { terms, memory, context, hasState } = actor
  return hasState ? terms.table.terminate?.(memory.state, reason, context) : undefined
}

/** It ends at once, and takes no message that it will not handle. A failure is logged. */
const terminateAtRest = (actor: DurableProcess, reason: unknown): void => {
  const failed = (error: unknown): void =>
    processOf(actor.context).kernel.logger.error(
      `${actor.terms.identity.entity}: its terminate failed: ${describeReason(error)}`,
      { reason: error },
    )
  try {
    Promise.resolve(usersTerminate(actor, reason)).catch(failed)
  } catch (error) {
    failed(error)
  }
  actor.takeMessages()
  actor.lastReply?.()
}
