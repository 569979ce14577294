import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { entity, supervisor } from '../../../src/index.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { wordHelp } from '../../../src/inspect/prompt/word-help.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

/** The methods of a handle, including inherited ones. */
const methodsOf = (handle: object): string[] => {
  const names: string[] = []
  for (
    let at = Object.getPrototypeOf(handle);
    at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  )
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (name !== 'constructor' && typeof value === 'function') names.push(name)
  return names.sort()
}

/** The calls that a help page names, without their descriptions. */
const callsOf = (help: string): string[] =>
  help
    .split('\n')
    .flatMap((line) => [...(line.split(/ {2,}/)[0] ?? '').matchAll(/(\w+)\(/g)])
    .map(([, name]) => name ?? '')
    .sort()

test('each word that docs/repl.md gives an iex user is a word of the prompt', {
  tags: ['O12'],
}, async () => {
  const { app } = await started()
  const [, table = ''] =
    /## Coming from iex\n\n(.*?)\n\n/s.exec(readFileSync('docs/repl.md', 'utf8')) ?? []
  const ours = table.split('\n').flatMap(
    (row) =>
      row
        .split('|')
        .at(-2)
        ?.match(/`[^`]+`/g) ?? [],
  )
  const words = ours.map((code) => /^`(\w+)/.exec(code)?.[1] ?? code)

  const known = [...Object.keys(promptWords(app, plainPaint)), '_', 'import', 'keelson']
  expect(words.length).toBeGreaterThan(20)
  expect(words.filter((word) => !known.includes(word))).toEqual([])
})

describe('h', () => {
  test.each(['store', 'control', 'flow'] as const)(
    'names every method of %s, and none that it has not',
    async (name) => {
      const { app } = await started()

      const handle = promptWords(app, plainPaint)[name] as object
      expect([...new Set(callsOf(wordHelp({}, name).text))]).toEqual(methodsOf(handle))
    },
  )

  test('of app names every part for users, and of entity every method of a handle', {
    tags: ['O9'],
  }, async () => {
    const world = await started({
      app: supervisor('app', {}, [entity('order', { init: () => 0 })]),
    })
    const words = promptWords(world.app, plainPaint)
    const h = words.h as (word: unknown) => { text: string }

    const inside = ['entities', 'shards']
    const parts = [...Object.keys(world.app), ...methodsOf(world.app)]
    for (const part of parts.filter((each) => !inside.includes(each)))
      expect(h(words.app).text, part).toMatch(new RegExp(`\\b${part}\\b`))
    expect(h('app').text).toBe(h(words.app).text)
    const handle = methodsOf(world.app.entity('order'))
    const calls = callsOf(h(words.entity).text.replaceAll('app.entity(kind).', ''))
    expect([...new Set(calls)].filter((each) => each !== 'entity')).toEqual(handle)
  })

  test('takes the word or its name, and lists the known words', async () => {
    const { app } = await started()
    const { h, help } = promptWords(app, plainPaint) as {
      h: (word?: unknown) => { text: string }
      help: () => { text: string }
    }

    expect(h(app.store).text).toBe(h('store').text)
    expect(h('store').text).toContain('store.batch()')
    expect(h().text).toBe(help().text)
    expect(h('kill').text).toMatch(/^kill\(p\) +ends a process/)
    expect(h(h).text).toContain('this list')
    for (const word of ['resume', 'send', 'batcher', 'app', 'quit'])
      expect(h(word).text).toContain(word)
    for (const unknown of ['toString', 'flows', 7, {}])
      expect(() => h(unknown)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
