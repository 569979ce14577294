/** What a log that is used alone puts into its frames. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import {
  decodeEntry,
  decodeOpaque,
  encodeOpaque,
  entryHeaderBytes,
  putEntry,
} from '../../../src/storage/frames/wal-entry.ts'
import { logOptionsOf } from '../../../src/storage/wal/wal-opening.ts'
import { checkWalOptions } from '../../../src/storage/wal/wal-options.ts'
import { dir } from '../../support/worlds/logs.ts'
import { bytesOf, outcome, readAll, walWorld } from '../../support/worlds/wals.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const encodeEntry = (type: number, bytes: Uint8Array): Uint8Array => {
  const payload = new Uint8Array(entryHeaderBytes + bytes.length).fill(0xee)
  putEntry(payload, 0, type, bytes)
  return payload
}

describe('an entry', () => {
  test('is these bytes, as FORMAT.md says', () => {
    expect(hex(encodeEntry(0x1234, Uint8Array.of(1, 2, 3)))).toBe(
      '0000000000000000' + '0000' + '3412' + '010203',
    )
    expect(hex(encodeOpaque(Uint8Array.of(9, 8)))).toBe('01' + '0908')
    expect(hex(encodeOpaque(new Uint8Array(0)))).toBe('01')
  })

  test('of any type and bytes comes back, wherever it stands', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 65_535 }),
        fc.uint8Array(),
        fc.nat({ max: 20 }),
        (type, bytes, at) => {
          const payload = encodeEntry(type, bytes)
          const around = Buffer.concat([Buffer.alloc(at, 0xff), payload, Buffer.alloc(9, 0xff)])
          const entry = decodeEntry(around, at, payload.length)
          expect(entry.type).toBe(type)
          expect(hex(entry.bytes)).toBe(hex(bytes))
          const opaque = decodeOpaque(encodeOpaque(bytes))
          expect(opaque && hex(opaque)).toBe(hex(bytes))
        },
      ),
    )
    expect(decodeOpaque(new Uint8Array(0))).toBeUndefined()
  })

  test('is not a frame of a store, and the log of one is read as WRONG_TYPE', async () => {
    const frame = encodeFrame([{ kind: 'delete', key: 'a' }])
    expect(() => decodeEntry(frame)).toThrow(expect.objectContaining({ code: 'WRONG_TYPE' }))
    for (const length of [0, 8, 11])
      expect(() => decodeEntry(new Uint8Array(length))).toThrow(
        expect.objectContaining({ code: 'WRONG_TYPE' }),
      )
    expect(() => decodeEntry(new Uint8Array(20), 15)).toThrow(
      expect.objectContaining({ code: 'WRONG_TYPE' }),
    )
    const world = walWorld()
    await (await world.open()).close()
    const host = world.ports.makeHost()
    const options = logOptionsOf(checkWalOptions({ dir }))
    const inspection = await host.run('inspect', { dir, options, evidence: [] })
    await host.run('open', { dir, options, inspection })
    await host.run('commit', {
      bytes: frame,
      lengths: [frame.length],
      now: 0,
      sync: true,
      projectedLsn: 0,
    })
    await host.end()
    const wal = await world.open()
    expect(await outcome(readAll(wal))).toBe('WRONG_TYPE')
    expect(await outcome(wal.append(1, bytesOf(1)))).toBe('resolved')
  })
})
