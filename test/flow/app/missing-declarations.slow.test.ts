/**
 * What a deploy lacks is never an outcome: for each declaration that stored data names, a program
 * with it, one without it, and one with it again.
 */
import { describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import { type Ctx, flow, flows, queue, schedule, workflow } from '../../../src/flow/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  noReply,
  projection,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import type { SimulatedOptions } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const hour = 3_600_000

type Simulation = Awaited<ReturnType<typeof simulated>>
type Parts = Parameters<typeof supervisor>[2]
type Program = Pick<SimulatedOptions, 'app' | 'projections'>

const of = (...parts: Parts): Program => ({ app: supervisor('app', {}, parts) })

/** A declaration that is taken out and put back. */
type Case = {
  readonly whole: Program
  readonly without: Program
  /** The last program, unless it is `whole`. */
  readonly again?: Program
  readonly begins: (s: Simulation) => Promise<unknown>
  /** Whether a run is at rest when its program ends, and leaves memory. */
  readonly rests?: boolean
  /** Of the program without it. */
  readonly asks?: (s: Simulation) => Promise<unknown>
  /** A part of the health of the program without it. */
  readonly named: string | undefined
  /** The units that the program without it writes: the status of a blocked run, a job that is looked at. */
  readonly units?: number
  readonly ends: (s: Simulation) => unknown
  readonly end: unknown
}

const unitsOf = (app: App): number =>
  app.health().shards.reduce((sum, { appliedLsn }) => sum + appliedLsn, 0)

const ship = (seen: string[]) =>
  workflow('ship', async (ctx: Ctx) => {
    await ctx.sleep('drive', '1h')
    await ctx.step('deliver', () => void seen.push('delivered'))
    return 'there'
  })

const order = (seen: string[], type: ReturnType<typeof ship>) =>
  workflow('order', async (ctx: Ctx) => {
    await ctx.step('charge', () => void seen.push('charged'), {
      undo: () => void seen.push('refunded'),
    })
    return ctx.child('ship', type, undefined, { id: '1' })
  })

const status = (s: Simulation, type: { readonly name: string }, id = '1') =>
  flow(s.app).get({ name: type.name, sort: 'workflow' } as never, id)?.status

type Clock = {
  calls: { set: (inMs: number) => void; begin: () => void; order: () => void }
  continues: { charge: () => void }
  alarms: { ring: () => void }
}

/** An entity with an alarm, a step whose first try fails, and a recorded call. */
const clock = (
  seen: string[],
  orders?: (context: object) => void,
): DurableServer<Clock, number> => ({
  retry: { max: 2, baseMs: 10_000, jitter: 0 },
  onFailed: (count) => {
    seen.push('given up')
    return noReply(count)
  },
  init: () => 0,
  calls: {
    set: (count, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(undefined, count + 1)
    },
    begin: (count) => reply(undefined, count + 1, { continue: ['charge'] }),
    order: (count, _, context) => {
      orders?.(context)
      return reply(undefined, count + 1)
    },
  },
  continues: {
    charge: (count) => {
      seen.push('charge')
      if (seen.length === 1) throw new Error('the bank is away')
      return noReply(count)
    },
  },
  alarms: {
    ring: (count) => {
      seen.push('rung')
      return noReply(count)
    },
  },
})

const clockRef = (s: Simulation) => s.app.entity<Clock>('clock').ref('1')

/** Each of the times that have passed starts a run. */
const often = { missed: 'all', overlap: 'allow' } as const

/** A recorded call: the queue is full, so it waits in the row of its actor. */
const fullQueue = (lacking: Parts, named: string, units = 0): Case => {
  const jobs: string[] = []
  const mails = (depthMax: number) =>
    queue('mails', (job: string) => void jobs.push(job), { depthMax })
  const orders = (context: object) => flow(context as never).add(mails(1), 'second')
  const kind = entity('clock', clock(jobs, orders))
  return {
    whole: of(flows({ queues: [mails(1)] }), kind),
    without: of(...lacking, kind),
    again: of(flows({ queues: [mails(10)] }), kind),
    begins: async (s) => {
      await flow(s.app).pause(mails(1))
      await flow(s.app).add(mails(1), 'first')
      await call(clockRef(s), 'order')
      await s.advance(1_000)
    },
    asks: (s) => s.advance(hour),
    named,
    units,
    ends: async (s) => {
      await s.during(flow(s.app).resume(mails(1)))
      await s.advance(1_000)
      return jobs
    },
    end: ['first', 'second'],
  }
}

const cases: readonly (readonly [what: string, make: () => Case])[] = [
  [
    'the workflow of a run',
    () => {
      const seen: string[] = []
      return {
        whole: of(flows({ workflows: [ship(seen)] })),
        without: of(flows({})),
        begins: (s) => flow(s.app).start(ship(seen), undefined, { id: '1' }),
        named: '"kind":"$flow-ship"',
        ends: (s) => [status(s, { name: 'ship' }), seen],
        end: ['completed', ['delivered']],
      }
    },
  ],
  [
    'the workflow of a child',
    () => {
      const seen: string[] = []
      const child = ship(seen)
      const parent = order(seen, child)
      return {
        whole: of(flows({ workflows: [parent, child] })),
        without: of(flows({ workflows: [parent] })),
        begins: (s) => flow(s.app).start(parent, undefined, { id: '1' }),
        rests: false,
        asks: async (s) => {
          expect(flow(s.app).get(parent, '1')).toMatchObject({
            ...{ status: 'blocked', error: { code: 'UNSUPPORTED_VERSION' } },
          })
          expect(flow(s.app).steps(parent, '1').entries).toMatchObject([
            { key: 'charge', outcome: 'ok' },
            { key: 'ship', outcome: undefined },
          ])
        },
        named: 'no workflow ship',
        units: 1,
        ends: (s) => [status(s, parent), status(s, child), seen],
        end: ['completed', 'completed', ['charged', 'delivered']],
      }
    },
  ],
  [
    'the workflow of a child for which a run rests',
    () => {
      const seen: string[] = []
      const child = ship(seen)
      const parent = order(seen, child)
      return {
        whole: of(flows({ workflows: [parent, child] })),
        without: of(flows({ workflows: [parent] })),
        begins: (s) => flow(s.app).start(parent, undefined, { id: '1' }),
        asks: async (s) => expect(status(s, parent)).toBe('waiting'),
        named: '"kind":"$flow-ship"',
        ends: (s) => [status(s, parent), status(s, child), seen],
        end: ['completed', 'completed', ['charged', 'delivered']],
      }
    },
  ],
  [
    'the workflow of a child of a run that is cancelled',
    () => {
      const seen: string[] = []
      const child = ship(seen)
      const parent = order(seen, child)
      return {
        whole: of(flows({ workflows: [parent, child] })),
        without: of(flows({ workflows: [parent] })),
        begins: (s) => flow(s.app).start(parent, undefined, { id: '1' }),
        asks: async (s) => {
          await s.during(flow(s.app).handle(parent, '1').cancel())
          await s.advance(60_000)
          expect(status(s, parent)).toBe('blocked')
          expect(seen).toEqual(['charged'])
        },
        named: 'no workflow ship',
        units: 6,
        ends: (s) => [status(s, parent), status(s, child), seen],
        end: ['cancelled', 'cancelled', ['charged', 'refunded']],
      }
    },
  ],
  [
    'the workflow of a child of a run that was ended by force',
    () => {
      const seen: string[] = []
      const child = ship(seen)
      const parent = order(seen, child)
      return {
        whole: of(flows({ workflows: [parent, child] })),
        without: of(flows({ workflows: [parent] })),
        begins: (s) => flow(s.app).start(parent, undefined, { id: '1' }),
        asks: async (s) => {
          await s.during(flow(s.app).handle(parent, '1').cancel({ force: true }))
          await s.advance(60_000)
        },
        named: 'no workflow ship',
        units: 2,
        ends: (s) => [status(s, parent), status(s, child), seen],
        end: ['cancelled', 'cancelled', ['charged']],
      }
    },
  ],
  [
    'the workflow of a parent',
    () => {
      const seen: string[] = []
      const child = ship(seen)
      const parent = order(seen, child)
      return {
        whole: of(flows({ workflows: [parent, child] })),
        without: of(flows({ workflows: [child] })),
        begins: (s) => flow(s.app).start(parent, undefined, { id: '1' }),
        asks: async (s) => {
          await s.advance(hour)
          expect(status(s, child)).toBe('completed')
        },
        named: 'no workflow order',
        // The child goes on, and its end waits for the parent.
        units: 4,
        ends: (s) => [status(s, parent), seen],
        end: ['completed', ['charged', 'delivered']],
      }
    },
  ],
  [
    'the body of a version',
    () => {
      const make = (version: number) =>
        workflow(
          'run',
          async (ctx: Ctx) => {
            await ctx.sleep('nap', '30m')
            return version
          },
          { version },
        )
      return {
        whole: of(flows({ workflows: [make(1)] })),
        without: of(flows({ workflows: [make(2)] })),
        begins: (s) => flow(s.app).start(make(1), undefined, { id: '1' }),
        asks: (s) => s.advance(hour),
        named: 'no body of version 1 of the workflow run',
        // It wakes by its timer, and is blocked.
        units: 2,
        ends: (s) => status(s, make(1)),
        end: 'completed',
      }
    },
  ],
  [
    'a queue',
    () => {
      const seen: string[] = []
      const mails = queue('mails', (job: string) => void seen.push(job))
      return {
        whole: of(flows({ queues: [mails] })),
        without: of(flows({})),
        begins: (s) => flow(s.app).add(mails, 'hello', { delay: '10m' }),
        asks: (s) => s.advance(hour),
        named: '"kind":"$queue-mails"',
        ends: () => seen,
        end: ['hello'],
      }
    },
  ],
  [
    'the workflow of a run that waits in a queue',
    () => {
      const places = queue('places', { concurrency: 1 })
      const run = workflow('run', (ctx: Ctx) => ctx.sleep('nap', '1m'), { queue: 'places' })
      const whole = of(flows({ workflows: [run], queues: [places] }))
      return {
        whole,
        without: of(flows({ queues: [places] })),
        begins: async (s) => {
          await flow(s.app).pause(places)
          await flow(s.app).start(run, undefined, { id: '1' })
        },
        asks: async (s) => {
          await s.during(flow(s.app).resume(places))
          await s.advance(60_000)
          expect(await s.during(flow(s.app).counts(places))).toMatchObject({ dead: 0 })
        },
        named: 'no workflow run',
        // Its job is looked at again every 30 s.
        units: 12,
        ends: (s) => status(s, run),
        end: 'completed',
      }
    },
  ],
  [
    'a queue without a handler, whose name one with a handler has',
    () => {
      const seen: unknown[] = []
      const places = queue('places', { concurrency: 1 })
      const run = workflow('run', (ctx: Ctx) => ctx.sleep('nap', '1m'), { queue: 'places' })
      const free = workflow('run', (ctx: Ctx) => ctx.sleep('nap', '1m'))
      const jobs = queue('places', (job: unknown) => void seen.push(job), { retry: { max: 1 } })
      return {
        whole: of(flows({ workflows: [run], queues: [places] })),
        without: of(flows({ workflows: [free], queues: [jobs] })),
        begins: async (s) => {
          await flow(s.app).pause(places)
          await flow(s.app).start(run, undefined, { id: '1' })
        },
        asks: async (s) => {
          await s.during(flow(s.app).resume(jobs))
          await s.advance(60_000)
          expect(await s.during(flow(s.app).counts(jobs))).toMatchObject({ dead: 0 })
        },
        named: 'no queue places without a handler',
        units: 12,
        ends: (s) => [status(s, run), seen],
        end: ['completed', []],
      }
    },
  ],
  [
    'a schedule',
    () => {
      const times: number[] = []
      const report = workflow('report', async (_: Ctx, { at }: { at: number }) => {
        times.push(at / hour)
      })
      return {
        whole: of(
          flows({
            workflows: [report],
            schedules: [schedule('hourly', '0 * * * *', report, often)],
          }),
        ),
        without: of(flows({ workflows: [report] })),
        begins: async () => undefined,
        asks: (s) => s.advance(2.5 * hour),
        named: '"kind":"$schedule-hourly"',
        ends: () => times.map((at) => at - (times[0] ?? 0)).slice(0, 3),
        end: [0, 1, 2],
      }
    },
  ],
  [
    'the workflow of a schedule that was made at run time',
    () => {
      const times: number[] = []
      const report = workflow('report', async (_: Ctx, { at }: { at: number }) => {
        times.push(at / hour)
      })
      return {
        whole: of(flows({ workflows: [report] })),
        without: of(flows({})),
        begins: (s) => flow(s.app).schedules.create('mine', '0 * * * *', report, often),
        asks: (s) => s.advance(2.5 * hour),
        named: 'the workflow report is not in the tree',
        ends: () => times.map((at) => at - (times[0] ?? 0)).slice(0, 3),
        end: [0, 1, 2],
      }
    },
  ],
  [
    'a kind of entities',
    () => {
      const seen: string[] = []
      return {
        whole: of(entity('clock', clock(seen))),
        without: of(),
        begins: (s) => call(clockRef(s), 'set', 60_000),
        asks: (s) => s.advance(hour),
        named: '"kind":"clock"',
        ends: () => seen,
        end: ['rung'],
      }
    },
  ],
  [
    'the handler of an alarm',
    () => {
      const seen: string[] = []
      const { alarms: _, ...less } = clock(seen)
      return {
        whole: of(entity('clock', clock(seen))),
        without: of(entity('clock', { ...less, alarms: {} } as never)),
        begins: (s) => call(clockRef(s), 'set', 60_000),
        asks: (s) => s.advance(hour),
        named: 'no handler of alarm ring',
        ends: () => seen,
        end: ['rung'],
      }
    },
  ],
  [
    'the handler of a step',
    () => {
      const seen: string[] = []
      const { continues: _, ...less } = clock(seen)
      return {
        whole: of(entity('clock', clock(seen))),
        without: of(entity('clock', { ...less, continues: {} } as never)),
        begins: (s) => call(clockRef(s), 'begin'),
        asks: (s) => s.advance(hour),
        named: 'no handler of continue charge',
        ends: () => seen,
        end: ['charge', 'charge'],
      }
    },
  ],
  ['the queue of a recorded call', () => fullQueue([flows({})], 'no kind $queue-mails')],
  [
    'the handler of the queue of a recorded call',
    // The queue itself looks at its rows now and then.
    () => fullQueue([flows({ queues: [queue('mails')] })], 'no handler of the queue mails', 4),
  ],
  [
    'the version of a state',
    () => {
      const seen: string[] = []
      const make = (version: number) => entity('clock', { ...clock(seen), version })
      return {
        whole: of(make(2)),
        without: of(make(1)),
        begins: (s) => call(clockRef(s), 'set', 60_000),
        asks: async (s) => {
          await s.advance(hour)
          await expect(s.during(call(clockRef(s), 'begin'))).rejects.toMatchObject({
            code: 'BLOCKED',
          })
        },
        named: 'this program knows 1',
        ends: () => seen,
        end: ['rung'],
      }
    },
  ],
  [
    'a migration',
    () => {
      const seen: string[] = []
      const old = entity('clock', clock(seen))
      const next = { ...clock(seen), version: 2 }
      return {
        whole: of(old),
        without: of(entity('clock', next)),
        begins: (s) => call(clockRef(s), 'set', 60_000),
        asks: async (s) => {
          await s.advance(hour)
          await expect(s.during(call(clockRef(s), 'begin'))).rejects.toMatchObject({
            code: 'BLOCKED',
          })
        },
        named: 'no migrate from version 1',
        ends: () => seen,
        end: ['rung'],
      }
    },
  ],
  [
    'a state of a machine',
    () => {
      const machine = (state: string) =>
        setup({ types: { events: {} as { type: 'go' } } }).createMachine({
          initial: 'begun',
          states: { begun: { on: { go: state } }, [state]: { after: { 60000: 'rung' } }, rung: {} },
        })
      const make = (state: string) => entity('clock', StateMachine.durable(machine(state) as never))
      return {
        whole: of(make('paid')),
        without: of(make('sent')),
        begins: async (s) =>
          StateMachine.send(s.app.entity('clock').ref('1') as never, { type: 'go' } as never),
        asks: (s) => s.advance(hour),
        named: 'its machine changed',
        ends: (s) => (s.app.entity('clock').state('1') as { value: string } | undefined)?.value,
        end: 'rung',
      }
    },
  ],
  [
    'a projection',
    () => {
      const keys = projection('keys', {
        version: 1,
        project: ({ key }) => [{ kind: 'put', key, value: 1 }],
      })
      return {
        whole: { ...of(), projections: [keys] },
        without: { ...of(), projections: [] },
        begins: (s) => s.app.store.put('a', 1),
        asks: (s) => s.during(s.app.store.put('b', 1)),
        named: undefined,
        units: 1,
        ends: (s) =>
          s.app
            .projection('keys')
            .range({ limit: 10 })
            .entries.map(([key]) => key),
        end: ['a', 'b'],
      }
    },
  ],
]

describe('a program without', () => {
  test.each(cases)('%s decides nothing, and one with it goes on', async (_, make) => {
    const { whole, without, begins, asks, named, ends, end, ...others } = make()
    const { again = whole, rests = true, units = 0 } = others
    const s = await simulated(whole)
    await s.during(begins(s))
    await s.advance(rests ? 5_000 : 1_000)
    await s.close()

    await s.start(without)
    const before = unitsOf(s.app)
    await s.advance(20_000)
    await asks?.(s)
    const { overdue: __, ...actors } = s.app.health().actors
    if (named) expect(JSON.stringify({ ...s.app.health(), actors })).toContain(named)
    expect(unitsOf(s.app) - before).toBeLessThanOrEqual(units)

    await s.close()
    await s.start(again)
    await s.advance(2 * hour)
    expect(await ends(s)).toEqual(end)
  })
})

/** Queues of one name, as a deploy changes them. The handler says what it got. */
const handlers = {
  'one job': (seen: unknown[]) =>
    queue('places', (job: unknown) => void seen.push(job), { retry: { max: 3 } }),
  'a batch': (seen: unknown[]) =>
    queue(
      'places',
      (jobs: readonly { readonly input: unknown }[]) =>
        void seen.push(...jobs.map(({ input }) => input)),
      { batch: { max: 10 }, retry: { max: 3 } },
    ),
}

test.each(Object.entries(handlers))(
  'a run that has begun from a queue is for no handler of %s, and its job ends after it',
  async (_, handled) => {
    const seen: unknown[] = []
    const napping = async (ctx: Ctx) => ctx.sleep('nap', '5m')
    const placed = workflow('run', napping, { queue: 'places' })
    const free = workflow('run', napping)
    const jobs = handled(seen) as ReturnType<(typeof handlers)['one job']>
    const s = await simulated(of(flows({ workflows: [placed], queues: [queue('places', {})] })))
    await s.during(flow(s.app).start(placed, undefined, { id: '1' }))
    await s.advance(5_000)
    await s.close()

    await s.start(of(flows({ workflows: [free], queues: [jobs] })))
    await s.during(flow(s.app).add(jobs, 'a letter'))
    await s.during(flow(s.app).add(jobs, 'run/9', { unique: 'run/9' }))
    await s.advance(60_000)
    const counts = () => s.during(flow(s.app).counts(jobs))
    expect([seen.toSorted(), status(s, placed)]).toEqual([['a letter', 'run/9'], 'waiting'])
    expect(await counts()).toMatchObject({ ready: 0, delayed: 1, running: 0, dead: 0 })

    await s.advance(6 * 60_000)
    expect(status(s, placed)).toBe('completed')
    expect(await counts()).toMatchObject({ ready: 0, delayed: 0, running: 0, dead: 0 })
    expect(seen).toHaveLength(2)
  },
)
