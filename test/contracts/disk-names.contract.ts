/** The contract of names: lists, folders, renames and removals. */
import { describe, expect, test } from 'vitest'
import { bytes, codeOf, type DiskBench } from './disk-bench.ts'

/** Describes the contract. */
export const diskNames = (under: DiskBench): void => {
  const { at, put, get } = under

  describe('names', () => {
    test('a list is sorted by code unit and names files and folders', () => {
      for (const path of ['b', 'a', 'B', 'a10', 'a2']) put(path, '')
      under.disk.makeFolder(at('folder'))

      expect(under.disk.list(under.dir)).toEqual(['B', 'a', 'a10', 'a2', 'b', 'folder'])
      expect(under.disk.list(at('folder'))).toEqual([])
    })

    test('the free space of a path is a number of bytes', () => {
      expect(under.disk.free(under.dir)).toBeGreaterThan(0)
    })

    test('only a folder can be listed and synced', () => {
      put('a', '')

      expect(codeOf(() => under.disk.list(at('a')))).toBe('ENOTDIR')
      expect(codeOf(() => under.disk.list(at('missing')))).toBe('ENOENT')
      expect(codeOf(() => under.disk.syncFolder(at('a')))).toBe('ENOTDIR')
      expect(codeOf(() => under.disk.syncFolder(at('missing')))).toBe('ENOENT')
      expect(() => under.disk.syncFolder(under.dir)).not.toThrow()
    })

    test('an open folder is synced until it is closed; a file is none', () => {
      put('a', '')
      expect(codeOf(() => under.disk.openFolder(at('a')))).toBe('ENOTDIR')
      expect(codeOf(() => under.disk.openFolder(at('missing')))).toBe('ENOENT')

      const folder = under.disk.openFolder(under.dir)
      expect(() => folder.sync()).not.toThrow()
      folder.close()
      expect(codeOf(() => folder.sync())).toBe('EBADF')
      expect(codeOf(() => folder.close())).toBe('EBADF')
    })

    test('an open file is renamed and stays open; a refused rename changes nothing', () => {
      put('a', 'first')
      put('b', 'second')
      under.disk.makeFolder(at('folder'))
      const file = under.disk.open(at('a'), 'write')

      expect(codeOf(() => file.rename(at('missing/b')))).toBe('ENOENT')
      expect(codeOf(() => file.rename(at('folder')))).toBe('EISDIR')
      expect(file.path).toBe(at('a'))
      file.rename(at('b'))
      expect(file.path).toBe(at('b'))
      file.write(bytes('FIRST'), 0)
      expect(get('b')).toBe('FIRST')
      expect(under.disk.entry(at('a'))).toBeUndefined()
      file.close()
      expect(codeOf(() => file.rename(at('c')))).toBe('EBADF')
    })

    test('a missing path, or one through a file, has no entry', () => {
      put('a', '')

      expect(under.disk.entry(at('missing'))).toBeUndefined()
      expect(under.disk.entry(at('missing/b'))).toBeUndefined()
      expect(under.disk.entry(at('a/b'))).toBeUndefined()
      expect(under.disk.entry(under.dir)?.kind).toBe('folder')
    })

    test('an identity belongs to one file, also after a rename', () => {
      put('a', 'same')
      put('b', 'same')
      const [a, b] = [under.disk.identity(at('a')), under.disk.identity(at('b'))]

      expect(a).not.toBe(b)
      expect(under.disk.identity(at('a'))).toBe(a)
      under.disk.rename(at('a'), at('b'))
      expect(under.disk.identity(at('b'))).toBe(a)
      expect(under.disk.identity(at('a'))).toBeUndefined()
      expect(under.disk.identity(at('b/c'))).toBeUndefined()
    })

    test('makeFolder makes the parents too, and does nothing if the folder exists', () => {
      under.disk.makeFolder(at('x/y/z'))
      put('x/y/z/a', 'kept')
      under.disk.makeFolder(at('x/y/z'))

      expect(get('x/y/z/a')).toBe('kept')
      expect(under.disk.entry(at('x/y/z'))?.kind).toBe('folder')
    })

    test('makeFolder refuses if a file is in the way', () => {
      put('a', 'kept')

      expect(codeOf(() => under.disk.makeFolder(at('a')))).toBe('EEXIST')
      expect(codeOf(() => under.disk.makeFolder(at('a/b')))).toBe('ENOTDIR')
      expect(get('a')).toBe('kept')
    })

    test('rename moves a file, also to another folder, and replaces a file', () => {
      put('a', 'new')
      put('b', 'old')
      under.disk.makeFolder(at('folder'))
      under.disk.rename(at('a'), at('b'))
      under.disk.rename(at('b'), at('folder/c'))

      expect(get('folder/c')).toBe('new')
      expect(under.disk.list(under.dir)).toEqual(['folder'])
    })

    test('rename moves a folder with its content', () => {
      under.disk.makeFolder(at('from/deep'))
      put('from/deep/a', 'moved')
      under.disk.rename(at('from'), at('to'))

      expect(get('to/deep/a')).toBe('moved')
      expect(under.disk.entry(at('from'))).toBeUndefined()
    })

    test('rename to itself does nothing', () => {
      put('a', 'kept')
      under.disk.rename(at('a'), at('a'))

      expect(get('a')).toBe('kept')
    })

    test('a refused rename leaves both names unchanged', () => {
      put('a', 'file')
      under.disk.makeFolder(at('folder/inner'))
      under.disk.makeFolder(at('other'))

      expect(codeOf(() => under.disk.rename(at('missing'), at('b')))).toBe('ENOENT')
      expect(codeOf(() => under.disk.rename(at('a'), at('missing/b')))).toBe('ENOENT')
      expect(codeOf(() => under.disk.rename(at('a'), at('folder')))).toBe('EISDIR')
      expect(codeOf(() => under.disk.rename(at('folder'), at('a')))).toBe('ENOTDIR')
      expect(codeOf(() => under.disk.rename(at('other'), at('folder')))).toBe('ENOTEMPTY')
      expect(codeOf(() => under.disk.rename(at('folder'), at('folder/inner/x')))).toBe('EINVAL')
      expect(under.disk.list(under.dir)).toEqual(['a', 'folder', 'other'])
      expect(under.disk.list(at('folder'))).toEqual(['inner'])
    })

    test('remove takes a file, a folder with its content, and a missing path', () => {
      put('a', '')
      under.disk.makeFolder(at('folder/inner'))
      put('folder/inner/b', '')
      for (const path of ['a', 'folder', 'missing', 'missing/b']) under.disk.remove(at(path))

      expect(under.disk.list(under.dir)).toEqual([])
    })

    test('remove refuses a path through a file', () => {
      put('a', 'kept')
      under.disk.remove(at('a/b'))

      expect(get('a')).toBe('kept')
    })
  })
}
