/**
 * Owners that do with tasks what they like, and are killed meanwhile, in orders that seeds draw.
 */
import { expect, test } from 'vitest'
import {
  type BareContext,
  exit,
  name,
  type Ref,
  startTaskSupervisor,
  Task,
  TaskSupervisor,
  type TaskSupervisorMessages,
} from '../../../src/runtime/index.ts'
import { seededRandom, testSystem } from '../../../src/testing/index.ts'
import { seedsOf } from '../../support/tier.ts'

const crew = name<TaskSupervisorMessages>('crew')

/** Every wait of the run, and whether it has settled: once, or never. */
class Ledger {
  begun = 0
  settled = 0
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  below(count: number): number {
    return Math.floor(this.#random() * count)
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }

  /** Waits for it, whatever comes of it. */
  async watch(promise: Promise<unknown>): Promise<void> {
    this.begun++
    await promise.catch(() => {})
    this.settled++
  }
}

const work = (ledger: Ledger) => async (context: BareContext) => {
  context.trapExit(ledger.below(4) === 0)
  if (ledger.below(3) > 0) await context.sleep(ledger.below(200))
  const end = ledger.one(['value', 'value', 'crash', 'normal', 'exit'])
  if (end === 'crash') throw new Error('a task crashed')
  return end === 'value' ? ledger.below(10) : exit(end === 'normal' ? 'normal' : 'bad')
}

const start = async (context: BareContext, ledger: Ledger): Promise<Task<number>> => {
  const how = ledger.one(['own', 'linked', 'apart'])
  if (how === 'own') return Task.async(context, work(ledger))
  const begin = how === 'linked' ? TaskSupervisor.async : TaskSupervisor.asyncNolink
  return begin(context, crew, work(ledger))
}

const finish = (task: Task, ledger: Ledger): Promise<unknown> => {
  const timeoutMs = ledger.below(150)
  switch (ledger.below(5)) {
    case 0:
      return Task.yield(task, { timeoutMs })
    case 1:
      return Task.shutdown(task, ledger.one(['brutal_kill', timeoutMs]))
    case 2:
      return Promise.resolve(Task.ignore(task))
    default:
      return Task.await(task, { timeoutMs })
  }
}

const consume = async (context: BareContext, ledger: Ledger, most: (count: number) => void) => {
  const maxConcurrency = 1 + ledger.below(3)
  let count = 0
  const run = async (_: number, inner: BareContext): Promise<unknown> => {
    most(++count - maxConcurrency)
    return work(ledger)(inner).finally(() => count--)
  }
  const stream = Task.asyncStream(context, [1, 2, 3, 4, 5, 6], run, {
    maxConcurrency,
    ordered: ledger.below(2) === 0,
    timeoutMs: 50 + ledger.below(200),
    onTimeout: ledger.one(['exit', 'kill_task']),
    link: ledger.below(2) === 0,
    supervisor: ledger.one([undefined, crew]),
  })
  for await (const _ of stream) if (ledger.below(6) === 0) break
}

const owner = (ledger: Ledger, most: (count: number) => void) => async (context: BareContext) => {
  context.trapExit(ledger.below(2) === 0)
  for (let turn = 0; turn < 10; turn++) {
    if (ledger.below(4) === 0) await ledger.watch(consume(context, ledger, most))
    else
      await ledger.watch(
        start(context, ledger).then(async (task) => {
          if (ledger.below(2) === 0) await context.sleep(ledger.below(100))
          await finish(task, ledger)
          if (ledger.below(3) === 0) await finish(task, ledger)
        }),
      )
  }
}

test('every wait for a task settles once, whichever process is killed, and nothing is left over', async () => {
  let begun = 0
  const seeds = seedsOf(25, 150)
  for (const seed of seeds) {
    const { system, clock } = testSystem({ seed })
    const ledger = new Ledger(seed)
    let tooMany = 0
    const most = (count: number): void => {
      tooMany = Math.max(tooMany, count)
    }
    await startTaskSupervisor(system, { name: crew, maxChildren: 6, intensity: 1_000 })
    const owners: Ref[] = Array.from({ length: 6 }, () => system.spawn(owner(ledger, most)))
    for (let turn = 0; turn < 8; turn++) {
      await clock.advance(ledger.below(120))
      if (ledger.below(2) === 0) system.kill(ledger.one(owners))
      const tasks = system.processes().filter(({ kind }) => kind === 'task')
      if (tasks.length > 0) system.kill(ledger.one(tasks).ref)
    }
    await clock.advance(20_000)

    const left = system.processes().map(({ kind }) => kind)
    const waiting = ledger.begun - ledger.settled
    const found = { waiting, left, next: clock.untilNext(), tooMany }
    const nothing = { waiting: 0, left: ['dynamic_supervisor'], next: undefined, tooMany: 0 }
    expect(found, `seed ${seed}`).toEqual(nothing)
    begun += ledger.begun
  }
  expect(begun).toBeGreaterThan(13 * seeds.length)
})
