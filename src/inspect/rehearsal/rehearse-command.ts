/**
 * `keelson rehearse`, and `rehearse` of `keelson/operations`: a copy of the data is opened without a user's
 * tree, and processes of their own judge it by the builds.
 */
import { resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { KeelsonError } from '../../errors.ts'
import {
  CaseChoice,
  expectCasesFolder,
  isAtLeast,
  type RehearsalReport,
  type RehearsedParts,
  saveCases,
} from '../../flow/index.ts'
import { nodeDisk } from '../../storage/index.ts'
import { type Environment, printLine, processEnvironment } from '../command/environment.ts'
import { runReported, type Work } from '../command/long-work.ts'
import type { Moment } from '../folder/backup-command-line.ts'
import { printable } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import { findingText } from './finding-text.ts'
import type { JudgeTerms } from './judge-process.ts'
import { judgedCopy } from './judged-copy.ts'
import type { RehearseCommand } from './rehearse-command-line.ts'
import { type StoredData, withStoredData } from './stored-data.ts'

/** The exit status with findings. */
const findingsStatus = 4

/** A judge that answers nothing for so long is killed, in ms. */
const hangMs = 30_000

/** The builds of a rehearsal, and the folder for cases. Paths are absolute. */
type RehearsalTerms = Omit<JudgeTerms, 'asOf' | 'clock'> & {
  readonly against: string | undefined
  readonly save: string | undefined
}

/** The options of `rehearse` of `keelson/operations`, checked. Paths are relative to the present folder. */
type Checked = Omit<RehearsalTerms, 'against' | 'save'> & {
  readonly from: string
  readonly at: Moment | undefined
  readonly against?: string | undefined
  readonly save?: string | undefined
  readonly ended: number
}

/**
 * Judges for a program: without streams, and without the signals of its process.
 * @throws KeelsonError as `runBackup` and `runPlainRestore` do; `CONFIG` for a build that does not load
 */
export const rehearsalOf = async (checked: Checked): Promise<RehearsalReport> => {
  const { from, config, against, save, at, ended, ...how } = checked
  const here = processEnvironment()
  const nowhere = new PassThrough().resume()
  const environment = { ...here, output: nowhere, errors: nowhere, onSignal: () => () => undefined }
  const absolute = (path: string): string => resolve(here.cwd, path)
  const terms = {
    ...how,
    config: absolute(config),
    against: against === undefined ? undefined : absolute(against),
    save: save === undefined ? undefined : absolute(save),
  }
  const silent = { word: 'rehearsal', progress: false, verbose: false }
  const request = { ...silent, dir: absolute(from), at, endedMax: ended }
  const { signal } = new AbortController()
  const report = await withStoredData(request, environment, (data) =>
    rehearsed(data, terms, { environment, signal }),
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
  const inCwd = (path: string | undefined) => (path === undefined ? undefined : resolve(cwd, path))
  const [against, save] = [inCwd(command.against), inCwd(command.save)]
  // Only what a person asks for is printed of the copy.
  const errors = command.progress ? environment.errors : new PassThrough().resume()
  const quiet = { ...environment, errors }
  const request = { ...command, dir, word: 'rehearsal', endedMax: command.ended }
  return withStoredData(request, quiet, (data) =>
    runReported(
      command,
      environment,
      (work) => rehearsed(data, { ...terms, against, save }, work),
      {
        text: reportText,
        status: ({ findings }) =>
          findings.some(({ level }) => isAtLeast(level, failsOn)) ? findingsStatus : 0,
      },
    ),
  )
}

const rehearsed = async (
  { parts, asOf }: StoredData,
  { against, save, ...terms }: RehearsalTerms,
  { environment, signal }: Pick<Work, 'environment' | 'signal'>,
): Promise<RehearsalReport> => {
  const { clock, errors } = environment
  const judge = { ...terms, asOf, clock }
  if (save !== undefined) expectCasesFolder(nodeDisk(), save)
  const choice = save === undefined ? undefined : new CaseChoice()
  let shownAt = clock.monotonic()
  const report = await judgedCopy({
    parts: choice ? chosenFrom(parts, choice) : parts,
    judge,
    signal,
    against: against === undefined ? undefined : { ...judge, config: against },
    onProgress: (judged) => {
      if (clock.monotonic() - shownAt < showMs) return
      shownAt = clock.monotonic()
      printLine(errors, `judged ${countText(judged)} runs and actors`)
    },
  })
  if (save !== undefined && choice) {
    saveCases(nodeDisk(), save, choice, { asOf, facts: parts.facts })
    printLine(errors, savedText(save, choice))
  }
  return report
}

/** The same actors, from which cases are chosen on the way. */
const chosenFrom = (parts: RehearsedParts, choice: CaseChoice): RehearsedParts => ({
  async *lots() {
    for await (const lot of parts.lots()) {
      for (const part of lot) choice.add(part)
      yield lot
    }
  },
  turns: () => parts.turns(),
  get facts() {
    return parts.facts
  },
})

const savedText = (dir: string, { counts: { cases, long } }: CaseChoice): string => {
  const left = long > 0 ? `; ${pluralText(long, 'actor')} left out, too long for a case` : ''
  return `saved ${pluralText(cases, 'case')} in ${printable(dir)}${left}`
}

const showMs = 1_000

const reportText = ({ findings, counts }: RehearsalReport): string => {
  const { runs, actors, turns, endedLeft, notJudged } = counts
  const judged = `judged ${pluralText(runs, 'run')} and ${pluralText(actors, 'other actor')}`
  const left = endedLeft > 0 ? [`${pluralText(endedLeft, 'older ended run')} left out`] : []
  const lost = notJudged > 0 ? [`${countText(notJudged)} not judged`] : []
  const again = turns > 0 ? [pluralText(turns, 'recorded turn')] : []
  const head = [judged, ...again, ...left, ...lost].join(', ')
  if (runs + actors + endedLeft + notJudged === 0 && findings.length === 0)
    return `${head}: the data have none as of that moment, so nothing is known about the build`
  if (findings.length === 0) return `${head}\nnothing was found`
  return [head, ...findings.map(findingText)].join('\n\n')
}
