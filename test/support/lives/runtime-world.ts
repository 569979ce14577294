/** A random world of processes: how it begins, what may happen in it, and how it ends. Everything is drawn from `random`. */
import {
  type ChildSpec,
  call,
  cast,
  countChildren,
  deleteChild,
  dynamicSupervisor,
  exit,
  type Monitor,
  name,
  type Ref,
  type Restart,
  restartChild,
  resume,
  type Shutdown,
  type Strategy,
  startChild,
  startDynamicChild,
  startSupervisor,
  stop,
  stopProcess,
  supervisor,
  suspend,
  type Timer,
  terminateChild,
  terminateDynamicChild,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem, type VirtualClock } from '../../../src/testing/index.ts'
import {
  type Action,
  type CitizenContext,
  citizen,
  type Messages,
  type Nature,
} from './runtime-citizen.ts'
import { Ledger } from './runtime-ledger.ts'

/** A world under way. */
export interface RuntimeWorld {
  readonly clock: VirtualClock
  readonly ledger: Ledger
  /** Lets one thing happen. */
  step(): Promise<void>
  /** Lets everything come to rest, and checks what must hold then. */
  rest(): Promise<void>
  stop(): Promise<void>
}

/** Later than any world lasts. */
const late = 3_600_000

/** A world with its first trees. */
export const runtimeWorld = async (seed: number, random: () => number): Promise<RuntimeWorld> => {
  const { system, clock } = testSystem({ seed })
  const ledger = new Ledger(system)
  const server = citizen((ms) => new Promise<void>((resolve) => void clock.after(ms, resolve)))
  const monitors: Monitor[] = []
  const timers: { id: number; timer: Timer }[] = []
  let last = 0

  const upTo = (limit: number): number => Math.floor(random() * limit)
  const pick = <T>(from: readonly T[]): T => from[upTo(from.length)] as T
  const chance = (probability: number): boolean => random() < probability

  /** In half of the worlds starts and ends take no time. */
  const isPrompt = chance(0.5)

  // Trees.

  const nature = (parent?: number): Nature => ({
    ledger,
    random,
    isTrapping: chance(0.4),
    slowMs: !isPrompt && chance(0.15) ? 1 + upTo(20) : 0,
    ...(parent === undefined ? {} : { parent }),
  })

  const leaf = (mayMatter: boolean): ChildSpec => {
    const restart = pick<Restart>(['permanent', 'permanent', 'transient', 'temporary'])
    const shutdown = pick<Shutdown>(['brutal_kill', 'infinity', 5, 5_000])
    const significant = mayMatter && restart !== 'permanent' && chance(0.5)
    const title = chance(0.2) ? { name: name<Messages>(`held ${upTo(6)}`) } : {}
    const id = `citizen ${++last}`
    return worker(id, server, nature(), { label: id, restart, shutdown, significant, ...title })
  }

  const tree = (depth: number): ChildSpec => {
    const id = `supervisor ${++last}`
    const fuse = { intensity: upTo(4), periodMs: pick([10, 100, 1_000]) }
    const restart = pick<Restart>(['permanent', 'transient', 'temporary'])
    if (depth > 0 && chance(0.25)) {
      ledger.fuses.set(id, { ...fuse, strategy: 'one_for_one', isPrompt })
      const limit = chance(0.3) ? { maxChildren: 3 } : {}
      return dynamicSupervisor(id, { ...fuse, ...limit, restart })
    }
    const strategy = pick<Strategy>(['one_for_one', 'one_for_all', 'rest_for_one'])
    const autoShutdown = pick(['never', 'never', 'any_significant', 'all_significant'] as const)
    // Ending siblings may take time.
    ledger.fuses.set(id, { ...fuse, strategy, isPrompt: isPrompt && strategy === 'one_for_one' })
    const children = Array.from({ length: upTo(4) }, () =>
      depth < 3 && chance(0.4) ? tree(depth + 1) : leaf(autoShutdown !== 'never'),
    )
    return supervisor(id, { ...fuse, strategy, autoShutdown, restart }, children)
  }

  // Whom it may concern: the living and the dead, by ref.

  const citizens = (): Ref<Messages>[] => {
    const living = [...ledger.refs.values()].filter((ref) => system.info(ref) !== undefined)
    const some = living.length > 0 && chance(0.8) ? living : [...ledger.refs.values()].slice(-25)
    return some as unknown as Ref<Messages>[]
  }
  const supervisors = (kind: string): Ref<never>[] =>
    system.processes().flatMap((each) => (each.kind === kind ? [each.ref as Ref<never>] : []))
  const anybody = (): Ref | undefined =>
    pick([...citizens(), ...system.processes().map(({ ref }) => ref)])

  // What a citizen may do.

  const linkTo = (context: CitizenContext, other: Ref): void => {
    const [own, its] = [context.self.pid as number, other.pid as number]
    const isTrapping = system.info(context.self)?.trapExit
    if (system.info(other) !== undefined) ledger.linked(own, its)
    else if (isTrapping) ledger.owesExit(its, own, 'noproc')
    context.link(other)
  }

  const signal = (context: CitizenContext, other: Ref): void => {
    const reason = pick<unknown>(['normal', 'shutdown', 'kill', ['by', ++last], 'why'])
    const info = system.info(other)
    const isMessage = info?.trapExit === true && reason !== 'kill'
    // Its parent ends a process that traps; that is no message to it then.
    const isFromParent = info?.parent === context.self.pid || other === context.self
    if (isMessage && isFromParent) return
    if (other === context.self) ledger.mayEndNormally(other.pid)
    if (isMessage) ledger.owesExit(context.self.pid as number, other.pid as number, reason)
    context.exit(other, reason)
  }

  const startAnother = async (context: CitizenContext): Promise<undefined> => {
    const isLinked = chance(0.6)
    const begun = isLinked
      ? context.startLinkResult(server, nature(context.self.pid))
      : context.startResult(server, nature())
    ledger.asked(begun)
    await begun
  }

  const setTimer = (context: CitizenContext): undefined => {
    const id = ++last
    const [kind, other] = [upTo(3), pick(citizens())]
    // A timer to a process goes with it; one to a name stays, so that none of those may be long.
    const ms = pick([0, 1, 7, 50, kind < 2 ? late : 50])
    ledger.set(id, ms === late || kind === 2 ? undefined : kind === 0 ? context.self : other)
    const by = name<Messages>(`held ${upTo(6)}`)
    const timer =
      kind === 0
        ? context.sendAfter(ms, 'rang', id)
        : context.sendAfter(ms, 'rang', id, kind === 1 ? other : by)
    timers.push({ id, timer })
  }

  const cancelTimer = (context: CitizenContext): undefined => {
    const found = timers[upTo(timers.length)]
    if (found !== undefined && context.cancelTimer(found.timer) !== false)
      ledger.cancelled(found.id)
  }

  const monitor = (context: CitizenContext): undefined => {
    const by = name(`held ${upTo(6)}`)
    const target = chance(0.3) ? by : pick(citizens())
    const process = typeof target === 'string' ? system.whereis(target) : target
    const made = context.monitor(target)
    ledger.watched(made, context.self.pid as number, process)
    monitors.push(made)
    if (chance(0.2)) {
      const flush = chance(0.5)
      ledger.unwatched(made, context.demonitor(made, { flush }), flush)
    }
  }

  const ask = async (context: CitizenContext): Promise<undefined> => {
    const id = ++last
    const other = context.to(pick(citizens()))
    const asked = call(other, 'echo', id, { timeoutMs: pick([0, 5, 100, 5_000]) })
    ledger.asked(asked, id)
    if (chance(0.5)) await asked.catch(() => undefined)
  }

  const takeName = (context: CitizenContext): undefined => {
    try {
      if (context.name === undefined) context.register(name(`held ${upTo(6)}`))
      else context.unregister(name(context.name))
    } catch {
      // The name is taken, as the rule says; the ledger does not record names.
    }
  }

  const actions: Action[] = [
    (context) => void linkTo(context, pick(citizens())),
    (context) => {
      const other = pick(citizens())
      context.unlink(other)
      ledger.unlinked(context.self.pid as number, other.pid as number)
      return undefined
    },
    monitor,
    ask,
    ask,
    setTimer,
    setTimer,
    cancelTimer,
    takeName,
    startAnother,
    (context) => void context.trapExit(chance(0.5)),
    (context) => void signal(context, pick(citizens())),
    (context) => void cast(context.to(pick(citizens())), 'act', setTimer),
    async () => {
      await new Promise<void>((resolve) => void clock.after(1 + upTo(30), resolve))
      return undefined
    },
    () => {
      throw new Error('a bug')
    },
    ({ self }) => {
      ledger.mayEndNormally(self.pid)
      return exit(pick<unknown>(['normal', 'shutdown', 'why']))
    },
    ({ self }) => {
      ledger.mayEndNormally(self.pid)
      return stop(pick<unknown>(['normal', ['shutdown', 'by plan'], 'why']), null)
    },
  ]

  // What may happen to the world.

  const inStatic = async (): Promise<void> => {
    const top = pick(supervisors('supervisor'))
    if (top === undefined) return
    const children = whichChildren(top)
    const act = async (): Promise<unknown> => {
      const id = pick(await children)?.id ?? 'nobody'
      const what = upTo(5)
      if (what === 0) return startChild(top, leaf(false))
      if (what === 1) return restartChild(top, id)
      if (what === 2) return terminateChild(top, id)
      return what === 3 ? deleteChild(top, id) : countChildren(top)
    }
    ledger.asked(act())
  }

  const inDynamic = (): void => {
    const top = pick(supervisors('dynamic_supervisor'))
    if (top === undefined) return
    const other = chance(0.7) ? undefined : anybody()
    ledger.asked(
      other === undefined ? startDynamicChild(top, leaf(false)) : terminateDynamicChild(top, other),
    )
  }

  const wake = (): void => {
    for (const { ref, status } of system.processes())
      if (status === 'suspended') ledger.asked(resume(ref))
  }

  const events: (() => void | Promise<void>)[] = [
    ...Array<() => void>(14).fill(() => void cast(pick(citizens()), 'act', pick(actions))),
    inStatic,
    inStatic,
    inDynamic,
    inDynamic,
    () => clock.advance(pick([1, 5, 30, 200])),
    () => clock.advance(1),
    () => system.kill(anybody() as Ref),
    () => {
      const other = pick(citizens())
      ledger.mayEndNormally(other.pid)
      ledger.asked(stopProcess(other, pick(['normal', 'shutdown', 'why'])))
    },
    () => ledger.asked(suspend(anybody() as Ref)),
    wake,
    wake,
    () => ledger.asked(startSupervisor(system, tree(0))),
    () => ledger.asked(system.startResult(server, nature())),
  ]

  const begin = async (): Promise<void> => {
    for (let count = 0; count < 4; count++) ledger.asked(system.startResult(server, nature()))
    for (let count = 0; count < 3; count++) ledger.asked(startSupervisor(system, tree(0)))
    await clock.advance(200)
  }
  await begin()

  const settled = async (): Promise<void> => {
    await clock.settle()
    ledger.check()
  }
  return {
    clock,
    ledger,
    step: async () => {
      await pick(events)()
      if (chance(0.6)) await settled()
    },
    rest: async () => {
      for (let round = 0; round < 5; round++) {
        wake()
        await clock.advance(10_000)
      }
      ledger.checkRest()
    },
    stop: async () => {
      const stopped = system.stop()
      await clock.advance(60_000)
      await stopped
      await clock.settle()
      ledger.checkEnd()
    },
  }
}
