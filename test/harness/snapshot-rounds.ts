/**
 * `kill -9` of a store under load, again and again, at the steps of its snapshots and projections: while
 * a snapshot is made, when the log before it is given back, while a lost projection is loaded from it
 * or rebuilt from the log, while a projection by users is built anew, and while a backup is made. After each kill every key,
 * row and file is held against the ledger.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../src/clock.ts'
import {
  folderOf,
  type Kind,
  type LifeCounts,
  namesIn,
  newPlace,
  optionsOf,
  type Place,
  verify,
} from './snapshot-place.ts'
import { type Aim, type Life, type Step, strikeStore } from './struck-store.ts'

const [KiB, MiB] = [1024, 1024 * 1024]
const writers = 6
/** Kills of one folder. */
const killsOfFolder = 20
/** Files and sizes are looked at after every so many kills: a snapshot is made for it. */
const filesEvery = 3

const early = { minLogBytes: 256 * KiB, ratio: 0 }
const never = { minLogBytes: 1024 * MiB }

/** The kinds of rounds. */
const kinds = {
  make: {
    snapshot: { ...early, bytesPerSecond: 8 * MiB },
    work: 'snapshots',
    baseKeys: 200,
    losses: 0,
    from: 'snapshot.started',
    to: 'snapshot.made',
    after: 2,
  },
  release: {
    snapshot: early,
    work: 'snapshots',
    baseKeys: 50,
    losses: 0,
    from: 'snapshot.made',
    to: 'log.released',
    after: 4,
  },
  load: {
    snapshot: early,
    work: 'snapshots',
    baseKeys: 2_500,
    losses: 1,
    from: 'begun',
    to: 'open',
    after: 100,
  },
  rebuild: {
    snapshot: never,
    work: 'none',
    baseKeys: 500,
    losses: 1,
    from: 'begun',
    to: 'open',
    after: 100,
  },
  project: {
    snapshot: early,
    work: 'projections',
    baseKeys: 500,
    losses: 0.3,
    from: 'open',
    to: 'reached',
    after: 150,
  },
  backup: {
    snapshot: early,
    work: 'backups',
    baseKeys: 200,
    losses: 0,
    from: 'backup.started',
    to: 'backup.made',
    after: 2,
  },
} as const satisfies Record<string, Kind>

/** The name of a kind of round. */
export type KindName = keyof typeof kinds

/** The names of all kinds. */
export const kindNames = Object.keys(kinds) as KindName[]

/** What the rounds came to. */
export type SnapshotStrikes = LifeCounts & {
  readonly rounds: Record<KindName, number>
  promised: number
  /** Projections that were lost and came back, and those that a kill struck before. */
  lost: number
  interrupted: number
  /** Kills that left a file that nothing names. */
  leftovers: number
}

const remove = ({ dir }: Place): void => {
  for (const each of [dir, `${dir}.backup`]) rmSync(each, { recursive: true, force: true })
}

const msBetween = (steps: readonly Step[], { from, to }: Kind): number | undefined => {
  const begin = steps.find(({ step }) => step === from)
  const end = steps.find(({ step, ms }) => step === to && begin && ms >= begin.ms)
  return begin && end && end.ms - begin.ms
}

/** The rounds of one kind, one after another. */
const roundsOfKind = async (name: KindName, run: Run): Promise<void> => {
  const { rounds, seed, root, sum, progress } = run
  const random = seededRandom(seed)
  const kind: Kind = kinds[name]
  let place: Place | undefined
  // How long it takes from one step to the other: learned from the lives that came so far.
  let span = 60
  for (let round = 0; round < rounds && !run.hasFailed; round++) {
    if (round % killsOfFolder === 0) {
      if (place) remove(place)
      place = await newPlace(join(root, `${name}-${round}`), kind)
    }
    if (!place) return
    const isLost = random() < kind.losses
    const times =
      kind.from.endsWith('started') || kind.from.endsWith('made') ? 1 + Math.floor(random() * 2) : 1
    const aim: Aim = {
      step: kind.from,
      times,
      ms: random() * 1.2 * span + random() * kind.after - 1,
    }
    if (isLost) rmSync(folderOf(place, 'lmdb'), { recursive: true, force: true })
    if (kind.work === 'projections') place.version++
    const { dir, version, next: first } = place
    const life: Life = {
      dir,
      options: optionsOf(place, 200),
      version,
      writers,
      first,
      work: kind.work,
    }
    try {
      const { steps, answers } = await strikeStore(life, aim, place.keys)
      place.next += answers + writers + 1
      const took = msBetween(steps, kind)
      span = took === undefined ? Math.min(span * 1.05, 5_000) : span * 0.7 + took * 0.3
      sum.promised += answers
      sum.made += steps.filter(({ step }) => step === 'snapshot.made').length
      for (const { step, segments = 0 } of steps)
        if (step === 'log.released') sum.released += segments
      if (isLost) sum.lost++
      if (isLost && !steps.some(({ step }) => step === 'open')) sum.interrupted++
      if (
        namesIn(place, 'snapshot').length > 1 ||
        namesIn(place, 'snapshot').includes('snapshot.tmp')
      )
        sum.leftovers++
      await verify(place, sum, round % filesEvery === 0)
    } catch (cause) {
      run.hasFailed = true
      const repeat = `npm run harness -- snapshots --kind ${name} --rounds ${round + 1} --seed ${seed}`
      throw new Error(
        `round ${round} of ${name}: ${String(cause)}\nthe folder: ${dir}\nagain: ${repeat}`,
        {
          cause,
        },
      )
    }
    sum.rounds[name]++
    progress?.(sum)
  }
  if (place && !run.hasFailed) remove(place)
}

type Run = {
  /** A round of any kind has failed: the others end. */
  hasFailed: boolean
  /** Of each kind. */
  readonly rounds: number
  readonly seed: number
  readonly root: string
  readonly sum: SnapshotStrikes
  readonly progress?: ((sum: SnapshotStrikes) => void) | undefined
}

/** How a run is done. */
export type SnapshotRunOptions = Pick<Run, 'rounds' | 'seed' | 'progress'> & {
  readonly kinds?: readonly KindName[]
  /** Kinds that run side by side; 3 when absent. */
  readonly atOnce?: number | undefined
}

/**
 * Rounds of `kill -9`, so many of each kind. A round is one kill.
 * @throws Error with kind, round, seed and the folder, which stays, when something is wrong
 */
export const snapshotRounds = async (options: SnapshotRunOptions): Promise<SnapshotStrikes> => {
  const { kinds: names = kindNames, atOnce = 3 } = options
  const rounds = Object.fromEntries(names.map((name) => [name, 0])) as Record<KindName, number>
  const none = { promised: 0, made: 0, released: 0, lost: 0, interrupted: 0, leftovers: 0 }
  const sum: SnapshotStrikes = { rounds, ...none }
  const root = mkdtempSync(join(tmpdir(), 'keelson-snapshots-'))
  const run: Run = { ...options, root, sum, hasFailed: false }
  const waiting = [...names]
  const lane = async (): Promise<void> => {
    for (let name = waiting.shift(); name; name = waiting.shift()) await roundsOfKind(name, run)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  rmSync(root, { recursive: true, force: true })
  return sum
}
