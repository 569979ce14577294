/**
 * `keelson wal salvage`: verifies a folder, makes a new one from everything that can be read, and
 * verifies that. The source is only read, and nothing can open it until the end. A failed or
 * interrupted salvage removes what it made. If the process is killed or the power fails, the
 * remains are refused as a folder that has lost data.
 */
import { join, resolve } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type Damage,
  type DataFolderFacts,
  type Disk,
  describeHolder,
  examiningProjection,
  type LogKnowledge,
  type LogVerification,
  type LsnRange,
  lmdbSnapshotSource,
  lockFileName,
  nodeDisk,
  type Progress,
  refusing,
  replaceFile,
  shardFolder,
  writeDataFolder,
} from '../../storage/index.ts'
import {
  examiningLog,
  knowledgeOf,
  type LogFacts,
  type LogTarget,
  lockAll,
  type SalvagedShard,
  salvagingShard,
  type WalTarget,
  walTarget,
} from '../../tools/index.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, showSteps, type Work } from '../command/long-work.ts'
import { checkNewFolder, fillNewFolder } from '../command/new-folder.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText, durationText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import type { WalSalvageCommand } from './wal-command-line.ts'

/** The context of each step. */
type SalvageWork = Work & { readonly disk: Disk }

/** A log, with what is known of it from beside it, and the finding about it, or why there is none. */
type VerifiedLog = LogFacts & { readonly target: LogTarget; readonly knowledge: LogKnowledge }

type VerifiedFolder = { readonly target: WalTarget; readonly logs: readonly VerifiedLog[] }

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error that ended it; nothing is left of DIR2 then
 */
export const runWalSalvage = (
  command: WalSalvageCommand,
  environment: Environment,
): Promise<number> => {
  const from = resolve(environment.cwd, command.dir)
  const to = resolve(environment.cwd, command.to)
  return runReported(
    command,
    environment,
    (work) => salvageFolder({ ...work, disk: nodeDisk() }, from, to),
    {
      text: salvageText,
      json: salvageJson,
      status: ({ logs }) => (logs.some(isLossy) ? lossyStatus : 0),
    },
  )
}

/** The exit status if something is lost or in doubt. */
const lossyStatus = 4

const isLossy = ({ found, salvaged, uncopied }: SalvagedLog): boolean =>
  !found || salvaged.lost.length > 0 || found.doubtFrom !== undefined || uncopied.length > 0

const salvageFolder = async (
  work: SalvageWork,
  from: string,
  to: string,
): Promise<SalvagedFolder> => {
  const { disk, environment } = work
  const startedAt = environment.clock.monotonic()
  const target = walTarget(disk, from)
  const open = lockAll([target.dir, ...target.logs.map((log) => log.dir)])
  try {
    checkNewFolder(disk, from, to)
    const verified = { target, logs: [] as VerifiedLog[] }
    for (const log of target.logs) verified.logs.push(await verifyLog(work, log))
    refuseStrangers(verified)
    const logs = await fillNewFolder(disk, to, () => fill(work, verified, to))
    return { from, to, logs, elapsedMs: environment.clock.monotonic() - startedAt }
  } finally {
    open()
  }
}

const verifyLog = async (
  { disk, ...work }: SalvageWork,
  target: LogTarget,
): Promise<VerifiedLog> => {
  const { dir, known } = target
  const shows = <T>(steps: Generator<Progress, T>) =>
    showSteps(work, steps, () => `verifying ${nameOf(target)}`)
  const projection = known && (await shows(examiningProjection(disk, known.folders.lmdb, 'all')))
  const isLive = false
  const knowledge = known && projection ? knowledgeOf(known, projection, isLive) : { isLive }
  return { ...(await shows(examiningLog(disk, dir, knowledge))), target, knowledge }
}

const nameOf = ({ known }: LogTarget): string =>
  known === undefined ? 'the log' : `shard ${known.shard}`

/** Refuses logs that must not be copied: of a newer version, missing, or of another shard. */
const refuseStrangers = ({ target, logs }: VerifiedFolder): void => {
  for (const { target: log, knowledge, found, refused } of logs) {
    if (refused && !(target.isDataFolder && isKeelsonError(refused, 'NO_SEGMENTS'))) throw refused
    const { walId } = knowledge
    if (!found || walId === undefined || found.frames === 0 || found.walId === walId) continue
    throw new KeelsonError('CORRUPT', `${log.dir} holds the log of another shard or folder`, {
      details: { file: log.dir, found: found.walId, expected: walId },
    })
  }
}

/** Fills the new folder. `keelson.json` comes last: without it a folder with frames is refused. */
const fill = async (
  work: SalvageWork,
  { target, logs }: VerifiedFolder,
  to: string,
): Promise<SalvagedLog[]> => {
  const { disk, environment } = work
  const holder = describeHolder({ salvaging: target.dir, since: environment.clock.now() })
  const lock = refusing(() => disk.lock(join(to, lockFileName), holder))
  try {
    const made: SalvagedLog[] = []
    for (const log of logs) made.push(await salvageLog(work, log, to))
    refusing(() => {
      writeReport(disk, to, { from: target.dir, at: environment.clock.now(), logs: made })
      if (target.isDataFolder) writeDataFolder(disk, to, factsOf(work, target, made))
    })
    return made
  } finally {
    lock.release()
  }
}

const factsOf = (
  { environment }: SalvageWork,
  { facts }: WalTarget,
  made: readonly SalvagedLog[],
): DataFolderFacts => ({
  // A folder without its keelson.json is treated as another one from here on.
  instanceId: facts?.instanceId ?? Buffer.from(environment.clock.randomBytes(16)).toString('hex'),
  created: facts?.created ?? environment.clock.now(),
  shards: made.length,
  logs: made.map(({ salvaged }) => salvaged.walId),
  // The newest turns may be lost: what they did outside would be done again.
  waits: true,
})

const salvageLog = async (
  { disk, ...work }: SalvageWork,
  { target, knowledge, found }: VerifiedLog,
  to: string,
): Promise<SalvagedLog> => {
  const { dir: from, known } = target
  const folders = known && {
    from: known.folders,
    to: shardFolder(to, known.shard),
    rows: () => lmdbSnapshotSource(disk, known.folders.lmdb),
  }
  const steps = salvagingShard({
    disk,
    clock: work.environment.clock,
    shard: folders,
    found,
    knowledge,
    from,
    to: folders?.to.wal ?? to,
  })
  const made = await showSteps(work, steps, (what) => `${what} ${nameOf(target)}`)
  return { ...made, ...(known && { shard: known.shard }), ...(found ? { found } : {}) }
}

const writeReport = (
  disk: Disk,
  dir: string,
  { logs, ...facts }: { from: string; at: number; logs: readonly SalvagedLog[] },
): void => {
  const report = { ...facts, logs: logs.map(copyJson) }
  const bytes = Buffer.from(`${JSON.stringify(report, undefined, 2)}\n`)
  replaceFile(disk, join(dir, 'salvage.json'), bytes)
}

/**
 * One salvaged log. `found` is the finding about its source; absent when nothing was left of it.
 */
type SalvagedLog = SalvagedShard & {
  readonly shard?: number
  readonly found?: LogVerification
}

/** A folder that was salvaged. */
type SalvagedFolder = {
  readonly from: string
  readonly to: string
  readonly logs: readonly SalvagedLog[]
  readonly elapsedMs: number
}

/** The output as text. */
const salvageText = (
  { from, to, logs, elapsedMs }: SalvagedFolder,
  paint: Paint = plainPaint,
): string => {
  const bytes = logs.reduce((sum, { salvaged }) => sum + salvaged.bytes, 0)
  const rate = (bytes / Math.max(elapsedMs, 1)) * 1_000
  return [
    `salvaged ${printable(from)} to ${printable(to)}, in ${durationText(elapsedMs)}, ${bytesText(rate)}/s`,
    ...logs.map((log) => logText(log, paint)),
    'From here on the new folder is the log: keep the old one as it is, and open only one of both.',
    ...(logs.some(({ shard }) => shard !== undefined)
      ? ['It waits: start it with --acts, or with --no-app to look at its store alone.']
      : []),
  ].join('\n')
}

const logText = (
  { shard, found, salvaged, snapshots, uncopied }: SalvagedLog,
  paint: Paint,
): string => {
  const { frames, lost, lastLsn, segments, bytes } = salvaged
  const facts: (readonly [string, string])[] = [
    [
      'copied',
      `${pluralText(frames, 'frame')} into ${pluralText(segments, 'segment')}, ${bytesText(bytes)}`,
    ],
    [
      'lost',
      lost.length === 0
        ? paint('good', 'nothing')
        : paint('bad', `${rangesText(lost)}; LOST frames stand for them`),
    ],
  ]
  const base = snapshots.at(-1)
  if (base)
    facts.push([
      'snapshot',
      `of lsn ${countText(base.lsn)}: it has the rows of all frames up to there, of lost ones too`,
    ])
  if (!found) facts.push(['note', paint('bad', 'nothing was left of this log')])
  if (found?.doubtFrom !== undefined)
    facts.push([
      'in doubt',
      paint('odd', `lsn ${countText(found.doubtFrom)} and on: nothing proves that there were any`),
    ])
  if (found?.torn)
    facts.push(['torn', `${countText(found.torn.bytes)} bytes that opening would have cut`])
  facts.push(['next', `writes continue with lsn ${countText(lastLsn + 1)}`])
  const name = shard === undefined ? 'log' : `shard ${shard}`
  const damage = found?.damage ?? []
  if (damage.length > 0) facts.push(['damage', paint('bad', pluralText(damage.length, 'place'))])
  if (uncopied.length > 0)
    facts.push([
      'unread',
      paint(
        'bad',
        `${pluralText(uncopied.length, 'place')} beside the log; CORRUPT when asked for`,
      ),
    ])
  const lines = factList(facts).split('\n')
  return [
    name,
    ...lines.map((line) => `  ${line}`),
    ...placeLines(damage),
    ...placeLines(uncopied),
  ].join('\n')
}

/** The most damaged places of one log that are shown; the rest is counted, and in `--json`. */
const placesShown = 20

/** `5`, or `5 to 9`. */
const rangeText = ({ from, to }: LsnRange): string =>
  from === to ? countText(from) : `${countText(from)} to ${countText(to)}`

/** `3 frames: lsn 5, 7 to 8`. */
const rangesText = (ranges: readonly LsnRange[]): string => {
  const count = ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  const shown = ranges.slice(0, placesShown).map(rangeText).join(', ')
  const more = ranges.length > placesShown ? `, and ${ranges.length - placesShown} more ranges` : ''
  return `${pluralText(count, 'frame')}: lsn ${shown}${more}`
}

/** Damaged or unread places, two lines each; those beyond the limit are counted. */
const placeLines = (places: readonly (Omit<Damage, 'lsn'> & Partial<Damage>)[]): string[] => {
  const more = places.length - placesShown
  return [
    ...places
      .slice(0, placesShown)
      .flatMap(({ file, offset, lsn, evidence }) => [
        `    ${printable(file)}  offset ${countText(offset)}${lsn === undefined ? '' : `  lsn ${countText(lsn)}`}`,
        `      ${printable(evidence)}`,
      ]),
    ...(more > 0 ? [`    … and ${pluralText(more, 'more place')}; --json has them all`] : []),
  ]
}

/** The same as plain data. */
const salvageJson = ({ logs, ...facts }: SalvagedFolder) => ({
  ...facts,
  logs: logs.map((log) => ({
    ...copyJson(log),
    doubtFrom: log.found?.doubtFrom ?? null,
    torn: log.found?.torn ?? null,
    damage: log.found?.damage ?? [],
  })),
})

const copyJson = ({ shard, salvaged, snapshots, uncopied }: SalvagedLog) => ({
  shard: shard ?? null,
  ...salvaged,
  snapshots,
  uncopied,
})
