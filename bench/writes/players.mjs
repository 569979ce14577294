/** The contenders as the bench sees them: each a child process that does what it is told, one at a time. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPeer } from '../harness/peers.mjs'

const program = fileURLToPath(new URL('./player.mjs', import.meta.url))
const peer = (name) => new URL(`../peers/${name}.mjs`, import.meta.url).href
const here = (name) => new URL(`./${name}.mjs`, import.meta.url).href

/**
 * What takes part, Keelson first. `modes`: the ways in which the same store is asked. `prepare` answers why it cannot take part,
 * or what `open` is told beside its folder.
 */
export const contenders = [
  {
    name: 'keelson',
    file: here('keelson'),
    modes: [
      { label: 'keelson' },
      { label: 'keelson, projected', isProjected: true },
      { label: 'keelson, window 1 ms', isWindowed: true },
      { label: 'keelson, window, projected', isWindowed: true, isProjected: true },
    ],
  },
  {
    name: 'better-sqlite3',
    file: peer('better-sqlite3'),
    prepare: () => ({ absent: buildPeer('better-sqlite3', isSqliteThere) }),
  },
  { name: 'lmdb-js', file: here('lmdb') },
  { name: 'lmdb-js, before its sync', file: here('lmdb'), opener: 'openEarly', isEarly: true },
  { name: 'classic-level', file: peer('classic-level') },
  {
    name: 'PostgreSQL',
    file: peer('postgres'),
    prepare: ({ postgres }) =>
      postgres.absent === undefined ? { extra: postgres.socket } : { absent: postgres.absent },
  },
]

const isSqliteThere = () => {
  const require = createRequire(peer('better-sqlite3'))
  const Database = require('better-sqlite3')
  new Database(':memory:').close()
}

/** A contender that waits in its process. */
export class Player {
  #child

  constructor(child) {
    this.#child = child
  }

  /** Starts a contender's process; resolves when its store is open. */
  static start({ file, opener = 'open', name }, folder, extra = '') {
    const dir = join(folder, name.replaceAll(/\W+/g, '-'))
    return Player.fork(program, [file, opener, dir, extra])
  }

  /** Starts `program` as a child process; resolves with its first message. */
  static async fork(program, args) {
    const child = fork(program, args, {
      env: { ...process.env, NODE_ENV: 'production' },
      execArgv: ['--max-old-space-size=4000', '--expose-gc'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const player = new Player(child)
    await player.#answer()
    return player
  }

  /** Gives an order and answers what comes back. */
  ask(order) {
    this.#child.send(order)
    return this.#answer()
  }

  /** Closes the store and ends the process. */
  async stop() {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    await this.ask({ kind: 'close' })
    this.#child.disconnect()
    await ended
  }

  /** Ends the process as `kill -9` does, if it runs. */
  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  #answer() {
    return new Promise((resolve, reject) => {
      const ended = (code, signal) => reject(new Error(`a contender ended: ${signal ?? code}`))
      this.#child.once('exit', ended)
      this.#child.once('message', ({ answer, error }) => {
        this.#child.off('exit', ended)
        if (error === undefined) resolve(answer)
        else reject(new Error(error))
      })
    })
  }
}
