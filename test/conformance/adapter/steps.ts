/**
 * The steps of the driver, in terms of the runtime's own functions: what it does as a process, what it asks of others
 * (`sys`, supervisors), and what is seen from outside.
 */
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type BareContext,
  type ChildInfo,
  type ChildSpec,
  countChildren,
  type DynamicSupervisorMessages,
  deleteChild,
  getState,
  getStatus,
  name,
  type Ref,
  replaceState,
  restartChild,
  resume,
  type StartResult,
  type SupervisorMessages,
  startChild,
  startDynamicChild,
  statistics,
  stopProcess,
  suspend,
  terminateChild,
  terminateDynamicChild,
  whichChildren,
} from '../../../src/runtime/index.ts'
import {
  bareReason,
  infoOf,
  Memory,
  optionsOf,
  processOf,
  startedTerm,
  type Target,
  targetOf,
} from './operations.ts'
import { FailedCall, type Recorder } from './recorder.ts'
import { registryOperation } from './registry-operations.ts'
import type { ChildDefinition, Operation, Term } from './scenario.ts'
import type { Stage } from './stage.ts'
import type { Talk } from './talk.ts'
import { taskChild } from './tasks.ts'
import { evaluate, type Scope } from './terms.ts'

/**
 * Carries out a step within the driver: at once, when it waits for nothing. What raises there is `{"$error": …}`, a failed
 * call `["exit", reason]`.
 */
export const carryOut = (step: Operation, memory: Memory, stage: Stage): Term | Promise<Term> => {
  const raised = (error: unknown): Term => memory.recorder.encode(error)
  try {
    const result = new Step(step, memory, stage).run()
    return result instanceof Promise ? result.catch(raised) : result
  } catch (error) {
    return raised(error)
  }
}

class Step {
  readonly #operation: string
  readonly #args: Term[]
  readonly #memory: Memory
  readonly #stage: Stage
  readonly #recorder: Recorder

  constructor([operation, ...args]: Operation, memory: Memory, stage: Stage) {
    this.#operation = operation
    this.#args = args
    this.#memory = memory
    this.#stage = stage
    this.#recorder = stage.recorder
  }

  run(): Term | Promise<Term> {
    if (this.#operation === 'multi') return this.#multi()
    const memory = this.#memory
    const { context } = memory
    switch (this.#operation) {
      case 'start':
        return this.#start()
      case 'call': {
        const { timeoutMs } = this.#timeout(3)
        return this.#asked(
          memory.call(this.#target(), this.#text(1), this.#value(2), timeoutMs),
          (reply) => ['ok', reply],
        )
      }
      case 'call_async': {
        const { timeoutMs } = this.#timeout(4)
        const [target, what, payload] = [this.#target(1), this.#text(2), this.#value(3)]
        return this.#client((inner) => inner.call(target, what, payload, timeoutMs))
      }
      case 'stop_async': {
        const [target, reason] = [this.#target(1), this.#value(2)]
        return this.#client(async (inner) => {
          await stopped(stopProcess(inner.context.to(target), reason, this.#timeout(3)))
          return 'ok'
        })
      }
      case 'stop':
        return this.#asked(
          stopped(stopProcess(context.to(this.#target()), this.#value(1), this.#timeout(2))),
          () => 'ok',
        )
      case 'cast':
        memory.cast(this.#target(), this.#text(1), this.#value(2))
        return 'ok'
      case 'send':
        memory.send(this.#target(), this.#text(1), this.#value(2))
        return 'ok'
      case 'exit':
        context.exit(processOf(this.#target(), memory), this.#value(1))
        return 'ok'
      case 'link':
        context.link(processOf(this.#target(), memory))
        return 'ok'
      case 'unlink':
        context.unlink(processOf(this.#target(), memory))
        return 'ok'
      case 'monitor':
        memory.monitor(this.#target(), this.#text(1))
        return 'ok'
      case 'demonitor': {
        const { flush, info } = optionsOf(this.#args[1])
        const found = memory.demonitor(this.#text(0), flush === true)
        return info === true ? found : 'ok'
      }
      case 'send_after':
        memory.sendAfter(
          Number(this.#value(0)),
          this.#target(1),
          this.#text(2),
          this.#value(3),
          this.#text(4),
        )
        return 'ok'
      case 'advance':
        return this.#stage.clock.advance(Number(this.#value(0))).then(() => 'ok')
      case 'reg':
        return registryOperation(this.#args, memory, this.#scope())
      case 'cancel_timer':
        return memory.cancelTimer(this.#text(0))
      case 'read_timer':
        return memory.readTimer(this.#text(0))
      default:
        return this.#look()
    }
  }

  /** Steps that look at processes from outside, and those of `sys` and of supervisors. */
  #look(): Term | Promise<Term> {
    const { system } = this.#stage
    const sup = (): Ref<SupervisorMessages> =>
      this.#memory.context.to(this.#target()) as unknown as Ref<SupervisorMessages>
    const ref = (): Ref => this.#memory.context.to(this.#target())
    switch (this.#operation) {
      case 'alive':
        return infoOf(this.#target(), this.#memory) !== undefined
      case 'links': {
        const links = infoOf(this.#target(), this.#memory)?.links
        return links === undefined
          ? null
          : links.flatMap((pid) => this.#recorder.labelOf(pid) ?? []).sort()
      }
      case 'whereis':
        return this.#recorder.encode(system.whereis(name(this.#text(0))))
      case 'get_state':
        return this.#told(getState(ref()), (state) => state)
      case 'replace_state': {
        const state = this.#value(1)
        return this.#told(
          replaceState(ref(), () => state),
          (next) => next,
        )
      }
      case 'suspend':
        return this.#told(suspend(ref()), () => 'ok')
      case 'resume':
        return this.#told(resume(ref()), () => 'ok')
      case 'sys_status':
        return this.#told(getStatus(ref()), ({ status }) => status)
      case 'statistics':
        return this.#told(
          statistics(
            ref(),
            this.#text(1) === 'on' ? 'on' : this.#text(1) === 'off' ? 'off' : 'get',
          ),
          (counts) =>
            counts === undefined
              ? this.#text(1) === 'get'
                ? 'no_statistics'
                : 'ok'
              : ['in', counts.messagesIn, 'out', counts.messagesOut],
        )
      case 'which_children':
        return this.#asked(whichChildren(sup()), (children) => this.#listed(children))
      case 'count_children':
        return this.#asked(countChildren(sup()), (counts) => ({ ...counts }))
      case 'start_child':
        return this.#asked(startChild(sup(), this.#child([])), childStarted)
      case 'dyn_start_child': {
        const pool = sup() as unknown as Ref<DynamicSupervisorMessages>
        const spec = this.#child(this.#stage.extraArguments(pool.pid))
        return this.#asked(startDynamicChild(pool, spec), (result) =>
          startedTerm(result, this.#recorder),
        )
      }
      case 'dyn_terminate_child': {
        const pool = sup() as unknown as Ref<DynamicSupervisorMessages>
        const child = processOf(this.#target(1), this.#memory)
        return this.#asked(terminateDynamicChild(pool, child), childDone)
      }
      case 'task_child':
        return this.#asked(
          taskChild(this.#target(), this.#args.slice(1), this.#memory, this.#scope(), this.#stage),
          (term) => term,
        )
      case 'restart_child':
        return this.#asked(restartChild(sup(), this.#text(1)), childStarted)
      case 'terminate_child':
        return this.#asked(terminateChild(sup(), this.#text(1)), childDone)
      case 'delete_child':
        return this.#asked(deleteChild(sup(), this.#text(1)), childDone)
      default:
        throw this.#recorder.refuse(`there is no step ${this.#operation}`)
    }
  }

  /** Children as the platform lists them; those of a dynamic supervisor have no id there, and are sorted by label. */
  #listed(children: readonly ChildInfo[]): Term[] {
    const kind = this.#stage.system.info(this.#target())?.kind
    const isDynamic = kind === 'dynamic_supervisor' || kind === 'task_supervisor'
    const listed = children.map(({ id, ref, status, kind: type }): Term[] => [
      isDynamic ? 'undefined' : id,
      ref === undefined
        ? status === 'restarting'
          ? 'restarting'
          : 'undefined'
        : this.#recorder.encode(ref),
      type,
    ])
    const label = (entry: Term[]): string => JSON.stringify(entry[1])
    return isDynamic ? listed.sort((a, b) => (label(a) < label(b) ? -1 : 1)) : listed
  }

  /** The specification that the step gives, with what its supervisor puts before the argument. */
  #child(extra: readonly Term[]): ChildSpec {
    const child = this.#args[1] as unknown as ChildDefinition
    const own = this.#evaluate(child.arg)
    const arg = extra.length === 0 ? own : [...extra.map((each) => this.#evaluate(each)), own]
    return this.#stage.child(child, () => arg)
  }

  async #start(): Promise<Term> {
    const { link, arg, timeout } = optionsOf(this.#args[2])
    const result = await this.#stage.start(this.#text(0), this.#text(1), this.#evaluate(arg), {
      context: this.#memory.context,
      isLinked: link === true,
      timeoutMs: typeof timeout === 'number' ? timeout : undefined,
    })
    return startedTerm(result, this.#recorder)
  }

  async #multi(): Promise<Term> {
    const results: Term[] = []
    for (const step of this.#args[0] as Operation[]) {
      const result = carryOut(step, this.#memory, this.#stage)
      // Back to back: whoever does not wait lets nobody else have a turn.
      results.push(result instanceof Promise ? await result : result)
    }
    return results
  }

  /** The answer of something that was asked, or how it failed. */
  async #asked<T>(answer: Promise<T>, term: (value: T) => unknown): Promise<Term> {
    let value: T
    try {
      value = await answer
    } catch (error) {
      return ['exit', this.#recorder.encode(bareReason(error))]
    }
    return this.#recorder.encode(term(value))
  }

  /** The same of `sys`, where whatever goes wrong is an exit. */
  #told<T>(answer: Promise<T>, term: (value: T) => unknown): Promise<Term> {
    return this.#asked(answer, term).catch((error) => ['exit', this.#recorder.encode(error)])
  }

  /** A client process that asks and tells what came of it. */
  #client(ask: (memory: Memory) => Promise<unknown>): Term {
    const { recorder } = this.#memory
    const base = `client ${this.#text(0)}`
    this.#stage.system.spawn<Talk>(async (context: BareContext<Talk>) => {
      const memory = new Memory(recorder.label(base, context.self), context, recorder)
      try {
        memory.record('returned', recorder.encode(await ask(memory)))
      } catch (error) {
        memory.record('failed', recorder.encode(bareReason(error)))
      }
    })
    return 'ok'
  }

  #timeout(index: number): { timeoutMs?: number } {
    const { timeout } = optionsOf(this.#args[index])
    return typeof timeout === 'number' ? { timeoutMs: timeout } : {}
  }

  #target(index = 0): Target {
    return targetOf(this.#args[index], this.#scope())
  }

  #value(index: number): unknown {
    return this.#evaluate(this.#args[index])
  }

  #evaluate(term: Term | undefined): unknown {
    return evaluate(term, this.#scope())
  }

  #scope(): Scope {
    const { context, parent } = this.#memory
    const recorder = this.#recorder
    return { recorder, self: context.self, parent, state: null, payload: null, from: undefined }
  }

  #text(index: number): string {
    return String(this.#args[index])
  }
}

const childStarted = (result: StartResult<unknown>): unknown => {
  if (result.ok) return ['ok', result.ref]
  return result.ignore ? ['ok', 'undefined'] : ['error', result.reason]
}

/** A dynamic supervisor answers whether it was its child; either kind is asked in either way. */
const childDone = (
  result: boolean | { readonly ok: true } | { readonly ok: false; readonly reason: string },
): unknown => {
  const { ok, reason } =
    typeof result === 'boolean' ? { ok: result, reason: 'not_found' } : { reason: '', ...result }
  return ok ? 'ok' : ['error', reason]
}

/**
 * A stop. Who ends before its turn has come fails it as a call to it fails (the platform asks by one); `noproc` alone shows
 * bare.
 */
const stopped = async (stopping: Promise<void>): Promise<void> => {
  try {
    await stopping
  } catch (error) {
    if (!isKeelsonError(error, 'EXITED') || error.details.note !== undefined) throw error
    throw error.details.reason === 'noproc' ? error : new FailedCall(error.details.reason)
  }
}
