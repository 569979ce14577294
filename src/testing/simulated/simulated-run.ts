/**
 * `simulation.run`: a run of a workflow to its end on virtual time, over power cuts. A cut is a halt
 * of the disk. The instance ends there, starts again on what the disk holds, and the run goes on.
 */
import { argument, orInfinite, wholeFrom } from '../../check.ts'
import type { VirtualClock } from '../../clock.ts'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type AnyWorkflow,
  type FlowEvents,
  flow,
  type Handle,
  type StartRunOptions,
  type StepRow,
  type Workflow,
} from '../../flow/index.ts'
import type { Settled, System } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { isError } from '../../thrown.ts'
import { outcome } from '../kit/probe.ts'
import type { SimulatedDisk } from './simulated-disk.ts'

/** The start of a simulated run, whose `id` is `run` by default, and its power cuts. */
export type SimulatedRunOptions<
  O = unknown,
  S = never,
  Q = unknown,
  U = unknown,
> = Partial<StartRunOptions> & {
  /**
   * The power goes when the outcome of an operation with this key is durable, and before anything
   * follows from it. A function chooses among all keys: `() => true` cuts after each of them. The
   * keys of children and other runs count too.
   */
  readonly crashAfter?: string | ((key: string) => boolean)
  /** Acts on the run once it has begun: sends signals, cancels. Is called again if a cut ended it. */
  readonly act?: (run: Handle<O, S, Q, U>) => unknown
  /** The most virtual time, in ms from 1; 30 days by default. */
  readonly withinMs?: number
}

/** The end of a simulated run. */
export type SimulatedRun<O> = {
  readonly status: 'completed' | 'failed' | 'cancelled' | 'blocked'
  /** The output of a completed run. */
  readonly output: O | undefined
  /** Why any other one has ended, or does not go on. */
  readonly error: Error | undefined
  /** Its recorded operations, in the order in which they were first; `undo:KEY` are the undos. */
  readonly steps: readonly StepRow[]
  /** How often the power went. */
  readonly powerCuts: number
}

/** The machine of a run, and the instance on it. */
export type RunMachine = {
  readonly app: App
  readonly system: System
  readonly clock: VirtualClock
  readonly disk: SimulatedDisk
  powerCut(): Promise<void>
}

const day = 86_400_000

type End<O> = Pick<SimulatedRun<O>, 'status' | 'output' | 'error'>

/** `restart` starts the instance that was cut off. */
export const runSimulated = async <I, O, S, Q, U>(
  machine: RunMachine,
  restart: () => Promise<unknown>,
  type: Workflow<I, O, S, Q, U>,
  input: I,
  options: SimulatedRunOptions<O, S, Q, U>,
): Promise<SimulatedRun<O>> => {
  const { crashAfter, act, withinMs = 30 * day, id = 'run', ...start } = options
  const cutsAfter = choiceOf(crashAfter)
  orInfinite(wholeFrom(1))(withinMs, argument('withinMs'))
  const { clock, disk } = machine
  const endsAt = clock.monotonic() + withinMs
  let [powerCuts, hasActed] = [0, act === undefined]
  const cutting: Cutting = { cutsAfter, hasCut: false, thrown: undefined }

  const running = async (): Promise<End<O>> => {
    const run = await flow(machine.app).start(type, input, { ...start, id })
    if (!hasActed) await act?.(run)
    hasActed = true
    return endOf(await outcome(run.result({ timeoutMs: Number.POSITIVE_INFINITY })))
  }
  /** Lets time pass until this run has ended; `undefined`: the power went before. */
  const lived = async (): Promise<Settled<End<O>> | undefined> => {
    let ended: Settled<End<O>> | undefined
    void outcome(running()).then((settled) => {
      ended = settled
    })
    await clock.settle()
    while (!ended && !disk.isHalted && !cutting.thrown) {
      const ms = clock.untilNext() ?? Number.POSITIVE_INFINITY
      if (clock.monotonic() + ms > endsAt)
        throw notEnded(type.name, id, withinMs, stepsOf(machine, type, id))
      await clock.advance(ms)
    }
    if (cutting.thrown) throw cutting.thrown.error
    return disk.isHalted ? undefined : ended
  }
  for (;;) {
    const bus = machine.system.events
    const cut = cutAfterStep(machine, cutting)
    bus.on('flow.step', cut)
    const ended = await lived().finally(() => bus.off('flow.step', cut))
    if (ended?.ok === false) throw ended.error
    if (ended) {
      const steps = stepsOf(machine, type, id)
      if (crashAfter !== undefined && !cutting.hasCut) throw neverCut(crashAfter, steps)
      return { ...ended.value, steps, powerCuts }
    }
    powerCuts++
    await machine.powerCut()
    await restart()
  }
}

/** The power cuts of a run. */
type Cutting = {
  readonly cutsAfter: (key: string) => boolean
  hasCut: boolean
  /** The error of `cutsAfter`: a listener of an event cannot throw it to the caller. */
  thrown: { readonly error: unknown } | undefined
}

/** Halts the disk and ends every process after the operation that `cutsAfter` names. */
const cutAfterStep =
  ({ system, disk }: RunMachine, cutting: Cutting): FlowEvents['flow.step'] =>
  ({ key }) => {
    try {
      if (disk.isHalted || !cutting.cutsAfter(key)) return
    } catch (error) {
      cutting.thrown ??= { error }
      return
    }
    cutting.hasCut = true
    disk.halt()
    for (const { ref } of system.processes()) system.kill(ref)
  }

const choiceOf = (given: SimulatedRunOptions['crashAfter']): ((key: string) => boolean) => {
  if (given === undefined) return () => false
  if (typeof given === 'string') return (key) => key === given
  if (typeof given === 'function') return given
  throw invalidArgument('crashAfter', 'the key of an operation, or a function', given)
}

const endOf = <O>(settled: Settled<O>): End<O> => {
  if (settled.ok) return { status: 'completed', output: settled.value, error: undefined }
  const { error } = settled
  if (!isKeelsonError(error) || !isError(error.cause)) throw error
  const { status } = error.details as Pick<End<O>, 'status'>
  return { status, output: undefined, error: error.cause }
}

const stepsOf = ({ app }: RunMachine, type: AnyWorkflow, id: string): readonly StepRow[] =>
  flow(app).steps(type, id, { limit: Number.MAX_SAFE_INTEGER }).entries

const keysOf = (steps: readonly StepRow[]): string =>
  steps.map(({ key }) => key).join(', ') || 'nothing'

/** A test whose cut never comes would prove nothing. */
const neverCut = (crashAfter: unknown, steps: readonly StepRow[]): KeelsonError =>
  invalidArgument('crashAfter', `an operation of the run, which has ${keysOf(steps)}`, crashAfter)

const notEnded = (
  type: string,
  id: string,
  withinMs: number,
  steps: readonly StepRow[],
): KeelsonError => {
  const text = `the run ${id} of ${type} has not ended within ${withinMs} virtual ms`
  const hint = `it has recorded ${keysOf(steps)}; \`act\` sends signals`
  return new KeelsonError('TIMEOUT', `${text}: ${hint}`, { details: { type, id, withinMs } })
}
