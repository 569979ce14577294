/** The bound of an entity's mailbox: that of its kind, or else that of every process. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { wait: () => void } }

test.each<[string, object, number]>([
  ['of its kind', { mailboxMax: 2 }, 2],
  ['of every process, if the kind says nothing', {}, 20],
])('an entity refuses calls beyond the bound %s', async (_, options, places) => {
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const server: DurableServer<Messages, number> = {
    init: () => 0,
    calls: {
      wait: async (count) => {
        await gate
        return reply(undefined, count + 1)
      },
    },
  }
  const kind = entity('gate', server, options)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const ref = s.app.entity(kind).ref('a')
  const first = codeOf(call(ref, 'wait'))
  await s.advance(10)
  const others = Array.from({ length: 20 }, () => codeOf(call(ref, 'wait')))
  open()
  const codes = await s.during(Promise.all([first, ...others]))
  expect(codes.filter((code) => code === 'ok')).toHaveLength(1 + places)
  expect(codes.filter((code) => code === 'MAILBOX_FULL')).toHaveLength(20 - places)
})
