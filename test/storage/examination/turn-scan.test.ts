/** The search for the turns of a durable actor in a log on a simulated disk. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import type { Turn } from '../../../src/storage/commands/command.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import type { LoggedTurn, WantedTurn } from '../../../src/storage/examination/logged-turn.ts'
import { scanningTurns } from '../../../src/storage/examination/turn-scan.ts'
import { frameHeaderBytes } from '../../../src/storage/frames/frame.ts'
import { segmentHeaderBytes } from '../../../src/storage/frames/segment-header.ts'
import { closing } from '../../../src/storage/ports/disk.ts'
import { finish } from '../../../src/storage/ports/steps.ts'
import { mainRowOf } from '../../../src/storage/values/entity-row.ts'
import { commit, dir, openedLog } from '../../support/worlds/logs.ts'

const sector = 512
const entity = 'order/17'
const incarnation = '00000000000000aa'

const turn = (seq: number, of = entity): Turn => ({
  ...{ kind: 'turn', entity: of, writes: [], rows: [] },
  follows: seq === 1 ? undefined : { incarnation, seq: seq - 1 },
  row: mainRowOf({ incarnation, seq }, new Uint8Array(20)),
})

/** Groups of one to four frames, of which some are turns of the actor. Answers how many. */
const logged = (
  seed: number,
  extra: (opened: ReturnType<typeof openedLog>) => Uint8Array | undefined = () => undefined,
) => {
  const random = seededRandom(seed)
  const opened = openedLog({ maxFileSize: 24 * 1024, sectorBytes: 512 }, seed)
  const { world, log } = opened
  let turns = 0
  for (let group = 0; group < 60; group++) {
    const frames = Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
      const isOurs = random() < 0.4
      return encodeFrame([
        isOurs ? turn(++turns) : turn(1, `other/${'x'.repeat(1 + random() * 90)}`),
      ])
    })
    const more = group % 10 === 9 ? extra(opened) : undefined
    commit(log, frames)
    if (more) commit(log, [more])
  }
  return { disk: world.disk, log, turns }
}

/** A value in whose every sector the first group of its segment stands again, where a group would begin. */
const copiesOfAGroup = ({ world, log }: ReturnType<typeof openedLog>): Uint8Array => {
  const segment = log.handle('describe', null).segments.at(-1)?.file ?? ''
  const group = closing(world.disk.open(`${dir}/${segment}`, 'read'), (file) => {
    const bytes = Buffer.alloc(sector)
    file.read(bytes, segmentHeaderBytes)
    return bytes
  })
  const puttingOf = (bytes: Uint8Array) =>
    encodeFrame([
      { kind: 'put', key: 'k', value: { tag: 1, bytes }, expiry: { kind: 'none' } } as const,
    ])
  const copies = Buffer.alloc(8 * sector)
  const before = frameHeaderBytes + Buffer.from(puttingOf(Buffer.alloc(1, 0xa5))).lastIndexOf(0xa5)
  for (let at = sector - (before % sector); at + sector <= copies.length; at += sector)
    group.copy(copies, at)
  return puttingOf(copies)
}

/** All turns, in pages that end as soon as they can. `hint`: the log says where its frames end. */
const found = (
  { disk, log, turns }: ReturnType<typeof logged>,
  { partBytes, isLate = false, hint = true }: Look,
) => {
  const { durableLsn: to, segments } = log.handle('describe', null)
  const last = segments.at(-1)
  const newest = hint && last ? { file: last.file, offset: last.usedBytes } : undefined
  const all: LoggedTurn[] = []
  let pages = 0
  let wanted: WantedTurn | undefined = {
    before: { lsn: Number.MAX_SAFE_INTEGER, unit: 0 },
    mark: { incarnation, seq: turns },
  }
  while (wanted) {
    const request = { dir, to, newest, entity, wanted, atLsn: to, limit: 1_000 }
    const page: ReturnType<typeof scan> = scan(disk, request, () => isLate, partBytes)
    all.push(...page.turns)
    wanted = page.wanted
    pages++
  }
  return { seqs: all.map(({ mark }) => mark?.seq), pages }
}

type Look = { readonly partBytes: number; readonly isLate?: boolean; readonly hint?: boolean }

const scan = (...search: Parameters<typeof scanningTurns>) => finish(scanningTurns(...search))

const downFrom = (turns: number): number[] => Array.from({ length: turns }, (_, at) => turns - at)

describe('a search', () => {
  test('finds the same turns in parts of every size, with and without the end of the log', {
    tags: ['slow'],
  }, () => {
    for (let seed = 1; seed <= 10; seed++) {
      const log = logged(seed)
      const truth = downFrom(log.turns)
      for (const partBytes of [512, 3_000, 1e9])
        for (const hint of [true, false])
          expect(found(log, { partBytes, hint }).seqs, `seed ${seed}, ${partBytes}`).toEqual(truth)
    }
  })

  test('that is late ends inside a segment, and its next pages have the rest', () => {
    const log = logged(11)
    const { segments } = log.log.handle('describe', null)

    const { seqs, pages } = found(log, { partBytes: 2_048, isLate: true })

    expect(seqs).toEqual(downFrom(log.turns))
    expect(pages).toBeGreaterThan(2 * segments.length)
  })

  test('is not misled by a group of the log in the bytes of a user', () => {
    const log = logged(12, copiesOfAGroup)
    for (const partBytes of [1_024, 2_048, 4_096])
      expect(found(log, { partBytes }).seqs).toEqual(downFrom(log.turns))
  })
})
