/** A child that writes to many logs until it is struck, and what it had been answered by then. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { systemClock } from '../../src/clock.ts'
import { note, type Place } from './ledger.ts'

const program = 'test/support/programs/many-logs.mjs'

/**
 * When to strike: after so many acknowledgements, so many ms after it began (to strike openings), or when entries are written
 * and not synced behind those that are; `ready` is called before they are written.
 */
export type Moment =
  | { readonly acknowledgements: number }
  | { readonly ms: number }
  | { readonly ready: () => void }

/**
 * Runs a child on `places` and calls `strike` at the moment; resolves when the child has ended and everything that it reported
 * before has been read. `strike` must see to it that it ends.
 * @throws Error with what the child wrote on stderr.
 */
export const strikeChild = async (
  places: readonly Place[],
  moment: Moment,
  strike: (child: ChildProcess) => void,
): Promise<void> => {
  const how = 'ready' in moment ? 'unsynced' : 'synced'
  const args = places.flatMap(({ kind, dir, first }) => [kind, dir, String(first)])
  const child = spawn(process.execPath, [program, how, ...args], {
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr?.on('data', (text) => {
    stderr += text
  })
  let acknowledgements = 0
  let ready = 0
  let written = 0
  const lines = createInterface({ input: child.stdio[3] as NodeJS.ReadableStream })
  const read = new Promise<void>((resolve) => lines.on('close', resolve))
  let hasStruck = false
  const strikeOnce = (): void => {
    if (hasStruck) return
    hasStruck = true
    strike(child)
  }
  lines.on('line', (line) => {
    if (line === 'begun' && 'ms' in moment) systemClock().after(moment.ms, strikeOnce)
    if (note(places, line)) acknowledgements += 1
    if (line.endsWith(' written')) written += 1
    if (line.endsWith(' ready') && ++ready === places.length && 'ready' in moment) {
      moment.ready()
      child.stdin?.write('go on')
    }
    const isTime =
      ('acknowledgements' in moment && acknowledgements === moment.acknowledgements) ||
      ('ready' in moment && written === places.length)
    // On a disk whose power is gone every call fails; before, none may.
    if (line.startsWith('failed') && !hasStruck) {
      stderr += line
      child.kill()
    }
    if (!isTime) return
    strikeOnce()
  })
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('exit', (_, signal) => resolve(signal)),
  )
  const [signal] = await Promise.all([exited, read])
  // What LMDB says of a disk whose power is gone is no failure.
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${stderr}`)
}
