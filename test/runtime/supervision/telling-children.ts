/** Children that tell a log when they start and end, and a tree of them. */
import {
  type ChildSpec,
  type GenServer,
  noReply,
  type Ref,
  reply,
  type Strategy,
  startSupervisor,
  supervisor,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

/** The messages of a child of the tree. */
export type Messages = { calls: { app: () => unknown }; casts: { crash: () => void } }

/** A child that tells what happens to it. */
export const telling = (log: string[]): GenServer<Messages, string, string> => ({
  init: (id, context) => {
    context.trapExit(true)
    log.push(`+${id}`)
    return id
  },
  calls: { app: (id, _, { app }) => reply(app, id) },
  casts: {
    crash: () => {
      throw new Error('boom')
    },
  },
  exit: (id) => noReply(id),
  terminate: (id) => void log.push(`-${id}`),
})

/** A supervisor `root` over children that tell, `a`, `b` and `c` unless others are named. */
export const tree = async (
  strategy: Strategy,
  options: object = {},
  children?: readonly ChildSpec[],
) => {
  const { system, clock } = testSystem()
  const log: string[] = []
  const ids = children ?? ['a', 'b', 'c'].map((id) => worker(id, telling(log), id))
  const root = await startSupervisor(system, supervisor('root', { strategy, ...options }, ids))
  const child = async (id: string): Promise<Ref<Messages>> => {
    const found = (await whichChildren(root)).find((each) => each.id === id)
    if (found?.ref === undefined) throw new Error(`${id} does not run`)
    return found.ref as Ref<Messages>
  }
  return { system, clock, log, root, child }
}
