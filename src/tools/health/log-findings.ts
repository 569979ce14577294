/** The findings about a log, that of a shard or one alone, once its owner is known. Pure. */

import { join } from 'node:path'
import { floorFileName, isOlder, type LogFloor, type LogVerification } from '../../storage/index.ts'
import { type Finding, finding } from './finding.ts'
import type { LogFacts } from './log-facts.ts'

/** A judged log, and what is to be done about it. */
export type JudgedLog = {
  /** The folder of the log. */
  readonly dir: string
  readonly found: LogVerification
  /** What `floor.json` says that it had. */
  readonly floor?: LogFloor | undefined
  /** The remedy for a log that has lost something. */
  readonly restore: string
  /** The remedy for oddities that cost nothing. */
  readonly secure: string
}

/** Damage, losses, the end, and oddities. */
export const findingsOfLog = (log: JudgedLog): Finding[] => [
  ...damageOf(log),
  ...endOf(log),
  ...remarksOf(log),
]

/** The findings about a log that belongs to no data folder. */
export const loneLogFindings = (dir: string, { found, refused }: LogFacts): Finding[] => {
  if (refused) return [newerLog(dir, refused.message)]
  if (!found) return []
  const restore = `Use a copy of it. Without one, bring what can be read into a new folder: keelson wal salvage ${dir} --to DIR2. Keep ${dir} as it is.`
  const secure = `Nothing has to be done. Make a copy of ${dir}.`
  return findingsOfLog({ dir, found, restore, secure })
}

/** The finding about a log that a newer version wrote. */
export const newerLog = (file: string, evidence: string): Finding =>
  finding('folder.newer', {
    file,
    evidence,
    remedy: 'Use the version of Keelson that wrote it.',
  })

const damageOf = ({ dir, found, floor, restore: remedy }: JudgedLog): Finding[] => {
  const isShorter = found.provenBy === floorFileName && found.lost.length > 0
  if (isShorter || isOlder(found.epoch, floor))
    return [
      finding('log.older', {
        file: dir,
        evidence: `floor.json names epoch ${floor?.epoch} and lsn ${floor?.lsn}, the log has epoch ${found.epoch} and lsn ${found.lastLsn}`,
        remedy: `Put its newest files back if they are anywhere. ${remedy}`,
      }),
    ]
  const places = found.damage.map(({ file, offset, lsn, evidence }) =>
    finding('log.damaged', {
      file: join(dir, file),
      evidence: `offset ${offset}, lsn ${lsn}: ${evidence}`,
      remedy,
    }),
  )
  if (found.lost.length === 0) return places
  const ranges = found.lost.map(({ from, to }) => (from === to ? `${from}` : `${from} to ${to}`))
  const evidence = `lsn ${ranges.join(', ')}; ${found.provenBy} proves that they were durable`
  return [...places, finding('log.lost', { file: dir, evidence, remedy })]
}

const endOf = ({ dir, found: { torn, verdict } }: JudgedLog): Finding[] =>
  !torn || verdict === 'corrupt'
    ? []
    : [
        finding('log.torn', {
          file: join(dir, torn.file),
          evidence: `${torn.bytes} bytes from offset ${torn.offset} on, where lsn ${torn.lsn} would be`,
          remedy: 'Nothing: the next opening cuts it, and keeps the bytes in quarantine.',
        }),
      ]

const remarksOf = ({ dir, found, secure: remedy }: JudgedLog): Finding[] =>
  found.remarks.map((evidence) => finding('log.odd', { file: dir, evidence, remedy }))
