/** A delete of an entity that has never been: it does not bear it. */
import { afterEach, describe, expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  noReply,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { type Simulation, startSimulated } from '../../../src/testing/index.ts'
import { codeOf, failNextSync } from '../../support/worlds/simulated-instance.ts'

let s: Simulation
afterEach(() => s.close())

describe('a delete of an unborn one does not bear it', () => {
  type Greeting = { calls: { remove: (id: string) => boolean }; continues: { welcome: () => void } }
  const greeted = async () => {
    const welcomed: string[] = []
    const greeting: DurableServer<Greeting, number> = {
      init: () => ok(0, { continue: ['welcome'] }),
      calls: {
        remove: async (count, id, { app }) =>
          reply(await app.entity('greeting').delete(id), count + 1),
      },
      continues: {
        welcome: (count, _, { id }) => {
          welcomed.push(id)
          return noReply(count)
        },
      },
    }
    const kind = entity('greeting', greeting)
    s = await startSimulated({ app: supervisor('app', {}, [kind]) })
    return { welcomed, handle: s.app.entity(kind) }
  }

  test('if it is at rest', async () => {
    const { welcomed, handle } = await greeted()
    expect(await s.during(handle.delete('nobody'))).toBe(false)
    const asked = [call(handle.ref('one'), 'remove', 'b'), call(handle.ref('one'), 'remove', 'c')]
    expect(await s.during(Promise.all(asked))).toEqual([false, false])
    await s.advance(1_000)
    expect([welcomed, handle.list({ states: false }).entries.length]).toEqual([['one'], 1])
    expect(await s.during(handle.delete('one'))).toBe(true)
  })

  test('if it has a process of a call that came while its shard was down', async () => {
    const { welcomed, handle } = await greeted()
    failNextSync(s.disk)
    expect(await s.during(codeOf(s.app.store.put('k', 1)))).toBe('UNKNOWN_OUTCOME')
    expect(await s.during(codeOf(call(handle.ref('nobody'), 'remove', 'b')))).toBe('SHARD_DOWN')
    expect(await s.during(codeOf(handle.delete('nobody')))).toBe('SHARD_DOWN')
    await s.during(s.app.control.reopen(0))
    expect(await s.during(handle.delete('nobody'))).toBe(false)
    await s.advance(1_000)
    expect([welcomed, handle.list({ states: false }).entries]).toEqual([[], []])
  })
})
