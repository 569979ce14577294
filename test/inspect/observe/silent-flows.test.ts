import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import { FlowWords } from '../../../src/inspect/prompt/flow-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { Views } from '../../../src/observe/index.ts'
import { suspend } from '../../../src/runtime/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

test('a queue that does not answer is named with its error, and hides no other queue and no workflow', async () => {
  const mails = queue('mails', () => 1, { retry: { max: 1 } })
  const prints = queue('prints', () => 1)
  const order = workflow('order', async (_: Ctx) => 1, { keep: { completed: '1h' } })
  const w = await flowWorld([order], { queues: [mails, prints] })
  await w.during(w.flow.add(mails, 1))
  await w.during(w.flow.add(prints, 1))
  await w.during(w.flow.start(order, undefined, { id: '1' }))
  await w.s.advance(1_000)
  const { entities } = w.s.app
  const held = entities.kinds.find((kind) => kind.includes('mails')) as string
  await w.during(suspend(entities.holder(`${held}/queue`)?.address as never))

  const observer = new Observer(w.s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const answered = await w.during(observer.answer({ id: 1, look: 'flows', query: {} }))
  const { data } = (answered as { answer: { data: Views['flows']['data'] } }).answer
  expect(data.silent).toEqual([{ name: 'mails', code: 'TIMEOUT' }])
  expect(data.queues.map(({ name }) => name)).toEqual(['prints'])
  expect(data.workflows).toMatchObject([{ type: 'order', counts: { completed: 1 } }])

  const shown = String(await w.during(new FlowWords(w.s.app, plainPaint).list()))
  expect(shown).toContain('mails does not answer: ')
  expect(shown).toMatch(/^prints /m)
})
