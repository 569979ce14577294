import { describe, expect, test } from 'vitest'
import { DirectWriter } from '../../../src/storage/disk/direct-writer.ts'

/** A direct file that fails with `code`, if any, and records its writes. */
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
  test('take many whole blocks at a block border; all others go through the cache', () => {
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

  test('that the system refuses as direct go through the cache from then on', () => {
    const { asked, open } = way('EINVAL')
    const writer = new DirectWriter(open)
    expect(writer.write(large, 0)).toBeUndefined()
    expect(writer.write(large, 0)).toBeUndefined()
    expect(asked).toEqual([`${16 * block} at 0`, 'close'])
  })

  test('that fail are not repeated through the cache', () => {
    for (const code of ['EIO', 'ENOSPC']) {
      const { open } = way(code)
      expect(() => new DirectWriter(open).write(large, 0)).toThrow(
        expect.objectContaining({ code }),
      )
    }
  })

  test('go through the cache if direct writing is impossible or cannot be opened', () => {
    const refused = () => {
      throw new Error('no such flag')
    }
    for (const open of [() => undefined, refused])
      expect(new DirectWriter(open).write(large, 0)).toBeUndefined()
  })
})
