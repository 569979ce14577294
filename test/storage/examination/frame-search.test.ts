/**
 * The cost of the search after damage is proportional to the file, whatever lengths the damage
 * contains.
 */
import { expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { behindDamagedHeaders } from '../../../src/storage/examination/frame-search.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'

const path = '/segment'
const facts = { salt: { low: 1, high: 2 }, sectorBytes: 512, payloadMax: 4 * 1024 * 1024 }
const payloadBytes = 1024 * 1024

/** A damaged header at 0 with a length, and whether the payload has the right checksum. */
const fileWith = (isRight: boolean) => {
  const disk = simulatedDisk()
  const file = disk.open(path, 'create')
  const bytes = Buffer.alloc(2 * payloadBytes, 7)
  bytes.writeUInt32LE(payloadBytes, 4)
  const sum = crc32(bytes.subarray(32, 32 + payloadBytes), facts.salt.high)
  bytes.writeUInt32LE(isRight ? sum : sum ^ 1, 28)
  file.write(bytes, 0)
  return { disk, file, size: bytes.length }
}

test('a length is used if the payload has its checksum, and that costs no patience', () => {
  const { file, size } = fileWith(true)
  const patience = { bytes: payloadBytes }

  expect(behindDamagedHeaders(file, facts, 0, size, patience)).toBe(32 + payloadBytes)
  expect(patience.bytes).toBe(payloadBytes)
})

test('wrong lengths are tried until patience is used up, and read nothing after that', () => {
  const { disk, file, size } = fileWith(false)
  const patience = { bytes: 2.5 * payloadBytes }
  const bytesRead = () => {
    const calls = disk.recordCalls()
    expect(behindDamagedHeaders(file, facts, 0, size, patience)).toBe(0)
    return calls.reduce((sum, { bytes = 0 }) => sum + bytes, 0)
  }

  // At offset 0 the place of a header and the next sector are the same: each is tried.
  expect(bytesRead()).toBeGreaterThanOrEqual(2 * payloadBytes)
  expect(bytesRead()).toBeLessThan(1024)
})
