/** The part of a shard that outlives the actor of its journal. */
import type { SnapshotProtocol } from '../../storage/index.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import type { ShardJournal } from './shard-journal.ts'

/** A shard as its journal has it. Saved states lie with the snapshots. */
export type JournalShard = WritingShard & {
  readonly journal: ShardJournal
  readonly snapshots: {
    readonly parts: { readonly isCache?: boolean | undefined }
    run<K extends 'saveState' | 'loadState'>(
      kind: K,
      request: SnapshotProtocol[K]['request'],
    ): Promise<SnapshotProtocol[K]['answer']>
  }
}
