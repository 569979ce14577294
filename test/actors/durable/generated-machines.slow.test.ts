/**
 * Machines drawn at random, as entities. One lives in peace; another loses its process or its
 * machine's power after each event and each instant. Both come to the same value, context, tags and
 * output, by the same actions of the same steps.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { entity, supervisor } from '../../../src/index.ts'
import {
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { Simulation } from '../../../src/testing/simulated/start-simulated.ts'
import {
  type Happening,
  histories,
  machineOf,
  sketches,
} from '../../runtime/machine/generated-machine.ts'
import { throughJson } from '../../runtime/state-machine/machine-process.ts'
import { thorough } from '../../support/tier.ts'

type Crash = 'none' | 'kill' | 'power cut'

/** Events come at multiples of this time, as the drawn timers do, and crashes between them. */
const gridMs = 10

const seen = (saved: SavedMachine | undefined) =>
  saved === undefined
    ? 'unborn'
    : {
        ...{ value: saved.value, context: saved.context, tags: [...saved.tags].sort() },
        ...{ output: saved.output, status: saved.status, postponed: saved.postponed },
        timers: saved.timers.map(({ id, event }) => [id, event]),
      }

/**
 * They begin anew with the process: what a callback has heard is not saved. An action's own `send` is
 * not part of its step, `emit` has no step, and a look at an unborn machine counts answers, too.
 */
const volatile = ['ticker', 'loud', 'asker', 'stream', 'send', 'emit', 'answers']

/** What the machine shows after each happening, and each action under the end of its step's name. */
const lived = async (
  sketch: Parameters<typeof machineOf>[0],
  history: readonly Happening[],
  crash: Crash,
  atMs: number,
) => {
  const told = new Map<string, unknown>()
  const tell = (what: unknown, self: object): void => {
    const step = StateMachine.stepOf(self as never)
    const end = step.split('/').slice(-2).join('/')
    if (!told.has(step)) told.set(step, [end, what])
  }
  // All delays end on the grid: one that is due while the machine is down comes late, as it must.
  const machine = machineOf(sketch, tell, volatile, (at) => gridMs * (1 + at))
  const server = StateMachine.durable(machine, { unknownEvents: 'ignore' })
  const kind = entity('drawn', server as never, { idleMs: 35 })
  // A disk that takes no time: a log whose segment is full waits for the next one, and that comes at
  // another event in each life.
  const disk = new SimulatedMachine({ syncMs: 0, spareStepMs: 0 })
  const s = new Simulation(disk, { app: supervisor('app', {}, [kind]) }, capturedLog(), undefined)
  await s.start()
  const shown: unknown[] = []
  const wait = async (ms: number): Promise<void> => {
    const from = s.clock.monotonic()
    if (crash !== 'none') {
      await s.advance(atMs)
      await (crash === 'kill' ? s.kill() : s.powerCut())
      await s.start()
      // A look wakes it: what ran inside starts again now, and not with its alarm.
      await s.during(StateMachine.snapshot(s.app.entity('drawn').ref('1') as never))
    }
    const tookMs = s.clock.monotonic() - from
    expect(tookMs).toBeLessThan(ms)
    await s.advance(ms - tookMs)
  }
  for (const happening of history) {
    if ('event' in happening) {
      StateMachine.send(s.app.entity('drawn').ref('1') as never, { type: happening.event } as never)
      await wait(gridMs)
    } else for (let each = 0; each < happening.ms; each++) await wait(gridMs)
    shown.push(throughJson(seen(s.app.entity('drawn').state('1') as SavedMachine | undefined)))
  }
  await s.close()
  return { shown, told: throughJson([...told.values()]) }
}

// XState warns of each event to an actor that has ended.
beforeAll(() => void vi.spyOn(console, 'warn').mockImplementation(() => {}))
afterAll(() => vi.restoreAllMocks())

test.each(['kill', 'power cut'] as const)(
  'a drawn machine with a %s after each step does what it does without',
  async (crash) => {
    await fc.assert(
      fc.asyncProperty(
        sketches,
        histories,
        fc.constantFrom(0, 1),
        async (sketch, history, atMs) => {
          const calm = await lived(sketch, history, 'none', 0)
          expect(await lived(sketch, history, crash, atMs)).toEqual(calm)
        },
      ),
      { seed: 9, numRuns: thorough(1, 60), endOnFailure: true },
    )
  },
)
