/**
 * The guard of a process that judges: sockets, look-ups of names, processes, threads and writes of files
 * throw `REHEARSAL` in the code of users. It replaces functions of Node, so it begins before any module of
 * theirs loads. It is apart from the judge, because it knows nothing of rehearsals. Node's own permissions are
 * the floor below it, where this process was started with them.
 */
import childProcess from 'node:child_process'
import dgram from 'node:dgram'
import dns from 'node:dns'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import threads from 'node:worker_threads'

/** The guard of this process. */
export type Guard = {
  /** Sockets throw from now on. */
  readonly closesNet: () => void
  /** The attempts that were refused since the last call. */
  readonly refused: () => readonly string[]
}

type Functions = Record<string, unknown>

/**
 * Functions of `node:fs` that change something, without their `Sync`. Those on descriptors are not among
 * them: none is open for writing but the ones that a body logs to.
 */
const changes = [
  'appendFile',
  'chmod',
  'chown',
  'copyFile',
  'cp',
  'createWriteStream',
  'lchmod',
  'lchown',
  'link',
  'lutimes',
  'mkdir',
  'mkdtemp',
  'rename',
  'rm',
  'rmdir',
  'symlink',
  'truncate',
  'unlink',
  'utimes',
  'writeFile',
]

const processes = ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync']

/** Attempts that are kept between two answers. */
const refusedMax = 100

/** Guards this process from here on. With `allowNet` sockets are open until `closesNet`. */
export const guardProcess = (allowNet: boolean): Guard => {
  let isNetOpen = allowNet
  /** Sockets of the time in which they are open: a later request would go through one that stays. */
  const sockets = new Set<net.Socket>()
  let attempts: string[] = []
  const refuse = (what: string): Error => {
    if (attempts.length < refusedMax) attempts.push(what)
    const hint = what.startsWith('net') || what.startsWith('dns') ? ' (--allow-net)' : ''
    const error = new Error(`a rehearsal does nothing outside: ${what} is refused${hint}`)
    return Object.assign(error, { code: 'REHEARSAL' })
  }
  const closed = (owner: object, names: Iterable<string>, what: string, isNet = false): void => {
    const of = owner as Functions
    for (const name of names) {
      const own = of[name]
      if (typeof own !== 'function') continue
      of[name] = function (this: unknown, ...given: unknown[]): unknown {
        if (isNet && isNetOpen) {
          if (this instanceof net.Socket) sockets.add(this)
          return Reflect.apply(own, this, given)
        }
        throw refuse(`${what}.${name}`)
      }
    }
  }
  const names = (of: object, form: RegExp): string[] =>
    Object.getOwnPropertyNames(of).filter((name) => form.test(name))
  closed(net.Socket.prototype, ['connect'], 'net', true)
  closed(net.Server.prototype, ['listen'], 'net', true)
  closed(dgram.Socket.prototype, ['bind', 'connect', 'send'], 'net', true)
  const asked = /^(lookup|resolve|reverse)/
  for (const of of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype])
    closed(of, names(of, asked), 'dns', true)
  closed(process, ['kill', 'abort'], 'process')
  closed(childProcess, processes, 'child_process')
  closed(childProcess.ChildProcess.prototype, ['spawn'], 'child_process')
  ;(threads as Functions).Worker = class {
    constructor() {
      throw refuse('worker_threads.Worker')
    }
  }
  closed(fs, [...changes, ...changes.map((name) => `${name}Sync`)], 'fs')
  closed(fs.promises, changes, 'fs.promises')
  opensForReading(fs, ['open', 'openSync'], refuse)
  opensForReading(fs.promises, ['open'], refuse)
  syncBuiltinESMExports()
  return {
    closesNet: () => {
      isNetOpen = false
      for (const socket of sockets) socket.on('error', () => undefined).destroy()
      sockets.clear()
    },
    refused: () => {
      const all = attempts
      attempts = []
      return all
    },
  }
}

/** Lets files be opened for reading alone. */
const opensForReading = (
  owner: object,
  names: readonly string[],
  refuse: (what: string) => Error,
): void => {
  const of = owner as Functions
  for (const name of names) {
    const own = of[name] as (...given: unknown[]) => unknown
    of[name] = function (this: unknown, ...given: unknown[]): unknown {
      const flags = typeof given[1] === 'function' ? undefined : given[1]
      const isReading =
        flags === undefined || flags === null || ['r', 'rs', 'sr'].includes(flags as string)
      if (isReading || flags === fs.constants.O_RDONLY) return Reflect.apply(own, this, given)
      throw refuse(`fs.${name}`)
    }
  }
}
