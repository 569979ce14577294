/** A child that writes to one store until it is killed at a step of its work. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { systemClock } from '../../src/clock.ts'
import type { Change, WrittenKeys } from './written-keys.ts'

const program = 'test/support/programs/snapshots.mjs'

/** One life of a child. */
export type Life = {
  readonly dir: string
  readonly options: object
  /** The version of the projection `again`. */
  readonly version: number
  readonly writers: number
  /** The number with which its writes begin. */
  readonly first: number
  readonly work: 'none' | 'snapshots' | 'projections' | 'backups'
}

/** A kill `ms` after the `times`th report of a step. */
export type Aim = { readonly step: string; readonly times: number; readonly ms: number }

/** A step that a child reported; `ms` since it began. */
export type Step = {
  readonly step: string
  readonly ms: number
  readonly segments?: number
  readonly reason?: string
}

/** How long a child may take to come to its step. */
const patienceMs = 60_000

type Line = Partial<Step> & {
  readonly writes?: number
  readonly changes?: readonly Change[]
  readonly wrote?: number
  readonly failed?: string
}

/**
 * Runs a child, kills it at the moment, and notes its writes. Resolves to its steps and the number of
 * answers, when all that it reported has been read. @throws Error if it ended by itself
 */
export const strikeStore = async (
  life: Life,
  aim: Aim,
  keys: WrittenKeys,
): Promise<{ readonly steps: readonly Step[]; readonly answers: number }> => {
  const child = spawn(process.execPath, [program, JSON.stringify(life)], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('exit', (_, signal) => resolve(signal)),
  )
  const clock = systemClock()
  const steps: Step[] = []
  let [answers, times, faults, isLate] = [0, 0, '', false]
  // A warning is none: the sweep of blobs warns when it comes too early.
  child.stderr?.on('data', (text) => {
    if (/ error /.test(String(text))) faults += text
  })
  const giveUp = clock.after(patienceMs, () => {
    isLate = true
    child.kill('SIGKILL')
  })
  const lines = createInterface({ input: child.stdio[3] as NodeJS.ReadableStream })
  const read = new Promise<void>((resolve) => lines.on('close', resolve))
  lines.on('line', (text) => {
    // The kill cut off the last line.
    if (!text.endsWith('}')) return
    const line = JSON.parse(text) as Line
    if (line.failed !== undefined) faults += line.failed
    if (line.writes !== undefined) keys.calls(line.writes, line.changes ?? [])
    if (line.wrote !== undefined) {
      answers++
      keys.answered(line.wrote)
    }
    if (line.step === undefined) return
    steps.push(line as Step)
    if (line.step !== aim.step || ++times !== aim.times) return
    if (aim.ms < 1) child.kill('SIGKILL')
    else clock.after(aim.ms, () => child.kill('SIGKILL'))
  })
  const [signal] = await Promise.all([exited, read])
  giveUp()
  const told = steps.filter(({ step }) => step === 'snapshot.failed').map(({ reason }) => reason)
  if (isLate) throw new Error(`it did not come to ${aim.step} ${aim.times} times: ${faults}`)
  if (signal !== 'SIGKILL' || faults !== '') throw new Error(`the child failed: ${faults}`)
  if (told.length > 0) throw new Error(`a snapshot failed: ${told.join('; ')}`)
  return { steps, answers }
}
