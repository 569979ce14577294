/**
 * The end of an instance whose user's tree spends its restarts again and again. Its supervisors above
 * start it again each time: a worker that crashes every 100 ms would do so for ever, and a service manager
 * would see a service that runs. It is apart from `app.ts`, because only some instances have it.
 */
import { KeelsonError } from '../../errors.ts'
import {
  describeReason,
  type System,
  stopProcess,
  type TelemetryEvents,
} from '../../runtime/index.ts'
import { treeNames } from '../tree/shard-tree.ts'

/** Times longer ago are history, in ms. */
const withinMs = 600_000

/** The supervisors above start the tree again within seconds: that counts as one time, in ms. */
const apartMs = 30_000

/** An instance that ends so. */
type Watched = {
  readonly system: System
  readonly instance: string
  /** The id and the name of the user's tree. */
  readonly tree: { readonly id: string; readonly name: unknown }
  /** Ends after so many times. */
  readonly times: number
  /** Aborted when the instance ends. */
  readonly ending: AbortSignal
}

/** Ends the root with `['shutdown', error]` when the tree has spent its restarts so often. */
export const endSpent = ({ system, instance, tree, times, ending }: Watched): void => {
  const { root } = treeNames(instance)
  let spent: readonly number[] = []
  const onGaveUp: TelemetryEvents['supervisor.gave_up'] = (event) => {
    const { name, label, id, reason } = event
    const isTree = name === String(tree.name) || label === tree.id
    if (event.instance !== instance || !isTree) return
    const now = system.clock.monotonic()
    if (now - (spent.at(-1) ?? Number.NEGATIVE_INFINITY) < apartMs) return
    spent = [...spent.filter((at) => now - at < withinMs), now]
    if (spent.length < times) return
    const text = `the tree ${tree.id} has spent its restarts ${times} times within ten minutes; the last end: ${id}: ${describeReason(reason)}`
    const error = new KeelsonError('EXITED', text, { details: { tree: tree.id, id } })
    system.logger.error(`the instance ends: ${text}`, { instance, id })
    const found = system.whereis(root)
    if (found) stopProcess(found, ['shutdown', error]).catch(() => undefined)
  }
  system.events.on('supervisor.gave_up', onGaveUp)
  ending.addEventListener('abort', () => system.events.off('supervisor.gave_up', onGaveUp))
}
