/**
 * `keelson rehearse`, and `rehearse` of `keelson/operations`: a copy of the data is opened without a user's
 * tree, and processes of their own judge it by the builds.
 */
import { resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { KeelsonError } from '../../errors.ts'
import { type Finding, isAtLeast, type RehearsalReport } from '../../flow/index.ts'
import { nodeDisk } from '../../storage/index.ts'
import { type Environment, printLine, processEnvironment } from '../command/environment.ts'
import { runReported, type Work } from '../command/long-work.ts'
import { openedFolder } from '../folder/backup-command.ts'
import type { Moment } from '../folder/backup-command-line.ts'
import { withCopy } from '../folder/restored-copy.ts'
import { printable } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import type { JudgeTerms } from './judge-process.ts'
import { judgedCopy } from './judged-copy.ts'
import type { RehearseCommand } from './rehearse-command-line.ts'

/** The exit status with findings. */
const findingsStatus = 4

/** A judge that answers nothing for so long is killed, in ms. */
const hangMs = 30_000

/** The builds and the bounds of a rehearsal. Paths are absolute. */
type RehearsalTerms = Omit<JudgeTerms, 'asOf' | 'clock'> & {
  readonly against: string | undefined
  readonly endedMax: number
}

/** The options of `rehearse` of `keelson/operations`, checked. Paths are relative to the present folder. */
type Checked = Omit<RehearsalTerms, 'endedMax' | 'against'> & {
  readonly from: string
  readonly at: Moment | undefined
  readonly against?: string | undefined
  readonly ended: number
}

/**
 * Judges for a program: without streams, and without the signals of its process.
 * @throws KeelsonError as `runBackup` and `runPlainRestore` do; `CONFIG` for a build that does not load
 */
export const rehearsalOf = async (checked: Checked): Promise<RehearsalReport> => {
  const { from, config, against, at, ended, ...how } = checked
  const here = processEnvironment()
  const nowhere = new PassThrough().resume()
  const environment = { ...here, output: nowhere, errors: nowhere, onSignal: () => () => undefined }
  const absolute = (path: string): string => resolve(here.cwd, path)
  const terms = {
    ...how,
    config: absolute(config),
    against: against === undefined ? undefined : absolute(against),
    endedMax: ended,
  }
  const copied = { dir: absolute(from), at, word: 'rehearsal', progress: false, verbose: false }
  const { signal } = new AbortController()
  const report = await withCopy(nodeDisk(), copied, environment, (copy) =>
    rehearsed(copy, terms, { environment, signal }),
  )
  if (typeof report !== 'number') return report
  throw new KeelsonError('CLOSED', 'a signal has ended the copy')
}

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `runBackup` and `runPlainRestore` do; `CONFIG` for a build that does not load
 */
export const runRehearse = (
  command: RehearseCommand,
  environment: Environment,
): Promise<number> => {
  const { cwd } = environment
  const failsOn = command['fail-on']
  const dir = resolve(cwd, command.dir)
  const terms = {
    config: resolve(cwd, command.with),
    hangMs,
    allowNet: command['allow-net'],
    allowAddons: command['allow-addons'],
  }
  const against = command.against === undefined ? undefined : resolve(cwd, command.against)
  // Only what a person asks for is printed of the copy.
  const errors = command.progress ? environment.errors : new PassThrough().resume()
  const quiet = { ...environment, errors }
  return withCopy(nodeDisk(), { ...command, dir, word: 'rehearsal' }, quiet, (copy) =>
    runReported(
      command,
      environment,
      (work) => rehearsed(copy, { ...terms, against, endedMax: command.ended }, work),
      {
        text: reportText,
        status: ({ findings }) =>
          findings.some(({ level }) => isAtLeast(level, failsOn)) ? findingsStatus : 0,
      },
    ),
  )
}

const rehearsed = async (
  { data, asOf }: { readonly data: string; readonly asOf: number },
  { against, endedMax, ...terms }: RehearsalTerms,
  { environment, signal }: Pick<Work, 'environment' | 'signal'>,
): Promise<RehearsalReport> => {
  const { clock, errors } = environment
  const app = await openedFolder(data)
  const judge = { ...terms, asOf, clock }
  let shownAt = clock.monotonic()
  try {
    return await judgedCopy({
      app,
      judge,
      endedMax,
      signal,
      against: against === undefined ? undefined : { ...judge, config: against },
      onProgress: (judged) => {
        if (clock.monotonic() - shownAt < showMs) return
        shownAt = clock.monotonic()
        printLine(errors, `judged ${countText(judged)} runs and actors`)
      },
    })
  } finally {
    await app.close()
  }
}

const showMs = 1_000

const reportText = ({ findings, counts }: RehearsalReport): string => {
  const { runs, actors, endedLeft, notJudged } = counts
  const judged = `judged ${pluralText(runs, 'run')} and ${pluralText(actors, 'other actor')}`
  const left = endedLeft > 0 ? [`${pluralText(endedLeft, 'older ended run')} left out`] : []
  const lost = notJudged > 0 ? [`${countText(notJudged)} not judged`] : []
  const head = [judged, ...left, ...lost].join(', ')
  if (runs + actors + endedLeft + notJudged === 0 && findings.length === 0)
    return `${head}: the data have none as of that moment, so nothing is known about the build`
  if (findings.length === 0) return `${head}\nnothing was found`
  return [head, ...findings.map(findingText)].join('\n\n')
}

const findingText = ({ level, what, kind, count, examples, fix }: Finding): string =>
  [
    `${level}  ${printable(kind)}: ${printable(what)}  (${countText(count)})`,
    ...examples.map(({ id, reason }) => `  ${printable(id)}: ${printable(reason)}`),
    ...(count > examples.length ? [`  and ${countText(count - examples.length)} more`] : []),
    `  help: ${fix}`,
  ].join('\n')
