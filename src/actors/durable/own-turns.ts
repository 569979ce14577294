/**
 * The turns that a durable actor makes by itself: of recorded steps and of alarms that are due. A
 * step runs when what recorded it is durable: its effects on the outside world come after the
 * record.
 */

import { errorOf, type KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { type AnyContext, type NextStep, noReply, reply, unchanged } from '../../runtime/index.ts'
import type { Failed } from '../turns/durable-server.ts'
import { callStep, type Handler, type RecordedCall } from '../turns/durable-table.ts'
import { endName } from '../turns/lifetime.ts'
import { type Alarm, isParked, type Memory, type Step, settingOf } from '../turns/memory.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import type { HeldCall } from '../turns/turn-outputs.ts'
import { type Answer, asBefore, missing, ownRun, Run, throwing } from '../turns/turn-run.ts'
import { type ByHand, doByHand } from './by-hand.ts'
import type { DurableTerms } from './durable-terms.ts'
import type { Refusals } from './refusals.ts'

/** The parts of their actor that these turns use. */
interface Acting {
  readonly terms: DurableTerms
  readonly context: AnyContext
  readonly memory: Memory
  /** The turn whose handler runs. */
  readonly draft: TurnDraft
  readonly blocked: KeelsonError | undefined
  readonly isAwake: boolean
  readonly refusals: Pick<Refusals, 'cutOff' | 'unlessCutOff' | 'tries'>
  readonly idleness: { hibernates(): void; piped(promise: Promise<unknown>): void }
  readonly ending: { expire(from: HeldCall, keys: boolean): Answer }
  /** Whether no turn is on its way, and none has to be handled again. */
  readonly isSettled: boolean
  /** Resolves when every turn that has ended is out, or was dropped. */
  settled(): Promise<boolean>
  /** Milliseconds since 1970, as the shard counts them. */
  now(): number
  turn(run: Run): Answer
  /** Waits until a turn may begin. Returns a step if it never will. */
  clear(run: Run): Promise<NextStep | undefined>
  /** Handles turns again that followed a refused one. Returns a step that ends the process. */
  redoAll(): Promise<NextStep | undefined>
  /** Lets an idle process go on. */
  rouse(): void
}

const targetOf = ({ payload }: Step): string => {
  const { kind, id } = payload as RecordedCall
  return `${kind}/${id}`
}

/** After most turns the loop takes the next message. */
const goesOn: NextStep = noReply(unchanged) as never

/** Work of an actor whose shard leaves, or may have another owner now, begins at that one. */
const mayBegin = ({ work, shard }: DurableTerms): boolean =>
  work.mayBegin && !shard.isLeaving && shard.unsure === undefined

/** The own turns of one actor. */
export class OwnTurns {
  readonly #actor: Acting
  /** When the timeout is due that the last handler asked for, by the monotonic clock. */
  #timeoutAt: number | undefined

  constructor(actor: Acting) {
    this.#actor = actor
  }

  /** The first step that may run. */
  get ready(): Step | undefined {
    const { blocked, memory, terms } = this.#actor
    if (blocked || memory.steps.length === 0 || !mayBegin(terms)) return undefined
    const now = this.#actor.now()
    /** The entities that an earlier call is still for: what an actor sends to one comes in order. */
    let calling: Set<string> | undefined
    for (const step of memory.steps) {
      const target = step.name === callStep ? targetOf(step) : undefined
      const isFree = target === undefined || !calling?.has(target)
      if (isFree && step.notBefore <= now && !isParked(step) && !this.#waits(step.step, now))
        return step
      if (target !== undefined) {
        calling ??= new Set()
        calling.add(target)
      }
    }
    return undefined
  }

  /** Whether the program lacks what a step or an alarm names, and is not asked for it yet. */
  #waits(setting: string, now: number): boolean {
    return this.#actor.refusals.tries.waitsUntil(setting) > now
  }

  /** The alarms that may run, the earliest first. */
  #dueAt(now: number): readonly (readonly [string, Alarm])[] {
    const { alarms } = this.#actor.memory
    return dueAt(alarms, now).filter(([name, alarm]) => !this.#waits(settingOf(name, alarm), now))
  }

  /** When to ask again, if everything due waits for declarations; `false`: nothing does. */
  #laterThan(now: number): number | false {
    const { memory, refusals } = this.#actor
    const { steps, alarms } = memory
    const settings = [
      ...steps.filter((step) => step.notBefore <= now).map(({ step }) => step),
      ...dueAt(alarms, now).map(([name, alarm]) => settingOf(name, alarm)),
    ]
    const until = settings.map((each) => refusals.tries.waitsUntil(each)).filter((at) => at > now)
    return until.length > 0 && !this.ready && Math.min(...until)
  }

  /**
   * A durable worker that begins while its shard is down wakes when that is open: it may have begun
   * something by itself, for which no message comes. An entity has its rest.
   */
  wakesLater(): void {
    const { terms, isAwake } = this.#actor
    if (isAwake || terms.common.idleMs !== undefined) return
    if (terms.shard.isStill) void terms.shard.changed().then(() => this.wakesLater())
    else this.#actor.rouse()
  }

  /**
   * Returns the next action of the loop after `step`: a recorded step that may run goes before the
   * mailbox. Without a `step` no handler has answered: to the loop each message ends a timeout, and
   * one that the server never sees does not.
   */
  next(step?: NextStep): NextStep {
    const next = step && step.next !== asBefore ? step.next : this.#before
    const timeoutMs = ownOf(next, 'timeoutMs')
    const isHeard = timeoutMs !== undefined && this.#actor.terms.table.timeout !== undefined
    this.#timeoutAt = isHeard ? this.#monotonic() + timeoutMs : undefined
    if (this.ready) return noReply(this.#actor, { continue: ['$step'] }) as never
    if (next === undefined) return goesOn
    if (timeoutMs !== undefined) return noReply(this.#actor, { timeoutMs }) as never
    const hibernates = ownOf(next, 'hibernate') === true
    if (hibernates) this.#hibernates()
    return noReply(this.#actor, hibernates ? { hibernate: true } : undefined) as never
  }

  /** The timeout that the last handler asked for, while it runs. */
  get #before(): NextStep['next'] {
    if (this.#timeoutAt === undefined) return undefined
    return { timeoutMs: Math.max(0, this.#timeoutAt - this.#monotonic()) }
  }

  #monotonic(): number {
    return this.#actor.context.system.clock.monotonic()
  }

  /** The time without a message is over. It is not over again if this turn is refused. */
  timesOut(handler: Handler): Answer {
    this.#timeoutAt = undefined
    return this.#actor.turn(new Run('message', handler, undefined, 'timeout', 'timeout'))
  }

  /** The process rests once its turns are out. */
  #hibernates(): void {
    const { idleness, isSettled } = this.#actor
    if (!isSettled) idleness.piped(this.#actor.settled())
    idleness.hibernates()
  }

  /** Runs the first step that may run. */
  runStep(): Answer {
    return this.#actor.isSettled ? this.#runStep() : this.#runStepLater()
  }

  async #runStepLater(): Promise<NextStep> {
    const { refusals, terms } = this.#actor
    while (!this.#actor.isSettled) {
      const end = await this.#actor.redoAll()
      if (end) return end
      const settled = this.#actor.settled()
      if (terms.shard.isStill || refusals.cutOff) {
        // The actor serves messages during that time.
        void settled.then(() => this.#actor.rouse())
        return noReply(this.#actor, this.#before) as never
      }
      await refusals.unlessCutOff(settled)
    }
    return this.#runStep()
  }

  #runStep(): Answer {
    const { ready } = this
    if (!ready) return this.next()
    return this.#actor.turn(runOf(this.#actor.terms, 'step', ready.name, ready))
  }

  /**
   * An alarm or a step may be due. Handles one alarm, and answers whether more are due, perhaps set
   * by that turn: they wait until the mailbox is empty. `last`: none are. A number: everything
   * due waits for what the program lacks, and is asked for again at that time.
   */
  runDue(from: HeldCall): Answer {
    const { isAwake, isSettled } = this.#actor
    if (!isAwake || !isSettled) return this.#runDueLater(from)
    const { blocked, terms, ending } = this.#actor
    const first = mayBegin(terms) ? this.#dueAt(this.#actor.now())[0] : undefined
    const answer = (step: NextStep): NextStep => {
      if (blocked) from.fail(blocked)
      else if (!first) from.reply(this.#laterThan(this.#actor.now()))
      else from.reply(this.#dueAt(this.#actor.now()).length > 0 || 'last')
      return step
    }
    if (!first || blocked) return answer(this.next())
    if (first[0] === endName) return ending.expire(from, first[1].payload === true)
    const turn = this.#actor.turn(runOf(terms, 'alarm', ...first))
    return turn instanceof Promise ? turn.then(answer) : answer(turn)
  }

  /** Lets parked steps and alarms run again. Answers whether there was one. */
  unblock(from: HeldCall): Answer {
    const run = ownRun('call', 'unblock', from).by((state) =>
      reply(this.#actor.refusals.tries.unpark(this.#actor.draft), state, asBefore),
    )
    return this.#actor.turn(run)
  }

  /** Runs or cancels recorded work as an operator asks. Answers whether there was such work. */
  byHand(asked: ByHand, from: HeldCall): Answer {
    const run = ownRun('call', `${asked.act} ${asked.name}`, from).by((state) => {
      const { draft, memory } = this.#actor
      return reply(doByHand(draft, memory, this.#actor.now(), asked), state, asBefore)
    })
    return this.#actor.turn(run)
  }

  /** The turn that set the alarm has to be durable, as for a step. */
  async #runDueLater(from: HeldCall): Promise<NextStep> {
    return (await this.settle('$due', from)) ?? this.runDue(from)
  }

  /** Waits until no turn is on its way. Returns a step if the call was refused instead. */
  async settle(what: string, from: HeldCall): Promise<NextStep | undefined> {
    const { refusals, terms } = this.#actor
    while (!this.#actor.isAwake || !this.#actor.isSettled) {
      const end = await this.#actor.clear(ownRun('call', what, from))
      if (end) return end
      if (terms.shard.isStill || refusals.cutOff) {
        from.call.fail(refusals.cutOff ?? terms.shard.unavailable())
        return this.next()
      }
      await refusals.unlessCutOff(this.#actor.settled())
    }
    return undefined
  }
}

/** The alarms that are due, the earliest first. */
const dueAt = (alarms: Memory['alarms'], now: number): readonly (readonly [string, Alarm])[] =>
  [...alarms]
    .filter(([, alarm]) => alarm.dueAt <= now && !isParked(alarm))
    .sort(([, a], [, b]) => a.dueAt - b.dueAt)

/** The turn of a recorded step or of an alarm: its handler, or `onFailed` if its tries have ended. */
const runOf = (
  { table, identity, work }: DurableTerms,
  ...[kind, name, set]: ['step', string, Step] | ['alarm', string, Alarm]
): Run => {
  const [step, alarm] = kind === 'step' ? [set, undefined] : [undefined, { name, set }]
  const what = `${kind === 'step' ? 'continue' : 'alarm'} ${name}`
  const { payload, tries, failure } = set
  if (failure?.next !== 'onFailed') {
    const ended = work.endedUnder(identity.entity, what)
    const known = table[kind === 'step' ? 'continues' : 'alarms'][name]
    const handler = ended ? throwing(ended) : (known ?? missing(what))
    return new Run(kind, handler, payload, what, name, undefined, step, alarm)
  }
  const error = errorOf(failure.error)
  const failed: Omit<Failed, 'name'> & { readonly name: string } = {
    kind: kind === 'step' ? 'continue' : 'alarm',
    name,
    payload,
    error,
    tries,
    step: `${identity.entity}/${kind === 'step' ? set.step : settingOf(name, set)}`,
  }
  const lastWhat = `onFailed of ${what}`
  const ended = work.endedUnder(identity.entity, lastWhat)
  const once = kind === 'step' ? table.triedOnce[name] : undefined
  const handler = ended ? throwing(ended) : (once ?? table.onFailed ?? throwing(error))
  return new Run('onFailed', handler, failed, lastWhat, name, undefined, step, alarm)
}
