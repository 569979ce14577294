/**
 * An instance inside a command: from its configuration file to its orderly end. A
 * signal, the command's own work, or the end of the root supervisor ends it. A member of a cluster
 * that was replaced starts again, as a standby.
 */
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import { packageVersion } from '../../package-version.ts'
import { createSystem, type Logger, type System, withFacts } from '../../runtime/index.ts'
import {
  type App,
  type ClusterOptions,
  registeredName,
  type StartOptions,
  type StartProgress,
} from '../../supervisors/index.ts'
import { beginFacts } from '../answers/facts.ts'
import { surveyLogs } from '../answers/shard-survey.ts'
import { start } from '../attach/start.ts'
import { type Configuration, namingFile, readConfiguration } from '../command/configuration-file.ts'
import { type Environment, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { durabilityOf, durabilityWarning } from '../views/shard-view.ts'
import type { InstanceWords } from './command-line.ts'
import { remarkLines, type Started } from './start-view.ts'

/** Why the work with an instance is over when its member was replaced. */
export const replaced = Symbol('replaced')

/** The work of a command with its instance. */
export type Attendance = {
  /** The default of the option `attach`. */
  readonly attach: boolean
  /** The default of the option `giveUpAfter`. */
  readonly giveUpAfter: number
  /** The log of an instance whose configuration has none. */
  readonly logger: Logger
  /** The log that the configuration has, as the instance uses it. Called at each start. */
  readonly given?: (log: Logger) => void
  /** A signal ends the instance in order. By default a line of the command's own says so. */
  readonly interrupted?: (text: string) => void
  /** The configuration is read. Returns the options to start with; by default those in it. */
  readonly configured?: (configuration: Configuration) => StartOptions
  /** Prints a line of the command's own. */
  readonly notify: (text: string) => void
  /** Called with each step of the start. */
  readonly onProgress: (progress: StartProgress) => void
  /**
   * Its work with the running instance, which ends when this resolves. `over` is aborted when the
   * instance ends for another reason, with `replaced` as its reason if a new start follows.
   */
  readonly attend: (app: App, started: Started, over: AbortSignal) => Promise<void>
}

/**
 * Starts the configured instance, attends to it, and closes it. Resolves with the exit status: 0
 * after an orderly end, the signal's when a signal came before the instance had started.
 * @throws KeelsonError the error that prevented the start; `EXITED` when the root supervisor gave up
 */
export const runInstance = async (
  words: InstanceWords,
  environment: Environment,
  attendance: Attendance,
): Promise<number> => {
  const interruption = new Interruption(environment, attendance.interrupted ?? attendance.notify)
  try {
    const reading = readConfiguration({ ...words, cwd: environment.cwd })
    const read = await Promise.race([reading, interruption.first])
    if (typeof read === 'string') return signalStatuses[read]
    const configuration = { ...read, options: attendance.configured?.(read) ?? read.options }
    for (;;) {
      const app = await started(configuration, environment, interruption, attendance)
      if (!app) return signalStatuses[await interruption.first]
      try {
        const end = await untilEnd(app, configuration.file, interruption, attendance)
        if (end !== replaced) return 0
      } finally {
        await app.system.stop()
      }
      attendance.notify('another member may own the instance: it starts again, as a standby.')
    }
  } finally {
    interruption.release()
  }
}

const started = async (
  { file, options }: Configuration,
  environment: Environment,
  interruption: Interruption,
  attendance: Attendance,
): Promise<App | undefined> => {
  const onProgress = (progress: StartProgress): void => {
    options.onProgress?.(progress)
    attendance.onProgress(progress)
  }
  const { logger = attendance.logger, attach = attendance.attach, cluster, ...others } = options
  const { giveUpAfter = attendance.giveUpAfter } = options
  const member = cluster?.member
  const system = createSystem({
    clock: environment.clock,
    logger: member === undefined ? logger : withFacts(logger, { member }),
  })
  if (options.logger) attendance.given?.(system.logger)
  beginFacts(system)
  try {
    return await startUnlessInterrupted(
      {
        ...others,
        attach,
        giveUpAfter,
        system,
        onProgress,
        ...(cluster && { cluster: endedBy(interruption.signal, cluster) }),
      },
      interruption,
    )
  } catch (error) {
    throw namingDoctor(options.dir, namingFile(file, error))
  }
}

/** Damage is refused with the command that says what is damaged, and what can be done. */
const namingDoctor = (dir: StartOptions['dir'], error: unknown): unknown =>
  isKeelsonError(error, 'CORRUPT')
    ? new KeelsonError('CORRUPT', error.message, {
        details: { ...error.details, look: `keelson doctor ${dir} --deep` },
        cause: error.cause,
      })
    : error

/** A member that waits as a standby, or for the engine, has no tree yet that could be ended. */
const endedBy = (signal: AbortSignal, cluster: ClusterOptions): ClusterOptions => ({
  ...cluster,
  signal: cluster.signal ? AbortSignal.any([signal, cluster.signal]) : signal,
})

// A start that a signal can interrupt. A signal before the instance is ready ends its started parts
// in order. A start cannot be cancelled from outside, but the user's tree, the only part without a
// time bound, can be ended.

/** The user's tree starts last. After a signal it is looked for at this interval. */
const lookMs = 20

/**
 * The instance; `undefined` when a signal came first and everything has ended.
 * @throws KeelsonError as `start` does
 */
const startUnlessInterrupted = async (
  options: StartOptions & { readonly system: System },
  interruption: Interruption,
): Promise<App | undefined> => {
  let hasTouched = false
  const onProgress = (progress: StartProgress): void => {
    hasTouched = true
    options.onProgress?.(progress)
  }
  const starting = start({ ...options, onProgress })
  const app = await Promise.race([starting, interruption.first.then(() => undefined)])
  if (app) return app
  const ended = endOf(starting, options)
  // Modules that are loading cannot be interrupted. They hold nothing on disk.
  if (hasTouched) await ended
  return undefined
}

/**
 * Ends the instance that is starting. Never rejects: the reason of a failed start is not needed
 * after a signal.
 */
const endOf = async (
  starting: Promise<App>,
  { system, app: tree }: StartOptions & { readonly system: System },
) => {
  const { clock } = system
  let cancel = (): void => undefined
  const look = (): void => {
    const root = tree && registeredName(tree)
    if (root && system.whereis(root)) system.kill(root)
    cancel = clock.after(lookMs, look)
  }
  look()
  const app = await starting.catch(() => undefined)
  cancel()
  await app?.close().catch(() => undefined)
  await system.stop()
}

const untilEnd = async (
  app: App,
  file: string | undefined,
  interruption: Interruption,
  { attend }: Attendance,
): Promise<typeof replaced | 'closed'> => {
  const over = new AbortController()
  let hasEnded = false
  const isReplaced = (why: unknown): boolean => interruption.received === undefined && isFenced(why)
  const end = app.closed.then((why) => {
    hasEnded = true
    if (isReplaced(why)) over.abort(replaced)
  })
  try {
    await Promise.race([
      attend(app, await factsOf(app, file), over.signal),
      interruption.first,
      end,
    ])
  } finally {
    over.abort()
    if (!hasEnded) await app.close()
  }
  const why = await app.closed
  if (why === 'normal') return 'closed'
  if (isReplaced(why)) return replaced
  const text = reasonText(Array.isArray(why) && isKeelsonError(why[1]) ? why[1] : why)
  throw new KeelsonError('EXITED', `the instance has ended: ${text}`, {
    details: { reason: text },
    cause: why,
  })
}

/** Whether an instance ended because another member may own it. */
const isFenced = (why: unknown): boolean =>
  Array.isArray(why) && why[0] === 'shutdown' && isKeelsonError(why[1], 'FENCED')

const factsOf = async (app: App, file: string | undefined): Promise<Started> => {
  const logs = await surveyLogs(app)
  return { version: packageVersion(), dir: app.dir, file, durability: durabilityOf(app), logs }
}

/** Oddities of the logs, and the warning of an instance that is not durable. */
export const warningLines = ({ durability, logs }: Started): string[] => {
  const warning = durabilityWarning(durability)
  return [...remarkLines(logs), ...(warning === undefined ? [] : [warning])]
}
