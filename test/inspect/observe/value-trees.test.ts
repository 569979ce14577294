/** Values of users as bounded trees: whatever they are, their trees are small and hold no secret. */
import { expect, test } from 'vitest'
import { redactedTree, shownTree } from '../../../src/inspect/observe/value-trees.ts'

const sizeOf = (value: unknown): number => JSON.stringify(redactedTree(value)).length

test('a tree has the members of plain data, maps, sets and errors by their names', () => {
  expect(shownTree({ a: 1, b: ['x', null, true] })).toEqual({
    type: 'object',
    size: 2,
    members: [
      ['a', 1],
      [
        'b',
        {
          type: 'array',
          size: 3,
          members: [
            ['0', 'x'],
            ['1', null],
            ['2', true],
          ],
        },
      ],
    ],
  })
  expect(shownTree(new Map([['k', 1n]]))).toEqual({
    type: 'map',
    size: 1,
    members: [['k', { text: '1n' }]],
  })
  expect(shownTree(new Set([Number.NaN]))).toMatchObject({ members: [['0', { text: 'NaN' }]] })
  expect(shownTree(new RangeError('far'))).toMatchObject({
    type: 'RangeError',
    members: [['message', 'far']],
  })
})

test('a field with the name of a secret is hidden, and says so', () => {
  const tree = redactedTree({ login: 'ann', password: 'canary' })

  expect(tree).toMatchObject({
    members: [
      ['login', 'ann'],
      ['password', { text: '[hidden string of 6]', isHidden: true }],
    ],
  })
  expect(JSON.stringify(tree)).not.toContain('canary')
})

test('a tree of a huge value is small, and so is one of a long text or of many levels', {
  tags: ['slow'],
}, () => {
  const wide = Array.from({ length: 300 }, () =>
    Array.from({ length: 300 }, () => 'x'.repeat(5_000)),
  )
  let deep: unknown = 1
  for (let at = 0; at < 10_000; at++) deep = { deep }

  expect(sizeOf(wide)).toBeLessThan(64 * 1024)
  expect(sizeOf('x'.repeat(100_000_000))).toBeLessThan(2_000)
  expect(sizeOf(new Uint8Array(100_000_000))).toBeLessThan(100)
  expect(sizeOf(deep)).toBeLessThan(1_000)
})

test('a cycle ends, a getter does not run, and a Proxy that throws is unreadable', () => {
  const cyclic: Record<string, unknown> = { name: 'a' }
  cyclic.self = cyclic
  const throwing = {
    get lazy(): never {
      throw new Error('it ran')
    },
  }
  const broken = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('it was asked')
      },
    },
  )

  expect(shownTree(cyclic)).toMatchObject({
    members: [
      ['name', 'a'],
      ['self', { text: '[circular]' }],
    ],
  })
  expect(shownTree(throwing)).toMatchObject({ members: [['lazy', '[getter]']] })
  expect(shownTree({ broken })).toMatchObject({
    members: [['broken', { text: expect.any(String) }]],
  })
  expect(redactedTree({ broken })).toMatchObject({ members: [['broken', expect.anything()]] })
})
