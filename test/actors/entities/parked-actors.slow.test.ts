/** The actors with parked steps or alarms: which are found, and how many at most. */

import { describe, expect, test } from 'vitest'
import type { Entities } from '../../../src/actors/entities/entities.ts'
import { parkedActors, parkedNow } from '../../../src/actors/entities/parked-actors.ts'
import { nothing, rowChanges } from '../../../src/actors/turns/memory.ts'
import { failureOf } from '../../../src/actors/turns/retry-policy.ts'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { charge: () => void }
  continues: { charge: () => void; mail: () => void }
}

const server: DurableServer<Messages, number> = {
  retry: { max: 2, baseMs: 10, jitter: 0 },
  init: () => 0,
  calls: {
    charge: (count, _, context) => {
      context.addContinue('mail')
      return reply(undefined, count + 1, { continue: ['charge'] })
    },
  },
  continues: {
    charge: () => {
      throw new Error('the bank is away')
    },
    mail: (count) => {
      if (count > 0) throw new RangeError('full')
      return noReply(count)
    },
  },
}

const kinds = [entity('order', server), entity('other', server)] as const

describe('blocked', () => {
  test('names every entity of its kind with parked steps, over all shards, and what is parked', async () => {
    const s = await simulated({ app: supervisor('app', {}, kinds), shards: 2 })
    const ids = ['a', 'b', 'c', 'd', 'e']
    const orders = s.app.entity(kinds[0])
    await s.during(Promise.all(ids.map((id) => call(orders.ref(id), 'charge'))))
    await s.during(call(s.app.entity(kinds[1]).ref('z'), 'charge'))
    await s.advance(1_000)

    const blocked = orders.blocked()
    expect([...blocked.keys()].sort()).toEqual(ids)
    expect(blocked.get('c')).toMatchObject({
      code: 'BLOCKED',
      details: {
        entity: 'order/c',
        parked: [
          { entity: 'order/c', what: 'continue mail', tries: 2, error: 'RangeError: full' },
          { entity: 'order/c', what: 'continue charge', error: 'Error: the bank is away' },
        ],
      },
    })
    expect(blocked.get('c')?.message).toContain(
      'continue mail after try 2: RangeError: full; continue charge after try 2',
    )
    expect(await s.during(s.app.unblockWorker('nobody'))).toBe(false)
  })

  test('reads 10,000 rows of a shard at most', () => {
    const rows = Array.from({ length: 10_005 }, (_, at) => parkedRow(`${at}`.padStart(5, '0')))
    const shard = {
      phase: { kind: 'open' },
      view: () => ({ rows: () => rows.values() }),
    }
    const entities = { shards: [shard, shard] } as unknown as Entities

    expect([...parkedActors(entities, 'order')]).toHaveLength(20_000)
  })
})

describe('the health of an instance', () => {
  test('counts the actors with parked steps, and shows the first ten steps', async () => {
    const s = await simulated({ app: supervisor('app', {}, kinds), shards: 2 })
    const orders = s.app.entity(kinds[0])
    const ids = Array.from({ length: 12 }, (_, at) => `${at}`)
    await s.during(Promise.all(ids.map((id) => call(orders.ref(id), 'charge'))))
    await s.during(call(s.app.entity(kinds[1]).ref('z'), 'charge'))
    await s.advance(1_000)

    const { parked, failing } = s.app.health().actors
    expect([parked.count, parked.first.length, failing.count]).toEqual([13, 10, 0])
    expect(new Set(parked.first.map(({ what }) => what))).toEqual(
      new Set(['continue charge', 'continue mail']),
    )
  })

  test('counts 1,000 of a shard at most while the counters cannot be used', () => {
    let read = 0
    const shard = {
      phase: { kind: 'open' },
      view: () => ({
        layers: { overlay: {}, projection: { get: () => undefined, position: () => ({ lsn: 1 }) } },
        *rows() {
          for (let at = 0; at < 100_000; at++) {
            read++
            yield parkedRow(String(at))
          }
        },
      }),
    }
    const entities = { shards: [shard, shard] } as unknown as Entities

    expect(parkedNow(entities, 'order')).toBe(2_000)
    expect(read).toBe(2_000)
  })
})

/** The row of the index for an actor with one parked step. */
const parkedRow = (id: string) => {
  const failure = failureOf({ next: 'unblock', error: new Error('no') }, 5)
  const step = { step: 'a/1/0', name: 'charge', payload: undefined, tries: 2, notBefore: 0 }
  const mark = { incarnation: '0123456789abcdef', seq: 1 }
  const after = { ...nothing, mark, steps: [{ ...step, wakeAt: 0, failure }] }
  const changes = rowChanges({ kind: 'order', id, entity: `order/${id}` }, nothing, after)
  const [key, bytes] = changes.find(([each]) => each.startsWith('\0x')) ?? []
  return [key, { value: { bytes } }]
}
