import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { LineScope } from '../../../src/inspect/prompt/evaluation.ts'

const scope = new LineScope()

const resultOf = async (source: string, within = scope): Promise<unknown> => {
  const outcome = await within.evaluate(source)
  if (outcome.kind !== 'value') throw new Error(`${source}: ${inspect(outcome)}`)
  return outcome.value
}

const kindOf = async (source: string): Promise<string> => (await scope.evaluate(source)).kind

describe('a line', () => {
  for (const [source, expected] of [
    ['1 + 1', 2],
    ['{ a: 1, b: 2 }', { a: 1, b: 2 }],
    ['{ let z1 = 1; z1 + 1 }', 2],
    ['if (true) { 7 }', 7],
    ['Promise.resolve(9)', 9],
    ['await Promise.resolve(4)', 4],
    ['await Promise.resolve(4);', 4],
    ['(await Promise.resolve({ a: 4 })).a + 1 // four and one', 5],
    ["'await a; b'", 'await a; b'],
    ["(await Promise.resolve('a;b')) + ';c'", 'a;b;c'],
    ["(await import('node:path')).basename('/a/b')", 'b'],
    ['[1, 2].map((x) => {\n  return x * 2\n})', [2, 4]],
    ['await (async () => { const q = await 1; return q + 1 })()', 2],
  ] as const)
    test(`gives what it says: ${source.replaceAll('\n', '⏎')}`, async () => {
      expect(await resultOf(source)).toEqual(expected)
    })

  test('keeps its declarations for later lines, awaited or not', async () => {
    await resultOf('var kept1 = 1; function kept2() { return kept1 + 1 }')
    await resultOf('let kept3 = await Promise.resolve(kept2() + 1)')
    await resultOf(
      "var { a: kept4, b: { c: kept5 } = { c: '=' } } = await Promise.resolve({ a: 4 })",
    )
    await resultOf('kept1 = await Promise.resolve(10); var kept6 = kept1; await 0')

    expect(await resultOf('[kept1, kept2(), kept3, kept4, kept5, kept6]')).toEqual([
      10,
      11,
      3,
      4,
      '=',
      10,
    ])
  })

  test('of several statements with await gives what the last one gives', async () => {
    expect(await resultOf('const seq1 = await 1; const seq2 = (await 2) + seq1; seq2 + 1')).toBe(4)
    expect(await resultOf('seq2')).toBe(3)
  })

  test('may loop and choose with await', async () => {
    const loop = 'var sum1 = 0; for (let i = 0; i < 3; i++) { await 0; sum1 += i; }; sum1'

    expect(await resultOf(loop)).toBe(3)
  })

  test('may declare a name again, and a failed declaration does not take it', async () => {
    const own = new LineScope()
    await resultOf('const again = 1; class Again {}', own)
    await resultOf('let again = 2; class Again { two() {} }', own)
    expect(await resultOf('[again, Object.getOwnPropertyNames(Again.prototype)]', own)).toEqual([
      2,
      ['constructor', 'two'],
    ])

    await own.evaluate("const again = (() => { throw new Error('no') })()")
    await resultOf('const again = await 3', own)
    expect(await resultOf('again', own)).toBe(3)
  })

  test('sees the words and declarations of its own session, and leaves no global behind', async () => {
    const globals = Object.getOwnPropertyNames(globalThis)
    const [one, other] = [new LineScope({ word: 'one' }), new LineScope({ word: 'other' })]
    await resultOf('var a = word; function f() { return a }; const c = await word', one)
    await resultOf("const a = 'mine', c = 'also'", other)

    expect(await resultOf('[f(), a, c]', one)).toEqual(['one', 'one', 'one'])
    expect(await resultOf('[word, a, c]', other)).toEqual(['other', 'mine', 'also'])
    expect((await other.evaluate('f')).kind).toBe('error')
    expect(await resultOf('typeof toString + typeof f', other)).toBe('functionundefined')
    expect(await resultOf('this', one)).toBe(globalThis)
    expect(Object.getOwnPropertyNames(globalThis)).toEqual(globals)
  })

  test('shares the realm of the program, so that its values are plain ones', async () => {
    expect(Object.getPrototypeOf(await resultOf('({})'))).toBe(Object.prototype)
    expect(await resultOf('new Map()')).toBeInstanceOf(Map)
  })

  for (const source of ['', '  ', '// a word', '/* a\n word */'])
    test(`without anything in it gives nothing: ${JSON.stringify(source)}`, async () => {
      expect(await kindOf(source)).toBe('nothing')
    })

  for (const source of [
    'throw new Error("no")',
    'await Promise.reject(new Error("no"))',
    'Promise.reject(new Error("no"))',
    'nobodyKnowsThis',
    'let twice1 = 1; let twice1 = 2',
    'foo(1 2)',
    'await foo(1 2)',
    'await 1 1',
    ')',
    '{ a: 1 }}',
    "'abc",
    'await "abc',
  ])
    test(`that is wrong gives its error: ${source}`, async () => {
      const outcome = await scope.evaluate(source)

      expect(outcome.kind).toBe('error')
      expect(outcome.kind === 'error' && outcome.error).toBeInstanceOf(Error)
    })
})

describe('an unfinished line', () => {
  for (const source of [
    'function f(',
    'function f() {',
    'f(1',
    'f(g(1, 2)',
    'f([g(1',
    'f({ a: 1',
    '[1, 2',
    '({ a: 1',
    '{ a: 1,',
    '`text',
    '`${1',
    '/* a word',
    'const x =',
    '1 +',
    'if (true) {',
    '[1].map((x) => {',
    'await f(',
    'await f(1',
    'await f({ a: 1 }',
    'const y = await f(',
    'for (const x of []) { await x;',
    'await Promise.all([',
  ])
    test(`waits for more: ${source}`, async () => {
      expect(await kindOf(source)).toBe('unfinished')
    })

  test('is run once, when its last line has come', async () => {
    await resultOf('var runs1 = 0; var count1 = async (x) => { runs1++; return x }')

    expect(await kindOf('await count1(\n')).toBe('unfinished')
    expect(await resultOf('await count1(\n5\n)')).toBe(5)
    expect(await resultOf('runs1')).toBe(1)
  })
})

test('a long line of statements is read in one go', { tags: ['slow'] }, async () => {
  const statements = Array.from({ length: 200 }, (_, at) => `await ${at}`).join('; ')
  const body = Array.from({ length: 200 }, (_, at) => `await ${at};`).join('\n')

  expect(await resultOf(statements)).toBe(199)
  expect(await resultOf(`await (async () => { ${body} return 1 })()`)).toBe(1)
  expect(await kindOf(`(async () => { ${body} return [`)).toBe('unfinished')
})

describe('_', () => {
  test('is the value of the line before, awaited; an error leaves it', {
    tags: ['O12'],
  }, async () => {
    const own = new LineScope()

    expect(await resultOf('_', own)).toBe(undefined)
    await resultOf('Promise.resolve(20)', own)
    expect(await resultOf('_ + 1', own)).toBe(21)
    await own.evaluate('throw new Error()')
    expect(await resultOf('_', own)).toBe(21)
  })
})

describe('a static import', () => {
  const own = new LineScope()

  for (const [source, name, expected] of [
    ["import path1 from 'node:path'", 'path1.sep', '/'],
    ["import * as path2 from 'node:path';", 'path2.sep', '/'],
    ['import { sep as sep3, basename } from "node:path"', "sep3 + basename('/a/b')", '/b'],
    ["import path4, { sep as sep4 } from 'node:path'", 'path4.sep + sep4', '//'],
    ["import path5, * as all5 from 'node:path'", 'path5 === all5.default', true],
    ["import {\n  sep as sep6,\n} from 'node:path'", 'sep6', '/'],
    ["import 'node:path'", '1', 1],
    ["import { sep as sep7 } from 'node:path'; const twice7 = sep7 + sep7", 'twice7', '//'],
  ] as const)
    test(`declares what it names: ${source.replaceAll('\n', '⏎')}`, { tags: ['O12'] }, async () => {
      await own.evaluate(source)
      expect(await resultOf(name, own)).toBe(expected)
    })

  test('of a name or a module that is not there is an error', async () => {
    expect(await own.evaluate("import { nothing } from 'node:path'")).toMatchObject({
      error: { message: "the module 'node:path' has no export named 'nothing'" },
    })
    expect(await own.evaluate("import x8 from './no-such-module.mjs'")).toMatchObject({
      error: { code: 'ERR_MODULE_NOT_FOUND' },
    })
    expect((await own.evaluate("import x from 'node:path' extra")).kind).toBe('error')
  })

  test('may be unfinished', async () => {
    for (const source of ['import {', 'import { a,', 'import * as', 'import', 'import a from'])
      expect((await own.evaluate(source)).kind, source).toBe('unfinished')
    expect((await own.evaluate("import 'x' from")).kind).toBe('error')
  })
})
