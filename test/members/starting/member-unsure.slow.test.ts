/** An owner that cannot renew its lease begins nothing by itself, and ends what runs: another one may do it. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  type Ctx,
  flow,
  flows,
  type QueueOptions,
  queue,
  type Try,
  workflow,
} from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import type { Directory, EngineSession } from '../../../src/storage/index.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

type Messages = {
  calls: { pay: () => void; set: () => void }
  continues: { charge: () => void }
  alarms: { ring: () => void }
}

/** The engine is away for so long. What is due is due in that time. */
const awayMs = 20 * leaseMs
const dueMs = 1.5 * leaseMs

const again = { max: 3, baseMs: dueMs, jitter: 0 }

/** A member whose actors do this in their steps, alarms and jobs. */
const world = async (
  does: (what: string, context: { signal: AbortSignal }) => unknown,
  ofJobs: QueueOptions = {},
) => {
  const account: DurableServer<Messages, null> = {
    init: () => null,
    retry: again,
    calls: {
      pay: (state) => reply(undefined, state, { continue: ['charge'] }),
      set: (state, _, context) => {
        context.setAlarm('ring', { inMs: dueMs })
        return reply(undefined, state)
      },
    },
    continues: {
      charge: async (state, _, context) => {
        await does('step', context)
        return noReply(state)
      },
    },
    alarms: {
      ring: async (state, _, context) => {
        await does('alarm', context)
        return noReply(state)
      },
    },
  }
  const kind = entity('account', account)
  const transfer = workflow('transfer', (ctx: Ctx) =>
    ctx.step('take', async (context) => void (await does('flow', context)), { retry: again }),
  )
  const act = async (_: string, context: Try) => void (await does('job', context))
  const jobs = queue('jobs', act, ofJobs)
  const members = new Members()
  let [treeStarts, isRenewed] = [Promise.resolve(), true]
  const slow = {
    id: 'slow',
    start: async () => {
      await treeStarts
      return { ignore: true } as const
    },
  }
  const tree = supervisor('app', {}, [kind, flows({ workflows: [transfer], queues: [jobs] }), slow])
  const open = async (): Promise<EngineSession> => {
    const session = members.engine.connect('c')
    members.sessions.set('a', session)
    const { directory, files } = session
    const set: Directory['set'] = async (...entry) => {
      if (isRenewed) return directory.set(...entry)
      throw new KeelsonError('UNKNOWN_OUTCOME', 'no answer')
    }
    return {
      ...{ files, directory: { ...directory, set } },
      log: (name) => session.log(name),
      now: () => session.now(),
      close: () => session.close(),
    }
  }
  const engine = { description: 'simulated', open }
  const options = { app: tree, cluster: { name: 'c', member: 'a', engine, leaseMs } }
  let app = await members.start('a', options)
  const refOf = (id: string) => app.entity(kind).ref(id)
  /** With what is done at once after it. */
  const done = async <T>(work: Promise<T>): Promise<T> => {
    const value = await members.during(work)
    await members.clock.advance(100)
    return value
  }
  return {
    ...{ clock: members.clock },
    /** Its caller waits for less than the engine is away. */
    ask: () => void call(refOf('1'), 'pay').catch(() => undefined),
    pay: () => done(call(refOf('1'), 'pay')),
    set: () => done(call(refOf('2'), 'set')),
    transfer: () => done(flow(app).start(transfer, undefined, { id: '1' })),
    add: () => done(flow(app).add(jobs, 'a', { delay: dueMs })),
    remove: (id: string) => done(flow(app).job(jobs, id).remove()),
    counts: () => done(flow(app).counts(jobs)),
    /** Its tree has started again when this says so. */
    restart: async (starts: Promise<void>) => {
      treeStarts = starts
      await members.during(app.close())
      return members.begin('a', options).then((started) => {
        app = started
      })
    },
    cutOff: () => members.sessions.get('a')?.pause(awayMs),
    /** The engine takes whatever it is asked but renewals of the lease; or those again. */
    renews: (is: boolean) => {
      isRenewed = is
    },
    phase: () => app.health().cluster?.phase,
    failing: () => app.health().actors.failing.count,
  }
}

test('an owner that is unsure begins no step and no alarm that is due, until its lease is renewed', async () => {
  const begun: string[] = []
  const w = await world((what) => {
    if (begun.push(what) === 1) throw new Error('the bank is away')
  })
  await w.pay()
  await w.set()
  expect(begun).toEqual(['step'])
  w.cutOff()
  await w.clock.advance(awayMs - leaseMs)
  expect([w.phase(), begun]).toEqual(['unsure', ['step']])

  await w.clock.advance(4 * leaseMs)
  expect([w.phase(), begun.toSorted()]).toEqual(['owner', ['alarm', 'step', 'step']])
  expect(w.failing()).toBe(0)
})

test('a step that was asked for while the engine was away runs once, when it is back', async () => {
  const begun: string[] = []
  const w = await world((what) => void begun.push(what))
  w.cutOff()
  await w.clock.advance(2 * leaseMs)
  w.ask()
  await w.clock.advance(awayMs - 3 * leaseMs)
  expect([w.phase(), begun]).toEqual(['unsure', []])
  await w.clock.advance(4 * leaseMs)
  expect([w.phase(), begun]).toEqual(['owner', ['step']])
})

test.each([
  ['while the member is unsure', 'unsure', 5 * leaseMs],
  ['when the lease is renewed', 'owner', awayMs + 2 * leaseMs],
] as const)(
  'a try during which the lease has lapsed gets an aborted signal, if it asks for it %s',
  async (_when, phase, afterMs) => {
    let goOn = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let seen: AbortSignal | undefined
    const w = await world(async (_, context) => {
      await gate
      seen = context.signal
    })
    await w.pay()
    w.cutOff()
    await w.clock.advance(afterMs)
    expect(w.phase()).toBe(phase)
    goOn()
    await w.clock.settle()

    expect(seen).toMatchObject({ aborted: true, reason: { code: 'FENCED' } })
    await w.clock.advance(awayMs)
  },
)

test('a try that begins when the lease is renewed gets a signal that is not aborted', async () => {
  const seen: boolean[] = []
  const w = await world((_, { signal }) => void seen.push(signal.aborted))
  await w.set()
  w.cutOff()
  await w.clock.advance(awayMs + 3 * leaseMs)
  expect([w.phase(), seen]).toEqual(['owner', [false]])
})

test('an owner that is unsure begins no step of a run, and that uses up no try', async () => {
  const seen: boolean[] = []
  const w = await world((_, { signal }) => {
    if (seen.push(signal.aborted) === 1) throw new Error('the bank is away')
  })
  await w.transfer()
  w.cutOff()
  await w.clock.advance(awayMs - leaseMs)
  expect([w.phase(), seen]).toEqual(['unsure', [false]])

  await w.clock.advance(4 * leaseMs)
  expect([w.phase(), seen]).toEqual(['owner', [false, false]])
})

test('an owner that is unsure begins no job, also if its claim is durable', async () => {
  const seen: boolean[] = []
  const w = await world((_, { signal }) => void seen.push(signal.aborted))
  await w.add()
  w.renews(false)
  await w.clock.advance(4 * leaseMs)
  expect([w.phase(), seen]).toEqual(['unsure', []])

  w.renews(true)
  await w.clock.advance(2 * leaseMs)
  expect([w.phase(), seen]).toEqual(['owner', [false]])
})

test('the jobs that an unsure owner has claimed begin no more often than their rate says', async () => {
  const begun: number[] = []
  const rate = { max: 1, per: '1s' } as const
  const w = await world(() => void begun.push(w.clock.now()), { rate })
  for (const _ of Array(5)) await w.add()
  w.renews(false)
  await w.clock.advance(8 * leaseMs)
  expect([w.phase(), begun]).toEqual(['unsure', []])

  w.renews(true)
  await w.clock.advance(10 * leaseMs)
  expect([w.phase(), begun.length]).toEqual(['owner', 5])
  const gaps = begun.slice(1).map((at, before) => at - (begun[before] as number))
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000)
})

test('a job that is removed before its owner is sure again never begins', async () => {
  const begun: string[] = []
  const w = await world((what) => void begun.push(what))
  const { id } = await w.add()
  w.renews(false)
  await w.clock.advance(4 * leaseMs)
  expect(await w.remove(id)).toEqual({ removed: true, state: 'running' })

  w.renews(true)
  await w.clock.advance(2 * leaseMs)
  expect([w.phase(), begun]).toEqual(['owner', []])
  expect(await w.counts()).toMatchObject({ ready: 0, running: 0, overdue: [] })
})

test('a job that runs when the lease lapses gets an aborted signal', async () => {
  let seen: AbortSignal | undefined
  const w = await world(async (_, { signal }) => {
    seen = signal
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  })
  await w.add()
  await w.clock.advance(dueMs)
  expect(seen?.aborted).toBe(false)
  w.cutOff()
  await w.clock.advance(2 * leaseMs)
  expect(seen).toMatchObject({ aborted: true, reason: { code: 'FENCED' } })
  await w.clock.advance(awayMs)
})

test('a try that runs since its member starts gets an aborted signal, if the lease lapses in the start', async () => {
  let seen: AbortSignal | undefined
  let goOn = (): void => undefined
  const w = await world(async (_, { signal }) => {
    seen = signal
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  })
  await w.set()
  const started = w.restart(
    new Promise((resolve) => {
      goOn = resolve
    }),
  )
  await w.clock.advance(2 * dueMs)
  expect(seen?.aborted).toBe(false)
  w.cutOff()
  await w.clock.advance(2 * leaseMs)
  goOn()
  await started

  expect(w.phase()).toBe('unsure')
  expect(seen).toMatchObject({ aborted: true, reason: { code: 'FENCED' } })
  await w.clock.advance(awayMs)
})

test('no handler of a subscription begins while its member is unsure, and each does after it', async () => {
  const members = new Members()
  const app = await members.start('a')
  await members.during(app.store.put('k', 'v'))
  const seen: unknown[] = []
  const handler = async ({ type }: { readonly type: string }) => {
    if (type === 'first') await new Promise<void>((go) => void members.clock.after(2 * leaseMs, go))
    else seen.push(app.store.get('k'))
  }
  app.journal.subscribe({ name: 'mail', handler })
  for (const type of ['first', 'second'])
    await members.during(app.journal.append({ id: type, type }))
  members.sessions.get('a')?.pause(4 * leaseMs)

  await members.clock.advance(3 * leaseMs)
  expect([app.health().cluster?.phase, seen]).toEqual(['unsure', []])
  await members.clock.advance(4 * leaseMs)
  expect([app.health().cluster?.phase, seen]).toEqual(['owner', ['v']])
})
