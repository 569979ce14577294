/** Entries of the directory: what a member wrote whole, for their name, and nothing else. */
import { expect, test } from 'vitest'
import { DirectoryEntry, entryIn, entryText } from '../../../src/storage/ports/cluster-engine.ts'
import { codeOf } from '../../support/error-codes.ts'

const read = (name: string, value: string) =>
  entryIn({ entries: new Map([[name, new DirectoryEntry(value, 1)]]) }, name)

test.each([
  [{}],
  [{ member: 'a', epoch: 1, free: true }],
  [{ words: '},"sum":7}', list: [{ sum: 3 }], none: undefined }],
  [{ täglich: '🎉\u2028"\\' }],
])('an entry is read as it was written: %j', (content) => {
  expect(read('shard/1', entryText('shard/1', content))).toEqual(content)
})

test('the text is JSON, with the sum as its last member: members of other builds read it', () => {
  expect(entryText('owner', { member: 'a', epoch: 3 })).toBe(
    '{"member":"a","epoch":3,"sum":3516168954}',
  )
  expect(entryText('owner', {})).toMatch(/^\{"sum":\d+\}$/)
})

test('an absent entry has no content', () => {
  expect(entryIn({ entries: new Map() }, 'owner')).toBeUndefined()
})

test('any other text is CORRUPT: another name, and each character changed, missing or doubled', () => {
  const value = entryText('shard/1', { member: 'a', epoch: 12 })
  expect(codeOf(() => read('shard/2', value))).toBe('CORRUPT')
  for (const other of [
    '',
    '{}',
    '{"sum":0}',
    '7',
    'null',
    `${value} `,
    value.replace('sum":', 'sum":0'),
  ])
    expect(
      codeOf(() => read('shard/1', other)),
      other,
    ).toBe('CORRUPT')
  for (let at = 0; at < value.length; at++) {
    const [before, here, behind] = [value.slice(0, at), value.charAt(at), value.slice(at + 1)]
    const others = [here === '1' ? '2' : '1', '', here + here]
    for (const other of others)
      expect(
        codeOf(() => read('shard/1', before + other + behind)),
        other,
      ).toBe('CORRUPT')
  }
})
