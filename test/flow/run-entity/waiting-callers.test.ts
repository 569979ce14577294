/** The memory of callers that wait for the end of a job or a run, or for an answer, beyond their time. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { Ctx } from '../../../src/flow/index.ts'
import { queue, workflow } from '../../../src/flow/index.ts'
import { call } from '../../../src/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const ask = call as (...given: readonly unknown[]) => Promise<unknown>
const mails = queue('mails', () => new Promise(() => undefined))
const order = workflow('order', async (ctx: Ctx<object, { add: (item: string) => string }>) => {
  ctx.onUpdate('add', (_, own) => own.step('never', () => new Promise<string>(() => undefined)))
  await ctx.step('pack', () => new Promise(() => undefined))
})

test.for([
  ['the end of a job', '$queue-mails', 'queue', 'result', 1],
  ['the end of a run', '$flow-order', '1', 'result', undefined],
  ['the answer of an update', '$flow-order', '1', 'update', { name: 'add', value: 'tea', id: 'x' }],
] as const)(
  'a caller that waited too long for %s is kept no longer',
  { tags: ['slow'] },
  async ([, kind, id, name, payload]) => {
    const w = await flowWorld([order], { queues: [mails] })
    await w.during(w.flow.add(mails, 'hello'))
    await w.during(w.flow.start(order, undefined, { id: '1' }))
    const ref = w.s.app.entity(kind).ref(id)
    const waiting = (): WeakRef<object> => {
      const answer = ask(ref, name, payload, { timeoutMs: 1_000 })
      answer.catch(() => undefined)
      return new WeakRef(answer)
    }
    const waits = Array.from({ length: 100 }, waiting)
    await w.s.advance(2_000)
    await new Promise((resolve) => setImmediate(resolve))

    collect()

    expect(waits.filter((wait) => wait.deref() !== undefined).length).toBeLessThan(5)
  },
)
