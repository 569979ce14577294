/** The flight recorder: each failure of a running instance is noted once, as text that may be shown. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, workflow } from '../../../src/flow/index.ts'
import {
  call,
  cast,
  type DurableServer,
  entity,
  type GenServer,
  name,
  reply,
  supervisor,
  systemMonitor,
  worker,
} from '../../../src/index.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import type { RecordedSort } from '../../../src/inspect/recorder/records.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { silentLogger } from '../../../src/testing/kit/captured-log.ts'
import { codeOf, failNextSync, machine } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: Record<never, never>; casts: { fail: () => void; stick: () => void } }

const frail: GenServer<Messages, { readonly password: string }> = {
  init: () => ({ password: 'hunter2' }),
  casts: {
    fail: () => {
      throw new Error('no more')
    },
    stick: () => new Promise(() => undefined),
  },
}

type OrderMessages = {
  calls: { pay: () => void }
  continues: { charge: () => void }
}
const order: DurableServer<OrderMessages, { readonly paid: boolean }> = {
  init: () => ({ paid: false }),
  calls: { pay: (state) => reply(undefined, { ...state }, { continue: ['charge'] }) },
  continues: {
    charge: () => {
      throw new Error('the bank is away')
    },
  },
}
const unborn: DurableServer<OrderMessages, { readonly paid: boolean }> = {
  ...order,
  init: () => {
    throw new Error('not today')
  },
}

const tree = supervisor('app', { intensity: 100 }, [
  worker('frail', frail, { name: name<Messages>('frail') }),
  worker('patient', frail, {
    name: name<Messages>('patient'),
    restart: { type: 'permanent', backoff: { fromMs: 100, toMs: 100 } },
  }),
  supervisor('fuse', { intensity: 0 }, [worker('last', frail, { name: name<Messages>('last') })]),
  entity('order', order),
  entity('unborn', unborn),
])

const recorded = async (given: ReturnType<typeof supervisor> = tree) => {
  const world = machine()
  const system = createSystem({ clock: world.clock, logger: silentLogger })
  const records = recordsOf(system)
  const app = await world.start({ system, app: given })
  const texts = (sort: RecordedSort) =>
    records.last(sort).map(({ subject, text }) => `${subject}: ${text}`)
  const fail = async (process: string) => {
    cast(system.to(name<Messages>(process)), 'fail')
    await world.clock.advance(10)
  }
  return { ...world, system, app, records, texts, fail }
}

test('a crash is recorded with its reason, its stack, the last message and the state', async () => {
  const { records, fail } = await recorded()
  await fail('frail')
  const [crash] = records.last('crash')
  expect(crash).toMatchObject({
    ...{ kind: 'server', code: 'error', subject: 'frail' },
    ...{ reason: 'Error: no more', lastMessage: 'cast fail' },
  })
  expect(crash?.text.split('\n')).toEqual([
    'frail ended: Error: no more',
    expect.stringMatching(/^ {4}at .*recorder\.test\.ts/),
    '  last message: cast fail',
    '  state: {password: "[hidden string of 7]"}',
    '  mailbox: 0 waiting',
    expect.stringMatching(/^ {2}ancestors: app <\d+>, services/),
  ])
})

test('crashes with one error are one record, with the first, the last, how many, and its causes', async () => {
  const { records, fail, clock } = await recorded()
  await fail('frail')
  const at = clock.now()
  await fail('patient')
  await fail('frail')
  const [patient, frail] = records.crashes.all
  expect(patient).toMatchObject({ what: 'handler', subject: 'patient', count: 1 })
  expect(frail).toMatchObject({ subject: 'frail', count: 2, reason: 'Error: no more' })
  expect(frail?.firstAt).toBeLessThanOrEqual(at)
  expect(frail?.lastAt).toBeGreaterThan(at)
  expect(frail?.error).toMatchObject({
    ...{ message: 'no more', stack: expect.stringContaining('recorder.test.ts') },
  })
  expect([...records.failures.all]).toEqual([
    { what: 'handler', kind: 'server', code: 'error', count: 3 },
  ])
})

test('restarts, back-offs and supervisors that give up are recorded', async () => {
  const { texts, fail } = await recorded()
  for (const process of ['frail', 'frail', 'patient', 'last']) await fail(process)
  expect(texts('restart')).toEqual([
    'frail: frail was restarted, 1 times in all: Error: no more',
    'frail: frail was restarted, 2 times in all: Error: no more',
    'fuse: fuse was restarted, 1 times in all: shutdown',
  ])
  expect(texts('backed_off')).toEqual([
    expect.stringMatching(
      /^app: patient starts again in \d+ ms \(wait 1 in a row\): Error: no more$/,
    ),
  ])
  expect(texts('gave_up')).toEqual(['fuse: gave up: last ended: Error: no more'])
})

test('failing steps and blocked entities are recorded, and counted by kind', async () => {
  const { app, during, clock, records, texts } = await recorded()
  await during(call(app.entity(entity('order', order)).ref('7'), 'pay'))
  await clock.advance(20)
  expect(texts('step_failed').slice(0, 1)).toEqual([
    expect.stringMatching(
      /^order\/7: continue charge failed at try 1, next try .*: Error: the bank is away$/,
    ),
  ])
  for (let tries = 0; tries < 6; tries++)
    await codeOf(during(call(app.entity(entity('unborn', unborn)).ref('8'), 'pay'), 60_000))
  expect(texts('blocked')).toEqual([expect.stringMatching(/^unborn\/8: .*not today$/)])
  expect(records.counts().filter(({ sort }) => sort === 'blocked')).toEqual([
    { sort: 'blocked', kind: 'unborn', code: 'BLOCKED', count: 1 },
  ])
  expect([...records.failures.all]).toContainEqual({
    ...{ what: 'continue', kind: 'order', code: 'error', count: expect.any(Number) },
  })
})

test('each failed try of a step of a workflow is recorded, and counted by the kind of its run', async () => {
  const mail = workflow('mail', (ctx: Ctx) =>
    ctx.step('send', () => Promise.reject(new TypeError('no paper')), { retry: { max: 2 } }),
  )
  const { app, during, records, texts } = await recorded(
    supervisor('app', {}, [flows({ workflows: [mail] })]),
  )
  const run = await during(flow(app).start(mail, undefined, { id: '1' }))
  expect(await codeOf(during(run.result(), 60_000))).toBe('FAILED')
  expect(texts('step_failed')).toEqual([
    expect.stringMatching(/^mail\/1: step send failed at try 1, next try .*: TypeError: no paper$/),
    'mail/1: step send failed at try 2, its last try: TypeError: no paper',
  ])
  expect(records.counts().filter(({ sort }) => sort === 'step_failed')).toEqual([
    { sort: 'step_failed', kind: '$flow-mail', code: 'error', count: 2 },
  ])
  expect([...records.failures.all]).toEqual([
    { what: 'step', kind: '$flow-mail', code: 'error', count: 2 },
  ])
})

test('the crash of an entity has the kind of the entity, as its calls and turns have', async () => {
  const { app, during, records } = await recorded()
  await codeOf(during(call(app.entity(entity('order', order)).ref('9'), 'fail' as never)))
  expect(records.last('crash')).toMatchObject([{ subject: 'order/9', kind: 'order' }])
})

test('a shard that is down and a subscription that has stopped are recorded', async () => {
  const { app, disk, during, texts } = await recorded()
  app.journal.subscribe({
    name: 'mails',
    from: 0,
    handler: () => {
      throw new Error('no paper')
    },
  })
  await during(app.journal.append({ id: 'e', type: 'order' }))
  expect(texts('subscription_stopped')).toEqual(['mails: Error: no paper'])
  failNextSync(disk)
  await codeOf(during(app.store.put('a', 1)))
  expect(texts('shard_down')).toEqual([expect.stringMatching(/^shard\/0: /)])
})

test('a slow handler is recorded while a monitor watches', async () => {
  const { system, clock, texts } = await recorded()
  const monitor = systemMonitor(system, { pendingHandlerMs: 1_000 })
  cast(system.to(name<Messages>('frail')), 'stick')
  await clock.advance(1_100)
  monitor.stop()
  expect(texts('slow_handler')).toEqual(['frail: cast stick is pending for 1000 ms'])
})

test('the lines of the log are recorded from warnings up, whatever the logger does with them', async () => {
  const { system, texts } = await recorded()
  system.logger.info('all is well')
  system.logger.warn('not so well', { password: 'hunter2', reason: new Error('low') })
  expect(texts('log')).toEqual([
    expect.stringMatching(/^: \d{4}-\d\d-\d\dT[\d:.]+Z warn {2}not so well\nError: low\n {4}at /),
  ])
})

test('no text of users is the code of an event', async () => {
  const { system, records } = await recorded()
  const leave = async (reason: unknown) => {
    const ref = system.spawn(() => Promise.reject(reason))
    await new Promise((resolve) => system.monitor(ref, resolve))
  }
  const error = Object.assign(new Error('x'), { code: 'CANARY' })
  await leave(error)
  await leave('CANARY')
  await leave(Object.assign(new Error('x'), { code: 'ECONNRESET' }))
  const refused = Object.assign(new Error('no'), { code: 'ECONNREFUSED' })
  await leave(new TypeError('fetch failed', { cause: new AggregateError([error, refused]) }))
  await leave(Proxy.revocable({}, {}).proxy)
  expect(new Set(records.counts().map(({ code }) => code))).toEqual(
    new Set(['error', 'nocatch', 'ECONNRESET', 'ECONNREFUSED', 'none']),
  )
})

test('it listens to events of failures only: a System in which nothing fails pays nothing', async () => {
  const { system } = await recorded()
  expect(system.events.eventNames().sort()).toEqual([
    ...['entity.blocked', 'entity.failed', 'flow.blocked', 'flow.failed'],
    ...['handler.pending', 'handler.slow'],
    ...['journal.stopped', 'process.crashed', 'process.restarted', 'projection.halted'],
    ...['queue.failed', 'shard.down'],
    ...['supervisor.backed_off', 'supervisor.gave_up', 'supervisor.report'],
  ])
})

test('a System has one recorder, whoever asks', () => {
  const system = createSystem({ logger: silentLogger })
  expect(recordsOf(system)).toBe(recordsOf(system))
  expect(system.events.listenerCount('process.crashed')).toBe(1)
})
