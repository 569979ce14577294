import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import { FlowWords } from '../../../src/inspect/prompt/flow-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { Views } from '../../../src/observe/index.ts'
import { resume, suspend } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf, failNextSync } from '../../support/worlds/simulated-instance.ts'

/** The looks of a page at an instance. */
const page = (app: App, during: <T>(work: Promise<T>) => Promise<T>) => {
  const observer = new Observer(app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  return async <V extends 'flows' | 'entities'>(view: V): Promise<Views[V]['data']> => {
    const answered = await during(observer.answer({ id: 1, look: view, query: {} }))
    return (answered as { answer: { data: Views[V]['data'] } }).answer.data
  }
}

test('a queue that does not answer is named with its error until it does, and hides no other queue and no workflow', async () => {
  const mails = queue('mails', () => 1, { retry: { max: 1 } })
  const prints = queue('prints', () => 1)
  const order = workflow('order', async (_: Ctx) => 1, { keep: { completed: '1h' } })
  const w = await flowWorld([order], { queues: [mails, prints] })
  await w.during(w.flow.add(mails, 1))
  await w.during(w.flow.add(prints, 1))
  await w.during(w.flow.start(order, undefined, { id: '1' }))
  await w.s.advance(1_000)
  const { entities } = w.s.app
  const kind = entities.kinds.find((kind) => kind.includes('mails')) as string
  const held = entities.holder(`${kind}/queue`)?.address as never
  await w.during(suspend(held))

  const look = page(w.s.app, w.during)
  const data = await look('flows')
  expect(data.silent).toEqual([{ name: 'mails', code: 'TIMEOUT' }])
  expect(data.queues.map(({ name }) => name)).toEqual(['prints'])
  expect(data.workflows).toMatchObject([{ type: 'order', counts: { completed: 1 } }])

  const shown = String(await w.during(new FlowWords(w.s.app, plainPaint).list()))
  expect(shown).toContain('mails does not answer: ')
  expect(shown).toMatch(/^prints /m)

  await w.during(resume(held))
  await w.s.advance(30_001)
  expect((await look('flows')).silent).toEqual([])
})

test('with a shard that is down the page shows the queues of the others, and all kinds', async () => {
  const names = [...'abcdef']
  const order = workflow('order', async (_: Ctx) => 1)
  const queues = names.map((name) => queue(name, () => 1))
  const w = await flowWorld([order], { queues, options: { shards: 2, allowDown: true } })
  const { store, entities } = w.s.app
  const key = names.find((each) => store.shardOf(each) === 1) as string
  failNextSync(w.s.disk, 1)
  expect(await w.during(codeOf(store.put(key, 1)))).toBe('UNKNOWN_OUTCOME')
  const isDown = (name: string) => entities.shardOf(`$queue-${name}/queue`).index === 1
  const down = names.filter(isDown)
  expect([0, names.length]).not.toContain(down.length)

  const look = page(w.s.app, w.during)
  const { queues: shown, silent, schedules } = await look('flows')
  expect(shown.map(({ name }) => name)).toEqual(names.filter((name) => !isDown(name)))
  expect(silent).toEqual(
    ['order', ...down, 'schedules'].map((name) => ({ name, code: 'SHARD_DOWN' })),
  )
  expect(schedules.rows).toEqual([])
  expect((await look('entities')).kinds.map(({ kind }) => kind)).toEqual(entities.kinds)
})
