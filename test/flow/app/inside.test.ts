/** What steps and jobs reach inside of their instance. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { take: (by: string) => string; free: () => void } }

const seatServer: DurableServer<Messages, string> = {
  init: () => 'nobody',
  calls: {
    take: (before, by) => reply(before, by),
    free: () => reply(undefined, 'nobody'),
  },
}
const seats = entity('seats', seatServer)

test('a step adds its job once, though a crash repeats it when the job is done', async () => {
  const sent: string[] = []
  const send = (to: string) => void sent.push(to)
  const mails = queue('mails', send, { unique: '1d' })
  let isFirst = true
  const order = workflow('order', (ctx: Ctx, to: string) =>
    ctx.step('mail', async ({ app, key }) => {
      const { repeated } = await flow(app).add(mails, to, { unique: key })
      if (!isFirst) return repeated
      isFirst = false
      simulation.clock.after(1_000, () => simulation.disk.halt())
      return new Promise<never>(() => undefined)
    }),
  )
  const parts = flows({ workflows: [order], queues: [mails] })
  const simulation = await simulated({ app: supervisor('app', {}, [parts]) })

  expect(await simulation.run(order, 'ada')).toMatchObject({ output: true, powerCuts: 1 })
  expect(sent).toEqual(['ada'])
})

test('steps, their undos and jobs reach the actors of their instance, over crashes too', {
  tags: ['slow'],
}, async () => {
  const told: unknown[] = []
  const mails = queue('mails', async (to: string, { app, key }) => {
    told.push(await call(app.entity(seats).ref('opera'), 'take', `mail to ${to}`, { id: key }))
  })
  const order = workflow('order', async (ctx: Ctx, by: string) => {
    await ctx.step(
      'hold',
      ({ app, key }) => call(app.entity(seats).ref('opera'), 'take', by, { id: key }),
      { undo: ({ app }) => call(app.entity(seats).ref('opera'), 'free') },
    )
    await ctx.step('mail', ({ app, key }) => flow(app).add(mails, by, { unique: key }))
    await ctx.sleep('later', '1m')
    throw new Error('no bank')
  })
  const parts = flows({ workflows: [order], queues: [mails] })
  const simulation = await simulated({ app: supervisor('app', {}, [seats, parts]) })

  const ran = await simulation.run(order, 'ada', { crashAfter: () => true })

  expect(ran.error?.message).toBe('no bank')
  expect(told).toEqual(['ada'])
  expect(simulation.app.entity(seats).state('opera')).toBe('nobody')
  const warnings = simulation.log.messages('warn').filter((line) => !/has closed/.test(line))
  expect(warnings).toEqual([])
})
