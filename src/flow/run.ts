/**
 * The entity of a run: its durable state, and the turns that its callers make. The body runs beside
 * its mailbox (`life.ts`), so no call waits for a step.
 */

import type { DurableServer } from '../actors/index.ts'
import { KeelsonError } from '../errors.ts'
import { type ChildSpec, noReply, reply } from '../runtime/index.ts'
import { kindSpec } from '../supervisors/index.ts'
import type { Workflow } from './body.ts'
import { RunLife } from './life.ts'
import type { Present, RunContext, RunEnd, RunMessages, State } from './messages.ts'
import { isLive, type KeptError, type RunState } from './record.ts'
import { copied, hashOf } from './values.ts'

/** The part of the tree with the runs of a workflow. */
export const runKindSpec = (kind: string, workflow: Workflow): ChildSpec => ({
  ...kindSpec(kind, runServer(workflow)),
  // The processes of one instance share their memory, those of another one do not.
  start: (context) => kindSpec(kind, runServer(workflow)).start(context),
})

const runServer = (
  workflow: Workflow,
): DurableServer<RunMessages, State, { status: string | undefined }, string, unknown> => {
  const presents = new Map<string, Present>()
  const presentOf = (id: string): Present => {
    const found = presents.get(id) ?? { life: undefined, waiting: new Set() }
    presents.set(id, found)
    return found
  }
  const begin = (context: RunContext, first?: { readonly input: unknown }): void => {
    const { id } = context
    const present = presentOf(id)
    context.background((life) => new RunLife({ workflow, id, life, present, first }).run())
  }
  return {
    init: () => undefined,
    wake: (state, context) => {
      presents.delete(context.id)
      if (state && isLive(state.status)) begin(context)
    },
    terminate: (_, _reason, { id }) => void presents.delete(id),
    index: (state) => ({ status: state?.status }),
    calls: {
      start: (state, { input }, context) => {
        const inputHash = hashOf(input)
        if (state) {
          if (state.inputHash === inputHash) return reply({ repeated: true }, state)
          context.from.fail(otherInput(workflow.name, context.id))
          return noReply(state)
        }
        context.rows.put('input', input)
        begin(context, { input: copied(input) })
        return reply({ repeated: false }, bornAt(context, workflow, inputHash))
      },
      result: (state, _, context) => {
        const end = state && endOf(state, context)
        if (end) return reply(end, state)
        presentOf(context.id).waiting.add(context.from)
        return noReply(state)
      },
    },
    casts: { wake: (state) => noReply(state) },
  }
}

/** The state of a run that begins with this turn. */
const bornAt = (
  context: RunContext,
  { options: { version = 1 } }: Workflow,
  inputHash: string,
): RunState => {
  const now = context.now()
  const birth = Buffer.from(context.system.clock.randomBytes(8)).toString('hex')
  return {
    ...{ status: 'running', version, birth, inputHash, startedAt: now, since: now },
    ...{ round: 0, lap: 0, outcomes: 0, operations: 0 },
  }
}

/** How a run has ended; `undefined`: it goes on. */
export const endOf = (
  { status }: RunState,
  { rows }: Pick<RunContext, 'rows'>,
): RunEnd | undefined => {
  if (status === 'completed') return { status, output: rows.get('output') }
  if (status === 'failed' || status === 'cancelled' || status === 'blocked')
    return { status, error: rows.get('error') as KeptError }
  return undefined
}

const otherInput = (type: string, id: string): KeelsonError =>
  new KeelsonError('CONFLICT', `the run ${id} of ${type} has begun with another input`, {
    details: { type, id },
  })
