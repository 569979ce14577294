/** Texts of users as they are printed on a terminal. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, ok, reply, supervisor } from '../../../src/index.ts'
import { processWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { printable, printableAnswer, printableJson } from '../../../src/inspect/text/paint.ts'
import { session } from '../../support/worlds/prompted-instance.ts'

test('control characters, separators and marks of direction are written out, all else is left', () => {
  expect(printable('evil\u001b[31m\nname.wal')).toBe('evil\\u{1b}[31m\\u{a}name.wal')
  expect(printable('\u009b\u007f\u2028\u202e')).toBe('\\u{9b}\\u{7f}\\u{2028}\\u{202e}')
  expect(printable('größe 😀 "日本".wal')).toBe('größe 😀 "日本".wal')
})

test('of an answer the lines and the colours are left, and no other sequence', () => {
  const coloured = '\u001b[32m"a"\u001b[39m:\n\t\u001b[1mnull\u001b[22m'
  expect(printableAnswer(coloured)).toBe(coloured)
  expect(printableAnswer('\u001b[2Ja\u001b]52;c;eA==\u0007\u001b[8mb\u001b[')).toBe(
    '\\u{1b}[2Ja\\u{1b}]52;c;eA==\\u{7}\\u{1b}[8mb\\u{1b}[',
  )
})

test('JSON stays JSON, and says the same', () => {
  const json = JSON.stringify('a\u001b\u009b\u2028\u202eb')
  expect(printableJson(json)).toBe('"a\\u001b\\u009b\\u2028\\u202eb"')
  expect(JSON.parse(printableJson(json))).toBe(JSON.parse(json))
})

/** It would set the clipboard, colour what follows, and add a row to a table. */
const evil = 'x\u001b]52;c;eA==\u0007\u001b[31m\r\n<9> forged'

const order: DurableServer<{ calls: { set: (to: string) => void } }, string> = {
  init: () => ok(''),
  calls: { set: (_, to) => reply(undefined, to) },
}

/** Any but the end of a line. */
const control = /(?!\n)\p{Cc}/u

test('an id of an entity adds no row to what the prompt prints, and moves no cursor', async () => {
  const orders = entity('order', order)
  const { ask, app, during } = await session({ app: supervisor('app', {}, [orders]) })
  await during(call(app.entity(orders).ref(evil), 'set', 'paid'))
  const { pid } = app.entity(orders).ref(evil)

  for (const line of [
    'ps({ all: true })',
    'top()',
    "top('memory', 100)",
    'tree(order)',
    `tree(${pid})`,
    `info(${pid})`,
    `trace(${pid}, 0)`,
    `crashes(${pid})`,
    `entity('order', ${JSON.stringify(evil)})`,
    "entities('order')",
    `suspend(${pid})`,
    `resume(${pid})`,
    `kill(${pid})`,
  ]) {
    const answer = await ask(line)
    expect(answer, line).toContain('x\\u{1b}]52')
    expect(answer, line).not.toMatch(control)
    expect(answer, line).not.toMatch(/^<9> forged/m)
  }
})

test('a name that a terminal cannot show is not offered as a word', async () => {
  const { app, during } = await session({ app: supervisor('app', {}, [entity('order', order)]) })
  for (const id of ['42', evil])
    await during(call(app.entity(entity('order', order)).ref(id), 'set', 'paid'))

  expect(processWords(app)).toContain('order/42')
  expect(processWords(app).filter((word) => control.test(word))).toEqual([])
})

test('an error within a value is printed without its control characters', async () => {
  for (const colours of [false, true]) {
    const words = { error: Object.assign(new Error(evil), { stack: `Error: ${evil}` }) }
    const options = { words, colours, verbose: false, completions: () => [] }
    const { text } = await new LocalSession(options).run('[error]')
    expect(text).toContain('x\\u{1b}]52;c;eA==\\u{7}')
  }
})
