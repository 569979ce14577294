/**
 * `keelson dev`: `keelson run` in a child process, which is started again when a file of the service
 * changes. The data stay. A child that fails waits for the next change. It is apart from
 * `command.ts`, its only importer, which loads no command but the chosen one.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { dirname } from 'node:path'
import type { Cancel } from '../../clock.ts'
import { reasonText } from '../../errors.ts'
import type { Logger } from '../../runtime/index.ts'
import { partChanges } from '../answers/declared-parts.ts'
import { configurationFile } from '../command/configuration-file.ts'
import type { EndSignal, Environment } from '../command/environment.ts'
import { SourceWatch } from '../command/source-watch.ts'
import type { InstanceCommand } from './command-line.ts'
import { devVariable, runDevChild } from './dev-child.ts'
import { serviceLog } from './run-command.ts'

/** A child that ends in order for longer than this ends at once: nothing acknowledged is lost by it. */
const patienceMs = 3_000

/**
 * Runs the command, in the parent or in its child, and resolves with the exit status.
 * @throws KeelsonError `CONFIG` for a configuration file that is not there
 */
export const runDev = (command: InstanceCommand, environment: Environment): Promise<number> =>
  environment.variables[devVariable] === undefined
    ? runParent(command, environment)
    : runDevChild(command, environment)

const runParent = async (command: InstanceCommand, environment: Environment): Promise<number> => {
  const { cwd, clock } = environment
  const file = configurationFile({ ...command, cwd })
  const log = serviceLog(command, environment, environment.output)
  const service = new DevService(environment, log)
  const watch = new SourceWatch(file === undefined ? cwd : dirname(file), clock, (names) =>
    service.changed(names),
  )
  const release = environment.onSignal((signal) => service.signalled(signal))
  try {
    service.start()
    return await service.finished
  } finally {
    release()
    watch.close()
  }
}

/** The child, and what is to be done when it ends. */
class DevService {
  /** Resolves with the exit status of the command, after a signal. */
  readonly finished: Promise<number>
  readonly #environment: Environment
  readonly #log: Logger
  #finish: (status: number) => void = () => undefined
  #child: ChildProcess | undefined
  /** When the child has ended: another one starts, or all is over. Otherwise the child has failed. */
  #next: 'start' | 'finish' | undefined
  /** Of the last child that has read its configuration. */
  #parts: readonly string[] | undefined
  #cancel: Cancel = () => undefined

  constructor(environment: Environment, log: Logger) {
    this.#environment = environment
    this.#log = log
    this.finished = new Promise((resolve) => (this.#finish = resolve))
  }

  start(): void {
    this.#next = undefined
    const [, program = '', ...words] = process.argv
    const child = spawn(process.execPath, [...process.execArgv, program, ...words], {
      cwd: this.#environment.cwd,
      // The signals of a terminal reach the parent alone, which passes them on.
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ...parentsOwn, [devVariable]: '1' },
    })
    this.#child = child
    child.on('message', (parts) => this.#read(parts as string[]))
    child.on('error', (error) =>
      this.#log.warn(`the service cannot be started: ${reasonText(error)}`),
    )
    child.on('exit', (status, signal) => this.#ended(status, signal))
  }

  changed(names: readonly string[]): void {
    if (this.#next === 'finish') return
    const [first = '', ...others] = names
    this.#log.info(`changed: ${first}${others.length > 0 ? ` and ${others.length} more` : ''}`)
    const child = this.#child
    if (!child) this.start()
    else if (this.#next === undefined) {
      this.#next = 'start'
      child.kill('SIGTERM')
      this.#cancel = this.#environment.clock.after(patienceMs, () => void child.kill('SIGTERM'))
    }
  }

  signalled(signal: EndSignal): void {
    if (this.#next !== 'finish')
      this.#log.info(`${signal}: ending in order; once more ends at once.`)
    this.#next = 'finish'
    if (this.#child) this.#child.kill(signal)
    else this.#finish(0)
  }

  #read(parts: readonly string[]): void {
    for (const line of partChanges(this.#parts ?? parts, parts)) this.#log.info(line)
    this.#parts = parts
  }

  #ended(status: number | null, signal: string | null): void {
    this.#cancel()
    this.#child = undefined
    if (this.#next === 'start') this.start()
    else if (this.#next === 'finish') this.#finish(status ?? 1)
    else this.#log.warn(`the service has ended (${signal ?? status}): it waits for a change`)
  }
}

/** Variables that are for the parent: it is the child of a service manager, or of npm. */
const parentsOwn = { NOTIFY_SOCKET: undefined, npm_lifecycle_event: undefined }
