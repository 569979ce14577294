/** The event `turn.done`: each turn once, with its times, its frame and its result. */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  reply,
  type StorageEvents,
  supervisor,
  telemetry,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: {
    add: (by: number) => number
    slowly: (ms: number) => void
    read: () => number
    grow: () => void
    crash: () => void
    step: () => void
  }
  casts: { add: () => void }
  continues: { charge: () => void }
}

const tally: DurableServer<Messages, { count: number; text?: string }> = {
  init: () => ({ count: 0 }),
  calls: {
    add: ({ count }, by) => reply(count + by, { count: count + by }),
    slowly: async ({ count }, ms, context) => {
      await new Promise<void>((resolve) => context.system.clock.after(ms, resolve))
      return reply(undefined, { count: count + 1 })
    },
    read: (state) => reply(state.count, state),
    grow: (state) => reply(undefined, { ...state, text: 'x'.repeat(2_000_000) }),
    crash: () => {
      throw new Error('a bug')
    },
    step: (state) => reply(undefined, state, { continue: ['charge'] }),
  },
  casts: { add: ({ count }) => noReply({ count: count + 1 }) },
  continues: {
    charge: () => {
      throw new Error('no card')
    },
  },
  retry: { continues: { charge: { max: 1 } } },
}

type Done = Parameters<StorageEvents['turn.done']>[0]

const stage = async () => {
  const simulation = await simulated({ app: supervisor('app', {}, [entity('tally', tally)]) })
  const { app } = simulation
  const done: Done[] = []
  const listener = (event: Done): void => void done.push(event)
  const bus = telemetry<StorageEvents>(app.system)
  bus.on('turn.done', listener)
  const during = <T>(work: Promise<T>): Promise<T> => simulation.during(work)
  return { app, bus, during, done, listener, ref: app.entity<Messages>('tally').ref('1') }
}

describe('turn.done', () => {
  test('says what ran, for how long, until when it was durable, and in which frame', async () => {
    const { during, ref, done } = await stage()
    const { position } = await during(call(ref, 'slowly', 7, { position: true }))
    expect(done.map(({ what, result }) => `${what} ${result}`)).toEqual([
      'init ok',
      'call slowly ok',
    ])
    expect(done.slice(1)).toEqual([
      {
        ...{ instance: 'default', shard: 0, at: expect.any(Number) },
        ...{ entity: 'tally/1', kind: 'tally', seq: 1, what: 'call slowly', result: 'ok' },
        ...{ waitMs: undefined, ranMs: 7, durableMs: expect.any(Number), lsn: position.lsn },
      },
    ])
  })

  test('is emitted once for each turn, whatever becomes of it', async () => {
    const { during, ref, done } = await stage()
    await during(call(ref, 'add', 1))
    await during(call(ref, 'read'))
    await during(call(ref, 'grow').catch(() => undefined))
    cast(ref, 'add')
    await during(call(ref, 'step'))
    await during(call(ref, 'crash').catch(() => undefined))
    expect(done.map(({ what, result, lsn }) => [what, result, lsn !== undefined])).toEqual([
      ['init', 'ok', false],
      ['call add', 'ok', true],
      ['call read', 'ok', false],
      ['call grow', 'TOO_LARGE', false],
      ['cast add', 'ok', true],
      ['call step', 'ok', true],
      ['continue charge', 'failed', false],
      ['record of continue charge', 'ok', true],
      ['call crash', 'failed', false],
      ['crash in call crash', 'ok', true],
    ])
  })

  test('measures the wait of one message in 64', async () => {
    const { during, ref, done } = await stage()
    await during(call(ref, 'read'))
    const busy = call(ref, 'slowly', 5)
    const reads = Array.from({ length: 127 }, () => call(ref, 'read'))
    await during(Promise.all([busy, ...reads]))
    const waits = done.map(({ waitMs }) => waitMs).filter((ms) => ms !== undefined)
    expect(waits).toEqual([0, expect.closeTo(5, -1)])
  })

  test('is not made while nobody listens', async () => {
    const { app, bus, during, ref, done, listener } = await stage()
    await during(call(ref, 'add', 1))
    bus.off('turn.done', listener)
    await during(call(ref, 'add', 1))
    const { clock } = app.system
    const monotonic = clock.monotonic.bind(clock)
    const looksOf = async () => {
      let looks = 0
      clock.monotonic = () => {
        looks++
        return monotonic()
      }
      await during(call(ref, 'read'))
      clock.monotonic = monotonic
      return looks
    }
    const silent = await looksOf()
    bus.on('turn.done', listener)
    expect(await looksOf()).toBeGreaterThan(silent)
    expect(done.map(({ what }) => what)).toEqual(['init', 'call add', 'call read'])
  })
})
