/** The contract of open files: bytes read back as written, and a refused call changes nothing. */
import { describe, expect, test } from 'vitest'
import { pageMemory } from '../../src/bytes/page-memory.ts'
import type { OpenMode } from '../../src/storage/ports/disk.ts'
import { bytes, codeOf, type DiskBench, text } from './disk-bench.ts'

/** Describes the contract. */
export const diskFiles = (under: DiskBench): void => {
  const { at, put, get } = under

  describe('files', () => {
    test('a new file reads back as written', () => {
      put('a', 'hello')

      expect(get('a')).toBe('hello')
      expect(under.disk.entry(at('a'))).toEqual({ kind: 'file', size: 5 })
    })

    test.each(['create', 'createLarge'] as const)(
      '%s refuses an existing file or folder, and does not change it',
      (mode) => {
        put('a', 'first')
        under.disk.makeFolder(at('folder'))

        expect(codeOf(() => under.disk.open(at('a'), mode))).toBe('EEXIST')
        expect(codeOf(() => under.disk.open(at('folder'), mode))).toBe('EEXIST')
        expect(get('a')).toBe('first')
      },
    )

    test('a file for large writes takes small ones too, from any memory, and reads them at once', () => {
      const block = 4096
      const size = 64 * block
      const paged = pageMemory(size)
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

    test.each<OpenMode>(['read', 'write'])('%s refuses a missing file', (mode) => {
      expect(codeOf(() => under.disk.open(at('a'), mode))).toBe('ENOENT')
      expect(codeOf(() => under.disk.open(at('folder/a'), mode))).toBe('ENOENT')
      expect(under.disk.entry(at('a'))).toBeUndefined()
    })

    test.each<OpenMode>(['read', 'write'])('%s refuses a folder', (mode) => {
      under.disk.makeFolder(at('folder'))

      expect(codeOf(() => under.disk.open(at('folder'), mode))).toBe('EISDIR')
    })

    test.each<OpenMode>(['read', 'write', 'create', 'createLarge'])(
      '%s refuses a path through a file',
      (mode) => {
        put('a', '')

        expect(codeOf(() => under.disk.open(at('a/b'), mode))).toBe('ENOTDIR')
      },
    )

    test('create does not make a missing folder', () => {
      expect(codeOf(() => under.disk.open(at('folder/a'), 'create'))).toBe('ENOENT')
    })

    test('write changes only its own range', () => {
      put('a', 'hello world')
      const file = under.disk.open(at('a'), 'write')
      file.write(bytes('W'), 6)
      file.close()

      expect(get('a')).toBe('hello World')
    })

    test('a file that is open for reading cannot be changed', () => {
      put('a', 'hello')
      const file = under.disk.open(at('a'), 'read')

      expect(codeOf(() => file.write(bytes('x'), 0))).toBe('EBADF')
      expect(codeOf(() => file.truncate(0))).toBe('EINVAL')
      file.close()
      expect(get('a')).toBe('hello')
    })

    test('a read returns the count that it read', () => {
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

    test('a write after the end leaves zeros between', () => {
      const file = under.disk.open(at('a'), 'create')
      file.write(bytes('a'), 0)
      file.write(bytes('b'), 3)

      expect(file.size()).toBe(4)
      expect(get('a')).toBe('a\0\0b')
      file.close()
    })

    test('an empty write changes nothing, also after the end', () => {
      const file = under.disk.open(at('a'), 'create')

      expect(file.write(new Uint8Array(0), 100)).toBe(0)
      expect(file.size()).toBe(0)
      file.close()
    })

    test('truncate cuts, and extends with zeros over old bytes', () => {
      put('a', 'hello')
      const file = under.disk.open(at('a'), 'write')
      file.truncate(2)
      expect(file.size()).toBe(2)
      file.truncate(4)
      file.sync()

      expect(get('a')).toBe('he\0\0')
      file.close()
    })

    test('a view into a larger buffer is written and filled, and the bytes around it are not', () => {
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

    test('a closed file never reaches the next one that is opened', () => {
      const closed = under.disk.open(at('a'), 'create')
      closed.close()
      const next = under.disk.open(at('b'), 'create')

      expect(codeOf(() => closed.write(bytes('x'), 0))).toBe('EBADF')
      expect(codeOf(() => closed.close())).toBe('EBADF')
      expect(next.write(bytes('next'), 0)).toBe(4)
      next.close()
    })

    test('bytes written through one handle are read through another', () => {
      const one = under.disk.open(at('a'), 'create')
      const other = under.disk.open(at('a'), 'read')
      one.write(bytes('hello'), 0)
      const into = new Uint8Array(5)

      expect(other.read(into, 0)).toBe(5)
      expect(text(into)).toBe('hello')
      one.close()
      other.close()
    })

    test('a removed or replaced file stays readable through open handles', () => {
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
}
