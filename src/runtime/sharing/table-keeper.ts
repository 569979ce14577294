/**
 * A table keeper: the heir of tables whose writers come and go. It holds a table between the end of
 * its writer and the next `Table.claim`, and does nothing else, so that it has no reason to end.
 */
import { noMore } from '../../check.ts'
import { isAnything } from '../server/acceptance.ts'
import type { GenServer } from '../server/gen-server.ts'
import { noReply } from '../server/next-step.ts'
import { type ChildSpec, type WorkerOptions, worker } from '../supervision/child-spec.ts'
import { keeperKind, type TableTransfer } from './table.ts'

/** The messages of a table keeper. */
export type TableKeeperMessages = {
  infos: { table: (transfer: TableTransfer<never, never>) => void }
}

/**
 * A table keeper as a child. Place it before the writers, under a strategy that does not restart it
 * with them. Throws `CONFIG` with `details.path` for wrong options.
 */
export const tableKeeper = (
  id: string,
  options: Omit<WorkerOptions<TableKeeperMessages>, 'kind'> = {},
  ...surplus: []
): ChildSpec<TableKeeperMessages> => {
  noMore(surplus, 'tableKeeper(id, { name, … })')
  return worker(id, keeper, undefined, options)
}

const keeper: GenServer<TableKeeperMessages, null> = {
  kind: keeperKind,
  init: () => null,
  // The tables that it keeps do not end by a wrong message.
  accepts: { calls: {}, casts: {}, infos: { table: isAnything } },
  infos: { table: (state) => noReply(state) },
}
