/**
 * The turns that a durable actor makes by itself: of recorded steps, of alarms that are due, and of
 * the requests of an operator. A step runs when what recorded it is durable: its effects on the
 * outside world come after the record. It is apart from `turn-server.ts`, its only importer, because
 * that is the table of all messages, and these are loops that wait for the log.
 */
import { type NextStep, noReply, reply } from '../../runtime/index.ts'
import { endName } from '../turns/lifetime.ts'
import type { HeldCall } from '../turns/turn-outputs.ts'
import { type Answer, asBefore, ownRun, stepOf } from '../turns/turn-run.ts'
import type { DurableProcess } from './durable-process.ts'
import { expire } from './ending.ts'
import { type ByHand, doByHand, runOf } from './recorded-work.ts'

/** Runs the first step that may run. */
export const runStep = (actor: DurableProcess): Answer =>
  actor.isSettled ? runReadyStep(actor) : runStepLater(actor)

const runStepLater = async (actor: DurableProcess): Promise<NextStep> => {
  while (!actor.isSettled) {
    const end = await actor.redoAll()
    if (end) return end
    const settled = actor.settled()
    if (actor.isStill || actor.isCutOff) {
      // The actor serves messages during that time.
      void settled.then(() => actor.rouse())
      return stepOf(noReply(actor, actor.timeoutLeft))
    }
    await actor.unlessCutOff(settled)
  }
  return runReadyStep(actor)
}

const runReadyStep = (actor: DurableProcess): Answer => {
  const { ready } = actor
  return ready ? actor.turn(runOf(actor.terms, 'step', ready.name, ready)) : actor.next()
}

/**
 * An alarm or a step may be due. Handles one alarm, and answers whether more are due, perhaps set
 * by that turn: they wait until the mailbox is empty. `last`: none are. A number: everything
 * due waits for what the program lacks, and is asked for again at that time.
 */
export const runDue = (actor: DurableProcess, from: HeldCall): Answer => {
  if (!actor.isAwake || !actor.isSettled) return runDueLater(actor, from)
  const { blocked, terms } = actor
  const [first] = actor.mayBegin ? actor.readyAlarms : []
  const answer = (step: NextStep): NextStep => {
    if (blocked) from.fail(blocked)
    else if (!first) from.reply(actor.askAgainAt ?? false)
    else from.reply(actor.readyAlarms.length > 0 || 'last')
    return step
  }
  if (!first || blocked) return answer(actor.next())
  if (first[0] === endName) return expire(actor, from, first[1].payload === true)
  const turn = actor.turn(runOf(terms, 'alarm', ...first))
  return turn instanceof Promise ? turn.then(answer) : answer(turn)
}

/** The turn that set the alarm has to be durable, as for a step. */
const runDueLater = async (actor: DurableProcess, from: HeldCall): Promise<NextStep> =>
  (await actor.settle('$due', from)) ?? runDue(actor, from)

/** Lets parked steps and alarms run again. Answers whether there was one. */
export const unblock = (actor: DurableProcess, from: HeldCall): Answer => {
  const run = ownRun('call', 'unblock', from).by((state) =>
    reply(actor.tries.unpark(actor.draft), state, asBefore),
  )
  return actor.turn(run)
}

/** Runs or cancels recorded work as an operator asks. Answers whether there was such work. */
export const byHand = (actor: DurableProcess, asked: ByHand, from: HeldCall): Answer => {
  const run = ownRun('call', `${asked.act} ${asked.name}`, from).by((state) =>
    reply(doByHand(actor.draft, actor.memory, actor.now(), asked), state, asBefore),
  )
  return actor.turn(run)
}
