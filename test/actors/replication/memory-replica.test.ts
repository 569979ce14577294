/** The replica that the tests of replicators use keeps the contract, as PostgreSQL does. */
import { virtualClock } from '../../../src/testing/index.ts'
import { replicaContract } from '../../contracts/replica.contract.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'

const replica = new MemoryReplica(virtualClock())
replica.answerMs = 0

replicaContract(() => ({
  replica: () => replica,
  valuesOf: async ({ walId }) =>
    Object.fromEntries(
      [...(replica.logs.get(walId)?.keys.values() ?? [])].map(({ key, json }) => [
        key,
        JSON.parse(json ?? 'null'),
      ]),
    ),
  statesOf: async ({ walId }) =>
    Object.fromEntries(
      [...(replica.logs.get(walId)?.entities.values() ?? [])].map(({ entity, state }) => [
        entity,
        state === undefined ? undefined : JSON.parse(state),
      ]),
    ),
  entriesOf: async ({ walId }) =>
    replica.logs.get(walId)?.entries.map(({ lsn, id }) => [lsn, id] as const) ?? [],
}))
