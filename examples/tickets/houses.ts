/** The processes of the shop on its night: one, two members of a cluster, or several members on one folder. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'

const command = join(import.meta.dirname, '../../dist/inspect/cli/cli.js')
const config = join(import.meta.dirname, 'keelson.config.ts')

/** One process of the shop: the shop itself, or a member that may have to wait for its turn. */
export type House = {
  readonly dir: string
  readonly env: NodeJS.ProcessEnv
  /** So many members share the folder. Their log is a file beside it. */
  members?: number | undefined
  child?: ChildProcess
}

const isRunning = ({ child }: House): boolean =>
  child !== undefined && child.exitCode === null && child.signalCode === null

/** The shop. */
export class Shop {
  readonly #houses: readonly House[]
  /** The one that serves. */
  #open: House

  constructor(first: House, ...others: readonly House[]) {
    this.#houses = [first, ...others]
    this.#open = first
  }

  /** Starts what does not run; resolves when one of them serves. */
  async start(): Promise<void> {
    const wasOpen = isRunning(this.#open)
    let opened = (): void => undefined
    const ready = new Promise<void>((resolve) => {
      opened = resolve
    })
    for (const house of this.#houses) {
      if (isRunning(house)) {
        house.child?.stdout?.once('data', () => this.#opens(house, opened))
        continue
      }
      const child = this.#spawn(house)
      house.child = child
      child.stdout?.once('data', () => this.#opens(house, opened))
      if (this.#houses.length === 1) child.once('exit', (status) => status && opened())
    }
    if (!wasOpen) await ready
    if (!isRunning(this.#open)) throw new Error('the shop ended by itself')
  }

  #spawn({ dir, env, members }: House): ChildProcess {
    const words = members === undefined ? [] : ['--members', String(members)]
    // A member of a cluster says on standard error that it waits.
    const said = this.#houses.length > 1 ? 'ignore' : 'inherit'
    const errors = members === undefined ? said : openSync(`${dir}.log`, 'a')
    return spawn(process.execPath, [command, 'run', config, '--dir', dir, ...words], {
      env,
      stdio: ['ignore', 'pipe', errors],
    })
  }

  #opens(house: House, opened: () => void): void {
    this.#open = house
    opened()
  }

  /** Ends what serves, with a signal. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this.#open
    if (!child || !isRunning(this.#open)) return
    child.kill(signal)
    await once(child, 'exit')
  }

  /** SIGHUP: the members restart, one after another. */
  restartMembers(): void {
    this.#open.child?.kill('SIGHUP')
  }

  /** Ends one of the members with `kill -9`, if there is one at the moment. */
  killMember(random: () => number): void {
    const members = this.#members()
    const member = members[Math.floor(random() * members.length)]
    if (member !== undefined) process.kill(member, 'SIGKILL')
  }

  /** Ends the members in order, and serves their folder in one process. */
  async leaveMembers(): Promise<void> {
    await this.end('SIGTERM')
    const { child } = this.#open
    if (child?.exitCode !== 0) throw new Error(`the members ended with ${child?.exitCode}`)
    this.#open.members = undefined
    await this.start()
  }

  /** The processes of the members. */
  #members(): number[] {
    const { child, members } = this.#open
    if (members === undefined || !isRunning(this.#open)) return []
    const { stdout } = spawnSync('pgrep', ['-P', String(child?.pid)], { encoding: 'utf8' })
    return stdout.split('\n').filter(Boolean).map(Number)
  }

  /** Ends everything. */
  async endAll(): Promise<void> {
    for (const house of this.#houses) {
      if (!isRunning(house)) continue
      const members = this.#members()
      house.child?.kill('SIGKILL')
      // They would end in order.
      for (const member of members) process.kill(member, 'SIGKILL')
      if (house.child) await once(house.child, 'exit')
    }
  }

  /** Runs a line at its prompt. */
  async say(line: string): Promise<void> {
    const prompt = spawn(process.execPath, [command, 'attach', '--dir', this.#open.dir], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    prompt.stdin.end(`${line}\n`)
    await once(prompt, 'exit')
  }
}
