/**
 * 500 drawn machines with a drawn history each, in a process and in XState's own actor: the same
 * value, context, tags, output, emitted events and actions after every event. So it is when the
 * process is killed and restored after each of them, and when it is killed at any of its saves,
 * before or after they land.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type AnyMachineSnapshot, type AnyStateMachine, createActor } from 'xstate'
import type { Ref } from '../../../src/runtime/index.ts'
import {
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { thorough } from '../../support/tier.ts'
import { throughJson } from '../state-machine/machine-process.ts'
import { type Happening, histories, machineOf, sketches } from './generated-machine.ts'

/** What can be seen of a machine at rest. */
const seen = ({ value, context, tags, output, status }: AnyMachineSnapshot | SavedMachine) =>
  throughJson({ value, context, tags: [...tags].sort(), output, status })

/** A machine that lives through a history, and what it shows. */
interface Life {
  readonly told: unknown[]
  send(event: { type: string }): void
  seen(): Promise<unknown>
  /** Between two events. */
  rest(): Promise<void>
}

/** Time for XState: what is due in one instant fires before any promise is told, as messages do. */
class Instants {
  #now = 0
  readonly #timers = new Set<{ readonly dueAt: number; readonly action: () => void }>()

  readonly setTimeout = (action: () => void, ms: number): object => {
    const timer = { dueAt: this.#now + ms, action }
    this.#timers.add(timer)
    return timer
  }

  readonly clearTimeout = (timer: object): void => void this.#timers.delete(timer as never)

  async tick(): Promise<void> {
    this.#now++
    await this.settle()
  }

  /** Whatever is due now happens, with all that comes of it. */
  async settle(): Promise<void> {
    for (let hasFired = true; hasFired; ) {
      const due = [...this.#timers].filter(({ dueAt }) => dueAt <= this.#now)
      hasFired = due.length > 0
      for (const timer of due) if (this.#timers.delete(timer)) timer.action()
      for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

const byXState = (make: Make, clock: Instants): Life => {
  const told: unknown[] = []
  const actor = createActor(
    make((what) => told.push(what)),
    { clock: clock as never },
  )
  actor.on('*' as never, (event: unknown) => void told.push(event))
  actor.start()
  return {
    told,
    send: (event) => actor.send(event),
    seen: async () => seen(actor.getSnapshot()),
    rest: async () => {},
  }
}

type Make = (tell: (what: readonly unknown[], self: object) => void) => AnyStateMachine
type Ways = {
  readonly saves: boolean
  readonly restarts: boolean
  /** Whether nothing kills the process. */
  readonly isCalm: boolean
  readonly cuts: (save: number) => boolean
}

/** `cuts` says at which saves the process is killed. */
const byProcess = async (make: Make, { saves: isSaved, restarts, cuts, isCalm }: Ways) => {
  const { system, clock } = testSystem()
  const steps = new Set<string>()
  const told: unknown[] = []
  let last: unknown
  let kept: SavedMachine | undefined
  let saves = 0
  const lost = new Set<number>()
  let ref: Ref<never> | undefined
  // A repeated action has the name of its first try.
  const once = (what: unknown, self: object): void => {
    if (!isSaved || isCalm) return void told.push(what)
    const step = StateMachine.stepOf(self as never)
    if (!steps.has(step)) told.push(what)
    steps.add(step)
  }
  const machine = make(once)
  const save = (saved: SavedMachine): void => {
    const isCut = ref !== undefined && cuts(++saves)
    const isSecond = kept?.step === saved.step && kept.actions.length > 0
    // A second save that does not land: the actions are done again.
    const isLost = isCut && isSecond && !lost.has(saved.step)
    if (isLost) lost.add(saved.step)
    else kept = throughJson(saved)
    if (isCut) system.kill(ref as never)
  }
  const server = StateMachine.server(machine, {
    restore: () => kept,
    unknownEvents: 'ignore',
    emitted: (event: unknown) => void told.push(event),
    ...(isSaved && { save }),
    terminate: (snapshot: AnyMachineSnapshot) => {
      last = seen(snapshot)
    },
  } as never)
  const start = async (): Promise<void> => {
    ref = (await system.start(server as never, undefined as never)) as Ref<never>
    await clock.settle()
  }
  await start()
  const isAlive = () => ref !== undefined && system.info(ref) !== undefined
  const life: Life = {
    told,
    send: (event) => void StateMachine.send(ref as never, event as never),
    seen: async () => last ?? seen(await StateMachine.snapshot(ref as never)),
    rest: async () => {
      if (last !== undefined) return
      if (restarts && isAlive()) system.kill(ref as never)
      for (let tries = 0; !isAlive() && last === undefined && tries < 500; tries++) {
        await clock.settle()
        await start()
      }
    },
  }
  return { life, clock, stop: () => system.stop() }
}

/** Both live through `history`. */
const compared = async (make: Make, history: readonly Happening[], ways: Ways): Promise<void> => {
  const theirClock = new Instants()
  const theirs = byXState(make, theirClock)
  const { life: ours, clock, stop } = await byProcess(make, ways)
  const compare = async (at: number): Promise<void> => {
    await clock.settle()
    await ours.rest()
    await clock.settle()
    await theirClock.settle()
    const [mine, other] = [await ours.seen(), await theirs.seen()]
    expect({ at, seen: mine, told: throughJson(ours.told) }).toEqual({
      at,
      seen: other,
      told: throughJson(theirs.told),
    })
  }
  await compare(-1)
  for (const [at, happening] of history.entries()) {
    if (((await theirs.seen()) as { status: string }).status !== 'active') break
    if ('event' in happening) {
      ours.send({ type: happening.event })
      theirs.send({ type: happening.event })
    } else {
      for (let ms = 0; ms < happening.ms; ms++) {
        await clock.advance(1)
        await theirClock.tick()
        await ours.rest()
      }
    }
    await compare(at)
  }
  await stop()
}

const never = { saves: true, restarts: false, isCalm: true, cuts: () => false }

// They begin anew with the process: their state is not saved.
const volatile = ['ticker', 'loud', 'asker', 'stream', 'send']

// XState warns of each event to an actor that has ended.
beforeAll(() => void vi.spyOn(console, 'warn').mockImplementation(() => {}))
afterAll(() => vi.restoreAllMocks())

test.each([true, false])(
  'a drawn machine does in a process what it does in XState’s own actor (saved: %s)',
  async (saves) => {
    await fc.assert(
      fc.asyncProperty(sketches, histories, (sketch, history) =>
        compared((tell) => machineOf(sketch, tell), history, { ...never, saves }),
      ),
      { seed: 1, numRuns: thorough(saves ? 4 : 20, 500), endOnFailure: true },
    )
  },
)

test('so it does when it is killed and restored after each event and each instant', async () => {
  await fc.assert(
    fc.asyncProperty(sketches, histories, (sketch, history) =>
      compared((tell) => machineOf(sketch, tell, volatile), history, {
        ...never,
        restarts: true,
        isCalm: false,
      }),
    ),
    { seed: 2, numRuns: thorough(3, 500), endOnFailure: true },
  )
})

test('so it does, each action once by the name of its step, when it is killed at any of its saves', async () => {
  // `emit` has no step.
  await fc.assert(
    fc.asyncProperty(sketches, histories, fc.integer({ min: 1, max: 3 }), (sketch, history, nth) =>
      compared((tell) => machineOf(sketch, tell, [...volatile, 'emit']), history, {
        ...never,
        isCalm: false,
        cuts: (save) => save % nth === 0,
      }),
    ),
    { seed: 3, numRuns: thorough(3, 500), endOnFailure: true },
  )
})
