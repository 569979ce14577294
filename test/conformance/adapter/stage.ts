/** Where a scenario plays: its system and clock, its definitions, and how they are started. */
import type { VirtualClock } from '../../../src/clock.ts'
import {
  type BareContext,
  type ChildContext,
  type ChildSpec,
  type Context,
  dynamicSupervisor,
  type Received,
  type Ref,
  Registry,
  type StartResult,
  type System,
  supervisor,
  taskSupervisor,
} from '../../../src/runtime/index.ts'
import { drive, type Frame, perform } from './actions.ts'
import { Memory, nameOf, type TalkContext } from './operations.ts'
import type { Recorder } from './recorder.ts'
import type {
  ChildDefinition,
  DynamicDefinition,
  Operation,
  PlainDefinition,
  ProcessDefinition,
  RegistryDefinition,
  Scenario,
  SupervisorDefinition,
  Term,
} from './scenario.ts'
import { scenarioServer } from './scenario-server.ts'
import type { Talk } from './talk.ts'
import type { Scope } from './terms.ts'

/** Who starts a process, whether linked, and how long that may take. */
export type Starting = {
  readonly context: Context<Talk>
  readonly isLinked: boolean
  readonly timeoutMs?: number | undefined
}

export class Stage {
  readonly system: System
  readonly clock: VirtualClock
  readonly recorder: Recorder
  readonly #scenario: Scenario
  readonly #extra = new Map<number | undefined, readonly Term[]>()

  constructor(scenario: Scenario, system: System, clock: VirtualClock, recorder: Recorder) {
    this.#scenario = scenario
    this.system = system
    this.clock = clock
    this.recorder = recorder
  }

  /** Starts a process of the scenario, as `starting` says. */
  start(
    base: string,
    proc: string,
    arg: unknown,
    starting: Starting,
  ): StartResult | Promise<StartResult> {
    const definition = this.#definitionOf(proc)
    const { context, isLinked } = starting
    if (definition.kind === 'plain') {
      const spawn = isLinked ? context.spawnLink : context.spawn
      return this.#spawn(definition, base, arg, spawn.bind(context))
    }
    if (isSupervisor(definition)) {
      const spec = this.#supervisor(base, definition, {})
      const begin = isLinked ? context.startLinkResult : context.startResult
      return spec.start({
        app: undefined,
        system: this.system,
        startLinkResult: begin.bind(context),
        spawnLink: context.spawnLink.bind(context),
      })
    }
    if (definition.kind !== 'server') throw this.#unknownKind(definition)
    const server = scenarioServer(definition, base, this)
    const options = { name: nameOf(definition.name), timeoutMs: starting.timeoutMs }
    return isLinked
      ? context.startLinkResult(server, arg, options)
      : context.startResult(server, arg, options)
  }

  /** The specification of a child. */
  child(
    child: ChildDefinition,
    value: (term: Term | undefined) => unknown = (term) => term ?? null,
  ): ChildSpec {
    const definition = this.#definitionOf(child.proc)
    const { id, restart, shutdown, significant } = child
    const options = { restart, shutdown, significant }
    const kind = child.type ?? 'worker'
    if (isSupervisor(definition)) return { ...this.#supervisor(id, definition, options), kind }
    const start = (context: ChildContext): StartResult | Promise<StartResult> => {
      const arg = value(child.arg)
      if (definition.kind === 'plain')
        return this.#spawn(definition, id, arg, context.spawnLink.bind(context))
      if (definition.kind !== 'server') throw this.#unknownKind(definition)
      // A server is made anew at each start: what it remembers goes with its process.
      const server = scenarioServer(definition, id, this)
      return context.startLinkResult(server, arg, { name: nameOf(definition.name) })
    }
    return { id, start, kind, ...options }
  }

  /** Runs the actions of a task; the answer is the task's value. */
  perform(
    actions: readonly Operation[],
    memory: Memory,
    { state, payload, from }: Scope,
    receive?: (ms: number) => Promise<Received | undefined>,
  ): unknown {
    const frame: Frame = { state, payload, from, call: undefined }
    return drive(perform(actions, memory, frame, this, receive), () => frame.value ?? null)
  }

  /** What a dynamic supervisor puts before the arguments of its children. */
  extraArguments(pid: number | undefined): readonly Term[] {
    return this.#extra.get(pid) ?? []
  }

  #supervisor(
    base: string,
    definition: TreeDefinition,
    child: Pick<ChildDefinition, 'restart' | 'shutdown' | 'significant'>,
  ): ChildSpec {
    const spec = this.#specOf(base, definition, child)
    const begun = ({ pid }: Ref): void => {
      if (definition.kind === 'dynamic_supervisor')
        this.#extra.set(pid, definition.extra_arguments ?? [])
    }
    return { ...spec, start: (context) => spec.start(this.#labelling(base, context, begun)) }
  }

  #specOf(
    base: string,
    definition: TreeDefinition,
    child: Pick<ChildDefinition, 'restart' | 'shutdown' | 'significant'>,
  ): ChildSpec {
    if (definition.kind === 'registry') {
      const name = nameOf(definition.name) as Registry.Name | undefined
      return { ...Registry.childSpec(base, { keys: definition.keys, name }), ...child }
    }
    const { intensity, period } = definition
    const periodMs = period === undefined ? undefined : period * 1_000
    const options = { intensity, periodMs, name: nameOf(definition.name), ...child }
    if (definition.kind !== 'supervisor') {
      const make = definition.kind === 'task_supervisor' ? taskSupervisor : dynamicSupervisor
      return make(base, { ...options, maxChildren: definition.max_children })
    }
    const { strategy, auto_shutdown: autoShutdown } = definition
    const children = definition.children.map((each) => this.child(each))
    return supervisor(base, { ...options, strategy, autoShutdown }, children)
  }

  /** The same context, which labels what it starts in its `init`: a supervisor has no callback of the scenario's. */
  #labelling(base: string, context: ChildContext, begun: (ref: Ref) => void): ChildContext {
    const startLinkResult = ((
      server: { init: (...args: unknown[]) => unknown },
      arg: unknown,
      options: object,
    ) => {
      const init = (given: unknown, inner: Context): unknown => {
        this.recorder.label(base, inner.self)
        begun(inner.self)
        return server.init(given, inner)
      }
      return context.startLinkResult({ ...server, init } as never, arg as never, options as never)
    }) as ChildContext['startLinkResult']
    const { system, app } = context
    return { system, app, startLinkResult, spawnLink: context.spawnLink.bind(context) }
  }

  #spawn(
    definition: PlainDefinition,
    base: string,
    arg: unknown,
    spawn: ChildContext['spawnLink'],
  ): StartResult {
    const body = (context: BareContext<Talk>): void | Promise<void> => {
      const label = this.recorder.labelOf(context.self.pid ?? 0) ?? base
      const memory = new Memory(label, context as TalkContext, this.recorder)
      memory.record('body', this.recorder.encode(arg))
      const frame = { state: null, payload: arg, from: undefined, call: undefined }
      const receive = (ms: number) => context.receive(ms)
      return drive(perform(definition.body, memory, frame, this, receive), () => undefined)
    }
    const ref = spawn<Talk>(body, { name: nameOf(definition.name) })
    this.recorder.label(base, ref)
    return { ok: true, ref }
  }

  #definitionOf(proc: string): ProcessDefinition {
    const definition = this.#scenario.procs[proc]
    if (definition === undefined) throw this.recorder.refuse(`there is no definition ${proc}`)
    return definition
  }

  #unknownKind({ kind }: { readonly kind: string }): Error {
    return this.recorder.refuse(`there is no kind of process ${kind}`)
  }
}

/** What is a supervisor to others, and has no callbacks in the scenario. */
type TreeDefinition = SupervisorDefinition | DynamicDefinition | RegistryDefinition

const isSupervisor = (definition: ProcessDefinition): definition is TreeDefinition =>
  ['supervisor', 'dynamic_supervisor', 'task_supervisor', 'registry'].includes(definition.kind)
