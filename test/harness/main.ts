/**
 * `npm run harness -- kill|power|pages|orders|snapshots|replication|deaths|cluster|members|flows|spread [--rounds N] [--seed N] [--at-once N]`: kill -9, power cuts, and
 * power cuts after which only some pages are there, over the built package; `orders` kills the service of examples/orders;
 * `snapshots [--kind K]` kills a store at the steps of its snapshots and projections, N times at each. How many logs and
 * stores are struck at once can be chosen. `members` and `flows` strike the members of a folder while clients use keys and accounts, or runs, jobs, alarms, schedules, watches and backups. `deaths` kills each storage actor N times in a process that lives on. `replication` gives a PostgreSQL server N troubles while entries are replicated to it. Shows how far it is; exit code 1 when something that was acknowledged is missing.
 */
import { parseArgs } from 'node:util'
import { noFlock } from '../support/harm/folder-locks.ts'
import { noPostgres } from '../support/worlds/postgres-server.ts'
import { type ClusterRounds, clusterRounds, troubleNames } from './cluster-rounds.ts'
import { type Deaths, deathRounds } from './death-rounds.ts'
import { killRounds, type StrikeOptions, type Strikes } from './kill-rounds.ts'
import { noLoopDisk } from './loop-disk.ts'
import {
  flowTroubles,
  type MemberRounds,
  type MemberTrouble,
  memberRounds,
  memberTroubles,
} from './member-rounds.ts'
import { orderRounds } from './order-rounds.ts'
import { pageRounds, powerRounds } from './power-rounds.ts'
import { type ReplicationRounds, replicationRounds } from './replication-rounds.ts'
import {
  type KindName,
  kindNames,
  type SnapshotStrikes,
  snapshotRounds,
} from './snapshot-rounds.ts'
import { type SpreadRounds, spreadRounds, spreadTroubles } from './spread-rounds.ts'

type Options = Omit<StrikeOptions, 'progress'> & {
  readonly kinds: readonly KindName[]
  readonly leaseMs: number
  readonly trouble: string | undefined
  readonly progress: (strikes: number, facts: string) => void
}

/** A harness; resolves to the facts of all its rounds. */
type Harness = (options: Options) => Promise<string>

const factsOf = ({ rounds, strikes, promised, torn }: Strikes): string =>
  `${strikes} strikes, ${rounds} folders struck, ${promised} acknowledgements checked, ${torn} torn tails`

const striking =
  (rounds: (options: StrikeOptions) => Promise<Strikes>): Harness =>
  async ({ progress, ...options }) =>
    factsOf(await rounds({ ...options, progress: (sum) => progress(sum.strikes, factsOf(sum)) }))

const snapshotFacts = (sum: SnapshotStrikes): string =>
  `${Object.entries(sum.rounds)
    .map((each) => each.join(' '))
    .join(', ')}; ${sum.promised} acknowledgements checked, ${sum.made} snapshots made, ` +
  `${sum.released} segments released, ${sum.lost} projections lost and back ` +
  `(${sum.interrupted} struck on the way), ${sum.leftovers} kills left a file without a name`

const snapshots: Harness = async ({ progress, ...options }) => {
  const told = (sum: SnapshotStrikes): void =>
    progress(
      Object.values(sum.rounds).reduce((all, rounds) => all + rounds, 0),
      snapshotFacts(sum),
    )
  return snapshotFacts(await snapshotRounds({ ...options, progress: told }))
}

const replicationFacts = (sum: ReplicationRounds): string =>
  `${Object.entries(sum.rounds)
    .map((each) => each.join(' '))
    .join(
      ', ',
    )}; ${sum.acknowledged} entries acknowledged, ${sum.during} of them during trouble; ` +
  `lag up to ${sum.lagMax} records, memory up to ${sum.rssMaxMiB} MiB` +
  (sum.noFullDisk === undefined ? '' : `; no disk was filled: ${sum.noFullDisk}`)

const replication: Harness = async ({ progress, ...options }) => {
  const told = (done: number, sum: ReplicationRounds): void => progress(done, replicationFacts(sum))
  return replicationFacts(await replicationRounds({ ...options, progress: told }))
}

const deathFacts = ({ kills, answers }: Deaths): string =>
  `${kills} actors killed, ${answers} answers in flight around them were the true ones`

const deaths: Harness = async ({ rounds, seed, progress }) =>
  deathFacts(
    await deathRounds({ rounds, seed, progress: (sum) => progress(sum.kills, deathFacts(sum)) }),
  )

/** How many rounds a trouble had, and the median and the 99th percentile of their times. */
const timesOf = (trouble: string, times: readonly number[]): string => {
  const sorted = times.toSorted((one, other) => one - other)
  const at = (part: number): number => Math.round(sorted[Math.ceil(part * times.length) - 1] ?? 0)
  return `${trouble} ${times.length} (${at(0.5)} ms, p99 ${at(0.99)} ms)`
}

const clusterFacts = ({ acknowledged, gaps, charges }: ClusterRounds): string => {
  const rounds = Object.entries(gaps).map(([trouble, all]) => timesOf(trouble, all))
  return (
    `${rounds.join(', ')} without an acknowledgement; ` +
    `${acknowledged} acknowledgements, ${charges} orders charged once`
  )
}

const cluster: Harness = async ({ progress, trouble, ...options }) =>
  clusterFacts(
    await clusterRounds({
      ...{ ...options, trouble: troubleOf(trouble, troubleNames) },
      progress: (done, sum) => progress(done, clusterFacts(sum)),
    }),
  )

const memberFacts = ({ acknowledged, of }: MemberRounds | SpreadRounds): string => {
  const rounds = Object.entries(of).map(([trouble, { longestMs, failures }]) =>
    [timesOf(trouble, longestMs), ...Object.entries(failures).map((each) => each.join(' '))].join(
      '\n  ',
    ),
  )
  return `${rounds.join('\n')}\n${acknowledged} acknowledgements`
}

const membersAt =
  (work: 'keys' | 'flows', troubles: readonly MemberTrouble[]): Harness =>
  async ({ progress, trouble, ...options }) =>
    memberFacts(
      await memberRounds({
        ...{ ...options, work, trouble: troubleOf(trouble, troubles) },
        progress: (done, sum) => progress(done, memberFacts(sum)),
      }),
    )

const spread: Harness = async ({ progress, trouble, ...options }) =>
  memberFacts(
    await spreadRounds({
      ...{ ...options, trouble: troubleOf(trouble, spreadTroubles) },
      progress: (done, sum) => progress(done, memberFacts(sum)),
    }),
  )

/** @throws Error unless it is one of these */
const troubleOf = <T extends string>(
  given: string | undefined,
  all: readonly T[],
): T | undefined => {
  const trouble = all.find((each) => each === given)
  if (given !== undefined && trouble === undefined)
    throw new Error(`--trouble takes one of ${all.join(', ')}`)
  return trouble
}

const harnesses: Record<string, Harness> = {
  kill: striking(killRounds),
  power: striking(powerRounds),
  pages: striking(pageRounds),
  orders: striking(orderRounds),
  snapshots,
  replication,
  deaths,
  cluster,
  members: membersAt('keys', memberTroubles),
  flows: membersAt('flows', flowTroubles),
  spread,
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const usage =
  'usage: harness kill|power|pages|orders|snapshots|replication|deaths|cluster|members|flows|spread [--rounds N] [--seed N] [--at-once N] [--kind K] [--lease MS] [--trouble T]'

const run = async (): Promise<void> => {
  const { values, positionals } = parseArgs({
    options: {
      rounds: { type: 'string' },
      seed: { type: 'string' },
      'at-once': { type: 'string' },
      kind: { type: 'string' },
      lease: { type: 'string' },
      trouble: { type: 'string' },
    },
    allowPositionals: true,
  })
  const name = positionals[0] ?? ''
  const harness = harnesses[name]
  const kinds = kindNames.filter((kind) => values.kind === undefined || kind === values.kind)
  if (!harness || positionals.length > 1 || kinds.length === 0) throw new Error(usage)
  const rounds = Number(values.rounds ?? 100)
  const seed = Number(values.seed ?? process.pid)
  const atOnce = values['at-once'] === undefined ? undefined : Number(values['at-once'])
  const isCount = (count = 1): boolean => Number.isSafeInteger(count) && count > 0
  if (!isCount(rounds) || !isCount(atOnce) || !Number.isSafeInteger(seed))
    throw new Error('--rounds, --at-once and --seed take whole numbers')
  const lacksDisk = name === 'power' || name === 'pages'
  const reason = lacksDisk
    ? noLoopDisk()
    : ['replication', 'cluster', 'spread'].includes(name)
      ? noPostgres()
      : name === 'members' || name === 'flows'
        ? noFlock
        : undefined
  if (reason !== undefined) return say(`skipped: ${reason}`)
  const leaseMs = Number(values.lease ?? 1_000)
  const { trouble } = values
  const begun = performance.now()
  const seconds = (): string => `${Math.round((performance.now() - begun) / 1000)} s`
  let told = 0
  const progress = (strikes: number, facts: string): void => {
    if (strikes - told < 10) return
    told = strikes
    say(`${facts}, ${seconds()}`)
  }
  const facts = await harness({ rounds, seed, atOnce, kinds, leaseMs, trouble, progress })
  say(`${facts}, ${seconds()}: nothing that was acknowledged is missing`)
}

try {
  await run()
} catch (error) {
  process.stderr.write(`harness: ${error instanceof Error ? error.message : String(error)}\n`)
  // The clients of a round that has failed ask for ever.
  process.exit(1)
}
