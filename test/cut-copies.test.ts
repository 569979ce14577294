/** A value of which a part is shown is shown with its true size, whoever prints it. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { redactedTree, shownTree } from '../src/inspect/observe/value-trees.ts'
import { ShownValues } from '../src/inspect/prompt/shown-values.ts'
import { redacted, shapeText } from '../src/redaction.ts'
import { plainText } from '../src/value-text.ts'

const sizes = [1, 100, 101, 334, 1_001]

/** A member with so many fields: the more it has, the fewer are copied. */
const memberOf = (fields: number, at: number): unknown =>
  fields === 0
    ? `member-${at}`
    : {
        at: `member-${at}`,
        token: 'canary',
        ...Object.fromEntries(Array.from({ length: fields }, (_, each) => [`f${each}`, each])),
      }

type Kind = 'Map' | 'Set' | 'array'

const listOf = (kind: Kind, size: number, fields: number): object => {
  const members = Array.from({ length: size }, (_, at) => memberOf(fields, at))
  if (kind === 'array') return members
  return kind === 'Set' ? new Set(members) : new Map(members.map((each, at) => [at, each]))
}

const kinds: readonly Kind[] = ['Map', 'Set', 'array']
const cases = kinds.flatMap((kind) => [0, 2, 30].map((fields) => [kind, fields] as const))

/** How many members a text shows and says that it does not show. */
const countedIn = (text: string): number =>
  (text.match(/member-\d+/g) ?? []).length + Number(/(\d+) more item/.exec(text)?.[1] ?? 0)

const printed = (value: unknown, depth = 4): string =>
  inspect(new ShownValues().printed(value, depth), { depth, maxArrayLength: 100 })

describe.each(cases)('of a %s whose members have %i fields', (kind, fields) => {
  test.each(sizes)('with %i members the prompt shows the size', (size) => {
    const value = listOf(kind, size, fields)
    for (const text of [printed(value), printed([{ list: value }])]) {
      expect(countedIn(text)).toBe(size)
      if (kind !== 'array') expect(text).toContain(`${kind}(${size}) {`)
      expect(text).not.toContain('canary')
    }
  })

  test.each(sizes)('with %i members the page and the lines of the log have the size', (size) => {
    const value = listOf(kind, size, fields)
    const tree = redactedTree({ value })
    expect(tree).toMatchObject({ members: [['value', { size }]] })
    expect(JSON.stringify(tree)).not.toMatch(/\d more/)
    const copy = redacted(value)
    expect(shapeText(copy)).toMatch(new RegExp(` of ${size}$`))
    if (kind !== 'array') expect(plainText(copy, 100)).toContain(`${kind}(${size}) {`)
  })
})

test('a value that is shown is shown again with its size, also after a link has carried it', () => {
  for (const kind of kinds) {
    const once = redacted(listOf(kind, 1_000, 5))
    for (const again of [once, structuredClone(once)]) {
      expect(countedIn(printed(again)), kind).toBe(1_000)
      expect(countedIn(printed(redacted(again))), kind).toBe(1_000)
      expect(shownTree(again)).toMatchObject({ size: 1_000 })
    }
  }
})

test('members that are shown by one text are counted one by one', () => {
  const promises = [1, 2, 3].map((each) => Promise.resolve(each))
  expect(printed(new Set(promises))).toBe("Set(3) { '[object Promise]', ... 2 more items }")
  expect(printed(new Map(promises.map((each) => [each, 1])))).toBe(
    "Map(3) { '[object Promise]' => 1, ... 2 more items }",
  )
})

test('a member with the name of the mark is counted', () => {
  const members = Array.from({ length: 1_999 }, (_, at): [unknown, unknown] => [at, { at }])
  expect(printed(new Map([['…', { at: 0 }], ...members]))).toContain('Map(2000) {')
})

test('bytes and texts, which are not copied, have their sizes', () => {
  expect(printed([Buffer.alloc(5_000), new Float64Array(5_000)])).toMatch(
    /4950 more bytes>,\s+Float64Array\(5000\) \[[\s\S]* 4900 more items/,
  )
  expect(inspect(redacted({ text: 'a'.repeat(20_000) }))).toMatch(/ 10000 more characters/)
})

test('of an object, so many fields as are left out are counted', () => {
  const value = Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`f${at}`, at]))
  expect(printed(value)).toContain("'…': '… 1000 more'")
  expect(redactedTree(value)).toMatchObject({ size: 2_000 })
  expect(shapeText(redacted(value))).toBe('object of 2000')
})

test('a cut list that contains itself is printed', () => {
  for (const list of [[] as unknown[], new Set<unknown>(), new Map<unknown, unknown>()]) {
    const add = (item: unknown): unknown =>
      Array.isArray(list)
        ? list.push(item)
        : list instanceof Map
          ? list.set(item, item)
          : list.add(item)
    add(list)
    for (let at = 0; at < 2_000; at++) add({ at })
    expect(printed(list, 50)).toMatch(/\[Circular.* 1901 more items/s)
  }
})

test('at the end of the depth of a printer it is one word', () => {
  expect(printed([[listOf('Map', 1_000, 5)]], 1)).toBe('[ [ [Map] ] ]')
})
