/** A small commit, as it goes through a lane, and its answer. */
import type { CommitRequest } from '../../../src/storage/ports/log-host.ts'
import type { PackedCommit } from '../../../src/storage/threads/log-wire.ts'

/** One frame. */
export const request: CommitRequest = {
  bytes: new Uint8Array(16),
  lengths: [16],
  now: 1,
  sync: true,
  projectedLsn: 0,
}

/** Its LSN is `lsn`. */
export const answer = (lsn: number): PackedCommit => ({
  firstLsn: lsn,
  count: 1,
  time: 1,
  durableLsn: lsn,
  syncMs: 0.1,
  bytesWritten: 512,
  rolled: false,
  runs: [lsn, 1],
})
