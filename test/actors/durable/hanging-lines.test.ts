/** A handler that does not end is one line of the log, and a fact of `health()`. Its end is another line. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { ship: () => void }; continues: { ship: () => void } }

test('a step that hangs is said once after 10 s, and when it ends', async () => {
  let end: () => void = () => undefined
  const server: DurableServer<Messages, { n: number }> = {
    init: () => ({ n: 0 }),
    calls: { ship: (state) => reply(undefined, { ...state }, { continue: ['ship'] }) },
    continues: {
      ship: (state) =>
        new Promise((resolve) => {
          end = () => resolve(noReply({ ...state }))
        }),
    },
  }
  const order = entity('order', server)
  const log = capturedLog()
  const s = await simulated({ app: supervisor('app', {}, [order]), logger: log })
  const lines = () => [...log.messages('warn'), ...log.messages('info')]
  await s.during(call(s.app.entity(order).ref('1'), 'ship'))
  await s.advance(4_000)
  await s.during(call(s.app.entity(order).ref('2'), 'ship'))
  await s.advance(5_900)
  expect(lines()).toEqual([])
  await s.advance(200)
  const said = 'order/1: continue ship hangs: it has run for 10 s, and order/1 handles nothing else'
  expect(lines()).toEqual([said])
  await s.advance(20_000)
  expect(lines()).toEqual([said, said.replaceAll('order/1', 'order/2')])

  end()
  await s.advance(100)
  expect(log.messages('info')).toEqual(['order/2: continue ship has ended after 26 s'])
})

test('a call that hangs is said once after 10 s, is in health() while it does, and when it ends or its actor does', async () => {
  let end: () => void = () => undefined
  const server: DurableServer<{ calls: { save: () => void } }, { n: number }> = {
    init: () => ({ n: 0 }),
    calls: {
      save: (state) =>
        new Promise((resolve) => {
          end = () => resolve(reply(undefined, { ...state }))
        }),
    },
  }
  const order = entity('order', server)
  const log = capturedLog()
  const s = await simulated({ app: supervisor('app', {}, [order]), logger: log })
  const hanging = () => s.app.health().actors.hanging
  const begin = s.clock.now()
  const [first, second] = ['1', '2'].map((id) =>
    call(s.app.entity(order).ref(id), 'save', undefined, { timeoutMs: 60_000 }).catch(
      ({ code }) => code,
    ),
  )
  await s.advance(9_900)
  expect(hanging().count).toBe(0)
  expect(log.messages('warn')).toEqual([])
  await s.advance(200)
  const said = 'order/1: call save hangs: it has run for 10 s, and order/1 handles nothing else'
  expect(log.messages('warn')).toEqual([said, said.replaceAll('order/1', 'order/2')])
  expect(hanging()).toMatchObject({
    count: 2,
    first: [
      { entity: 'order/1', what: 'call save', isRecorded: false },
      { entity: 'order/2', what: 'call save', isRecorded: false },
    ],
  })
  expect((hanging().first[0]?.since ?? 0) - begin).toBeLessThan(100)

  end()
  await s.during(second)
  expect(log.messages('info')).toContain('order/2: call save has ended after 10 s')
  s.app.system.kill('order/1' as never)
  await s.advance(100)
  expect(await first).toBe('EXITED')
  expect(hanging().count).toBe(0)
})
