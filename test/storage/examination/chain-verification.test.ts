/**
 * The verification of a chain of commitments: each thing that is wrong is one place with a sentence, and nothing else is. The last
 * header of a log is replaced by one that says something else, with checksums that hold.
 */
import { describe, expect, test } from 'vitest'
import { chainParts, commitmentsFolder } from '../../../src/storage/commitments/chain-files.ts'
import {
  type CommitmentHeader,
  encodeHeader,
} from '../../../src/storage/commitments/commitment-header.ts'
import { noDigest } from '../../../src/storage/commitments/digests.ts'
import { Mountains, nodeCount } from '../../../src/storage/commitments/mountains.ts'
import { type ChainReader, readChain } from '../../../src/storage/examination/chain-reading.ts'
import { verifyingChain } from '../../../src/storage/examination/chain-verification.ts'
import { dumping } from '../../../src/storage/examination/log-dump.ts'
import { emptyMap } from '../../../src/storage/examination/segment-map.ts'
import { frameTypes } from '../../../src/storage/frames/frame.ts'
import {
  FrameCursor,
  type FrameEnd,
  segmentStart,
} from '../../../src/storage/frames/frame-cursor.ts'
import { GroupEncoder } from '../../../src/storage/frames/group-encoder.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
} from '../../../src/storage/frames/segment-header.ts'
import { surveyLog } from '../../../src/storage/segments/log-survey.ts'
import { withBadByte } from '../../support/harm/odd-files.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  commit,
  dir,
  type LogWorld,
  newestOn,
  openedLog,
  payload,
  release,
  runToEnd,
  segmentsOn,
  small,
} from '../../support/worlds/logs.ts'

const nameOf = (path: string): string => path.slice(dir.length + 1)

const headerOf = ({ disk }: LogWorld, path: string) => {
  const reading = decodeSegmentHeader(disk.contents(path).slice(0, 4096))
  if (reading.kind !== 'good') throw new Error('no header')
  return reading.header
}

/** A crashed log of `groups` groups with two records each, at the times 0, 1, 2 … */
const written = (groups: number, options = {}): LogWorld => {
  const { world, log } = openedLog({ ...small, commitments: {}, ...options })
  for (let group = 0; group < groups; group++)
    commit(log, [payload(2 * group), payload(2 * group + 1)], { now: group })
  log.abandon()
  return world
}

const framesOf = ({ disk }: LogWorld) =>
  [...dumping(disk, dir)].filter((record) => record.kind === 'frame')

/** The log with another payload in the COMMITMENT of its last group. */
const withLast = (groups: number, change: (header: CommitmentHeader) => Uint8Array) => {
  const world = written(groups)
  const path = newestOn(world.disk)
  const header = headerOf(world, path)
  const last = framesOf(world).at(-1)
  if (last?.content.kind !== 'commitment') throw new Error('no commitment')
  const file = world.disk.open(path, 'write')
  const cursor = new FrameCursor(file, header, segmentStart(header), file.size())
  const ends: FrameEnd[] = []
  const payloads: Uint8Array[] = []
  for (let frame = cursor.next(); frame; frame = cursor.next()) {
    ends.push(cursor.end)
    payloads.push(cursor.payloadBytes(frame).slice())
  }
  const encoder = new GroupEncoder()
  const from = ends.at(-4) ?? segmentStart(header)
  encoder.begin(from, { ...header, durableLsn: from.lsn }, 4096)
  for (const bytes of payloads.slice(-3, -1)) encoder.add(frameTypes.data, bytes)
  const at = encoder.nextOffset
  encoder.add(frameTypes.commitment, change(last.content.header))
  file.write(encoder.finish(), encoder.fileOffset)
  file.close()
  return { world, place: { file: nameOf(path), offset: at, lsn: last.lsn } }
}

const bytesOf = (header: CommitmentHeader): Uint8Array => encodeHeader(header).bytes

const other = 'ab'.repeat(32)

const damageOf = (action: () => unknown): unknown => {
  try {
    action()
  } catch (error) {
    return (error as { details: unknown }).details
  }
  return undefined
}

const reading = <T>({ disk }: LogWorld, read: (history: ChainReader) => T): T => {
  const history = readChain(disk, dir)
  try {
    return read(history)
  } finally {
    history.close()
  }
}

describe('a commitment', () => {
  test('of exactly the records before it is sound, and counts', () => {
    const { world } = withLast(3, bytesOf)

    const found = verifyLog(world.disk, dir)

    expect([found.verdict, found.damage]).toEqual(['clean', []])
    expect(found.commitments).toEqual({ size: 3, root: expect.any(String), uncovered: 0 })
    expect(reading(world, ({ head }) => [head.size, head.root])).toEqual([
      3,
      found.commitments?.root,
    ])
  })

  // Frames 1 to 3, 4 to 6 and 7 to 9 are the groups: two records, then the commitment.
  const wrong: readonly [string, Partial<CommitmentHeader>, string][] = [
    [
      'counts one record too many',
      { count: 3 },
      'it commits to 3 records, and those there are others',
    ],
    [
      'counts one record too few',
      { count: 1 },
      'it commits to 1 records, and those there are others',
    ],
    [
      'has the root of others',
      { records: other },
      'it commits to 2 records, and those there are others',
    ],
    ['leaves out a record', { firstLsn: 8 }, 'it does not cover lsn 7'],
    ['covers what another one covers', { firstLsn: 6 }, 'it covers lsn 6 to 9'],
    ['is of another frame', { lastLsn: 10 }, 'it covers lsn 7 to 10'],
    ['has another number', { seq: 3 }, 'it is commitment 3, and 2 was to follow'],
    ['has another one before it', { prev: other }, 'it does not name the commitment before it'],
  ]
  test.each(wrong)('that %s is damage at its frame', (_, change, evidence) => {
    const { world, place } = withLast(3, (header) => bytesOf({ ...header, ...change }))

    const found = verifyLog(world.disk, dir)

    expect([found.verdict, found.damage]).toEqual(['corrupt', [{ ...place, evidence }]])
    expect(found.commitments).toMatchObject({ size: 2, uncovered: 0 })
  })

  test('that is no header is damage at its frame', () => {
    const { world, place } = withLast(3, () => new Uint8Array(16))
    const evidence = 'the commitment is malformed'

    expect(verifyLog(world.disk, dir).damage).toEqual([{ ...place, evidence }])
    expect(damageOf(() => readChain(world.disk, dir))).toEqual({ ...place, evidence })
  })

  test('that does not follow is refused by a reader with its place', () => {
    const { world, place } = withLast(3, (header) => bytesOf({ ...header, seq: 7 }))

    expect(damageOf(() => readChain(world.disk, dir))).toEqual({
      ...place,
      evidence: 'it is commitment 7, and 2 was to follow',
    })
  })

  test('to other records gives no proof, and none before it suffers', () => {
    const { world } = withLast(3, (header) => bytesOf({ ...header, records: other }))

    reading(world, (history) => {
      expect(history.recordProof({ lsn: 4, index: 0 }).head.size).toBe(3)
      expect(damageOf(() => history.recordProof({ lsn: 7, index: 0 }))).toEqual({
        ...{ file: commitmentsFolder, offset: 0, lsn: 0 },
        evidence: expect.stringContaining('the proof that it leads to does not hold (the proof'),
      })
    })
  })
})

describe('the files of a chain', () => {
  /** A closed log whose first segments were given back, and its only part. */
  const givenBack = () => {
    const { world, log } = openedLog({ ...small, commitments: {} })
    for (let group = 0; group < 40; group++)
      commit(log, [payload(2 * group), payload(2 * group + 1)], { now: group })
    log.handle('checkpoint', { opaque: new Uint8Array() })
    release(log, 60)
    log.handle('close', { projectedLsn: 0 })
    const parts = chainParts(world.disk, dir).map((part) => ({
      ...part,
      path: `${dir}/${commitmentsFolder}/${part.name}`,
    }))
    const kept = Math.max(
      ...segmentsOn(world.disk).map((path) => headerOf(world, path).chain?.count ?? 0),
    )
    return { world, parts, kept, size: verifyLog(world.disk, dir).commitments?.size ?? 0 }
  }
  const inFiles = (evidence: string) => ({ file: commitmentsFolder, offset: 0, lsn: 0, evidence })

  test('with a damaged header that the log has too are named with it, once', () => {
    const { world, parts, kept } = givenBack()
    const [part] = parts.filter(({ first, count }) => first + count <= kept).slice(-1)
    if (!part) throw new Error('no part')
    const seq = part.first + part.count - 1
    world.disk.poke(part.path, 208 * (seq - part.first) + 20, Uint8Array.of(0x55))

    expect(verifyLog(world.disk, dir).damage).toEqual([
      inFiles(`header ${seq} or its nodes are missing or damaged`),
    ])
    // A reader takes it from the log.
    reading(world, (history) => expect(history.header(seq).header.seq).toBe(seq))
  })

  test('with a damaged header that only they have are named with it, once', () => {
    const { world, parts } = givenBack()
    world.disk.poke(parts[0]?.path ?? '', 208 + 20, Uint8Array.of(0x55))

    const damage = inFiles('header 1 is missing or damaged')
    expect(verifyLog(world.disk, dir).damage).toEqual([damage])
    reading(world, (history) => {
      expect(damageOf(() => history.header(1))).toEqual(damage)
      expect(history.header(2).header.seq).toBe(2)
    })
  })

  test('of which one is gone are damaged at its first header', () => {
    const { world, parts } = givenBack()
    const [first, second] = parts
    if (!first || !second) throw new Error('two parts')
    world.disk.remove(second.path)

    expect(verifyLog(world.disk, dir).damage).toEqual([
      inFiles(expect.stringContaining(`header ${second.first} `) as unknown as string),
    ])
  })

  test('that end early lack nodes, and a proof that needs one says which', () => {
    const { world, parts } = givenBack()
    const [first] = parts
    if (!first) throw new Error('a part')
    const file = world.disk.open(first.path, 'write')
    file.truncate(file.size() - 32)
    file.close()
    const { count } = first

    expect(verifyLog(world.disk, dir).damage).toEqual([
      inFiles(`header ${count - 1} or its nodes are missing or damaged`),
    ])
    reading(world, (history) => {
      const needs = inFiles(`node ${nodeCount(count) - 1} is missing`)
      expect(damageOf(() => history.rootAt(count))).toEqual(needs)
    })
  })
})

test('a segment that begins with another root than the chain has is damage at its first lsn', () => {
  const world = written(40)
  const path = segmentsOn(world.disk)[2] ?? ''
  const header = headerOf(world, path)
  if (!header.chain) throw new Error('no chain')
  const block = encodeSegmentHeader({ ...header, chain: { ...header.chain, root: other } })
  world.disk.poke(path, 0, block)

  expect(verifyLog(world.disk, dir).damage).toEqual([
    {
      ...{ file: nameOf(path), offset: 0, lsn: header.baseLsn },
      evidence: `its header names ${header.chain.count} commitments with another root`,
    },
  ])
})

test('a frame that was damaged since the survey is the damage, and the chain is not judged', () => {
  const world = written(3)
  const [segment] = surveyLog(world.disk, dir).segments
  if (!segment) throw new Error('no segment')
  const end = segmentStart(segment.header)
  const map = { ...emptyMap(end), end: { offset: segment.size, lsn: 9, crc: 0 } }
  const frame = framesOf(world)[4]
  world.disk.poke(newestOn(world.disk), (frame?.offset ?? 0) + 40, Uint8Array.of(1, 2, 3))

  const survey = { segment, declared: undefined, map, runsOver: false }
  expect(runToEnd(verifyingChain(world.disk, dir, [survey]))).toEqual({
    ...{ size: 0, root: noDigest, uncovered: 0 },
    damage: [
      {
        ...{ file: segment.name, lsn: 5, evidence: 'a frame is damaged' },
        offset: expect.any(Number),
      },
    ],
  })
})

test('a disk that fails under the verification is no damage of the chain', () => {
  const world = written(3)
  const [segment] = surveyLog(world.disk, dir).segments
  if (!segment) throw new Error('no segment')
  const map = { ...emptyMap(segmentStart(segment.header)), end: { offset: 9_999, lsn: 9, crc: 0 } }
  const disk = withBadByte(world.disk, newestOn(world.disk), 4096)
  const survey = { segment, declared: undefined, map, runsOver: false }

  expect(() => runToEnd(verifyingChain(disk, dir, [survey]))).toThrow(
    expect.objectContaining({ code: 'EIO' }),
  )
})

describe('a reader of a chain', () => {
  const refusal = (action: () => unknown): unknown => {
    try {
      action()
    } catch (error) {
      const { code, message, details } = error as { code: string; message: string; details: object }
      return [code, message, details]
    }
    return undefined
  }

  test('gives each header, and the head that the log had with each size', () => {
    const { world, log } = openedLog({ ...small, commitments: {} })
    const heads = [...Array(20).keys()].map((group) => {
      commit(log, [payload(group)], { now: 5 + group })
      return log.handle('head', null)
    })
    log.abandon()

    reading(world, (history) => {
      expect(heads.map((_, at) => history.headAt(at + 1))).toEqual(heads)
      expect(heads.map((_, at) => history.header(at).header.seq)).toEqual([...heads.keys()])
      expect(history.head).toEqual(heads.at(-1))
      expect(history.rootAt(0)).toBe(new Mountains('history').root())
      for (const bad of [-1, 21, 1.5])
        expect(refusal(() => history.rootAt(bad))).toEqual([
          ...['INVALID_ARGUMENT', `the chain has 20 headers, not ${bad}`],
          {},
        ])
    })
  })

  test('says why there is no proof of a record', () => {
    const world = written(3)

    reading(world, (history) => {
      const why = (lsn: number, index = 0, size = 3) =>
        (refusal(() => history.recordProof({ lsn, index }, size)) as unknown[] | undefined)?.[1]
      expect(why(4, 0)).toBe(undefined)
      expect(why(4, 1)).toBe('there is no record 1 in lsn 4')
      // A commitment has no records.
      expect(why(6)).toBe('there is no record 0 in lsn 6')
      expect(why(10)).toBe('there is no lsn 10: the log ends with lsn 9')
      expect(why(0)).toContain('lsn 0 was released: the log begins with 1')
      expect(why(4, 0, 1)).toBe('lsn 4 is in group 1, which is not among the first 1')
      expect(why(4, 0, 2)).toBe(undefined)
      expect(refusal(() => history.consistencyProof(3, 2))).toEqual([
        ...['INVALID_ARGUMENT', '3 headers are more than 2'],
        {},
      ])
      expect(refusal(() => history.consistencyProof(2, 2))).toBe(undefined)
    })
  })

  test('says that a record is of a time without commitments', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    log.handle('close', { projectedLsn: 0 })
    const on = world.on(world.disk, { ...small, commitments: {} })
    const next = on.open().log
    for (let number = 2; number < 4; number++) commit(next, [payload(number)])
    next.abandon()
    const covered = framesOf(on).findLast(({ content }) => content.kind !== 'commitment')?.lsn ?? 0

    reading(on, (history) => {
      expect(history.recordProof({ lsn: covered, index: 0 }).record.lsn).toBe(covered)
      expect(refusal(() => history.recordProof({ lsn: 1, index: 0 }))).toEqual([
        ...['INVALID_ARGUMENT', 'lsn 1 was written while commitments were off'],
        {},
      ])
    })
  })

  test('of a log without commitments, or of no log, says so', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    log.abandon()

    expect(refusal(() => readChain(world.disk, dir))).toEqual([
      ...['INVALID_ARGUMENT', `the log in ${dir} has no commitments`],
      { dir },
    ])
    expect(refusal(() => readChain(world.disk, '/none'))).toEqual([
      ...['NO_SEGMENTS', 'there is no log in /none'],
      { dir: '/none' },
    ])
    // A chain may have begun and have no header yet.
    const { world: begun } = openedLog({ ...small, commitments: {} })
    expect(refusal(() => readChain(begun.disk, dir))).toEqual([
      ...['INVALID_ARGUMENT', `the log in ${dir} has no commitments`],
      { dir },
    ])
  })
})
