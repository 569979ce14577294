/**
 * The rooms of `src` that decide, each with the tests that try it: those of its own folder in `test`, and these. Without
 * them a room would count as untested that other folders test.
 */
export const rooms = {
  'actors/turns': ['test/actors/durable', 'test/actors/entities', 'test/simulation/entities'],
  'actors/durable': [
    'test/actors/turns',
    'test/actors/entities',
    'test/supervisors/app/health-trouble',
    'test/supervisors/users-tree/durable-parts',
    'test/simulation/entities',
  ],
  'actors/entities': [
    'test/supervisors/app/health-trouble',
    'test/supervisors/users-tree/durable-parts',
    'test/actors/durable/retries',
    'test/actors/durable/durable-state',
    'test/actors/durable/by-hand',
    'test/actors/durable/worker-history',
    'test/actors/projection/entity-projections',
    'test/actors/turns',
    'test/actors/control/wrong-messages',
    'test/inspect/prompt/entity-view',
    'test/simulation/entities',
  ],
  'actors/admission': ['test/actors/writing', 'test/actors/control/write-pause'],
  'actors/projection': [
    'test/actors/overlay/hot-rows',
    'test/actors/core/storage-events',
    'test/actors/snapshots/snapshot-blobs',
    'test/actors/control/actor-names',
    'test/actors/control/wrong-messages',
    'test/actors/shard/log-lines',
  ],
  'actors/replication': [
    'test/inspect/backup/restore-replica',
    'test/actors/control/wrong-messages',
  ],
  'actors/journal': [
    'test/actors/turns/journaled-turns',
    'test/actors/control/wrong-messages',
    'test/simulation/journal',
  ],
  'storage/rows': ['test/actors/store/store', 'test/simulation/store-commands'],
  'storage/groups': ['test/actors/writing', 'test/actors/log', 'test/storage/wal/wal-waiting'],
  'storage/frames': ['test/storage/segments', 'test/storage/log'],
  'storage/commitments': ['test/storage/log/log-commitments', 'test/inspect/journal'],
  'storage/projections': [
    'test/actors/projection/user-projections',
    'test/actors/projection/entity-projections',
  ],
  'storage/examination': [
    'test/inspect/doctor',
    'test/storage/log',
    'test/storage/wal',
    'test/storage/backups',
    'test/inspect/wal',
    'test/inspect/journal',
    'test/supervisors/starting',
  ],
  'flow/runs': ['test/flow/app', 'test/flow/queue', 'test/simulation/flows'],
  'runtime/process': [
    'test/runtime/names',
    'test/runtime/queues',
    'test/runtime/server',
    'test/runtime/task',
    'test/actors/shard/log-lines',
    'test/conformance',
    'test/simulation/runtime',
  ],
  'runtime/supervision': [
    'test/runtime/server',
    'test/conformance',
    'test/supervisors/tree',
    'test/supervisors/users-tree',
    'test/simulation/runtime',
  ],
}
