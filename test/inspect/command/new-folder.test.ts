import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkNewFolder } from '../../../src/inspect/command/new-folder.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { makeFolders } from '../../../src/storage/ports/new-folders.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const disk = nodeDisk()
const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })

test('a target that is missing or empty is taken', () => {
  const dir = tempFolder()
  mkdirSync(join(dir, 'from'))
  mkdirSync(join(dir, 'empty'))
  for (const to of ['empty', 'missing', 'missing/below', 'from-beside'])
    expect(() => checkNewFolder(disk, join(dir, 'from'), join(dir, to))).not.toThrow()
})

test('a target that is a file, full, in the source or around it is refused', () => {
  const dir = tempFolder()
  mkdirSync(join(dir, 'around/from'), { recursive: true })
  writeFileSync(join(dir, 'file'), '')
  const from = join(dir, 'around/from')
  for (const to of ['file', '.', 'around', 'around/from', 'around/from/in', 'around/from/in/it'])
    expect(() => checkNewFolder(disk, from, join(dir, to)), to).toThrow(refused)
})

test('a link does not hide that the target lies in the source', () => {
  const dir = tempFolder()
  mkdirSync(join(dir, 'from'))
  symlinkSync(join(dir, 'from'), join(dir, 'link'))
  expect(() => checkNewFolder(disk, join(dir, 'from'), join(dir, 'link/new'))).toThrow(refused)
  expect(() => checkNewFolder(disk, join(dir, 'link'), join(dir, 'from/new'))).toThrow(refused)
})

test('its new files are removed, new folders above it too; older ones stay', () => {
  const dir = tempFolder()
  mkdirSync(join(dir, 'empty'))
  for (const to of ['a/b/c', 'empty']) {
    const undo = makeFolders(disk, join(dir, to))
    writeFileSync(join(dir, to, 'file'), '')
    undo()
  }
  expect(existsSync(join(dir, 'a'))).toBe(false)
  expect(readdirSync(dir)).toEqual(['empty'])
  expect(readdirSync(join(dir, 'empty'))).toEqual([])
})
