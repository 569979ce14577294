import { describe, expect, test } from 'vitest'
import { DirectWriter } from '../../../src/storage/disk/direct-writer.ts'

/** A way past the cache that fails with `code`, if any, and what was asked of it. */
const way = (code?: string) => {
  const asked: string[] = []
  const open = () => ({
    write: (bytes: Uint8Array, offset: number) => {
      asked.push(`${bytes.length} at ${offset}`)
      if (code) throw Object.assign(new Error(code), { code })
      return bytes.length
    },
    close: () => void asked.push('close'),
  })
  return { asked, open }
}

const block = 4096
const large = new Uint8Array(16 * block)

describe('writes past the cache', () => {
  test('are those of many whole blocks at the border of one; all others are the cache’s', () => {
    const { asked, open } = way()
    const writer = new DirectWriter(open)
    expect(writer.write(large, 3 * block)).toBe(large.length)
    expect(writer.write(large.subarray(block), 0)).toBeUndefined()
    expect(writer.write(new Uint8Array(16 * block + 1), 0)).toBeUndefined()
    expect(writer.write(large, 48)).toBeUndefined()
    expect(asked).toEqual([`${16 * block} at ${3 * block}`])
    writer.close()
    writer.close()
    expect(writer.write(large, 0)).toBeUndefined()
    expect(asked.slice(1)).toEqual(['close'])
  })

  test('that the system does not take so are the cache’s from then on', () => {
    const { asked, open } = way('EINVAL')
    const writer = new DirectWriter(open)
    expect(writer.write(large, 0)).toBeUndefined()
    expect(writer.write(large, 0)).toBeUndefined()
    expect(asked).toEqual([`${16 * block} at 0`, 'close'])
  })

  test('that fail have failed: nobody writes the same once more beside them', () => {
    for (const code of ['EIO', 'ENOSPC']) {
      const { open } = way(code)
      expect(() => new DirectWriter(open).write(large, 0)).toThrow(
        expect.objectContaining({ code }),
      )
    }
  })

  test('are none where there is no way, or it cannot be opened', () => {
    const refused = () => {
      throw new Error('no such flag')
    }
    for (const open of [() => undefined, refused])
      expect(new DirectWriter(open).write(large, 0)).toBeUndefined()
  })
})
