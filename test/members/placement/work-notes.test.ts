/** The notes of what members do by themselves. */
import { expect, test, vi } from 'vitest'
import { WorkNotes } from '../../../src/members/placement/work-notes.ts'
import { DiskError } from '../../../src/storage/index.ts'
import { simulatedDisk, virtualClock } from '../../../src/testing/index.ts'

const world = () => {
  const disk = simulatedDisk({ seed: 1 })
  const clock = virtualClock()
  disk.makeFolder('/data')
  let starts = 0
  const notes = (member: string) => new WorkNotes(disk, '/data', clock, member, `${++starts}`)
  const files = () => disk.list('/data/at-work')
  return { disk, clock, notes, files }
}

const none = new Set<string>()

test('work counts the members that ended under it, also when they are back, and each end once', () => {
  const { notes, files } = world()
  const survivor = notes('c')
  notes('a').begins('bomb/1 alarm boom')
  survivor.look(none)
  survivor.look(none)
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(1)
  expect(survivor.endsUnder('bomb/2 alarm boom')).toBe(0)

  const again = notes('a')
  survivor.look(new Set(['a']))
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(1)
  again.begins('bomb/1 alarm boom')
  survivor.look(none)
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(2)

  survivor.forget('bomb/1 alarm boom')
  survivor.look(none)
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(0)
  expect(files()).toEqual(['c'])
})

test('a look that fails forgets no end', () => {
  const { disk, notes } = world()
  const survivor = notes('c')
  notes('a').begins('bomb/1 alarm boom')
  survivor.look(none)
  vi.spyOn(disk, 'list').mockImplementation(() => {
    throw new DiskError('EIO', 'list', '/data/at-work')
  })
  expect(() => survivor.look(none)).toThrow(DiskError)
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(1)
})

test('a note that another member removes while it is read hides no other one', () => {
  const { disk, notes } = world()
  const survivor = notes('c')
  for (const member of ['a', 'b']) notes(member).begins('bomb/1 alarm boom')
  const entry = disk.entry.bind(disk)
  vi.spyOn(disk, 'entry').mockImplementation((path) => {
    const found = entry(path)
    if (path.endsWith('/a')) disk.remove(path)
    return found
  })
  survivor.look(none)
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(1)
})

test('parked work is forgotten, also an end whose member has come back since the last look', () => {
  const { notes, files } = world()
  const survivor = notes('c')
  for (const member of ['a', 'b']) notes(member).begins('bomb/1 alarm boom')
  notes('b').begins('bomb/2 alarm boom')
  survivor.look(none)
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(2)
  const back = notes('a')
  survivor.forget('bomb/1 alarm boom')
  expect(files()).toEqual(['a', 'b', 'c'])

  back.begins('bomb/1 alarm boom')
  survivor.look(none)
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(1)
  expect(survivor.endsUnder('bomb/2 alarm boom')).toBe(1)
})

test('work that is over, of a member that lives, of itself, and of an hour ago blames nobody', async () => {
  const { notes, clock, files } = world()
  const survivor = notes('c')
  const [over, living] = [notes('over'), notes('living')]
  over.begins('bomb/1 alarm boom')
  over.over()
  living.begins('bomb/1 alarm boom')
  survivor.begins('bomb/1 alarm boom')
  survivor.look(new Set(['living']))
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(0)

  const old = notes('old')
  old.begins('bomb/1 alarm boom')
  notes('old')
  const blamed = () => {
    survivor.look(new Set(['living', 'old']))
    return survivor.endsUnder('bomb/1 alarm boom')
  }
  expect(blamed()).toBe(1)
  await clock.advance(3_600_001)
  expect(blamed()).toBe(0)
  expect(files()).toEqual(['c', 'living', 'old', 'over'])
})

test('a note of a clock that was ahead blames nobody when the clock is right again', () => {
  const { notes, clock, files } = world()
  const survivor = notes('c')
  const right = clock.now()
  clock.set(right + 7_200_000)
  notes('a').begins('bomb/1 alarm boom')
  notes('a')
  clock.set(right)
  survivor.look(new Set(['a']))
  expect(survivor.endsUnder('bomb/1 alarm boom')).toBe(0)
  expect(files()).toEqual(['a', 'c'])
})

test('a member that ends in order leaves no note', () => {
  const { notes, files } = world()
  const one = notes('a')
  one.begins('bomb/1 alarm boom')
  one.close()
  expect(files()).toEqual([])
})
