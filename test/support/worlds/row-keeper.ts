/** A kind of entities that keep rows: each call does to its context what the test says. */
import {
  type DurableContext,
  type DurableServer,
  entity,
  reply,
  supervisor,
} from '../../../src/index.ts'

/** The messages of a keeper. */
export type KeeperMessages = { calls: { act: (act: Act) => unknown } }

/** What a call does, within its turn. */
export type Act = (context: DurableContext<KeeperMessages>) => unknown

const keeper: DurableServer<KeeperMessages, number> = {
  init: () => 0,
  calls: { act: (count, act, context) => reply(act(context), count + 1) },
}

export const keepers = entity('keeper', keeper)

/** A tree of keepers alone. */
export const keeperTree = supervisor('app', {}, [keepers])
