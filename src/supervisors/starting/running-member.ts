/**
 * An instance owned by a member: its orderly end when the member is asked to leave, and its end at
 * once when it may not go on. It is apart from `member-start.ts` because it begins where the start
 * ends.
 */
import { isLoss } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, type KeelsonError, reasonText } from '../../errors.ts'
import { stopProcess } from '../../runtime/index.ts'
import type { App } from '../app/app.ts'
import { treeNames } from '../tree/shard-tree.ts'
import { EngineWait } from './engine-wait.ts'
import { lapsedLease, lostLease, type Ownership } from './ownership.ts'

/** The instance of a member, from its start on. */
export class RunningMember {
  /** The wait for an engine that does not renew the lease. */
  readonly waits: EngineWait
  /** Ends the start while there is no instance. */
  readonly #giveUp: (reason: KeelsonError) => void
  #app: App | undefined
  #ended: KeelsonError | undefined

  constructor(clock: Clock, giveUp: (reason: KeelsonError) => void) {
    this.#giveUp = giveUp
    const onReason = (reason: string): void => this.#app && logWait(this.#app, reason)
    this.waits = new EngineWait({ clock, onReason })
  }

  /** The shards that are down. The member keeps the others: nobody takes over by itself. */
  get down(): readonly number[] {
    const shards = this.#app?.shards ?? []
    return shards.filter(({ phase }) => phase.kind === 'down').map(({ index }) => index)
  }

  /** The instance runs. `noteLoss`: its engine has lost acknowledged writes of a shard. */
  began(
    app: App,
    ownership: Ownership,
    noteLoss: (shard: number, error: KeelsonError) => void,
  ): void {
    this.#app = app
    const downFor = (shard: number, reason: unknown): void => {
      if (isLoss(reason)) noteLoss(shard, reason)
      if (isLoss(reason) || isKeelsonError(reason, 'FENCED')) this.end(reason)
      else logDown(app, shard)
    }
    app.events.on('shard.down', ({ instance, shard, reason }) => {
      if (instance === app.instance) downFor(shard, reason)
    })
    ownership.listen((phase) => {
      announcePhase(app)
      if (phase === 'unsure') {
        this.waits.because(app.health().cluster?.reason ?? 'no answer yet')
        app.entities.work.lapse(lapsedLease())
      } else this.waits.end()
      if (phase === 'ended') this.end(lostLease())
    })
    for (const { index, phase } of app.shards)
      if (phase.kind === 'down') downFor(index, phase.reason)
    if (ownership.phase === 'ended') this.end(lostLease())
    if (this.#ended) this.end(this.#ended)
  }

  /** Ends in order: an operator has asked the member to leave. */
  leave(reason: KeelsonError): void {
    if (this.#app) this.#app.close().catch(() => undefined)
    else this.#giveUp(reason)
  }

  /**
   * Ends at once: another member may own the instance, and no drain could do anything more. `closed`
   * of the instance resolves with `['shutdown', error]`.
   */
  end(error: KeelsonError): void {
    const isFirst = this.#ended === undefined
    this.#ended ??= error
    const app = this.#app
    if (!app) {
      this.#giveUp(error)
      return
    }
    const root = app.system.whereis(treeNames(app.instance).root)
    // It may have ended by itself.
    if (!root) return
    if (isFirst) app.system.logger.warn(`the member ends: ${reasonText(error)}`)
    stopProcess(root, ['shutdown', error]).catch(() => undefined)
  }
}

/** The other shards serve. Only a person knows whether another machine would help this one. */
const logDown = ({ system, health }: App, shard: number): void => {
  const { member = '' } = health().cluster ?? {}
  const command = `keelson cluster drain ${member}`
  const text = `no standby takes over for shard ${shard}: \`${command}\` lets one take over all shards`
  system.logger.warn(text, { shard, member })
}

const logWait = ({ system, health, instance }: App, reason: string): void => {
  const { cluster } = health()
  if (!cluster) return
  const { name, member, epoch } = cluster
  const text = `the member ${member} cannot renew its lease of ${name}, and refuses reads: ${reason}`
  system.logger.warn(text, { instance, member, epoch })
}

/** Announces a change of the phase. That it is unsure, or ends, is logged with the reason elsewhere. */
const announcePhase = ({ events, system, health, instance }: App): void => {
  const { cluster } = health()
  if (!cluster) return
  const { name, member, phase, epoch } = cluster
  const facts = { instance, member, epoch }
  if (phase === 'owner') system.logger.info(`the member ${member} owns ${name} again`, facts)
  if (events.listenerCount('cluster.phase') === 0) return
  const bus = events as unknown as { emit(name: string, payload: object): void }
  bus.emit('cluster.phase', { at: system.clock.now(), instance, member, phase, epoch })
}
