/**
 * An instance at rest. A machine that hosts many of them pays for every timer that looks whether
 * there is something to do.
 */
import { describe, expect, test } from 'vitest'
import {
  type App,
  call,
  type DurableServer,
  entity,
  noReply,
  ok,
  projection,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

const hourMs = 3_600_000
const restMs = 120_000

type Messages = {
  calls: { add: () => number; wakeIn: (inMs: number) => void }
  casts: Record<never, never>
  alarms: { due: () => void }
}

const sleeper: DurableServer<Messages, number> = {
  init: () => ok(0),
  calls: {
    add: (state) => reply(state + 1, state + 1),
    wakeIn: (state, inMs, context) => {
      context.setAlarm('due', { inMs })
      return reply(undefined, state)
    },
  },
  casts: {},
  alarms: { due: (state) => noReply(state) },
}
const sleepers = entity('sleeper', sleeper)

const counted = projection('counted', {
  version: 1,
  project: ({ kind, key, after }) =>
    kind === 'value' && after !== undefined ? [{ kind: 'put', key, value: after }] : [],
})

const ref = (app: App) => app.entity(sleepers).ref('a')

const follow = async (app: App): Promise<void> => {
  for await (const _ of app.journal.entries({ follow: true }));
}

/** Does `work`, rests two minutes, and answers the milliseconds until the next timer. */
const nextAfter = async (shards: number, work: (app: App) => Promise<unknown>) => {
  const world = machine()
  const app = await world.start({
    shards,
    app: supervisor('app', {}, [sleepers]),
    projections: [counted],
    replication: [{ client: new MemoryReplica(world.clock) }],
  })
  app.journal.subscribe({ name: 'mail', handler: () => undefined })
  void follow(app).catch(() => undefined)
  await world.during(work(app))
  await world.clock.advance(restMs)
  return world.clock.untilNext()
}

describe('an instance at rest arms no timer', () => {
  for (const shards of [1, 4])
    test(`with ${shards} shards, projections, a subscriber, a reader and a replica`, async () => {
      const next = await nextAfter(shards, async ({ store, journal }) => {
        for (let at = 0; at < 64; at++) await store.put(`key-${at}`, at)
        await journal.append({ id: 'a', type: 't' })
      })
      expect(next).toBeUndefined()
    })

  test('after turns of durable actors, which rest too', async () => {
    expect(await nextAfter(1, (app) => call(ref(app), 'add'))).toBeUndefined()
  })

  for (const [name, at, work] of [
    ['the expiry of a row', hourMs, ({ store }) => store.put('a', 1, { ttlMs: hourMs })],
    ['an alarm', hourMs, (app) => call(ref(app), 'wakeIn', hourMs)],
    ['the sweep of blobs', 600_000, ({ store }) => store.put('a', Buffer.alloc(300_000))],
  ] as readonly (readonly [string, number, (app: App) => Promise<unknown>])[])
    test(`but for ${name}`, async () => {
      const next = (await nextAfter(1, work)) ?? 0
      expect(next).toBeGreaterThan(at - restMs - 1_000)
      expect(next).toBeLessThanOrEqual(at)
    })
})
