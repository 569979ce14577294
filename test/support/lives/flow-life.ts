/**
 * One random life of workflows from one seed: random bodies, signals, cancels and retries; kills of
 * runs and of storage, power cuts, and a halt at any operation on the disk. At its end every run has
 * ended, and W1 to W9 and W11 hold (`flow-world-outside.ts` has those that the world outside sees).
 */
import { isKeelsonError } from '../../../src/errors.ts'
import { flows, type Where } from '../../../src/flow/index.ts'
import { name, supervisor } from '../../../src/index.ts'
import type { LifeMachine } from '../worlds/engine-machine.ts'
import { setClock } from '../worlds/nasty-machine.ts'
import {
  type Drawn,
  drawnPlan,
  drawnWorkflow,
  expected,
  isRacy,
  lastMark,
  type Plan,
} from './flow-plan.ts'
import { OutsideWorld } from './flow-world-outside.ts'
import { dayMs, ProgramLife } from './program-life.ts'
import type { Tally } from './seed-lives.ts'

/** Lives a life. Rejects with what was promised and did not hold. */
export const liveFlows = async (seed: number, on?: LifeMachine): Promise<Tally> => {
  const life = new FlowLife(seed, on)
  await life.begin()
  await life.live(life.pick([10, 25, 50]))
  await life.end()
  return life.tally
}

/** A run that this life has started. */
type Started = {
  readonly plan: Plan
  /** Its start is acknowledged. */
  isSure: boolean
  signals: number
  updates: number
  /** It has the attributes of its start. */
  readonly attributes: { readonly half: string } | undefined
  /** Cancelled, retried or settled: its end is not that of its plan. */
  isSteered: boolean
  /** It was retried after its end, and a step that ran again has a settled value since. */
  isRetried?: boolean
  isSettled?: boolean
  /** Its last end. */
  end?: string
}

/** A look at a run whose shard is down after a fault of the disk: nobody acts on it then. */
const unlessDown = (error: unknown): void => {
  if (!isKeelsonError(error, 'SHARD_DOWN')) throw error
}

class FlowLife extends ProgramLife {
  readonly #outside = new OutsideWorld(this.machine.clock)
  readonly #started = new Map<string, Started>()
  #drawn!: Drawn

  protected judge(): void {
    const { wrong } = this.#outside
    if (wrong.length > 0) throw new Error(wrong.join('; '))
  }

  protected tree(): ReturnType<typeof supervisor> {
    this.#drawn = drawnWorkflow(this.#outside.nextLife())
    return supervisor('app', {}, [flows({ workflows: [this.#drawn] })])
  }

  /** The world outside hears from the bodies when they sleep and wake. */
  protected override get judges(): boolean {
    return false
  }

  protected begun(): void {
    for (const [id, run] of this.#started)
      if (run.isSure && this.#status(id) === undefined) throw new Error(`W1: the run ${id} is lost`)
  }

  /** The runs with attributes are found by them, and by them together with their status. */
  #findsRuns(): void {
    const { entries } = this.flow.list({ type: this.#drawn, limit: 1_000 })
    const pick = this.pick([{ half: 'even' }, { half: 'odd' }, { mark: 'a' }, { mark: 'b' }])
    const both = {
      ...pick,
      status: this.pick(['running', 'waiting', 'completed', 'failed'] as const),
    }
    for (const where of [pick, both]) {
      const wanted = entries.filter((entry) =>
        Object.entries(where).every(([name, value]) =>
          name === 'status' ? entry.status === value : entry.attributes?.[name] === value,
        ),
      )
      const found = this.#idsWhere(where)
      const [has, needs] = [
        found.sort().join(),
        wanted
          .map(({ id }) => id)
          .sort()
          .join(),
      ]
      if (has !== needs) throw new Error(`where ${JSON.stringify(where)}: ${has}, and not ${needs}`)
    }
    this.count('runs found')
    for (const [id, { isSure, attributes }] of this.#started) {
      const found = entries.find((entry) => entry.id === id)?.attributes
      if (isSure && attributes && found?.half !== attributes.half)
        throw new Error(`the run ${id} has lost its attributes`)
    }
  }

  #idsWhere(where: Where): string[] {
    const ids: string[] = []
    for (let cursor: string | undefined, isLast = false; !isLast; ) {
      const page = this.flow.list({
        ...{ type: this.#drawn, where, limit: 2 },
        ...(cursor !== undefined && { cursor }),
      })
      ids.push(...page.entries.map(({ id }) => id))
      cursor = page.cursor
      isLast = page.exhausted
    }
    return ids
  }

  #status(id: string): string | undefined {
    const handle = this.app.entity('$flow-drawn')
    return (handle.state(id) as { readonly status: string } | undefined)?.status
  }

  async #starts(id: string): Promise<void> {
    const known = this.#started.get(id)
    const plan = known?.plan ?? drawnPlan(this.random)
    const attributes = { half: Number(id) % 2 === 0 ? 'even' : 'odd' }
    const run = known ?? { plan, attributes, ...childOf, isSure: false }
    this.#started.set(id, run)
    const handle = await this.asks('starts', () =>
      this.flow.start(this.#drawn, plan, { id, attributes }),
    )
    if (handle) run.isSure = true
  }

  /** Signals are sent one after another; one whose answer is not known is sent again. */
  async #signals(id: string, run: Started): Promise<void> {
    const number = run.signals + 1
    const handle = this.flow.handle(this.#drawn, id)
    const sent = await this.asks('signals', () =>
      handle.signal('go', number, { id: `signal ${number}` }),
    )
    if (sent) run.signals = number
  }

  /** An update without an answer is sent again; one with an answer gets that again. */
  async #updates(id: string, run: Started): Promise<void> {
    const isNew = run.updates === 0 || (this.random() < 0.7 && !isOver(this.#status(id)))
    const number = run.updates + (isNew ? 1 : 0)
    const handle = this.flow.handle(this.#drawn, id)
    const answer = await this.asks(isNew ? 'updates' : 'updates again', () =>
      handle.update('tell', number, { id: `update ${number}`, timeoutMs: 5_000 }),
    )
    if (answer === undefined) return
    if (answer !== `told ${number}`) throw new Error(`W8: update ${number} of ${id} is ${answer}`)
    run.updates = number
  }

  async #cancels(id: string, run: Started): Promise<void> {
    run.isSteered = true
    const force = this.random() < 0.2
    const seen = this.#outside.run(id)
    // Whether or not the answer comes, from now on it may have ended without undos.
    seen.isForced ||= force
    const handle = this.flow.handle(this.#drawn, id)
    const done = await this.asks(force ? 'cancels by force' : 'cancels', () =>
      handle.cancel({ reason: 'rain', force }),
    )
    if (done?.accepted) seen.isCancelled = true
  }

  /** Undoes a run that was cancelled by force: from then on its end owes the undos. */
  async #undoes(id: string): Promise<void> {
    const done = await this.asks('undos', async () => {
      await this.flow.undo(this.#drawn, id)
      return true
    })
    if (done) this.#outside.run(id).isForced = false
  }

  /** The key of an operation that the run has recorded. */
  #operationOf(id: string): string | undefined {
    const { entries } = this.flow.steps(this.#drawn, id)
    const kinds = ['step', 'sleep', 'wait', 'child']
    const found = entries.filter(
      ({ key, kind }) => kinds.includes(kind) && !key.startsWith('undo:'),
    )
    return found.length > 0 ? this.pick(found).key : undefined
  }

  /** Forks a run, whose fork has the outcomes from before an operation. */
  async #forks(id: string, run: Started): Promise<void> {
    const from = this.#operationOf(id)
    const status = this.#status(id)
    if (from === undefined || this.#started.size > 8) return
    const other = `${id}-${this.#started.size}`
    const isUndone = ['failed', 'undoing', 'cancelled', 'cancelling'].includes(status as string)
    this.#outside.forks(id, other, from, isUndone)
    const handle = await this.asks('forks', () =>
      this.flow.fork(this.#drawn, id, { from, id: other }),
    )
    if (handle) this.#started.set(other, { ...run, attributes: undefined })
  }

  async #retries(id: string, run: Started): Promise<void> {
    run.isSteered = true
    run.isRetried = true
    // Whether or not the answer comes, from now on it may have been tried again.
    this.#outside.helped(id)
    const from = this.random() < 0.4 ? this.#operationOf(id) : undefined
    const options = from === undefined ? {} : { from }
    if (from === undefined) for (const child of this.#cancelledWith(id)) this.#outside.helped(child)
    await this.asks(from === undefined ? 'retries' : 'retries from', () =>
      this.flow.retry(this.#drawn, id, options),
    )
  }

  /** The children, and theirs, that were or will be cancelled with a run: a retry of it helps them. */
  #cancelledWith(id: string): string[] {
    const parent = `drawn/${id}`
    const { entries } = this.flow.list({ type: this.#drawn, parent, limit: 1_000 })
    const reason = `its parent ${parent} has ended`
    const own = entries.filter(({ status, error }) => !isOver(status) || error?.message === reason)
    return own.flatMap((child) => [child.id, ...this.#cancelledWith(child.id)])
  }

  async #kills(id: string): Promise<void> {
    this.count('kills of runs')
    this.app.system.kill(name(`$flow-drawn/${id}`) as never)
    await this.machine.clock.settle()
  }

  /** Does drawn things to the runs. */
  async live(steps: number): Promise<void> {
    const { clock, cutOff } = this.machine
    const ids = ['1', '2', '3'].slice(0, this.pick([1, 2, 3]))
    if (this.pick([true, false])) this.planHalt()
    for (let step = 0; step < steps; step++) {
      const id = this.pick(ids)
      const run = this.#started.get(id)
      await this.opened()
      if (this.random() < 0.2) this.#looks()
      if (cutOff && this.random() < 0.2) cutOff(this.pick([30, 400, 3_000]))
      if (!run?.isSure) await this.#starts(id)
      else await this.#acts(id, run, this.random()).catch(unlessDown)
      await clock.advance(this.pick([0, 1, 5, 50, 50, 1_000, 5_000, 90_000, dayMs]))
      if (this.random() < 0.05) this.#setsClock()
      if (this.random() < 0.05) this.fillsDisk()
      if (this.isHalted) await this.dies(this.pick(['lost', 'kept']))
      this.judge()
    }
  }

  #setsClock(): void {
    this.count('clocks set')
    this.#outside.clockSet(setClock(this.machine.clock, this.random))
  }

  #looks(): void {
    try {
      this.#findsRuns()
    } catch (error) {
      unlessDown(error)
    }
  }

  async #acts(id: string, run: Started, chance: number): Promise<void> {
    const status = this.#status(id)
    const takes = run.plan.takes && (run.updates > 0 || !isOver(status))
    if (takes && chance < 0.2) await this.#updates(id, run)
    else if (chance < 0.35) await this.#signals(id, run)
    else if (chance < 0.42) await this.#cancels(id, run)
    else if (chance < 0.45 && status === 'cancelled') await this.#undoes(id)
    else if (chance < 0.55 && isOver(status)) await this.#retries(id, run)
    else if (chance < 0.57) await this.#forks(id, run)
    else if (chance < 0.7) await this.#kills(id)
    else if (chance < 0.82) await this.dies(this.pick([undefined, 'lost', 'kept']))
    else if (chance < 0.87) await this.closes()
  }

  /** The trouble is over: every run ends, and its end stays over another power cut. */
  async end(): Promise<void> {
    const { clock, disk, during } = this.machine
    if (this.isHalted) await this.dies('lost')
    disk.clearFaults()
    for (const [id, run] of this.#started) if (!run.isSure) await this.#starts(id)
    for (let round = 0; round < 200 && !(await this.#areOver()); round++) {
      await clock.advance(round % 4 === 3 ? dayMs : 2_000)
      this.judge()
    }
    if (!(await this.#areOver())) throw new Error(`no end of ${this.#openRuns().join('; ')}`)
    const ends = this.#ends()
    for (const [id, run] of this.#started) this.#judgeEnd(id, run)
    this.#findsRuns()
    this.judge()
    await this.dies('lost')
    await clock.advance(dayMs / 2)
    this.judge()
    await this.opened()
    this.#findsRuns()
    const after = this.#ends()
    for (const [id, end] of ends)
      if (after.get(id) !== end) throw new Error(`W11: ${id} was ${end}, and is ${after.get(id)}`)
    await during(this.app.close())
  }

  /** Every run of the workflow, children too, with its status and output. */
  #ends(): Map<string, string> {
    const { entries } = this.flow.list({ type: this.#drawn, limit: 1_000 })
    return new Map(entries.map(({ id, status, error }) => [id, `${status} ${error?.message}`]))
  }

  #openRuns(): string[] {
    const open = [...this.#ends()].filter(([, end]) => !/^(completed|failed|cancelled)/.test(end))
    return open.map(([id, end]) => {
      const { entries } = this.flow.steps(this.#drawn, id)
      return `${id} ${end}: ${JSON.stringify(entries)}`
    })
  }

  /** Whether every run has ended. Sends signals to those that wait, and decides unknown steps. */
  async #areOver(): Promise<boolean> {
    let isOpen = false
    await this.opened()
    for (const [id, end] of this.#ends()) {
      if (/^(completed|failed|cancelled)/.test(end)) continue
      isOpen = true
      const run = this.#started.get(id) ?? this.#child(id)
      if (end.startsWith('blocked')) await this.#settles(id, run, end)
      else await this.#signals(id, run)
    }
    return !isOpen
  }

  readonly #children = new Map<string, Started>()

  /** A child, which gets signals too. */
  #child(id: string): Started {
    const known = this.#children.get(id)
    const plan: Plan = { parts: [], end: 'output', takes: false }
    const child = known ?? { plan, attributes: undefined, ...childOf }
    this.#children.set(id, child)
    return child
  }

  async #settles(id: string, run: Started, end: string): Promise<void> {
    run.isSteered = true
    this.count('blocked')
    this.#outside.helped(id)
    // A step that ran again after a retry has another outcome: the body may go another way.
    if (run.isRetried && run.isSettled && end.includes('never asks for')) {
      this.count('dead ends')
      const handle = this.flow.handle(this.#drawn, id)
      await this.asks('cancels by force', () => handle.cancel({ force: true }))
      return
    }
    const unknown = /whether the step (\S+) has run is not known/.exec(end)?.[1]
    if (unknown !== undefined && this.pick([true, false])) {
      run.isSettled = true
      await this.asks('settles', () =>
        this.flow.settle(this.#drawn, id, unknown, { value: 'settled' }),
      )
    } else await this.asks('retries', () => this.flow.retry(this.#drawn, id))
  }

  #attributesOf(id: string): { readonly mark?: string } | undefined {
    const state = this.app.entity('$flow-drawn').state(id)
    return (state as { readonly attributes?: { readonly mark?: string } }).attributes
  }

  #judgeEnd(id: string, run: Started): void {
    const status = this.#status(id) as string
    this.count(`ended ${status}`)
    this.#outside.ended(id, status)
    if (run.isSteered || isRacy(run.plan)) return
    const found = this.#attributesOf(id)?.mark
    const mark = lastMark(run.plan)
    const isKnown = mark !== 'any' && run.attributes !== undefined
    if (isKnown) this.count('marks judged')
    if (isKnown && found !== mark && status === expected(run.plan))
      throw new Error(`the run ${id} has the mark ${found}, and not ${mark}`)
    if (status === expected(run.plan)) return
    const children = [...this.#children.values()]
    if (children.some(({ isSteered }) => isSteered)) return
    throw new Error(`W2: the run ${id} is ${status}, and not ${expected(run.plan)}`)
  }
}

const isOver = (status: string | undefined): boolean =>
  status === 'failed' || status === 'cancelled' || status === 'completed'

const childOf = { isSure: true, signals: 0, updates: 0, isSteered: false }
