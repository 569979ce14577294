/**
 * The declarations of a program for stored data: its kinds, workers, workflows, queues and schedules. Pure.
 * It is apart from `rehearsal.ts` because it knows nothing of rows: it is the one that looks into a tree.
 */
import { durableTable, type NewServer } from '../../actors/index.ts'
import type { ChildSpec } from '../../runtime/index.ts'
import { type AppNode, type AppTree, declaredActors } from '../../supervisors/index.ts'
import type { Schedule } from '../app/schedule.ts'
import type { FlowParts } from '../app/tree.ts'
import type { Queue } from '../queue/queue-terms.ts'
import type { Workflow } from '../runs/body.ts'
import {
  batchesKind,
  type FlowPart,
  flowParts,
  queueKind,
  runKind,
  scheduleKind,
  schedulesKind,
} from '../runs/parts.ts'

type Server = Omit<NewServer, 'hasKind'>

/** The declarations of one program. */
export class Catalogue {
  readonly kinds = new Map<string, Server>()
  readonly workers = new Map<string, Server>()
  readonly workflows = new Map<string, Workflow>()
  readonly queues = new Map<string, Queue>()
  readonly schedules = new Map<string, Schedule>()
  /** It has parts with their own start functions: what these start is not known. */
  hasOthers = false
  /** It has `flows`. */
  hasFlows = false

  /** `tree`: checked, with its modules loaded. `false`: the store alone. */
  constructor(tree: AppTree | false) {
    for (const actor of tree ? declaredActors(tree as AppNode) : [])
      if (actor.sort === 'kind') {
        const { name, server, keepMs, record } = actor
        this.kinds.set(name, { table: durableTable(server), keepMs, record })
      } else if (actor.sort === 'worker')
        this.workers.set(actor.name, { table: durableTable(actor.server), keepMs: undefined })
      else this.#addFlows(actor.spec)
  }

  #addFlows(spec: ChildSpec & { readonly [flowParts]?: FlowParts }): void {
    const { [flowParts]: parts } = spec
    this.hasOthers ||= parts === undefined
    for (const part of parts?.workflows ?? []) this.workflows.set(part.name, part)
    for (const part of parts?.queues ?? []) this.queues.set(part.name, part)
    for (const part of (parts?.schedules ?? []) as readonly (FlowPart & Schedule)[])
      this.schedules.set(part.name, part)
    this.hasFlows ||= parts !== undefined
  }

  /** Whether entities of this kind can be called in the program. */
  readonly hasKind = (kind: string): boolean => this.kinds.has(kind) || this.#flowKinds.has(kind)

  get #flowKinds(): ReadonlySet<string> {
    return new Set([
      ...[...this.workflows.keys()].map(runKind),
      ...[...this.queues.keys()].map(queueKind),
      ...[...this.schedules.keys()].map(scheduleKind),
      ...(this.hasFlows ? [batchesKind, schedulesKind] : []),
    ])
  }
}
