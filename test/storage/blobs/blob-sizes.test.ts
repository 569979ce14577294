/** The noted sizes of blob segments: a start refuses a folder that lost one, and no other folder. */
import { expect, test } from 'vitest'
import { lostSegments } from '../../../src/storage/blobs/blob-sizes.ts'
import { BlobWorld, codeThrown, dir, payload } from '../../support/worlds/blob-folder.ts'

test('a stream that is aborted after a put was noted is not missed', () => {
  const world = new BlobWorld()
  const { stream } = world.blobs.handle('streamOpen', null)
  world.blobs.handle('streamWrite', { stream, bytes: payload(1, 10_000) })
  const [ref] = world.put(payload(2))
  world.blobs.handle('streamAbort', { stream })

  expect(lostSegments(world.disk, dir)).toEqual([])
  world.disk.remove(world.file(ref as never))
  expect(lostSegments(world.disk, dir)).toMatchObject([{ isMissing: true }])
})

test('a folder without the note has the segments of earlier openings noted with the next put', () => {
  const world = new BlobWorld()
  const [before] = world.put(payload(1))
  world.disk.remove(`${dir}.sizes`)
  world.open()
  world.put(payload(2))

  world.disk.remove(world.file(before as never))
  expect(lostSegments(world.disk, dir)).toMatchObject([{ file: world.file(before as never) }])
})

test.each([
  ['removed', () => []],
  ['cut', <T>(refs: readonly T[]) => refs.slice(0, 1)],
] as const)('a segment that is %s after the note could not be lowered is not missed', (_, kept) => {
  const world = new BlobWorld()
  const refs = world.put(payload(1), payload(2))
  const path = `${dir}.sizes.tmp`
  world.disk.inject({ at: 1, operation: 'create', path, fault: { kind: 'error', code: 'ENOSPC' } })
  expect(codeThrown(() => world.clearAllBut(kept(refs)))).toBe('NO_SPACE')

  expect(world.clearAllBut(kept(refs))).toBeGreaterThan(0)

  expect(lostSegments(world.disk, dir)).toEqual([])
})

test('a segment without any byte, as a failed put leaves one, is not noted', () => {
  const world = new BlobWorld()
  world.disk.inject({ at: 1, operation: 'write', fault: { kind: 'error', code: 'ENOSPC' } })
  expect(codeThrown(() => world.put(payload(1)))).toBe('NO_SPACE')
  world.open()
  const [ref] = world.put(payload(2))
  world.clearAllBut([ref as never])

  const note = Buffer.from(world.disk.contents(`${dir}.sizes`)).toString()
  expect(note.split('\n').map((line) => line.split(' ')[0])).toEqual([`${ref?.segment}`, ''])
})
