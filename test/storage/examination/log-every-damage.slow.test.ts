/**
 * All damage of one kind to a small log of several groups and segments: over headers, frames and
 * two sectors after them, each checked with `damage-oracle.ts`. After a marker or a close nothing
 * may be missing unnoticed.
 */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import type { LogOptions } from '../../../src/storage/ports/log-host.ts'
import {
  type DamageOutcome,
  judgeDamage,
  type Undamaged,
} from '../../support/harm/damage-oracle.ts'
import { triesAll, triesLong } from '../../support/tier.ts'
import {
  commit,
  content,
  dir,
  type LogWorld,
  openedLog,
  payload,
} from '../../support/worlds/logs.ts'

const seed = Number(process.env.KEELSON_SEED ?? 20)

/**
 * In the full tier, or with `KEELSON_EVERY_BIT=1`: every bit, and the log is opened and read after
 * each. In the quick tier one bit per byte of unused space (of MANIFEST one in 64). A header is
 * usually not opened again if its inspection finds the same as before.
 */
const everyBit = triesAll || process.env.KEELSON_EVERY_BIT === '1'

const sector = 512

type Small = { readonly world: LogWorld; readonly before: Undamaged; readonly paths: string[] }

/** Sectors of 64 bytes put frames close together, in two segments: most bits are bits of frames. */
const smallest = (ending: string): Small =>
  smallLog(
    ending,
    { maxFileSize: 4096 + 768, sectorBytes: 64 },
    [[1, 2], [3], [4, 5], [6], [7, 8]],
    24,
  )

/** One damage. With `undo` it may be done in place. */
type Damage = {
  readonly what: string
  readonly apply: (disk: LogWorld['disk']) => void
} & (
  | { readonly undo: (disk: LogWorld['disk']) => void; readonly path: string; readonly bit: number }
  | { readonly undo?: undefined; readonly path?: undefined; readonly bit?: undefined }
)

/** Two segments and the start of a third, groups of one to three frames, and one of three ends. */
const smallLog = (
  ending: string,
  options: LogOptions = { maxFileSize: 8 * 1024, sectorBytes: sector },
  groups = [[1, 2], [3], [4, 5, 6], [7], [8, 9], [10], [11, 12]],
  size = 300,
): Small => {
  const { world, log } = openedLog(options)
  const ends = groups.map((group) => {
    const payloads = group.map((number) => payload(number, size + number))
    return commit(log, payloads).lsns.at(-1) ?? 0
  })
  if (ending === 'closed') log.handle('close', { projectedLsn: 0 })
  else if (ending === 'marked') log.handle('mark', null)
  log.abandon()
  world.disk.crash()
  const contents = groups.flat().map((number) => content(number, size + number))
  const proven = ending === 'unmarked' ? contents.length - 2 : contents.length
  const paths = world.disk
    .list(dir)
    .filter((name) => name.endsWith('.wal') || name === 'MANIFEST')
    .map((name) => `${dir}/${name}`)
  const provenLsn = ends.at(ending === 'unmarked' ? -2 : -1) ?? 0
  return { world, before: { contents, proven, provenLsn }, paths }
}

/** The range of the damage: up to the end of the used bytes and two more sectors. */
const rangeOf = ({ world }: Small, path: string): number => {
  const bytes = world.disk.contents(path)
  return Math.min(bytes.length, bytes.findLastIndex((byte) => byte !== 0) + 1 + 2 * 512)
}

/** The findings of an inspection without their texts, or the code of its refusal. */
const factsOf = (world: LogWorld): string => {
  try {
    const { remarks: _, ...facts } = world.inspect()
    return JSON.stringify(facts)
  } catch (error) {
    return isKeelsonError(error) ? error.code : String(error)
  }
}

/** Every bit; in the quick tier one bit per byte in unused blocks. */
function* bitsOf(log: Small): Generator<Damage> {
  for (const path of log.paths) {
    const bytes = log.world.disk.contents(path)
    const end = rangeOf(log, path) * 8
    for (let bit = 0; bit < end; bit++) {
      const isManifest = path.endsWith('MANIFEST')
      const block = isManifest ? 4096 : 2048
      const isFact = (isManifest || bit < 4096 * 8) && bit % (block * 8) < 512 * 8
      const isFrame = !isManifest && bit >= 4096 * 8
      if (!everyBit && !isFact && !isFrame && bit % (isManifest ? 64 : 8) !== 0) continue
      const at = bit >> 3
      const byte = bytes[at] ?? 0
      yield {
        what: `bit ${bit} of ${path}`,
        apply: (disk) => disk.poke(path, at, Uint8Array.of(byte ^ (1 << (bit & 7)))),
        undo: (disk) => disk.poke(path, at, Uint8Array.of(byte)),
        path,
        bit,
      }
    }
  }
}

/** Every length; of MANIFEST, whose blocks are mostly empty, every length around its facts. */
function* cutsOf({ world, paths }: Small): Generator<Damage> {
  for (const path of paths)
    for (let size = 0; size < (world.disk.entry(path)?.size ?? 0); size++) {
      if (path.endsWith('MANIFEST') && size % 4096 > 520 && size % 64 > 0) continue
      yield {
        what: `${path} cut to ${size}`,
        apply(disk) {
          const file = disk.open(path, 'write')
          file.truncate(size)
          file.sync()
          file.close()
        },
      }
    }
}

/** One damage in `step` is tried. */
const step = everyBit ? 1 : triesLong ? 17 : 51

/** Tries damages on copies and counts the outcomes. The first that breaks the rule is named. */
const tally = (
  { world, before }: Small,
  damages: Iterable<Damage>,
  {
    every = step,
    isSettled = () => false,
  }: { every?: number; isSettled?: (path: string, bit: number) => boolean } = {},
): Record<DamageOutcome, number> => {
  const outcomes = { corrupt: 0, whole: 0, cut: 0 }
  let drawn = 0
  for (const { what, apply, undo, path, bit } of damages) {
    if (drawn++ % every > 0) continue
    let isDone = false
    if (undo) {
      // In place: an inspection needs no copy.
      apply(world.disk)
      isDone = isSettled(path, bit)
      if (!isDone && factsOf(world) === 'CORRUPT') {
        outcomes.corrupt += 1
        isDone = true
      }
      undo(world.disk)
    }
    if (isDone) continue
    const copy = world.on(world.disk.clone())
    apply(copy.disk)
    try {
      outcomes[judgeDamage(copy, before).outcome] += 1
    } catch (error) {
      expect.fail(`${what} (seed ${seed}): ${String(error)}`)
    }
  }
  return outcomes
}

/** Enough on a busy machine. */
const timeout = everyBit ? 4 * 3_600_000 : 300_000

describe.each(['unmarked', 'marked', 'closed'])('a log that is %s', { timeout }, (ending) => {
  const mayLose = ending === 'unmarked'

  test('with any one bit flipped', { tags: ['D6', 'D7', 'E12'] }, () => {
    const log = smallest(ending)
    const sound = factsOf(log.world)
    let same = 0
    const isSettled = (path: string, bit: number): boolean => {
      if (everyBit) return false
      // Opening depends only on the findings: equal findings about headers need no second opening.
      const isOfFacts = path.endsWith('MANIFEST') || bit < 4096 * 8
      const isSame = isOfFacts && bit % 61 > 0 && factsOf(log.world) === sound
      if (isSame) same += 1
      return isSame
    }
    const { corrupt, whole, cut } = tally(log, bitsOf(log), { isSettled })
    const bits = log.paths.reduce((sum, path) => sum + rangeOf(log, path) * 8, 0)
    if (everyBit) expect(corrupt + whole + cut).toBe(bits)
    expect(corrupt).toBeGreaterThan(2000 / step)
    expect(whole + same).toBeGreaterThan(10_000 / step)
    if (mayLose) expect(cut).toBeGreaterThan(300 / step)
    else expect(cut).toBe(0)
  })

  test('with any file cut at any byte', { tags: ['D13', 'E11'] }, () => {
    const log = smallest(ending)
    const { corrupt, cut } = tally(log, cutsOf(log))
    expect(corrupt).toBeGreaterThan(4000 / step)
    expect(cut).toBe(0)
  })

  test('with any sector zeroed, or overwritten at random, or from any byte on', {
    tags: ['D5', 'D9', 'E13', 'E14'],
  }, () => {
    const random = seededRandom(seed)
    const noise = () => Uint8Array.from({ length: sector }, () => Math.floor(random() * 256))
    const log = smallLog(ending)
    const places = log.paths.flatMap((path) =>
      Array.from({ length: Math.floor(rangeOf(log, path) / sector) }, (_, at) => ({
        path,
        at: at * sector,
      })),
    )
    const damages = places.flatMap(({ path, at }) => [
      poke('zeros', path, at, new Uint8Array(sector)),
      ...[1, 2, 3, 4].map(() => poke('noise', path, at, noise())),
      // A sector that is half new and half old, as after an interrupted write.
      ...[1, 2, 3].map(() =>
        poke('noise', path, at, noise().subarray(0, Math.floor(random() * 512))),
      ),
    ])
    const { corrupt, cut } = tally(log, damages)
    expect(corrupt).toBeGreaterThan(80 / step)
    if (mayLose) expect(cut).toBeGreaterThan(5 / step)
    else expect(cut).toBe(0)
  })

  const poke = (kind: string, path: string, at: number, bytes: Uint8Array) => ({
    what: `${bytes.length} bytes of ${kind} at ${at} of ${path}`,
    apply: (disk: LogWorld['disk']) => disk.poke(path, at, bytes),
  })

  test('with any two sectors of a file swapped, or of two files', { tags: ['E13'] }, () => {
    const log = smallLog(ending)
    const { corrupt, cut } = tally(log, swaps(log))
    expect(corrupt).toBeGreaterThan(100 / step)
    if (!mayLose) expect(cut).toBe(0)
  })

  function* swaps(log: Small): Generator<Damage> {
    const random = seededRandom(seed)
    const places = log.paths.flatMap((path) =>
      Array.from({ length: Math.floor(rangeOf(log, path) / sector) }, (_, at) => ({
        path,
        at: at * sector,
      })),
    )
    for (const [index, one] of places.entries())
      for (const other of places.slice(index + 1)) {
        // All pairs of one file; of two files the pairs that the seed draws.
        if (one.path !== other.path && random() > 0.2) continue
        yield {
          what: `sectors ${one.at} of ${one.path} and ${other.at} of ${other.path}`,
          apply(disk: LogWorld['disk']) {
            const bytes = disk.contents(one.path).slice(one.at, one.at + sector)
            disk.poke(
              one.path,
              one.at,
              disk.contents(other.path).slice(other.at, other.at + sector),
            )
            disk.poke(other.path, other.at, bytes)
          },
        }
      }
  }

  test('with any file removed, or any two in each other’s place', {
    tags: ['D11', 'D12', 'E40'],
  }, () => {
    const log = smallLog(ending)
    const removals = log.paths.map((path) => ({
      what: `${path} removed`,
      apply: (disk: LogWorld['disk']) => disk.remove(path),
    }))
    const exchanges = log.paths.flatMap((one, index) =>
      log.paths.slice(index + 1).map((other) => ({
        what: `${one} and ${other} exchanged`,
        apply(disk: LogWorld['disk']) {
          disk.rename(one, `${dir}/between`)
          disk.rename(other, one)
          disk.rename(`${dir}/between`, other)
        },
      })),
    )

    expect(log.paths.length).toBeGreaterThanOrEqual(4)
    // Only MANIFEST may be missing.
    expect(tally(log, removals, { every: 1 })).toEqual({
      corrupt: log.paths.length - 1,
      whole: 1,
      cut: 0,
    })
    expect(tally(log, exchanges, { every: 1 })).toEqual({
      corrupt: exchanges.length,
      whole: 0,
      cut: 0,
    })
  })
})
