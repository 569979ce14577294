/** What the prompt shows of the past of an entity. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, ok, reply, supervisor } from '../../../src/index.ts'
import { historyWords } from '../../../src/inspect/prompt/history-words.ts'
import { ShownValues } from '../../../src/inspect/prompt/shown-values.ts'
import { startSimulated } from '../../../src/testing/index.ts'

const order: DurableServer<{ calls: { add: () => void } }, number> = {
  init: () => ok(0),
  calls: { add: (count) => reply(undefined, count + 1) },
}

test('history goes on with the line that it ends with, whatever the id is', async () => {
  const orders = entity('order', order)
  const s = await startSimulated({ app: supervisor('app', {}, [orders]) })
  const words = historyWords(s.app, new ShownValues(false))
  for (const id of ['17', "it's", 'a\\', "\\'", '\u001b[2J', 'two\nlines', '\u202e']) {
    for (let turn = 0; turn < 2; turn++) await s.during(call(s.app.entity(orders).ref(id), 'add'))
    const { text } = await s.during(words.history('order', id, { limit: 1 }))
    const line =
      text
        .split('\n')
        .at(-1)
        ?.replace(/ continues$/, '') ?? ''

    expect(line).toMatch(/^history\([\u0020-\u007e]+\)$/)
    const given = new Function('history', `return ${line}`) as (word: unknown) => unknown[]
    const next = await s.during(words.history(...given((...args: unknown[]) => args)))
    expect(next.text).toMatch(/birth.*there is nothing before$/s)
  }
  await s.close()
})
