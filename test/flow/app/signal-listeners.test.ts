/** What a listener of a signal throws is logged, and ends neither its job, step or work, nor the program. */
import { expect, test } from 'vitest'
import { type Ctx, queue, type Try, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

const listening = async ({ signal }: Pick<Try, 'signal'>): Promise<void> => {
  signal.addEventListener('abort', () => {
    throw new Error('thrown by a listener')
  })
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

test.for(['job', 'step'] as const)('of a %s whose time is up', async (what) => {
  const mails = queue('mails', (_: unknown, attempt: Try) => listening(attempt), {
    retry: { max: 1, baseMs: 10 },
    timeout: 1_000,
  })
  const order = workflow('order', (ctx: Ctx) =>
    ctx.step('wait', listening, { retry: { max: 1, baseMs: 10 }, timeout: 1_000 }),
  )
  const w = await flowWorld([order], { queues: [mails] })
  if (what === 'job') await w.during(w.flow.add(mails, undefined))
  else await w.during(w.flow.start(order, undefined, { id: '1' }))

  await w.s.advance(5_000)
  await new Promise((resolve) => setImmediate(resolve))

  if (what === 'job') expect(w.flow.dead(mails).entries).toHaveLength(1)
  else expect(w.flow.get(order, '1')?.status).toBe('failed')
  const lines = w.s.log.lines.map(({ message }) => message)
  expect(lines.filter((line) => line.startsWith('a listener of the signal of'))).toHaveLength(1)
})
