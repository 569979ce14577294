/** What is decided of a folder's facts where a real folder cannot easily have them. */
import { expect, test } from 'vitest'
import type { DataFolderFacts } from '../../../src/storage/disk/data-folder.ts'
import { type FolderFacts, folderFindings } from '../../../src/tools/health/folder-findings.ts'

const described: DataFolderFacts = { instanceId: 'i', shards: 0, logs: [], created: 0 }

const facts: FolderFacts = {
  dir: '/d',
  reading: { state: 'sound', facts: described },
  present: [],
  shards: [],
  lastHolder: {},
  temporary: [],
  access: [],
  disk: { isVolatile: false, isNetwork: false, freeBytes: 1e12 },
}

const codesOf = (more: Partial<FolderFacts>): readonly string[] =>
  folderFindings({ ...facts, ...more }).map(({ code }) => code)

test('a disk that is in memory, of a network or nearly full is named', () => {
  const codesOn = (disk: Partial<FolderFacts['disk']>) =>
    codesOf({ disk: { ...facts.disk, ...disk } })

  expect(codesOn({})).toEqual([])
  expect(codesOn({ isVolatile: true })).toEqual(['disk.memory'])
  expect(codesOn({ isNetwork: true })).toEqual(['disk.network'])
  expect(codesOn({ freeBytes: 1_000_000 })).toEqual(['disk.space'])
})

test('a folder of a newer version is named, and not judged', () => {
  expect(codesOf({ reading: { state: 'absent' }, newer: 'format 9' })).toEqual(['folder.newer'])
})

test('a folder in which nothing was written is no damage', () => {
  expect(codesOf({ reading: { state: 'absent' } })).toEqual(['folder.unmade'])
})

test('nothing is repaired where a file cannot be read', () => {
  const temporary = ['/d/keelson.json.tmp']
  const barred = [{ file: '/d/x', evidence: 'not readable', isBarred: true }]
  const repairsOf = (more: Partial<FolderFacts>) =>
    folderFindings({ ...facts, ...more }).flatMap(({ repair }) => repair)

  expect(repairsOf({ temporary })).toEqual([{ kind: 'remove', path: '/d/keelson.json.tmp' }])
  expect(repairsOf({ temporary, access: barred })).toEqual([])
})
