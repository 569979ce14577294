/**
 * The child of a trial: lives seeds of one kind, on the sources that it was compiled from, and says how the first one failed.
 * `probe.js LIFE SEED…`
 */
import fc from 'fast-check'
import { BlobLife } from '../lives/blob-life.ts'
import { liveCreation } from '../lives/creation-life.ts'
import { liveEntities } from '../lives/entity-life.ts'
import { liveFlows } from '../lives/flow-life.ts'
import { liveFolder } from '../lives/folder-life.ts'
import { JournalLife } from '../lives/journal-life.ts'
import { liveLinks } from '../lives/link-life.ts'
import { liveMembers } from '../lives/member-life.ts'
import { SnapshotLife } from '../lives/snapshot-life.ts'
import { liveSpread } from '../lives/spread-life.ts'
import { history, live as liveHistory } from '../lives/store-history.ts'
import { liveStore, mortalMachine } from '../lives/store-life.ts'
import { ThreadLife } from '../lives/thread-life.ts'
import { liveAsWriters } from '../lives/wal-seeds.ts'
import { engineMachine, forgetfulMachine, lossy } from '../worlds/engine-machine.ts'

/** The lives in which a planted fault may show. */
export const probes = {
  store: (seed: number) => liveStore(seed),
  'mortal store': (seed: number) => liveStore(seed, mortalMachine),
  'store history': async (seed: number) => {
    const [drawn] = fc.sample(history, { seed, numRuns: 1 })
    if (drawn) await liveHistory(...drawn)
  },
  threads: (seed: number) => new ThreadLife(seed).run(8),
  blobs: (seed: number) => new BlobLife(seed).run(30),
  'engine blobs': (seed: number) => {
    const world = engineMachine({ seed, faults: lossy })
    return new BlobLife(seed, world, [world.emptyCache, world.loseSegments]).run(30)
  },
  snapshots: (seed: number) => new SnapshotLife(seed).run(6),
  journal: (seed: number) => new JournalLife(seed).run(4),
  'engine journal': (seed: number) => new JournalLife(seed, forgetfulMachine).run(4),
  entities: (seed: number) => liveEntities(seed),
  flows: (seed: number) => liveFlows(seed),
  folder: liveFolder,
  spread: liveSpread,
  members: liveMembers,
  links: liveLinks,
  creation: (seed: number) => liveCreation(seed),
  writers: liveAsWriters,
}

/** What a child says. */
export type Finding = { readonly seed?: number; readonly error?: string }

const [life, ...seeds] = process.argv.slice(2)

const found = async (): Promise<Finding> => {
  // What is refused and heard by nobody ends a process as well.
  process.on('unhandledRejection', (error) => say({ error: `unhandled: ${textOf(error)}` }))
  for (const seed of seeds.map(Number)) {
    begun = seed
    try {
      await probes[life as keyof typeof probes](seed)
    } catch (error) {
      return { seed, error: textOf(error) }
    }
  }
  return {}
}

let begun: number | undefined

const textOf = (error: unknown): string => {
  const { message } = error as Error
  const cause = (error as Error).cause
  return cause === undefined ? `${message}` : `${message}: ${textOf(cause)}`
}

const say = (finding: Finding): never => {
  process.stdout.write(`${JSON.stringify({ seed: begun, ...finding })}\n`)
  process.exit()
}

const result = await found()
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit()
