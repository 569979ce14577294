import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import {
  confirmedFacts,
  type DataFolderFacts,
  decodeDataFolder,
  encodeDataFolder,
  readDataFolder,
  shardsPresent,
  writeDataFolder,
} from '../../../src/storage/disk/data-folder.ts'
import { shardFolder } from '../../../src/storage/ports/folder-layout.ts'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { codeOf } from '../../support/error-codes.ts'

const facts: DataFolderFacts = {
  instanceId: '00112233445566778899aabbccddeeff',
  shards: 2,
  logs: ['0'.repeat(32), 'f'.repeat(32)],
  created: 1_767_225_600_000,
}
const file = '/data/keelson.json'
const place = { walId: '0'.repeat(32), lsn: 7 }

const folder = (options: { seed?: number } = {}): SimulatedDisk => {
  const disk = simulatedDisk(options)
  disk.makeFolder('/data')
  disk.syncFolder('/')
  return disk
}

const golden = `{
  "format": 1,
  "instanceId": "00112233445566778899aabbccddeeff",
  "shards": 2,
  "shardHash": "crc32",
  "logs": [
    "00000000000000000000000000000000",
    "ffffffffffffffffffffffffffffffff"
  ],
  "created": 1767225600000,
  "crc": "95bffd53"
}
`

/** A `keelson.json` with any fields and their right checksum. */
const sealed = (fields: Record<string, unknown>): Uint8Array => {
  const sorted = Object.keys(fields)
    .sort()
    .map((name) => [name, fields[name]])
  const crc = crc32(Buffer.from(JSON.stringify(sorted)))
    .toString(16)
    .padStart(8, '0')
  return Buffer.from(JSON.stringify({ ...fields, crc }))
}
const whole = { format: 1, ...facts, shardHash: 'crc32' }

describe('keelson.json', () => {
  test('in format 1 has these bytes', () => {
    expect(new TextDecoder().decode(encodeDataFolder(facts))).toBe(golden)
  })

  test('reads back what was written', () => {
    const disk = folder()
    expect(readDataFolder(disk, '/data')).toEqual({ state: 'absent' })
    writeDataFolder(disk, '/data', facts)

    expect(readDataFolder(disk, '/data')).toEqual({ state: 'sound', facts })
    expect(disk.list('/data')).toEqual(['keelson.json'])
  })

  test('keeps the mark of a copy, and gives a damaged one of a copy back with it', () => {
    const copy = {
      ...facts,
      origin: { instanceId: 'o', logs: [place, place] },
      waits: true,
    } as const
    expect(decodeDataFolder(encodeDataFolder(copy))).toEqual({ state: 'sound', facts: copy })

    const text = new TextDecoder().decode(encodeDataFolder(copy)).replace('"waits"', '"vaits"')
    const reading = decodeDataFolder(Buffer.from(text))
    if (reading.state !== 'damaged' || !reading.claims) throw new Error('it has claims')
    expect(confirmedFacts(reading.claims, facts.logs)).toEqual(copy)
  })

  test('is absent if the folder is, and reading makes no file', () => {
    const disk = simulatedDisk()

    expect(readDataFolder(disk, '/data')).toEqual({ state: 'absent' })
    expect(disk.list('/')).toEqual([])
  })

  test('may be reformatted', () => {
    const parsed: Record<string, unknown> = JSON.parse(
      Buffer.from(encodeDataFolder(facts)).toString(),
    )
    const reversed = Object.fromEntries(Object.entries(parsed).reverse())

    expect(decodeDataFolder(Buffer.from(JSON.stringify(reversed)))).toEqual({
      state: 'sound',
      facts,
    })
  })

  test('with any flipped bit is damaged', () => {
    const bytes = encodeDataFolder(facts)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeDataFolder(flipped).state, `bit ${bit}`).toBe('damaged')
    }
  })

  test('cut anywhere is damaged', () => {
    // The last byte is the line break, which means nothing.
    const bytes = encodeDataFolder(facts)
    for (let length = 0; length < bytes.length - 1; length++)
      expect(decodeDataFolder(bytes.subarray(0, length)).state, `length ${length}`).toBe('damaged')
  })

  test.each([
    ['no object', Buffer.from('[1]')],
    ['null', Buffer.from('null')],
    ['no UTF-8', Uint8Array.of(0xff)],
    ['without a checksum', Buffer.from(JSON.stringify(whole))],
    ['without a format', sealed({ ...whole, format: undefined })],
    ['format 0', sealed({ ...whole, format: 0 })],
    ['format 1.5 as text', sealed({ ...whole, format: '1.5' })],
    ['no shards', sealed({ ...whole, shards: 0 })],
    ['half a shard', sealed({ ...whole, shards: 1.5 })],
    ['too many shards', sealed({ ...whole, shards: 1025 })],
    ['an empty instance', sealed({ ...whole, instanceId: '' })],
    ['a log too few', sealed({ ...whole, logs: ['0'.repeat(32)] })],
    ['a log whose id is none', sealed({ ...whole, logs: ['0'.repeat(32), 'x'] })],
    ['no time', sealed({ ...whole, created: 'yesterday' })],
    ['waiting of another kind', sealed({ ...whole, waits: 'yes' })],
    ['another hash', sealed({ ...whole, shardHash: 'fnv' })],
  ])('%s is damaged', (_, bytes) => {
    expect(decodeDataFolder(bytes).state).toBe('damaged')
  })

  test('of a newer format is refused if it is sound, whatever its other fields are', () => {
    const newer = sealed({ format: 2, anything: { deep: [1] } })
    expect(codeOf(() => decodeDataFolder(newer))).toBe('UNSUPPORTED_VERSION')
    expect(decodeDataFolder(newer.subarray(0, -1)).state).toBe('damaged')
  })

  test.each([
    { ...facts, shards: 0 },
    { ...facts, shards: 1025 },
    { ...facts, shards: Number.NaN },
    { ...facts, instanceId: '' },
    { ...facts, created: -1 },
    { ...facts, logs: [] },
  ])('facts that could not be read back are refused: %j', (wrong) => {
    const disk = folder()

    expect(codeOf(() => writeDataFolder(disk, '/data', wrong))).toBe('INVALID_ARGUMENT')
    expect(disk.list('/data')).toEqual([])
  })

  test('that is a folder, or much too long, is damaged and is not read', () => {
    const disk = folder()
    disk.makeFolder(file)
    expect(readDataFolder(disk, '/data').state).toBe('damaged')
    disk.remove(file)
    disk.open(file, 'create').truncate(2 ** 20)

    expect(readDataFolder(disk, '/data').state).toBe('damaged')
    expect(disk.counts.read).toBe(0)
  })

  test('is the old or the new one after any power cut, and durable once the write returned', {
    tags: ['slow'],
  }, () => {
    const seen = new Set<string>()
    for (let at = 1; at <= 8; at++)
      for (let seed = 1; seed <= 100; seed++) {
        const disk = folder({ seed })
        disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
        const ended = codeOf(() => writeDataFolder(disk, '/data', facts))
        disk.crash()

        const { state } = readDataFolder(disk, '/data')
        expect(['absent', 'sound'], `call ${at}, seed ${seed}`).toContain(state)
        if (ended === 'no error') expect(state, `call ${at}, seed ${seed}`).toBe('sound')
        seen.add(`${ended} ${state}`)
        // What a crash left over is no obstacle.
        writeDataFolder(disk, '/data', facts)
        expect(disk.list('/data')).toEqual(['keelson.json'])
      }

    expect([...seen].sort()).toEqual(['HALTED absent', 'HALTED sound', 'no error sound'])
  })

  test.each(['create', 'write', 'sync', 'rename'] as const)(
    'leaves no temporary file if %s fails',
    (operation) => {
      const disk = folder()
      disk.inject({ at: 1, operation, fault: { kind: 'error', code: 'EIO' } })

      expect(codeOf(() => writeDataFolder(disk, '/data', facts))).toBe('EIO')
      expect(disk.list('/data')).toEqual([])
    },
  )

  test('on a full disk is ENOSPC, also if a part was written', () => {
    const disk = folder()
    disk.capacityBytes = 4096
    expect(codeOf(() => writeDataFolder(disk, '/data', facts))).toBe('ENOSPC')
    disk.capacityBytes = 1e6
    disk.inject({ at: 1, operation: 'write', fault: { kind: 'short', bytes: 10 } })
    disk.inject({ at: 2, operation: 'write', fault: { kind: 'error', code: 'ENOSPC' } })

    expect(codeOf(() => writeDataFolder(disk, '/data', facts))).toBe('ENOSPC')
    expect(disk.list('/data')).toEqual([])
  })

  test('can replace a damaged one', () => {
    const disk = folder()
    writeDataFolder(disk, '/data', facts)
    disk.flipBit(file, 100)
    expect(readDataFolder(disk, '/data').state).toBe('damaged')
    const other = { ...facts, shards: 1, logs: ['1'.repeat(32)] }
    writeDataFolder(disk, '/data', other)

    expect(readDataFolder(disk, '/data')).toEqual({
      state: 'sound',
      facts: other,
    })
  })
})

describe('shard folders', () => {
  test('are named by their number', () => {
    expect(shardFolder('/data', 3)).toEqual({
      path: '/data/shard-3',
      wal: '/data/shard-3/wal',
      lmdb: '/data/shard-3/lmdb',
      blobs: '/data/shard-3/blobs',
      snapshots: '/data/shard-3/snapshot',
      floor: '/data/shard-3/floor.json',
      end: '/data/shard-3/end.json',
    })
  })

  test('are found in order, without keelson.json, and without other folders', () => {
    const disk = folder()
    for (const name of ['shard-10', 'shard-2', 'shard-0', 'shard-01', 'shard-', 'shard-x', 'other'])
      disk.makeFolder(`/data/${name}`)

    expect(shardsPresent(disk, '/data')).toEqual([0, 2, 10])
    expect(shardsPresent(disk, '/missing')).toEqual([])
  })
})
