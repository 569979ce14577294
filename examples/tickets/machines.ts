/**
 * The shop on several machines, played by processes on this one: members that share the shards of a
 * cluster. Each of them serves, and one that is killed is started again at once.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** A machine: the folder and the environment of its member. */
export type Machine = {
  readonly dir: string
  readonly env: NodeJS.ProcessEnv
}

type Running = { readonly machine: Machine; child: ChildProcess; hasLeft: boolean }

/** A member is started again so long after its end. */
const againMs = 500

/** The machines of the shop. */
export class Machines {
  readonly #running: Running[] = []
  /** The folder of the package that they run. */
  #build: string

  constructor(build: string) {
    this.#build = build
  }

  /** Starts a member on each machine; resolves when all of them serve. */
  async start(machines: readonly Machine[]): Promise<void> {
    for (const machine of machines) {
      const child = this.#spawn(machine)
      this.#running.push({ machine, child, hasLeft: false })
      await serving(child)
    }
  }

  /** Ends a member with `kill -9`. It begins again. */
  async kill(random: () => number): Promise<void> {
    const at = Math.floor(random() * this.#running.length)
    await this.#restart(this.#running[at] as Running, 'SIGKILL')
  }

  /** Each member ends in order and begins again with another build, one after another. */
  async upgrade(build: string): Promise<void> {
    this.#build = build
    for (const each of this.#running) await serving(await this.#restart(each, 'SIGTERM'))
  }

  /** All members but the first one leave in order: that one has all shards then. */
  async leaveFirst(): Promise<void> {
    for (const each of this.#running.slice(1)) await this.#end(each, 'SIGTERM')
  }

  /** Ends everything. */
  async endAll(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await Promise.all(this.#running.map((each) => this.#end(each, signal)))
  }

  async #restart(each: Running, signal: NodeJS.Signals): Promise<ChildProcess> {
    await ended(each.child, signal)
    await pause(againMs)
    if (!each.hasLeft) each.child = this.#spawn(each.machine)
    return each.child
  }

  async #end(each: Running, signal: NodeJS.Signals): Promise<void> {
    each.hasLeft = true
    await ended(each.child, signal)
  }

  #spawn({ dir, env }: Machine): ChildProcess {
    const command = join(this.#build, 'dist/inspect/cli/cli.js')
    const config = join(this.#build, 'examples/tickets/keelson.config.ts')
    return spawn(process.execPath, [command, 'run', config, '--dir', dir], {
      env,
      stdio: ['ignore', 'pipe', openSync(`${dir}.log`, 'a')],
    })
  }
}

/** Resolves when a member says that it is ready. */
const serving = async (child: ChildProcess): Promise<void> => {
  const { stdout } = child
  if (!stdout) return
  await Promise.race([
    once(stdout, 'data'),
    once(child, 'exit').then(([status]) => {
      throw new Error(`a member ended with ${status} before it was ready`)
    }),
  ])
}

const ended = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}
