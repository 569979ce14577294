/** How large a map of LMDB begins, and when a commit is refused because a larger one has no room. */
import { describe, expect, test } from 'vitest'
import { spaceLeft } from '../../../src/storage/disk/address-space.ts'
import { firstMap, refuseFull, refuseGrowth } from '../../../src/storage/lmdb/lmdb-map.ts'

const MiB = 2 ** 20
const GiB = 1024 * MiB
const anySpace = Number.POSITIVE_INFINITY
const refused = expect.objectContaining({ code: 'NO_SPACE' })

describe('the first map', () => {
  test.each([
    ['is 1 GiB', 0, 64 * GiB, anySpace, GiB],
    ['is four times a large file', 3 * GiB, 64 * GiB, anySpace, 12 * GiB],
    ['is not larger than allowed', 3 * GiB, 10 * GiB, anySpace, 10 * GiB],
    ['holds the file, whatever is allowed', 3 * GiB, 2 * GiB, anySpace, 3 * GiB],
    ['takes an eighth of little address space', 0, 64 * GiB, 2 * GiB, 256 * MiB],
    ['holds the file, however little is left', 500 * MiB, 64 * GiB, GiB, 500 * MiB],
  ])('%s', (_, file, most, left, map) => {
    expect(firstMap(file, most, left)).toBe(map)
  })

  test('is refused where the file does not fit', () => {
    expect(() => firstMap(GiB, 64 * GiB, GiB)).toThrow(refused)
  })
})

describe('a commit', () => {
  const use = { pageBytes: 4096, lastPage: 1000, depth: 2, mapBytes: 64 * MiB }
  const growing = { entries: 25_000, bytes: 4 * MiB }

  test('that fits the map is taken whatever is allowed or left', () => {
    expect(() => refuseGrowth(use, { entries: 100, bytes: MiB }, 0, () => 0)).not.toThrow()
  })

  test('that may outgrow it is taken where a larger map is allowed and fits', () => {
    expect(() => refuseGrowth(use, growing, 64 * GiB, () => 8 * GiB)).not.toThrow()
  })

  test('that may outgrow it is refused where a larger map is not allowed, or does not fit', () => {
    expect(() => refuseGrowth(use, growing, 64 * MiB, () => anySpace)).toThrow(refused)
    expect(() => refuseGrowth(use, growing, 64 * GiB, () => 2 * GiB)).toThrow(refused)
  })
})

describe('a commit on a full disk', () => {
  const use = { pageBytes: 4096, lastPage: 100_000, depth: 3, mapBytes: GiB }
  const load = { entries: 1_000, bytes: MiB }

  test('is refused where the pages that it may add have no room', () => {
    expect(() => refuseFull(use, load, 11 * MiB)).toThrow(refused)
    expect(() => refuseFull(use, load, 13 * MiB)).not.toThrow()
  })

  test('writes no page of a small file twice', () => {
    expect(() => refuseFull({ ...use, lastPage: 10 }, load, 5 * MiB)).not.toThrow()
  })
})

test('the address space that is left is the limit without what is in use; without a limit it has no end', () => {
  const limits = (soft: string) => `Max file size   unlimited  unlimited  bytes
Max address space         ${soft}              unlimited            bytes     `
  const status = 'Name:\tnode\nVmPeak:\t 3000 kB\nVmSize:\t    2000 kB\n'

  expect(spaceLeft(limits('4096000'), status)).toBe(4_096_000 - 2_048_000)
  expect(spaceLeft(limits('1000'), status)).toBe(0)
  expect(spaceLeft(limits('unlimited'), status)).toBe(anySpace)
  expect(spaceLeft('', '')).toBe(anySpace)
})
