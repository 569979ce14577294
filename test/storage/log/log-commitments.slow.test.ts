/** Commitments as the log writes them: one a group, in its write; the chain over restarts, and its files. */
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { commitmentsFolder } from '../../../src/storage/commitments/chain-files.ts'
import { decodeHeader } from '../../../src/storage/commitments/commitment-header.ts'
import {
  decodeProof,
  encodeProof,
  verifyConsistency,
  verifyRecordProof,
} from '../../../src/storage/commitments/proof.ts'
import { readChain } from '../../../src/storage/examination/chain-reading.ts'
import { dumping } from '../../../src/storage/examination/log-dump.ts'
import type { Log } from '../../../src/storage/log/log.ts'
import type { LogOptions } from '../../../src/storage/ports/log-host.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  commit,
  dir,
  fill,
  type LogWorld,
  newWorld,
  openedLog,
  payload,
  readAll,
  release,
  small,
} from '../../support/worlds/logs.ts'

const options: LogOptions = { ...small, commitments: {} }
const { privateKey: key } = generateKeyPairSync('ed25519')

/** Commits `groups` groups of two frames each. */
const write = (log: Log, groups: number, size = 40): void => {
  for (let group = 0; group < groups; group++)
    commit(log, [payload(2 * group, size), payload(2 * group + 1, size)], { now: group })
}

const headersIn = ({ disk }: LogWorld) =>
  [...dumping(disk, dir)].flatMap((record) =>
    record.kind === 'frame' && record.content.kind === 'commitment' ? [record.content.header] : [],
  )

const found = ({ disk }: LogWorld) => verifyLog(disk, dir)

const codeOf = (action: () => void): string => {
  try {
    action()
  } catch (error) {
    if (isKeelsonError(error)) return error.code
    throw error
  }
  return 'nothing'
}

/** A world whose log has `groups` groups over several segments, and was closed. */
const written = (groups = 40, own = options): LogWorld => {
  const { world, log } = openedLog(own)
  write(log, groups)
  log.handle('close', { projectedLsn: 0 })
  return world
}

const partsIn = ({ disk }: LogWorld): string[] =>
  disk.list(`${dir}/${commitmentsFolder}`).map((name) => `${dir}/${commitmentsFolder}/${name}`)

describe('a log with commitments', () => {
  test('ends each group with one header, which names the one before, its records and its range', () => {
    const world = written(40)

    const headers = headersIn(world)
    expect(headers.length).toBeGreaterThanOrEqual(40)
    expect(headers.map(({ seq }) => seq)).toEqual([...headers.keys()])
    expect(headers.reduce((sum, { count }) => sum + count, 0)).toBe(80)
    for (const [at, { firstLsn }] of headers.entries())
      expect(firstLsn).toBe((headers[at - 1]?.lastLsn ?? 0) + 1)
    expect(found(world)).toMatchObject({
      verdict: 'clean',
      commitments: { size: headers.length, uncovered: 0 },
    })
  })

  test('writes it with its group: one write and one sync, and frames are read as without it', () => {
    const counts = [small, options].map((own) => {
      const { world, log } = openedLog(own)
      const calls = world.disk.recordCalls()
      write(log, 5)
      const frames = readAll(log).map(({ content }) => content)
      const kinds = calls.map(({ operation }) => operation)
      return { kinds: kinds.filter((kind) => kind === 'write' || kind === 'sync'), frames }
    })
    expect(counts[1]).toEqual(counts[0])
  })

  test('accepts a frame as large as the limit, and refuses a larger one before any write', () => {
    const { log } = newWorld(options).open()
    const limit = [...Array(8192).keys()].findLast((size) => {
      try {
        commit(log, [payload(1, size)])
        return true
      } catch (error) {
        if (isKeelsonError(error, 'TOO_LARGE')) return false
        throw error
      }
    })
    expect(limit).toBeGreaterThan(2_000)
  })

  test('without them writes no such frame and no such file', () => {
    const world = written(40, small)
    expect(headersIn(world)).toEqual([])
    expect(world.disk.entry(`${dir}/${commitmentsFolder}`)).toBeUndefined()
    expect(found(world).commitments).toBeUndefined()
  })

  test('signs each header with the key', () => {
    const world = written(3, { ...small, commitments: { key } })
    for (const { signer } of headersIn(world)) expect(signer).toMatch(/[1-9a-f]/)
    const reader = readChain(world.disk, dir)
    const proof = reader.recordProof({ lsn: 1, index: 0 })
    reader.close()
    expect(decodeHeader(proof.header)?.bytes).toHaveLength(200)
    expect(verifyRecordProof(proof).header.seq).toBe(0)
  })
})

describe('the chain goes on', () => {
  test('over closes, crashes and rolls: every header follows the one before', () => {
    const world = newWorld(options)
    for (let life = 0; life < 5; life++) {
      const { log } = world.open()
      write(log, 12)
      const head = log.handle('head', null)
      if (life % 2 === 0) log.handle('close', { projectedLsn: 0 })
      else world.disk.crash()
      expect(found(world)).toMatchObject({ verdict: 'clean', commitments: { root: head?.root } })
    }
    expect(headersIn(world).length).toBeGreaterThanOrEqual(60)
  })

  test('with the records whose commitment was torn off: the next group covers them', () => {
    const { world, log } = openedLog(options)
    write(log, 2)
    world.disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    const end = log.handle('describe', null).lastLsn
    expect(codeOf(() => commit(log, [payload(90, 600), payload(91, 600)]))).toBe('SHARD_DOWN')
    log.abandon()
    const path = world.disk.list(dir).findLast((name) => name.endsWith('.wal')) ?? ''
    // The last sector of the group is lost: its DATA frames are whole, its COMMITMENT is not.
    const bytes = world.disk.contents(`${dir}/${path}`)
    const last = bytes.findLastIndex((byte) => byte !== 0)
    world.disk.poke(`${dir}/${path}`, last - 8, new Uint8Array(9))

    // A life that adds other frames alone leaves them uncovered.
    const between = world.open().log
    between.handle('checkpoint', { opaque: new Uint8Array() })
    between.handle('close', { projectedLsn: 0 })

    const next = world.open()
    expect(readAll(next.log)).toHaveLength(6)
    commit(next.log, [payload(92)])
    const header = headersIn(world).at(-1)
    expect(header).toMatchObject({ count: 3, firstLsn: end + 1 })
    expect(found(world)).toMatchObject({ commitments: { uncovered: 0 } })
  })

  test('after a time without commitments, whose frames nothing covers; before, it begins', () => {
    const world = written(4, small)
    const on = world.on(world.disk, options)
    const first = on.open().log
    write(first, 20)
    first.handle('close', { projectedLsn: 0 })
    const between = world.on(world.disk, small).open().log
    write(between, 20)
    expect(between.handle('head', null)?.size).toBe(headersIn(world).length)
    between.handle('close', { projectedLsn: 0 })
    const { log } = on.open()
    write(log, 3)
    log.handle('close', { projectedLsn: 0 })

    expect(found(world)).toMatchObject({ verdict: 'clean', commitments: { uncovered: 40 } })
    const reader = readChain(world.disk, dir)
    const prove = (lsn: number) => codeOf(() => reader.recordProof({ lsn, index: 0 }))
    const covered = headersIn(world).map(({ lastLsn }) => lastLsn - 1)
    for (const lsn of covered) expect(prove(lsn)).toBe('nothing')
    expect(prove(1)).toBe('INVALID_ARGUMENT')
    expect(prove((covered[covered.length - 4] ?? 0) + 5)).toBe('INVALID_ARGUMENT')
    reader.close()
  })

  test('when segments were given back: their headers are in files, and the log keeps the others', () => {
    const { world, log } = openedLog(options)
    write(log, 40)
    log.handle('checkpoint', { opaque: new Uint8Array() })
    const { removed } = release(log, 1_000)
    write(log, 3)
    const head = log.handle('head', null)
    log.handle('close', { projectedLsn: 0 })

    expect(removed).toBeGreaterThan(1)
    expect(headersIn(world)[0]?.seq).toBeGreaterThan(0)
    expect(found(world)).toMatchObject({ verdict: 'clean', commitments: { root: head?.root } })
    const next = world.open().log
    expect(next.handle('head', null)?.root).toBe(head?.root)
  })

  test('while no file can be made, which stops no group: what no file has is not given back', () => {
    const { world, log } = openedLog(options)
    const fault = { kind: 'error' } as const
    world.disk.inject({ at: 1, times: 1_000, operation: 'write', path: 'part.tmp', fault })
    write(log, 40)
    log.handle('checkpoint', { opaque: new Uint8Array() })
    expect(release(log, 1_000).removed).toBe(0)

    world.disk.clearFaults()
    write(log, 20)
    expect(release(log, 1_000).removed).toBeGreaterThan(1)
    log.handle('close', { projectedLsn: 0 })
    expect(found(world).verdict).toBe('clean')
  })

  test('on a full disk, which stops no group and leaves the chain whole', () => {
    const { world, log } = openedLog(options)
    write(log, 4)
    const free = world.disk.capacityBytes
    for (let spare = log.beginSpare(); spare; spare = undefined) log.settleSpare(new Error('none'))
    fill(world.disk)
    const before = log.handle('describe', null).segments.length
    const codes = new Set<string>()
    for (let group = 0; group < 20; group++)
      codes.add(commit(log, [payload(group, 300)]).refused?.code ?? 'taken')
    expect(codes).toContain('NO_SPACE')
    world.disk.capacityBytes = free
    write(log, 20)
    expect(log.handle('describe', null).segments.length).toBeGreaterThan(before)
    log.handle('close', { projectedLsn: 0 })
    expect(found(world).verdict).toBe('clean')
  })
})

describe('the files of a chain', () => {
  const lastly = (world: LogWorld) => {
    const { log } = world.open()
    const head = log.handle('head', null)
    log.handle('close', { projectedLsn: 0 })
    return head
  }

  test('are made again from the log when they are lost or damaged', () => {
    for (const harm of ['remove', 'first', 'last'] as const) {
      const world = written(40)
      const root = found(world).commitments?.root
      for (const path of partsIn(world)) {
        const { length } = world.disk.contents(path)
        if (harm === 'remove') world.disk.remove(path)
        else world.disk.poke(path, harm === 'first' ? 20 : length - 1, Uint8Array.of(0x55))
      }
      expect(found(world).verdict).toBe('corrupt')
      // An opening looks at the end of the chain only: what it does not need is made anew when it is gone.
      if (harm === 'first') for (const path of partsIn(world)) world.disk.remove(path)
      expect(lastly(world)?.root, harm).toBe(root)
      expect(found(world).verdict, harm).toBe('clean')
    }
  })

  test('that the log cannot replace are CORRUPT, with nothing changed; without commitments it opens', () => {
    const world = givenBack()
    world.disk.remove(partsIn(world)[0] ?? '')

    expect(codeOf(() => world.open())).toBe('CORRUPT')
    const off = world.on(world.disk, small).open()
    expect(off.report.remarks.join()).toContain(commitmentsFolder)
    off.log.handle('close', { projectedLsn: 0 })
    expect(codeOf(() => world.open())).toBe('CORRUPT')
  })
})

test('a header that the log has given back is CORRUPT when its file says something else, also the last one', () => {
  const world = givenBack()
  expect(headersIn(world)).toEqual([])
  const part = partsIn(world).at(-1) ?? ''
  // Its time differs, and its own checksum holds.
  const at = headerBytesIn(part) - 208
  const record = Buffer.from(world.disk.contents(part).subarray(at, at + 200))
  record.writeUInt8(record.readUInt8(96) ^ 1, 96)
  world.disk.poke(part, at + 96, record.subarray(96, 97))
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(record))
  world.disk.poke(part, at + 200, sum)

  expect(codeOf(() => world.open())).toBe('CORRUPT')
})

test('(e) verify compares inner nodes too: any changed byte of a part is found', () => {
  const world = written(20)
  const [path = ''] = partsIn(world)
  const bytes = world.disk.contents(path)
  // Headers take 208 bytes; the last eight of each are their CRC and zeros that mean nothing.
  const means = (at: number) => at >= headerBytesIn(path) || at % 208 < 204
  for (let at = 0; at < bytes.length; at += 7) {
    if (!means(at)) continue
    const copy = world.on(world.disk.clone())
    copy.disk.poke(path, at, Uint8Array.of((bytes[at] ?? 0) ^ 1))
    expect(found(copy).verdict, `byte ${at}`).toBe('corrupt')
  }
})

/** The bytes of a part before its nodes, from its name. */
const headerBytesIn = (path: string): number =>
  208 * Number.parseInt(path.split('-').at(-1) ?? '', 16)

test('(f) no group is left out, wherever a log is cut off: every header has the next number', () => {
  const world = newWorld(options)
  for (let life = 0; life < 6; life++) {
    const { log } = world.open()
    write(log, 7)
    world.disk.inject({ at: 1 + life, operation: 'write', fault: { kind: 'halt' } })
    try {
      write(log, 7)
    } catch (error) {
      if (!isKeelsonError(error)) throw error
    }
    world.disk.crash()
  }
  const { log } = world.open()
  write(log, 1)
  const headers = headersIn(world)
  expect(headers.map(({ seq }) => seq)).toEqual([...headers.keys()])
  const frames = readAll(log).length
  expect(headers.reduce((sum, { count }) => sum + count, 0)).toBe(frames)
})

describe('two logs with one changed record', () => {
  test('have other heads, and neither continues the other', { tags: ['E54'] }, () => {
    const one = written(6)
    const two = newWorld(options, 1)
    const { log } = two.open()
    write(log, 6, 41)
    log.handle('close', { projectedLsn: 0 })
    // The heads of two histories differ, and neither proves the other consistent.
    const [first, second] = [one, two].map(({ disk }) => readChain(disk, dir))
    expect(first?.head.root).not.toBe(second?.head.root)
    const proof = first?.consistencyProof(3)
    const forged = { ...proof, from: { size: 3, root: second?.rootAt(3) ?? '' } }
    expect(codeOf(() => verifyConsistency(forged as typeof proof & object))).toBe('CORRUPT')
    expect(codeOf(() => proof && verifyConsistency(proof))).toBe('nothing')
    first?.close()
    second?.close()
  })

  test('every record of the log has a proof that holds, as of every size of the chain', {
    tags: ['E54'],
  }, () => {
    const world = written(20)
    const reader = readChain(world.disk, dir)
    for (const { seq, firstLsn, lastLsn } of headersIn(world))
      for (let size = seq + 1; size <= reader.head.size; size += 5) {
        const lsn = lastLsn - 1
        expect(lsn).toBeGreaterThanOrEqual(firstLsn)
        const text = encodeProof(reader.recordProof({ lsn, index: 0 }, size))
        const proof = decodeProof(text)
        if (proof.kind === 'record') expect(verifyRecordProof(proof).header.seq).toBe(seq)
        expect(proof).toMatchObject({ head: { size, root: reader.rootAt(size) } })
      }
    const refused = [
      () => reader.recordProof({ lsn: 1, index: 1 }),
      () => reader.recordProof({ lsn: 99_999, index: 0 }),
      () => reader.recordProof({ lsn: 1, index: 0 }, 0),
      () => reader.recordProof({ lsn: 1, index: 0 }, reader.head.size + 1),
      () => reader.consistencyProof(5, 4),
    ].map(codeOf)
    expect(new Set(refused)).toEqual(new Set(['INVALID_ARGUMENT']))
    reader.close()
  })
})

/** A closed log of 40 writes that has given back every segment before its newest. */
const givenBack = (): LogWorld => {
  const { world, log } = openedLog(options)
  write(log, 40)
  log.handle('checkpoint', { opaque: new Uint8Array() })
  release(log, 1_000)
  log.handle('close', { projectedLsn: 0 })
  return world
}
