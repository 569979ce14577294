/**
 * `keelson run --members` of `programs/members-service.mjs`, as real processes, and a line to each member. A member that ends
 * answers what it was asked with `GONE`. It is asked again when it is back.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '../../../src/clock.ts'

/** An answer of a member: a value, or the code of an error. `GONE`: the member has ended before. */
export type Answer = { readonly value?: unknown; readonly code?: string; readonly message?: string }

type Told = Answer & { readonly number?: number; readonly pid?: number }

/** A line to one member. It is made again whenever it breaks, until `close`. */
export class MemberLine {
  readonly name: string
  /** The process that answers; `undefined` while none does. */
  pid: number | undefined
  readonly #path: string
  readonly #pending = new Map<number, (answer: Answer) => void>()
  #socket: Socket | undefined
  #number = 0
  #isClosed = false

  constructor(name: string, sockets: string) {
    this.name = name
    this.#path = join(sockets, `${name}.sock`)
    this.#connect()
  }

  ask(what: string, ...words: readonly unknown[]): Promise<Answer> {
    const number = ++this.#number
    const socket = this.#socket
    if (this.pid === undefined || !socket) return Promise.resolve({ code: 'GONE' })
    return new Promise((resolve) => {
      this.#pending.set(number, resolve)
      socket.write(`${JSON.stringify({ number, what, words })}\n`)
    })
  }

  signal(signal: NodeJS.Signals): void {
    if (this.pid === undefined) return
    try {
      process.kill(this.pid, signal)
    } catch (error) {
      // It has ended, and the line does not know it yet.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  close(): void {
    this.#isClosed = true
    this.#socket?.destroy()
  }

  #connect(): void {
    const socket = connect(this.#path)
    this.#socket = socket
    const lines = createInterface({ input: socket })
    lines.on('line', (line) => this.#told(JSON.parse(line)))
    // It has those of the socket too.
    lines.on('error', () => undefined)
    socket.on('close', () => this.#broken())
  }

  #told({ number, pid, ...answer }: Told): void {
    if (pid !== undefined) this.pid = pid
    if (number === undefined) return
    this.#pending.get(number)?.(answer)
    this.#pending.delete(number)
  }

  #broken(): void {
    this.pid = undefined
    for (const answer of this.#pending.values()) answer({ code: 'GONE' })
    this.#pending.clear()
    if (!this.#isClosed) systemClock().after(20, () => this.#isClosed || this.#connect())
  }
}

/** How the service is started. */
export type ServiceOptions = {
  readonly dir: string
  readonly names: readonly string[]
  readonly shards: number
  readonly stuckMs: number
  /** Of the test programs; `members-service.mjs` by default. */
  readonly program?: string
  /** More variables of the environment of its members. */
  readonly variables?: Readonly<Record<string, string>>
  /** The words of the command in place of `--members`: one process without members, which is its own member. */
  readonly as?: readonly string[]
}

/** The parent, and a line to each of its members. */
export class MemberService {
  readonly lines: readonly MemberLine[]
  /** What parent and members have said on standard error. */
  log = ''
  readonly #options: ServiceOptions
  readonly #sockets: string
  #parent: ChildProcess | undefined
  #ended: Promise<unknown> = Promise.resolve()

  constructor(options: ServiceOptions) {
    this.#options = options
    this.#sockets = join(options.dir, 'sockets')
    mkdirSync(this.#sockets, { recursive: true })
    this.lines = options.names.map((name) => new MemberLine(name, this.#sockets))
  }

  /** Resolves when all members are ready. @throws Error if the service ends before */
  async start(): Promise<void> {
    const { dir, names, shards, stuckMs, variables } = this.#options
    const { program = 'members-service.mjs', as = ['--members', String(names.length)] } =
      this.#options
    const words = ['dist/inspect/cli/cli.js', 'run', `test/support/programs/${program}`]
    const members = ['--dir', join(dir, 'data'), ...as]
    const own = { SOCKETS: this.#sockets, SHARDS: String(shards), STUCK_MS: String(stuckMs) }
    const parent = spawn(process.execPath, [...words, ...members], {
      env: { ...process.env, ...own, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#parent = parent
    // Members hold its streams.
    this.#ended = once(parent, 'close')
    parent.stderr.on('data', (text) => {
      this.log += text
    })
    let said = ''
    await new Promise<void>((resolve, reject) => {
      parent.stdout.on('data', (text) => {
        said += text
        if (said.includes('ready: ')) resolve()
      })
      parent.once('exit', () => reject(new Error(`the service has ended: ${this.log}`)))
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#parent?.kill(signal)
  }

  /** Resolves with the status of the parent when it has ended, and no member is left. */
  async ended(): Promise<number | null> {
    await this.#ended
    return this.#parent?.exitCode ?? null
  }

  /** Ends all at once. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    for (const line of this.lines) line.signal('SIGKILL')
    for (const line of this.lines) line.close()
    await this.ended()
  }
}
