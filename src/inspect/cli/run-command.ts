/**
 * `keelson run`: an instance as a service. Nothing is read from standard input; signals drive it.
 * It prints lines of a log only. Standard output gets one, when everything has started. systemd, or
 * another service manager with its protocol, is notified that the service is ready, lives and
 * stops. Node has no datagram sockets of the Unix kind, so `systemd-notify` sends each message: it
 * is there wherever systemd is.
 */

import { execFile } from 'node:child_process'
import type { Writable } from 'node:stream'
import { onProcess } from '../../process-events.ts'
import {
  describeReason,
  jsonLogger,
  type Logger,
  loggerOf,
  textLogger,
} from '../../runtime/index.ts'
import type { App, StartProgress } from '../../supervisors/index.ts'
import { type Environment, printLine, startFailureStatus } from '../command/environment.ts'
import { errorText } from '../text/error-view.ts'
import { printableLines } from '../text/paint.ts'
import type { InstanceCommand } from './command-line.ts'
import { replaced, runInstance, warningLines } from './instance-run.ts'
import { type Started, startLine, stepText } from './start-view.ts'

/** The log of a service on a stream, as lines of text or of JSON. */
export const serviceLog = (
  { log }: InstanceCommand,
  { clock }: Environment,
  stream: Writable,
): Logger =>
  log === 'json'
    ? jsonLogger({ stream, clock })
    : textLogger(clock, (text) => printLine(stream, printableLines(text)))

/**
 * The lines of a service that no process of its System writes: steps of the start, signals, its end.
 * They go where the lines of the System go.
 */
export class ServiceLines {
  readonly log: Logger
  /** The log of the configuration, once this is read. */
  given: Logger | undefined

  /** `own`: where they go unless the configuration has a log. */
  constructor(own: Logger) {
    this.log = loggerOf((level) => (text, facts) => (this.given ?? own)[level](text, facts))
  }

  /**
   * Node ends a process for an error that nobody handles, and prints it. The log of the configuration,
   * and one of JSON, have a line of it too. Returns a function that ends this.
   */
  watchUnhandled(isJson: boolean): () => void {
    return onProcess('uncaughtExceptionMonitor', (reason: unknown) => {
      const log = this.given ?? (isJson ? this.log : undefined)
      const text = `an error that nobody handled ends the process: ${describeReason(reason)}`
      log?.error(text, { reason })
    })
  }

  /** The service has failed. The log of the configuration gets why. */
  failed(reason: unknown): void {
    this.given?.error(errorText(reason, false), { reason })
  }
}

/** How a service attends to its instance: steps and warnings are lines of its log. */
export const serviceAttendance = (
  lines: ServiceLines,
  own: Logger,
  ready: (line: string) => void,
) => ({
  attach: true,
  giveUpAfter: 3,
  logger: own,
  given: (log: Logger): void => {
    lines.given = log
  },
  notify: (text: string): void => lines.log.info(text),
  onProgress: (progress: StartProgress): void => {
    const text = stepText(progress)
    if (text !== undefined) lines.log.info(text)
  },
  attend: async (_: App, started: Started, over: AbortSignal): Promise<void> => {
    for (const line of warningLines(started)) lines.log.warn(line)
    lines.given?.info(`ready: ${startLine(started)}`)
    ready(startLine(started))
    await new Promise((resolve) => over.addEventListener('abort', resolve))
  },
})

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `runInstance` does, unless the log is JSON and has the error
 */
export const runService = async (
  command: InstanceCommand,
  environment: Environment,
): Promise<number> => {
  const isJson = command.log === 'json'
  const own = serviceLog(command, environment, environment.errors)
  const lines = new ServiceLines(own)
  const manager = new ServiceManager(environment, (text) => lines.log.warn(text))
  const forget = lines.watchUnhandled(isJson)
  const attendance = serviceAttendance(lines, own, (line) => {
    serviceLog(command, environment, environment.output).info(`ready: ${line}`)
    manager.ready()
  })
  try {
    return await runInstance(command, environment, {
      ...attendance,
      attend: async (app, started, over) => {
        await attendance.attend(app, started, over)
        // To a service manager, a service that says that it stops has ended.
        if (over.reason !== replaced) manager.stopping()
      },
    })
  } catch (reason) {
    lines.failed(reason)
    if (!isJson) throw reason
    own.error(errorText(reason, false), { reason })
    return startFailureStatus(reason)
  } finally {
    forget()
    manager.release()
  }
}

/** The service manager of a process. Without `NOTIFY_SOCKET` there is none, and nothing is sent. */
export class ServiceManager {
  readonly #environment: Environment
  readonly #warn: (text: string) => void
  #isReached: boolean
  #cancel: () => void = () => undefined

  /** `warn` is called once, when a message cannot be sent. None is tried after it. */
  constructor(environment: Environment, warn: (text: string) => void) {
    this.#environment = environment
    this.#warn = warn
    this.#isReached = environment.variables.NOTIFY_SOCKET !== undefined
  }

  /**
   * The service has started, perhaps again. From here on it says that it lives, twice in
   * `WATCHDOG_USEC`.
   */
  ready(): void {
    this.#cancel()
    if (!this.#isReached) return
    this.#notify('READY=1')
    const { WATCHDOG_USEC, WATCHDOG_PID = process.pid } = this.#environment.variables
    const everyMs = Number(WATCHDOG_USEC) / 2_000
    if (everyMs > 0 && String(WATCHDOG_PID) === String(process.pid)) this.#watch(everyMs)
  }

  /** The service ends. It may take its time, and says until `release` that it lives. */
  stopping(): void {
    this.#notify('STOPPING=1')
  }

  /** The service has ended. */
  release(): void {
    this.#cancel()
  }

  /** A timer of the event loop: one that is held up sends nothing. */
  #watch(everyMs: number): void {
    this.#cancel = this.#environment.clock.after(everyMs, () => {
      this.#notify('WATCHDOG=1')
      this.#watch(everyMs)
    })
  }

  #notify(state: string): void {
    if (!this.#isReached) return
    execFile('systemd-notify', [state], { env: this.#environment.variables }, (error) => {
      if (!error || !this.#isReached) return
      this.#isReached = false
      this.#warn(`systemd-notify failed, so the service manager is not notified: ${error.message}`)
    })
  }
}
