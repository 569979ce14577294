/**
 * What `keelson doctor` can find, by stable codes, and what a repair does. A repair is data here:
 * findings are decided without touching a file.
 */
import type { DataFolderFacts, Manifest } from '../../storage/index.ts'

/**
 * `damage`: data are lost, or the folder does not start as it is. `warning`: nothing is lost, and
 * something should be done. `note`: worth knowing; nothing has to be done.
 */
export type Severity = 'damage' | 'warning' | 'note'

/** One step of a repair. None of them can lose acknowledged data. */
export type RepairStep =
  /** Writes the MANIFEST of the log in `dir`, both slots. */
  | { readonly kind: 'manifest'; readonly dir: string; readonly manifest: Manifest }
  /** Writes the `keelson.json` of `dir`. */
  | { readonly kind: 'facts'; readonly dir: string; readonly facts: DataFolderFacts }
  /** Moves `path` into the folder `to`, under a free name. */
  | { readonly kind: 'set aside'; readonly path: string; readonly to: string }
  /** Removes a leftover. */
  | { readonly kind: 'remove'; readonly path: string }

/** A finding. */
export type Finding = {
  readonly code: FindingCode
  readonly severity: Severity
  /** Absent for what is of the whole folder. */
  readonly shard?: number
  /** The file or folder, absolute. */
  readonly file: string
  /** The meaning of the code, in plain words. */
  readonly means: string
  /** The observation. */
  readonly evidence: string
  /** The remedy, with its command. */
  readonly remedy: string
  /** What `--repair` does about it; nothing without steps. */
  readonly repair: readonly RepairStep[]
}

/** Every code: how bad it is, and what it means. */
export const findingKinds = {
  'folder.held': [
    'note',
    'An instance has the folder open. Only what is safe to read was examined: keelson.json, logs, snapshots.',
  ],
  'folder.cache': [
    'note',
    'The folder is a cache. The logs are in an engine, and were not examined.',
  ],
  'folder.unmade': ['note', 'Nothing was ever written here. The next start begins anew.'],
  'folder.unfinished': [
    'damage',
    'A restore, a salvage or a backup into this folder was cut off. It is no whole copy.',
  ],
  'folder.swap': [
    'warning',
    'Another folder takes the place of this one. Start refuses it until that is complete.',
  ],
  'folder.undescribed': [
    'damage',
    'keelson.json is missing. Nothing says for certain how many shards there were, and start refuses the folder.',
  ],
  'folder.facts': ['damage', 'keelson.json is damaged, and start refuses the folder.'],
  'folder.newer': ['damage', 'A newer version of Keelson wrote it. This one cannot judge it.'],
  'folder.shards': ['warning', 'keelson.json names no such shard. Nothing in it is ever read.'],
  'folder.access': [
    'warning',
    'This user cannot read and write it, or it belongs to another user than the folder.',
  ],
  'folder.open': [
    'warning',
    'Other users of this machine may enter or list the folder. Only the modes protect the values in it.',
  ],
  'disk.memory': ['note', 'The folder is in memory (tmpfs). A power cut empties it.'],
  'disk.network': [
    'warning',
    'The folder is on a network file system. Locks and LMDB are not safe there.',
  ],
  'disk.space': ['warning', 'The disk is nearly full. Soon writes are refused with NO_SPACE.'],
  'log.missing': ['damage', 'keelson.json names a log that does not exist.'],
  'log.stranger': ['damage', 'It is the log of another shard or folder.'],
  'log.damaged': ['damage', 'The log is damaged. Start refuses it, or reading back to there.'],
  'log.lost': ['damage', 'Frames that were durable cannot be read in any file.'],
  'log.older': [
    'damage',
    'The log has less than floor.json says. Its newest files are lost, or it is an older copy.',
  ],
  'log.floor': [
    'damage',
    'floor.json of the shard, which says how far its log reached, is damaged. Start refuses it.',
  ],
  'log.torn': [
    'note',
    'A crash cut off the last write. Nothing acknowledged is in it, and the next start cuts it.',
  ],
  'log.odd': ['warning', 'Something about the log is odd, and does not prevent a start.'],
  'manifest.missing': [
    'warning',
    'The MANIFEST of the log is missing, and with it the names of its snapshots.',
  ],
  'manifest.damaged': [
    'warning',
    'The MANIFEST of the log is damaged, and with it the names of its snapshots may be lost.',
  ],
  'manifest.slot': [
    'warning',
    'One of the two slots of the MANIFEST is damaged. The other one counts.',
  ],
  'snapshot.missing': ['warning', 'A snapshot that the log names is missing.'],
  'snapshot.damaged': ['warning', 'A snapshot that the log names is damaged.'],
  'state.damaged': ['warning', 'A saved state of the journal is damaged.'],
  'state.lost': [
    'damage',
    'The log has given entries of the journal back, and no saved state that had them can be loaded.',
  ],
  'rows.lost': [
    'damage',
    'The log begins later, and neither the projection nor a snapshot has the rows from before.',
  ],
  'projection.missing': ['note', 'There is no projection. The next start builds it.'],
  'projection.damaged': ['damage', 'The projection is damaged. Reads may be refused as CORRUPT.'],
  'projection.stranger': ['warning', 'The projection is of another log, or of another copy of it.'],
  'projection.behind': ['warning', 'The projection ends before the log begins.'],
  'projection.different': [
    'damage',
    'The projection has other rows than the snapshot and the log behind it.',
  ],
  'projection.uncompared': ['warning', 'The rows could not be compared with snapshot and log.'],
  'blob.missing': [
    'damage',
    'Large values are lost. Reading them fails with CORRUPT; all else works.',
  ],
  'blob.damaged': [
    'damage',
    'Large values are damaged. Reading them fails with CORRUPT; all else works.',
  ],
  'blob.doubtful': [
    'warning',
    'Frames that no row shows yet refer to large values that are not there. Those of a refused command are in order.',
  ],
  'leftover.temporary': ['note', 'A leftover of work that was cut off. Nothing reads it.'],
  'leftover.quarantine': ['note', 'Bytes that were set aside. Nothing reads them.'],
} as const satisfies Readonly<Record<string, readonly [Severity, string]>>

/** The code of a finding. */
export type FindingCode = keyof typeof findingKinds

/** A finding of this code. */
export const finding = (
  code: FindingCode,
  facts: Pick<Finding, 'file' | 'evidence' | 'remedy'> & Partial<Pick<Finding, 'shard' | 'repair'>>,
): Finding => {
  const [severity, means] = findingKinds[code]
  return { code, severity, means, repair: [], ...facts }
}

/** The command that repairs a folder. */
export const repairing = (dir: string): string => `keelson doctor ${dir} --repair`

/** The remedy for a log that has lost something: a copy that has it, or what is left of it. */
export const restoring = (dir: string): string =>
  `Restore a backup: keelson restore BACKUP --to DIR2. Without one, bring what can be read into a new folder: keelson wal salvage ${dir} --to DIR2. Keep ${dir} as it is.`
