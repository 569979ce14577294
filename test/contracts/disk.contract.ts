/** What every disk promises, in one file since it is one contract. Run on the real one and on the simulated one. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Disk, DiskError, OpenMode } from '../../src/storage/disk.ts'
import { pageMemory } from '../../src/storage/page-memory.ts'

/** A disk and a folder on it that is empty and the test's own. */
export type DiskUnderTest = { readonly disk: Disk; readonly dir: string; readonly end: () => void }

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (content: Uint8Array): string => new TextDecoder().decode(content)

/** The code of the `DiskError` that `action` throws. */
const codeOf = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    expect(error).toMatchObject({ name: 'DiskError', operation: expect.any(String) })
    return (error as DiskError).code
  }
  return 'no error'
}

export const diskContract = (name: string, start: () => DiskUnderTest): void => {
  describe(`${name} as a disk`, () => {
    let under: DiskUnderTest
    beforeEach(() => {
      under = start()
    })
    afterEach(() => under.end())

    const at = (path: string): string => `${under.dir}/${path}`
    const put = (path: string, content: string): void => {
      const file = under.disk.open(at(path), 'create')
      expect(file.write(bytes(content), 0)).toBe(content.length)
      file.close()
    }
    const get = (path: string): string => {
      const file = under.disk.open(at(path), 'read')
      const into = new Uint8Array(file.size())
      expect(file.read(into, 0)).toBe(into.length)
      file.close()
      return text(into)
    }

    describe('files', () => {
      test('a file that is made reads back what was written', () => {
        put('a', 'hello')

        expect(get('a')).toBe('hello')
        expect(under.disk.entry(at('a'))).toEqual({ kind: 'file', size: 5 })
      })

      test.each(['create', 'createLarge'] as const)(
        '%s refuses what exists, file or folder, and leaves it as it is',
        (mode) => {
          put('a', 'first')
          under.disk.makeFolder(at('folder'))

          expect(codeOf(() => under.disk.open(at('a'), mode))).toBe('EEXIST')
          expect(codeOf(() => under.disk.open(at('folder'), mode))).toBe('EEXIST')
          expect(get('a')).toBe('first')
        },
      )

      test('a file made for large pieces takes all others as well, from any memory, and shows them at once', () => {
        const block = 4096
        const size = 64 * block
        const paged = new Uint8Array(pageMemory(size), 0, size)
        const file = under.disk.open(at('a'), 'createLarge')
        const expected = new Uint8Array(2 * size + 100)
        const write = (content: Uint8Array, offset: number): void => {
          expect(file.write(content, offset)).toBe(content.length)
          expected.set(content, offset)
        }
        for (const [number, memory] of [paged, new Uint8Array(size + 1).subarray(1)].entries()) {
          write(memory.fill(1 + number), 0)
          write(memory.subarray(block).fill(3 + number), size + block)
          // Into the middle of what was written past any cache, and past it once more over that.
          write(memory.subarray(0, 10).fill(5 + number), 100)
          write(memory.subarray(0, block).fill(7 + number), 3 * block)
          write(memory.subarray(0, 32 * block).fill(9 + number), 2 * block)
          write(memory.subarray(0, 100).fill(11 + number), 2 * size)
          const into = new Uint8Array(expected.length)
          expect(file.size()).toBe(expected.length)
          expect(file.read(into, 0)).toBe(into.length)
          expect(Buffer.compare(into, expected)).toBe(0)
        }
        file.sync()
        file.close()
        expect(codeOf(() => file.write(paged, 0))).toBe('EBADF')
        expect(under.disk.entry(at('a'))).toEqual({ kind: 'file', size: expected.length })
      })

      test.each<OpenMode>(['read', 'write'])('%s refuses what is missing', (mode) => {
        expect(codeOf(() => under.disk.open(at('a'), mode))).toBe('ENOENT')
        expect(codeOf(() => under.disk.open(at('folder/a'), mode))).toBe('ENOENT')
        expect(under.disk.entry(at('a'))).toBeUndefined()
      })

      test.each<OpenMode>(['read', 'write'])('%s refuses a folder', (mode) => {
        under.disk.makeFolder(at('folder'))

        expect(codeOf(() => under.disk.open(at('folder'), mode))).toBe('EISDIR')
      })

      test.each<OpenMode>(['read', 'write', 'create', 'createLarge'])(
        '%s refuses a way through a file',
        (mode) => {
          put('a', '')

          expect(codeOf(() => under.disk.open(at('a/b'), mode))).toBe('ENOTDIR')
        },
      )

      test('create does not make the folder that it needs', () => {
        expect(codeOf(() => under.disk.open(at('folder/a'), 'create'))).toBe('ENOENT')
      })

      test('write keeps what is there and changes what it is told to', () => {
        put('a', 'hello world')
        const file = under.disk.open(at('a'), 'write')
        file.write(bytes('W'), 6)
        file.close()

        expect(get('a')).toBe('hello World')
      })

      test('a file that is open to read cannot be changed', () => {
        put('a', 'hello')
        const file = under.disk.open(at('a'), 'read')

        expect(codeOf(() => file.write(bytes('x'), 0))).toBe('EBADF')
        expect(codeOf(() => file.truncate(0))).toBe('EINVAL')
        file.close()
        expect(get('a')).toBe('hello')
      })

      test('a read answers how much there was', () => {
        put('a', 'hello')
        const file = under.disk.open(at('a'), 'read')
        const into = new Uint8Array(4)

        expect([file.read(into, 0), text(into)]).toEqual([4, 'hell'])
        expect([file.read(into, 3), text(into)]).toEqual([2, 'loll'])
        expect(file.read(into, 5)).toBe(0)
        expect(file.read(into, 5000)).toBe(0)
        expect(file.read(new Uint8Array(0), 0)).toBe(0)
        file.close()
      })

      test('a write behind the end leaves zeros between', () => {
        const file = under.disk.open(at('a'), 'create')
        file.write(bytes('a'), 0)
        file.write(bytes('b'), 3)

        expect(file.size()).toBe(4)
        expect(get('a')).toBe('a\0\0b')
        file.close()
      })

      test('an empty write changes nothing, also behind the end', () => {
        const file = under.disk.open(at('a'), 'create')

        expect(file.write(new Uint8Array(0), 100)).toBe(0)
        expect(file.size()).toBe(0)
        file.close()
      })

      test('truncate cuts, and extends with zeros where something had been', () => {
        put('a', 'hello')
        const file = under.disk.open(at('a'), 'write')
        file.truncate(2)
        expect(file.size()).toBe(2)
        file.truncate(4)
        file.sync()

        expect(get('a')).toBe('he\0\0')
        file.close()
      })

      test('a view into a larger buffer is written and filled, and nothing around it', () => {
        const around = bytes('0123456789')
        const file = under.disk.open(at('a'), 'create')
        file.write(around.subarray(3, 6), 0)
        file.read(around.subarray(7, 9), 1)

        expect(text(around)).toBe('0123456459')
        file.close()
      })

      test('a large file is written and read at any offset', () => {
        const large = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) & 0xff)
        const file = under.disk.open(at('a'), 'create')
        expect(file.write(large, 10)).toBe(300_000)
        const into = new Uint8Array(5000)
        expect(file.read(into, 10 + 123_457)).toBe(5000)

        expect(into).toEqual(large.subarray(123_457, 128_457))
        file.close()
      })

      test.each([-1, 0.5, Number.NaN, 2 ** 53])('offset %d is refused', (offset) => {
        const file = under.disk.open(at('a'), 'create')

        expect(codeOf(() => file.write(bytes('x'), offset))).toBe('EINVAL')
        expect(codeOf(() => file.read(new Uint8Array(1), offset))).toBe('EINVAL')
        expect(codeOf(() => file.truncate(offset))).toBe('EINVAL')
        expect(file.size()).toBe(0)
        file.close()
      })

      test('a closed file refuses everything', () => {
        const file = under.disk.open(at('a'), 'create')
        file.close()

        expect(codeOf(() => file.size())).toBe('EBADF')
        expect(codeOf(() => file.read(new Uint8Array(1), 0))).toBe('EBADF')
        expect(codeOf(() => file.write(bytes('x'), 0))).toBe('EBADF')
        expect(codeOf(() => file.sync())).toBe('EBADF')
        expect(codeOf(() => file.truncate(0))).toBe('EBADF')
        expect(codeOf(() => file.close())).toBe('EBADF')
      })

      test('a closed file does not become the next one that is opened', () => {
        const closed = under.disk.open(at('a'), 'create')
        closed.close()
        const next = under.disk.open(at('b'), 'create')

        expect(codeOf(() => closed.write(bytes('x'), 0))).toBe('EBADF')
        expect(codeOf(() => closed.close())).toBe('EBADF')
        expect(next.write(bytes('next'), 0)).toBe(4)
        next.close()
      })

      test('what is written through one handle is read through another', () => {
        const one = under.disk.open(at('a'), 'create')
        const other = under.disk.open(at('a'), 'read')
        one.write(bytes('hello'), 0)
        const into = new Uint8Array(5)

        expect(other.read(into, 0)).toBe(5)
        expect(text(into)).toBe('hello')
        one.close()
        other.close()
      })

      test('a removed or replaced file lives on for those who have it open', () => {
        put('a', 'old a')
        put('b', 'old b')
        const [a, b] = [under.disk.open(at('a'), 'read'), under.disk.open(at('b'), 'read')]
        under.disk.rename(at('a'), at('b'))
        under.disk.remove(at('b'))
        const into = new Uint8Array(5)

        expect([a.read(into, 0), text(into)]).toEqual([5, 'old a'])
        expect([b.read(into, 0), text(into)]).toEqual([5, 'old b'])
        expect(under.disk.list(under.dir)).toEqual([])
        a.close()
        b.close()
      })
    })

    describe('names', () => {
      test('a list is sorted by code unit and names files and folders', () => {
        for (const path of ['b', 'a', 'B', 'a10', 'a2']) put(path, '')
        under.disk.makeFolder(at('folder'))

        expect(under.disk.list(under.dir)).toEqual(['B', 'a', 'a10', 'a2', 'b', 'folder'])
        expect(under.disk.list(at('folder'))).toEqual([])
      })

      test('only a folder can be listed and synced', () => {
        put('a', '')

        expect(codeOf(() => under.disk.list(at('a')))).toBe('ENOTDIR')
        expect(codeOf(() => under.disk.list(at('missing')))).toBe('ENOENT')
        expect(codeOf(() => under.disk.syncFolder(at('a')))).toBe('ENOTDIR')
        expect(codeOf(() => under.disk.syncFolder(at('missing')))).toBe('ENOENT')
        expect(() => under.disk.syncFolder(under.dir)).not.toThrow()
      })

      test('nothing stands at a missing path, nor behind a file', () => {
        put('a', '')

        expect(under.disk.entry(at('missing'))).toBeUndefined()
        expect(under.disk.entry(at('missing/b'))).toBeUndefined()
        expect(under.disk.entry(at('a/b'))).toBeUndefined()
        expect(under.disk.entry(under.dir)?.kind).toBe('folder')
      })

      test('an identity is one file’s, wherever it goes, and no other’s', () => {
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

      test('makeFolder makes those above it too, and does nothing when it exists', () => {
        under.disk.makeFolder(at('x/y/z'))
        put('x/y/z/a', 'kept')
        under.disk.makeFolder(at('x/y/z'))

        expect(get('x/y/z/a')).toBe('kept')
        expect(under.disk.entry(at('x/y/z'))?.kind).toBe('folder')
      })

      test('makeFolder refuses when a file is in the way', () => {
        put('a', 'kept')

        expect(codeOf(() => under.disk.makeFolder(at('a')))).toBe('EEXIST')
        expect(codeOf(() => under.disk.makeFolder(at('a/b')))).toBe('ENOTDIR')
        expect(get('a')).toBe('kept')
      })

      test('rename moves a file, also to another folder, and replaces what is there', () => {
        put('a', 'new')
        put('b', 'old')
        under.disk.makeFolder(at('folder'))
        under.disk.rename(at('a'), at('b'))
        under.disk.rename(at('b'), at('folder/c'))

        expect(get('folder/c')).toBe('new')
        expect(under.disk.list(under.dir)).toEqual(['folder'])
      })

      test('rename moves a folder with all that is in it', () => {
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

      test('rename refuses what it cannot do, and both names stay as they were', () => {
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

      test('remove takes a file, a folder with all in it, and what is not there', () => {
        put('a', '')
        under.disk.makeFolder(at('folder/inner'))
        put('folder/inner/b', '')
        for (const path of ['a', 'folder', 'missing', 'missing/b']) under.disk.remove(at(path))

        expect(under.disk.list(under.dir)).toEqual([])
      })

      test('remove does not reach behind a file', () => {
        put('a', 'kept')
        under.disk.remove(at('a/b'))

        expect(get('a')).toBe('kept')
      })
    })

    describe('locks', () => {
      const holder = '{"pid":123,"host":"here"}'
      const holderOf = (action: () => unknown): unknown => {
        try {
          action()
        } catch (error) {
          expect(error).toMatchObject({ name: 'KeelsonError', code: 'LOCKED_DIR' })
          return (error as { details: { holder: unknown } }).details.holder
        }
        return 'no error'
      }

      test('the second to ask is told who the first is', () => {
        under.disk.lock(at('LOCK'), holder)

        expect(holderOf(() => under.disk.lock(at('LOCK'), '{"pid":456}'))).toMatchObject({
          pid: 123,
          host: 'here',
        })
      })

      test('the holder is the first line of the lock file, and no longer after release', () => {
        const lock = under.disk.lock(at('LOCK'), holder)
        expect(get('LOCK').split('\n')[0]).toBe(holder)
        lock.release()

        expect(under.disk.entry(at('LOCK')) === undefined || get('LOCK').trim() === '').toBe(true)
      })

      test('a released lock can be taken again, by a shorter line than the last', () => {
        under.disk.lock(at('LOCK'), '{"pid":123,"host":"a host with a long name"}').release()
        under.disk.lock(at('LOCK'), '{"pid":1}')

        expect(get('LOCK').split('\n')[0]).toBe('{"pid":1}')
      })

      test('releasing twice does not release what somebody else took in between', () => {
        const first = under.disk.lock(at('LOCK'), holder)
        first.release()
        under.disk.lock(at('LOCK'), '{"pid":456}')
        first.release()

        expect(holderOf(() => under.disk.lock(at('LOCK'), holder))).toMatchObject({ pid: 456 })
      })

      test('two locks do not know each other', () => {
        under.disk.lock(at('LOCK'), holder)
        under.disk.makeFolder(at('wal'))

        expect(() => under.disk.lock(at('wal/LOCK'), holder)).not.toThrow()
      })

      test('what was in an old lock file does not keep the lock from being taken', () => {
        put('LOCK', 'not json\n{"pid":')

        expect(() => under.disk.lock(at('LOCK'), holder)).not.toThrow()
        expect(get('LOCK').split('\n')[0]).toBe(holder)
      })

      test('a lock in a folder that is missing, or on a folder, is the disk’s refusal', () => {
        under.disk.makeFolder(at('folder'))

        expect(codeOf(() => under.disk.lock(at('missing/LOCK'), holder))).toBe('ENOENT')
        expect(codeOf(() => under.disk.lock(at('folder'), holder))).toBe('EISDIR')
      })
    })
  })
}
